"""Nested key-value retrieval: chains as the paper defines them, a policy that follows what it finds, and the
run of the command on records of our own."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from pagefault.assembly import Parts
from pagefault.bench.reference import ReferencePolicy
from pagefault.bench.tasks import Options
from pagefault.bench.tasks.nested_kv import NestedKV
from pagefault.build import open_kernel
from pagefault.cli import main
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import UsageError
from pagefault.kernel import Kernel
from pagefault.types import Passage, Role

pytestmark = pytest.mark.anyio


def uuid(number: int) -> str:
    return str(UUID(int=number * 0x1234_5678_9ABC_DEF0_1234_5678_9ABC_DEF1 % 2**128))


def write_records(path: Path, count: int = 3, pairs: int = 12) -> None:
    records = [
        {
            "ordered_kv_records": [
                [uuid(1000 * record + 2 * n + 1), uuid(1000 * record + 2 * n + 2)] for n in range(pairs)
            ]
        }
        for record in range(count)
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    write_records(folder / "kv.jsonl")
    return folder


def bench(*arguments: str) -> object:
    with pytest.raises(SystemExit) as exit:
        main(["bench", "nested-kv", *arguments])
    return exit.value.code


def test_the_value_of_each_position_is_the_key_of_the_next(data: Path) -> None:
    (data / "random_orderings_3_levels.jsonl").write_text("[4, 0, 7]\n", "utf-8")
    (item,) = NestedKV().items(data, Options(limit=1, parts=frozenset("2")))
    pairs = dict(next(iter(json.loads(text.text).items())) for text in item.texts)
    assert item.question.count(uuid(9)) == 1  # the key at position 4
    assert pairs[uuid(9)] == uuid(1)
    assert pairs[uuid(1)] == uuid(15)
    assert item.gold == (pairs[uuid(15)],) == (uuid(16),)
    assert item.evidence == {"pair4", "pair0", "pair7"}


def test_orderings_that_are_not_given_are_drawn_from_the_seed(data: Path) -> None:
    def asked(seed: int) -> list[str]:
        return [item.question for item in NestedKV().items(data / "kv.jsonl", Options(limit=4, seed=seed))]

    assert len(asked(0)) == 20
    assert asked(0) == asked(0) != asked(1)


def test_a_wrong_record_is_named_and_left_out_only_when_told_so(data: Path) -> None:
    with (data / "kv.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"ordered_kv_records": [["only a key"]]}\nnot JSON\n')
    with pytest.raises(UsageError, match=r"kv\.jsonl, line 4: ordered_kv_records.*--lenient"):
        NestedKV().items(data, Options())
    options = Options(lenient=True)
    assert len(NestedKV().items(data, options)) == 5 * 30
    assert [left.partition("kv.jsonl, ")[2][:6] for left in options.left_out] == ["line 4", "line 5"]


def test_the_command_scores_every_level(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert bench("--data", str(data), "--out", str(out), "--limit", "1", "--window", "8192") == 0
    results: dict[str, Any] = json.loads((out / "results.json").read_text("utf-8"))
    assert (results["task"], results["model"], results["window"]) == ("nested-kv", "reference-policy", 8192)
    for name in ("memgpt", "full"):
        scores = results["strategies"][name]
        assert scores["n"] == 5
        assert scores["accuracy"] == {"mean": 1.0, "low": 1.0, "high": 1.0}
        assert list(scores["parts"]) == ["0", "1", "2", "3", "4"]
    assert results["strategies"]["memgpt"]["evidence_in_context"]["mean"] == 1.0


async def search_calls(kernel: Kernel) -> list[str]:
    agent = (await kernel.record("ana")).id
    rows = await kernel.store.read(lambda tx: tx.messages(agent, roles=[Role.CALL]))
    return [json.loads(row.text)["query"] for row in rows if row.name == "archival_search"]


async def test_the_policy_answers_what_the_store_holds_with_one_search_a_hop(tmp_path: Path) -> None:
    """A value that is changed in mid-run changes the answer: nothing is known but what searches return."""
    parts = Parts(model=ReferencePolicy(8192), embedder=NullEmbedder())
    chain = [uuid(1), uuid(2), uuid(3), uuid(4)]
    async with open_kernel(tmp_path, parts, Installation()) as kernel:
        agent = await kernel.create_agent("ana", parse_settings({"window": 8192, "zone": "UTC"}))

        async def answer() -> str:
            said = [o.text async for o in kernel.send("ana", f"What is {chain[0]}?") if o.type == "said"]
            return " ".join(said)

        passages = [Passage(f'{{"{key}": "{value}"}}', parts.clock.now()) for key, value in pairwise(chain)]
        stored = await kernel.store.write(lambda tx: tx.insert_passages(agent.id, passages))
        assert await answer() == chain[3]
        assert await search_calls(kernel) == chain

        changed = Passage(f'{{"{chain[2]}": "{uuid(9)}"}}', parts.clock.now())
        await kernel.store.write(lambda tx: tx.delete_passage(agent.id, stored[2].number))
        await kernel.store.write(lambda tx: tx.insert_passage(agent.id, changed))
        assert await answer() == uuid(9)
        assert (await search_calls(kernel))[4:] == [*chain[:3], uuid(9)]
