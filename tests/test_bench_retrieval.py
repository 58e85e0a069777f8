"""`pagefault bench`: measures against values computed by hand, and a run on a small set of our own."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pagefault.bench.retrieval import datasets
from pagefault.bench.retrieval.baselines import bm25, fused
from pagefault.bench.retrieval.datasets import RetrievalDocument
from pagefault.bench.retrieval.measures import MEASURES, measure
from pagefault.bench.retrieval.scores import ABLATIONS
from pagefault.cli import main
from pagefault.errors import UsageError

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


def write(folder: Path, documents: Sequence[dict[str, Any]], asked: Sequence[tuple[str, list[str]]]) -> None:
    folder.mkdir(parents=True)
    questions = [{"_id": f"q{n}", "text": text, "group": "g"} for n, (text, _) in enumerate(asked)]
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
    write(tmp_path / "data" / "chat", turns, ASKED)
    notes = [{"_id": f"n{n}", "text": text, "group": "g"} for n, text in enumerate(NOTES)]
    write(tmp_path / "data" / "notes_zh", notes, NOTES_ASKED)
    return tmp_path / "data"


def test_measures_are_those_computed_by_hand() -> None:
    ranking = ["x", "a", *(f"x{n}" for n in range(5)), "b"]  # gold at 2 and 8
    scores = measure(ranking, {"a": 1, "b": 1, "missing": 1})
    assert tuple(scores) == MEASURES
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
    both = [{"_id": f"{group}{n}", "text": "a text", "group": group} for group in "gh" for n in range(2)]
    write(data / "two", both, [("a text", ["g0", "h1"])])
    assert [len(pool.documents) for pool in datasets.load(data, "two").pools] == [2]
    assert [len(pool.documents) for pool in datasets.load(data, "two", pooled=True).pools] == [4]


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
        assert all(set(figures) == {*MEASURES, "queries"} for figures in methods.values())
    assert scores["sets"]["chat"]["pagefault"]["queries"] == 3
    assert scores["without_gold"] == {"chat": 1, "notes_zh": 0}
    for methods in scores["sets"].values():
        assert methods["pagefault"]["mrr"] > max(methods[name]["mrr"] for name in ("dense", "bm25", "rrf"))
    assert set(scores["ablation"]["chat"]) == set(ABLATIONS)
    assert "recall@10 without" in capsys.readouterr().out


def test_one_set_is_enough(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "scores.json"
    assert bench("--data", str(data), "--set", "notes_zh", "--out", str(file), "--embedder", "null") == 0
    assert set(json.loads(file.read_text("utf-8"))["sets"]) == {"notes_zh"}


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
