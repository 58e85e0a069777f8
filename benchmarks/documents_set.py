"""A folder of documents to a set for `pagefault bench retrieval`: phrases, paraphrases and questions.

The documents are cut as `pagefault load` cuts them, into passages in one pool. FILE holds what people wrote,
a JSON object a line: `document` (its name in the folder), `category` (`question` or `paraphrase`), `text`,
and `holds`, a short quotation of what answers it: each passage of the document that has it is gold. Phrases
are drawn with a fixed seed: a document, a passage of it, and five words in a row with only spaces between
them, or ten characters of Chinese or Japanese, that stand in no other document.

    python benchmarks/documents_set.py --from FOLDER --questions FILE --out FOLDER [--phrases 200]

The set that is shipped is made of `benchmarks/data/documents`. `benchmarks/data/public_documents.jsonl` has
questions and paraphrases on public ones: sections of Pro Git (progit/progit2, `.asc` saved as `.txt`), of the
Rust book (rust-lang/book), chapters of Pride and Prejudice (Project Gutenberg 1342), and descriptions of
packages on PyPI.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import anyio

from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import AgentSettings
from pagefault.embedders.null import NullEmbedder
from pagefault.ingest import File, load
from pagefault.types import Passage
from retrieval_sets import Row, write

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]{10,}")
_WORDS = 5
_CHARACTERS = 10
_TRIES = 100  # draws for a phrase; in some documents every phrase stands elsewhere too

Passages = Mapping[str, Sequence[Passage]]  # by the name of their document


async def passages_of(files: Sequence[Path]) -> Passages:
    """The passages of files, as archival storage would have them."""
    with tempfile.TemporaryDirectory() as home:
        async with open_kernel(Path(home), Parts(embedder=NullEmbedder())) as kernel:
            agent = await kernel.create_agent("bench", AgentSettings())
            report = await load(kernel, "bench", [File(path.absolute()) for path in files])
            if failed := [item for item in report.items if item.state != "loaded"]:
                raise SystemExit(f"{failed[0].source} cannot be loaded: {failed[0].why}")
            numbers = range(1, sum(item.chunks for item in report.items) + 1)
            found = await kernel.store.read(lambda tx: tx.passages(agent.id, numbers))
    by_document: defaultdict[str, list[Passage]] = defaultdict(list)
    for passage in found:
        by_document[Path(passage.source).name].append(passage)
    return by_document


def documents(passages: Passages) -> Iterator[Row]:
    """The rows of the set's documents."""
    for name, of_document in passages.items():
        for passage in of_document:
            yield {
                "_id": _id(name, passage),
                "text": passage.text,
                "title": passage.title,
                "source": name,
                "group": "",
            }


def phrases(passages: Passages, count: int) -> Iterator[tuple[str, list[str]]]:
    """So many phrases, each with the passages that have it."""
    draw = random.Random(0)
    texts = {
        name: _plain(" ".join(one.text for one in several)).lower() for name, several in passages.items()
    }
    for _ in range(count):
        for _ in range(_TRIES):
            name = draw.choice(list(passages))
            found = list(_phrases_in(_plain(draw.choice(passages[name]).text)))
            phrase = draw.choice(found) if found else ""
            if phrase and [other for other, text in texts.items() if phrase.lower() in text] == [name]:
                yield phrase, holding(passages, name, phrase)
                break


def _phrases_in(text: str) -> Iterator[str]:
    words = list(_WORD.finditer(text))
    for first in range(len(words) - _WORDS + 1):
        chosen = words[first : first + _WORDS]
        phrase = text[chosen[0].start() : chosen[-1].end()]
        if phrase == " ".join(word[0] for word in chosen):
            yield phrase
    for run in _UNSPACED.findall(text):
        yield from (run[start : start + _CHARACTERS] for start in range(len(run) - _CHARACTERS + 1))


def holding(passages: Passages, name: str, quotation: str) -> list[str]:
    """The ids of the passages of a document that have a quotation, spaces and case aside."""
    if name not in passages:
        raise SystemExit(f"There is no document {name!r} in the folder; name one of {', '.join(passages)}.")
    wanted = _plain(quotation).lower()
    found = [_id(name, one) for one in passages[name] if wanted in _plain(one.text).lower()]
    if not found:
        raise SystemExit(f"No passage of {name} has {quotation!r}; quote words that stand together.")
    return found


def _plain(text: str) -> str:
    return " ".join(text.split())


def _id(name: str, passage: Passage) -> str:
    return f"{name}#p{passage.number}"


def build(folder: Path, questions: Path, out: Path, count: int) -> None:
    """Write the set."""
    passages = anyio.run(passages_of, [path for path in sorted(folder.iterdir()) if path.is_file()])
    asked = [("phrase", text, gold) for text, gold in phrases(passages, count)]
    for line in questions.read_text("utf-8").splitlines():
        row = json.loads(line)
        asked.append((row["category"], row["text"], holding(passages, row["document"], row["holds"])))
    ids = [f"q{number}" for number in range(1, len(asked) + 1)]
    rows = [
        {"_id": id, "text": text, "group": "", "category": category}
        for id, (category, text, _) in zip(ids, asked, strict=True)
    ]
    gold = [(id, one) for id, (_, _, several) in zip(ids, asked, strict=True) for one in several]
    write(out, documents(passages), rows, gold)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--from", dest="folder", type=Path, required=True, help="the documents")
    parser.add_argument("--questions", type=Path, required=True, help="questions and paraphrases")
    parser.add_argument("--out", type=Path, required=True, help="the set's folder; its name is the set's")
    parser.add_argument("--phrases", type=int, default=200, help="how many phrases are drawn")
    given = parser.parse_args()
    build(given.folder, given.questions, given.out, given.phrases)


if __name__ == "__main__":
    main()
