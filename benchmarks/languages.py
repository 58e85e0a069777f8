"""Recall of ten questions over sixty messages in each of several languages, by embedder.

``data/languages/LANGUAGE.txt`` has a message a line; a line that begins with ``? `` asks for the message
above it, in other words as far as they go. It is the same content in each language, written for this.
Printed is the share of questions whose message is among the first five: by cosine alone (dense) and by the
whole ranker, with the messages in six sessions. ``null`` has no vectors: its ranker is words alone, and its
dense figure chance.

    python benchmarks/languages.py [--embedders minilm multilingual null] [--languages de ja] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path

from pagefault.bench.retrieval.datasets import Dataset, Pool, Question, RetrievalDocument
from pagefault.bench.retrieval.scores import score_set
from pagefault.build import make_embedder

DATA = Path(__file__).parent / "data" / "languages"
SESSION = 10
"""Messages of one session."""


def dataset(language: str) -> Dataset:
    """The messages and questions of one language."""
    documents: list[RetrievalDocument] = []
    questions: list[Question] = []
    for line in (DATA / f"{language}.txt").read_text("utf-8").splitlines():
        if line.startswith("? "):
            questions.append(Question(f"q{len(questions)}", line[2:], {documents[-1].id: 1.0}))
        else:
            number = len(documents)
            session = f"s{number // SESSION}"
            documents.append(RetrievalDocument(f"d{number}", line, line, speaker="user", session=session))
    return Dataset(language, [Pool(documents, questions)])


async def measured(embedders: list[str], languages: list[str]) -> dict[str, dict[str, tuple[float, float]]]:
    """Recall of five, by cosine alone and by the ranker, by language and embedder."""
    made = {name: make_embedder(name) for name in embedders}
    table: dict[str, dict[str, tuple[float, float]]] = {}
    for language in languages:
        for name, embedder in made.items():
            methods = (await score_set(dataset(language), embedder)).total.methods
            recalls = methods["dense"]["recall@5"]["mean"], methods["pagefault"]["recall@5"]["mean"]
            table.setdefault(language, {})[name] = recalls
    return table


def main() -> None:
    every = sorted(path.stem for path in DATA.glob("*.txt"))
    parser = argparse.ArgumentParser(description="Recall by language and embedder.")
    parser.add_argument("--embedders", nargs="+", default=["minilm", "multilingual", "null"])
    parser.add_argument("--languages", nargs="+", default=every, choices=every)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    table = asyncio.run(measured(given.embedders, given.languages))
    if given.json:
        print(json.dumps(table))
        return
    columns = [f"{name}, {what}" for name in given.embedders for what in ("dense", "ranker")]
    print(f"| recall@5 | {' | '.join(columns)} |\n|---|{'---:|' * len(columns)}")
    for language, row in table.items():
        print(f"| {language} | {' | '.join(f'{value:.1f}' for pair in row.values() for value in pair)} |")


if __name__ == "__main__":
    main()
