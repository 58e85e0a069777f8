"""Public data to sets for `pagefault bench retrieval`: BEAM's chats from its repository.

BEAM (Tavakoli et al. 2025) is at https://github.com/mohammadtavakoli78/BEAM; DIR is a checkout of it, or a
git directory without a work tree. A chat is a group, a message a document; the messages that a question names
as its sources are its gold, and the ability that it tests is its category.

    python benchmarks/retrieval_sets.py beam --checkout DIR --out FOLDER/beam_500K [--size 500K] [--chats 1-6]
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

Row = dict[str, Any]

_INDEX = re.compile(r"\s*->->[\s\dNA/,]*$")  # the plan's number, behind each message of the user
_ANSWERS = ("ideal_response", "ideal_answer", "ideal_summary", "answer")


def write(
    out: Path, documents: Iterable[Row], queries: Iterable[Row], gold: Iterable[tuple[str, str]]
) -> None:
    """One set in the layout that the bench reads."""
    out.mkdir(parents=True, exist_ok=True)
    for name, rows in (("docs", documents), ("queries", queries)):
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (out / f"{name}.jsonl.gz").write_bytes(gzip.compress(lines.encode(), mtime=0))
    pairs = "".join(f"{query}\t{document}\t1\n" for query, document in gold)
    (out / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + pairs, "utf-8")


def beam(checkout: Path, out: Path, size: str, chats: Iterable[int]) -> None:
    """The chats of one size, by their numbers."""
    documents: list[Row] = []
    queries: list[Row] = []
    gold: list[tuple[str, str]] = []
    for chat in chats:
        group, folder = f"c{chat}", f"chats/{size}/{chat}"
        messages = list(_messages(group, _read(checkout, f"{folder}/chat.json")))
        documents += messages
        known = {message["_id"] for message in messages}
        probes = _read(checkout, f"{folder}/probing_questions/probing_questions.json")
        for ability, asked in probes.items():
            for number, probe in enumerate(asked):
                query = _query(group, ability, number, probe)
                queries.append(query)
                sources = sorted(set(_numbers(probe.get("source_chat_ids"))))
                gold += [(query["_id"], id) for n in sources if (id := f"{group}:{n}") in known]
    write(out, documents, queries, gold)


def _messages(group: str, chat: list[Any]) -> Iterator[Row]:
    for batch in chat:
        for message in (message for turn in batch["turns"] for message in turn):
            yield {
                "_id": f"{group}:{message['id']}",
                "text": f"{message['role']}: {_INDEX.sub('', message['content'])}",
                "group": group,
                "session": batch["batch_number"],
                "date": message.get("time_anchor"),
            }


def _query(group: str, ability: str, number: int, probe: Row) -> Row:
    answer = next((str(probe[name]) for name in _ANSWERS if probe.get(name)), "")
    return {
        "_id": f"{group}:{ability}:{number}",
        "text": probe["question"],
        "answers": [answer],
        "rubric": probe.get("rubric") or [],
        "group": group,
        "category": ability,
    }


def _numbers(sources: Any) -> Iterator[int]:
    """The numbers of messages in a list, or in lists by role, as BEAM has them."""
    if isinstance(sources, dict):
        sources = list(sources.values())
    if isinstance(sources, list):
        for source in sources:
            yield from _numbers(source)
    elif isinstance(sources, int):
        yield sources


def _read(checkout: Path, path: str) -> Any:
    """A JSON file of a checkout, or of the newest commit in a git directory."""
    if (checkout / path).is_file():
        return json.loads((checkout / path).read_text("utf-8"))
    command = ["git", "--git-dir", str(checkout), "show", f"HEAD:{path}"]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def _range(text: str) -> list[int]:
    """`1-6`, or `1,4,6`."""
    spans = [part.split("-") for part in text.split(",")]
    return [number for span in spans for number in range(int(span[0]), int(span[-1]) + 1)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = parser.add_subparsers(dest="kind", required=True)
    chats = kinds.add_parser("beam", help="BEAM's chats of one size")
    chats.add_argument("--checkout", type=Path, required=True, help="a checkout, or a git directory")
    chats.add_argument("--out", type=Path, required=True, help="the set's folder; its name is the set's")
    chats.add_argument("--size", default="500K", help="100K, 500K or 1M")
    chats.add_argument("--chats", type=_range, default=[*range(1, 13)], help="numbers: 1-6, or 1,4,6")
    given = parser.parse_args()
    beam(given.checkout, given.out, given.size, given.chats)


if __name__ == "__main__":
    main()
