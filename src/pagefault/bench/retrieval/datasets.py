"""A folder of retrieval data to documents, queries and gold.

One folder per set: ``docs.jsonl.gz`` (``_id``, ``text``, ``group``; maybe ``title``, ``session``, ``date``,
``source``), ``queries.jsonl.gz`` (``_id``, ``text``, ``group``; maybe ``category``), ``qrels.tsv`` (query-id,
corpus-id, score; a header). A document that has a session is a turn, and its text begins with its speaker:
``Ana: I keep bees``. Those of one source, one behind the other, are the passages of a loaded document. Leaves
out what is done with them.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pagefault.bench.dates import moment
from pagefault.errors import UsageError

__all__ = ["Dataset", "Pool", "Question", "RetrievalDocument", "load", "names"]

_FILES = ("docs.jsonl.gz", "queries.jsonl.gz", "qrels.tsv")
_TURN = re.compile(r"(?P<speaker>[^:\n]{1,40}): (?P<text>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class RetrievalDocument:
    """``whole`` is the document as the data has it, after its title; ``text`` is without the speaker."""

    id: str
    text: str
    whole: str
    title: str = ""
    speaker: str = ""
    session: str = ""
    at: datetime | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """``gold``: gain by document id; empty if nobody knows. ``answers``, ``category``: if there are any."""

    id: str
    text: str
    gold: Mapping[str, float]
    answers: tuple[str, ...] = ()
    category: str = ""


@dataclass(frozen=True, slots=True)
class Pool:
    """Documents that are searched together (a conversation, or all), and the questions on them."""

    documents: Sequence[RetrievalDocument]
    questions: Sequence[Question]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Dataset:
    name: str
    pools: Sequence[Pool]

    def in_one_pool(self) -> Dataset:
        """The same, with all groups searched together."""
        documents = [document for pool in self.pools for document in pool.documents]
        questions = [question for pool in self.pools for question in pool.questions]
        return Dataset(self.name, [Pool(documents, questions)])


def names(folder: Path) -> list[str]:
    """The sets in a folder; ``UsageError`` if there are none."""
    found = sorted(path.parent.name for path in folder.glob(f"*/{_FILES[0]}"))
    if not found:
        raise UsageError(f"{folder} holds no set, a folder with {', '.join(_FILES)}; give another --data.")
    return found


def load(folder: Path, name: str) -> Dataset:
    """Read one set. ``UsageError`` for a missing or wrong file."""
    for file in _FILES:
        if not (folder / name / file).is_file():
            raise UsageError(
                f"{folder / name / file} is missing; the sets here are {', '.join(names(folder))}."
            )
    documents: defaultdict[str, list[RetrievalDocument]] = defaultdict(list)
    questions: defaultdict[str, list[Question]] = defaultdict(list)
    gold = _gold(folder / name / _FILES[2])
    for row in _rows(folder / name / _FILES[0]):
        documents[row["group"]].append(_document(row))
    for row in _rows(folder / name / _FILES[1]):
        answers = tuple(map(str, row.get("answers") or ()))
        category = str(row.get("category") or "")
        question = Question(row["_id"], row["text"], gold.get(row["_id"], {}), answers, category)
        questions[row["group"]].append(question)
    groups = dict.fromkeys((*documents, *questions))
    return Dataset(name, [Pool(_dated(documents[group]), questions[group], group) for group in groups])


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        lines = gzip.decompress(path.read_bytes()).decode().rstrip("\n").split("\n")
    except (EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError):
        raise UsageError(f"{path} is not gzipped UTF-8; fix that file.") from None
    for line, text in enumerate(lines, start=1):
        try:
            row = {"group": "", **json.loads(text)}
            yield {**row, "_id": str(row["_id"]), "text": str(row["text"])}
        except (ValueError, TypeError, KeyError):
            raise UsageError(
                f"{path}, line {line}: no JSON object with _id and text; fix that file."
            ) from None


def _gold(path: Path) -> dict[str, dict[str, float]]:
    gold: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for line, text in enumerate(path.read_text("utf-8").splitlines()[1:], start=2):
        try:
            question, document, score = text.split("\t")
            if float(score) > 0:
                gold[question][document] = float(score)
        except ValueError:
            raise UsageError(
                f"{path}, line {line}, is not query-id, corpus-id, score; fix that file."
            ) from None
    return gold


def _document(row: Mapping[str, Any]) -> RetrievalDocument:
    text, title, session = str(row["text"]), str(row.get("title") or ""), str(row.get("session") or "")
    source = str(row.get("source") or "")
    whole = text if text.startswith(title) else f"{title}. {text}"
    turn = _TURN.fullmatch(text) if session else None
    own, speaker = (turn["text"], turn["speaker"]) if turn else (text, "")
    session = f"{row['group']} {session}" if session else ""  # pools of several groups: theirs do not meet
    return RetrievalDocument(row["_id"], own, whole, title, speaker, session, moment(row.get("date")), source)


def _dated(documents: Sequence[RetrievalDocument]) -> list[RetrievalDocument]:
    """A turn without a date has the one before it."""
    last: datetime | None = None
    dated: list[RetrievalDocument] = []
    for document in documents:
        last = document.at or (last if document.session else None)
        dated.append(replace(document, at=last))
    return dated
