"""`pagefault bench`: measures against values computed by hand, and a run on a small set of our own."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from pagefault.bench.retrieval import corpora, datasets
from pagefault.bench.retrieval.baselines import bm25, fused
from pagefault.bench.retrieval.datasets import RetrievalDocument
from pagefault.bench.retrieval.measures import MEASURES, measure
from pagefault.bench.retrieval.scores import ABLATIONS
from pagefault.cli import main
from pagefault.errors import UsageError
from pagefault.testing.memory import MemoryStore

CHAT = [
    ("Ana: Did you get a pet in the end?", "1", "9:00 am on 8 May, 2023"),
    ("Bo: Yes, a beagle called Biscuit!", "1", "9:00 am on 8 May, 2023"),
    ("Ana: I went sailing near Porto.", "1", "9:00 am on 8 May, 2023"),
    ("Bo: My sister moved to Oslo for her new job.", "2", "9:00 am on 3 July, 2023"),
    ("Ana: I baked bread with rye flour.", "2", "9:00 am on 3 July, 2023"),
    ("Bo: The car broke down on the motorway.", "2", "9:00 am on 3 July, 2023"),
]
ASKED: list[tuple[str, list[str]]] = [
    ("Which pet does Bo have?", ["c1"]),
    ("What did Ana do in July 2023?", ["c4"]),
    ("Where does Bo's sister work?", ["c3"]),
    ("What is the meaning of life?", []),
]
NOTES = ["我家的猫叫小白。", "周末去北京看展览。", "妹妹在上海的医院工作。", "昨天学会了做红烧肉。"]
NOTES_ASKED: list[tuple[str, list[str]]] = [("猫叫什么名字？", ["n0"]), ("妹妹在哪里工作？", ["n2"])]


def write(
    folder: Path,
    documents: Sequence[dict[str, Any]],
    asked: Sequence[tuple[str, list[str]]],
    categories: Sequence[str] = (),
) -> None:
    folder.mkdir(parents=True)
    questions = [{"_id": f"q{n}", "text": text, "group": "g"} for n, (text, _) in enumerate(asked)]
    for question, category in zip(questions, categories, strict=False):
        question["category"] = category
    for name, rows in (("docs", documents), ("queries", questions)):
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{name}.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    gold = [f"q{n}\t{id}\t1\n" for n, (_, ids) in enumerate(asked) for id in ids]
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(gold), "utf-8")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    turns = [
        {"_id": f"c{n}", "text": text, "session": session, "date": date, "group": "g"}
        for n, (text, session, date) in enumerate(CHAT)
    ]
    write(tmp_path / "data" / "chat", turns, ASKED, ["fact", "time", "fact", "none"])
    notes = [{"_id": f"n{n}", "text": text, "group": "g"} for n, text in enumerate(NOTES)]
    write(tmp_path / "data" / "notes_zh", notes, NOTES_ASKED)
    return tmp_path / "data"


def test_measures_are_those_computed_by_hand() -> None:
    ranking = ["x", "a", *(f"x{n}" for n in range(5)), "b"]  # gold at 2 and 8
    scores = measure(ranking, {"a": 1, "b": 1, "missing": 1})
    assert tuple(scores) == MEASURES
    assert scores["first"] == 0
    assert scores["recall@5"] == pytest.approx(1 / 3)
    assert scores["recall@10"] == scores["recall@20"] == pytest.approx(2 / 3)
    assert scores["mrr"] == 0.5
    # 1/log2(3) + 1/log2(9), over 1 + 1/log2(3) + 1/log2(4)
    assert scores["ndcg@10"] == pytest.approx((0.63093 + 0.31546) / (1 + 0.63093 + 0.5), abs=1e-5)
    assert measure(["a"], {"a": 2}) == dict.fromkeys(MEASURES, 1.0)
    assert measure([], {"a": 1}) == dict.fromkeys(MEASURES, 0.0)


def test_reciprocal_ranks_are_added() -> None:
    assert fused([1, 2, 3], [3, 1]) == [1, 3, 2]


def test_bm25_takes_any_word_as_it_is() -> None:
    documents = [
        RetrievalDocument(str(n), text, text)
        for n, text in enumerate(["running dogs", 'a "quoted" NOT', "cat"])
    ]
    assert bm25(documents, ["the dog runs", 'NOT "*', "", "zebra"]) == [[0], [1], [], []]


def test_a_set_is_read_into_turns(data: Path) -> None:
    assert datasets.names(data) == ["chat", "notes_zh"]
    (pool,) = datasets.load(data, "chat").pools
    assert (pool.documents[1].speaker, pool.documents[1].text) == ("Bo", "Yes, a beagle called Biscuit!")
    assert pool.documents[3].at is not None
    assert pool.documents[3].at.isoformat() == "2023-07-03T09:00:00+00:00"
    assert pool.questions[0].gold == {"c1": 1.0}


def test_all_groups_can_be_one_pool(data: Path) -> None:
    texts = [{"_id": f"{group}{n}", "text": "a text", "group": group} for group in "gh" for n in range(2)]
    write(data / "two", texts, [("a text", ["g0", "h1"])])
    two = datasets.load(data, "two")
    assert [len(pool.documents) for pool in two.pools] == [2, 2]
    (both,) = two.in_one_pool().pools
    assert [document.id for document in both.documents] == ["g0", "g1", "h0", "h1"]
    assert [question.id for question in both.questions] == ["q0"]


def test_a_line_separator_in_a_text_ends_no_row(data: Path) -> None:
    write(data / "lines", [{"_id": "d1", "text": "one\u2028two\x85three", "group": "g"}], [("one", ["d1"])])
    assert datasets.load(data, "lines").pools[0].documents[0].text == "one\u2028two\x85three"


def bench(*arguments: str) -> object:
    with pytest.raises(SystemExit) as exit:
        main(["bench", "retrieval", *arguments])
    return exit.value.code


def test_the_command_scores_every_method_on_every_set(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "scores.json"
    assert bench("--data", str(data), "--out", str(file), "--ablate") == 0
    scores = json.loads(file.read_text("utf-8"))
    assert set(scores["sets"]) == {"chat", "notes_zh"}
    for methods in scores["sets"].values():
        assert set(methods) == {"pagefault", "dense", "bm25", "rrf"}
        assert all(set(figures) == {*MEASURES, "intervals", "queries"} for figures in methods.values())
    assert scores["sets"]["chat"]["pagefault"]["queries"] == 3
    assert scores["without_gold"] == {"chat": 1, "notes_zh": 0}
    for methods in scores["sets"].values():
        assert methods["pagefault"]["mrr"] > max(methods[name]["mrr"] for name in ("dense", "bm25", "rrf"))
    assert set(scores["ablation"]["chat"]) == set(ABLATIONS)
    assert "recall@10 without" in capsys.readouterr().out


def test_scores_come_with_intervals_and_by_category(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "scores.json"
    assert bench("--data", str(data), "--set", "chat", "--out", str(file), "--embedder", "null") == 0
    scores = json.loads(file.read_text("utf-8"))
    by_category = scores["categories"]["chat"]
    assert {category: of["pagefault"]["queries"] for category, of in by_category.items()} == {
        "fact": 2,
        "time": 1,
    }
    for name in MEASURES:
        whole, parts = scores["sets"]["chat"]["bm25"], [of["bm25"] for of in by_category.values()]
        assert whole[name] == pytest.approx((2 * parts[0][name] + parts[1][name]) / 3, abs=1e-5)
        low, high = whole["intervals"][name]
        assert 0 <= low <= whole[name] <= high <= 1
    assert "category" in capsys.readouterr().out


def test_documents_beyond_the_share_have_no_vectors(data: Path, tmp_path: Path) -> None:
    file, shares = tmp_path / "scores.json", ("--embedded", "1", "--embedded", "0.5", "--embedded", "0")
    assert bench("--data", str(data), "--set", "chat", "--out", str(file), *shares) == 0
    scores = json.loads(file.read_text("utf-8"))["sets"]["chat"]
    assert list(scores)[:3] == ["pagefault", "pagefault@50%", "pagefault@0%"]
    assert bench("--data", str(data), "--set", "chat", "--out", str(file), "--embedder", "null") == 0
    by_words = json.loads(file.read_text("utf-8"))["sets"]["chat"]["pagefault"]
    assert scores["pagefault@0%"] == by_words


def test_a_document_has_vectors_as_a_whole() -> None:
    documents = [
        RetrievalDocument(str(n), f"part {n}", "", f"File {source}", source=source)
        for n, source in enumerate("aaabbb")
    ]

    async def vectors(share: float) -> tuple[int, set[int]]:
        store = MemoryStore()
        pending = 0

        async def index() -> None:
            nonlocal pending
            pending = await store.read(lambda tx: len(tx.pending_vectors("any", 10)))

        corpus = await corpora.load(store, documents, index, share)
        assert corpus.tier == "archival"
        return pending, {d.number for d in await store.read(lambda tx: tx.documents(corpus.agent))}

    assert anyio.run(vectors, 0.0) == (0, {1, 2})
    assert anyio.run(vectors, 0.5) == (3, {1, 2})
    assert anyio.run(vectors, 0.6) == (6, {1, 2})
    assert anyio.run(vectors, 1.0) == (6, {1, 2})


def test_groups_too_small_to_miss_anything_are_one_pool(data: Path, tmp_path: Path) -> None:
    for name, size in (("small", 4), ("large", 21)):
        rows = [{"_id": f"{g}{n}", "text": f"{g} {n}", "group": g} for g in "gh" for n in range(size)]
        write(data / name, rows, [("g 1", ["g1"])])
    file = tmp_path / "scores.json"
    assert bench("--data", str(data), "--out", str(file), "--embedder", "null") == 0
    pools = json.loads(file.read_text("utf-8"))["pools"]
    assert pools == {"chat": 1, "large": 2, "notes_zh": 1, "small": 1}
    assert bench("--data", str(data), "--out", str(file), "--embedder", "null", "--pool") == 0
    assert json.loads(file.read_text("utf-8"))["pools"]["large"] == 1


def test_one_set_is_enough(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "scores.json"
    assert bench("--data", str(data), "--set", "notes_zh", "--out", str(file), "--embedder", "null") == 0
    assert set(json.loads(file.read_text("utf-8"))["sets"]) == {"notes_zh"}


def test_without_data_the_shipped_sets_are_scored(tmp_path: Path) -> None:
    file = tmp_path / "scores.json"
    assert bench("--out", str(file), "--embedder", "null") == 0
    scores = json.loads(file.read_text("utf-8"))
    assert set(scores["sets"]) == {"beam", "documents"}
    assert set(scores["categories"]["documents"]) == {"paraphrase", "phrase", "question"}


def test_a_set_without_gold_has_no_scores(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(data / "blank", [{"_id": "d1", "text": "one", "group": "g"}], [("one", [])])
    file = tmp_path / "scores.json"
    arguments = ("--data", str(data), "--set", "blank", "--out", str(file), "--embedder", "null", "--ablate")
    assert bench(*arguments) == 0
    scores = json.loads(file.read_text("utf-8"))
    assert scores["sets"]["blank"]["pagefault"] == {"intervals": {}, "queries": 0}
    assert scores["without_gold"] == {"blank": 1}
    assert "blank" in capsys.readouterr().out


def test_bad_data_is_named_in_one_sentence(data: Path, tmp_path: Path) -> None:
    assert "holds no set" in str(bench("--data", str(tmp_path / "nowhere")))
    assert "docs.jsonl.gz is missing; the sets here are chat, notes_zh" in str(
        bench("--data", str(data), "--set", "chats")
    )
    docs = data / "chat" / "docs.jsonl.gz"
    docs.write_bytes(b"no gzip")
    with pytest.raises(UsageError, match="not gzipped UTF-8"):
        datasets.load(data, "chat")
    docs.write_bytes(gzip.compress(b'{"_id": "c1", "text": "a"}\n["b"]\n'))
    with pytest.raises(UsageError, match="line 2: no JSON object"):
        datasets.load(data, "chat")
    (data / "notes_zh" / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq0 n0 1\n", "utf-8")
    with pytest.raises(UsageError, match="line 2, is not query-id"):
        datasets.load(data, "notes_zh")
