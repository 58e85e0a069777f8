"""Questions on documents (the paper's section 3.2.1): Natural Questions with a gold Wikipedia passage each.

Data: a file or folder in the form of "Lost in the Middle" (Liu et al. 2023): ``question``, ``answers``, and
``ctxs`` with ``title``, ``text`` and ``isgold``. The passages of all records are one archive; a
``docs.jsonl.gz`` (``title``, ``text``) beside them, or in another folder, adds to it. An answer counts only
if it is in the document that it names.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field

from pagefault.bench import prompts
from pagefault.bench.scoring import is_refusal, matches, normalised
from pagefault.bench.tasks import Item, Options, StrategyReply, Text
from pagefault.bench.tasks.reading import Record, matching, read, records
from pagefault.embedders import Embedder

__all__ = ["DocQA"]

_QUESTIONS = ("nq*.jsonl", "nq*.jsonl.gz")
_ARCHIVE = ("docs.jsonl", "docs.jsonl.gz")
_REPLY = re.compile(
    r"ANSWER:\s*(?P<answer>.*?)\s*,?\s*DOCUMENT:\s*(?P<document>.*)", re.DOTALL | re.IGNORECASE
)
_QUOTED = 30  # characters of a passage that name it


class _Passage(Record):
    title: str = ""
    text: str
    isgold: bool = False


class _Question(Record):
    question: str
    answers: list[str] = Field(min_length=1)
    ctxs: list[_Passage] = Field(default=[])


@dataclass(slots=True)
class _Documents:
    """The documents of an archive by what an answer may call them, made once: there may be 100,000."""

    titled: dict[str, list[Text]] = field(default_factory=lambda: defaultdict(list))
    quotable: list[tuple[str, Text]] = field(default_factory=list[tuple[str, Text]])
    by_id: dict[str, Text] = field(default_factory=dict[str, Text])

    @classmethod
    def of(cls, texts: Sequence[Text]) -> _Documents:
        made = cls()
        for text in texts:
            made.titled[normalised(text.title)].append(text)
            made.quotable.append((normalised(text.text), text))
            made.by_id[text.id] = text
        return made

    def named(self, reply: StrategyReply, document: str) -> Iterator[Text]:
        """The documents that a reply may mean: by the id in the prompt, the title, or a part of the text."""
        wanted = document.strip(" \n.\"'`()")
        if text := self.by_id.get(reply.named.get(wanted.strip("[]#"), "")):
            yield text
        if plain := normalised(wanted):
            yield from self.titled.get(plain, ())
        if len(plain) >= _QUOTED:
            yield from (text for quotable, text in self.quotable if plain in quotable)


class DocQA:
    name = "docqa"
    measures = ("accuracy", "answered", "mean_length")
    strategies = ("memgpt", "memgpt+prefetch", "retriever-reader")
    sweep = (1, 5, 10, 20, 50, 100, 200)

    def __init__(self) -> None:
        self._documents: dict[str, _Documents] = {}  # by pool

    def items(self, data: Path, options: Options) -> list[Item]:
        asked = read(data, _QUESTIONS, "questions", _Question, options)
        beside = options.documents or (data if data.is_dir() else data.parent)
        more = [p for path in matching(beside, _ARCHIVE) for p in records(path, _Passage, options)]
        archive: dict[tuple[str, str], Text] = {}
        for passage in [*(passage for question in asked for passage in question.ctxs), *more]:
            key = (passage.title, passage.text)
            archive.setdefault(key, Text(f"doc{len(archive)}", passage.text, title=passage.title))
        texts = list(archive.values())
        return [
            Item(
                id=f"q{number}",
                pool="documents",
                form="passages",
                texts=texts,
                question=question.question,
                brief=prompts.DOCQA,
                gold=tuple(question.answers),
                evidence=frozenset(archive[p.title, p.text].id for p in question.ctxs if p.isgold),
            )
            for number, question in enumerate(asked)
        ][: options.limit]

    async def score(self, item: Item, reply: StrategyReply, embedder: Embedder) -> Mapping[str, float]:  # noqa: ARG002
        scores = {"accuracy": 0.0, "answered": float(not is_refusal(reply.text))}
        if parsed := _REPLY.search(reply.text):
            right = [gold for gold in item.gold if matches(parsed["answer"], gold)]
            if right and item.pool not in self._documents:
                self._documents[item.pool] = _Documents.of(item.texts)
            scores["accuracy"] = float(
                any(
                    matches(f"{text.title}. {text.text}", gold)
                    for gold in right
                    for text in self._documents[item.pool].named(reply, parsed["document"])
                )
            )
        return scores
