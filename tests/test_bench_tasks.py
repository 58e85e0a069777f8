"""What each task makes of its data and how it scores; what strategies and ablations show a model."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pagefault.bench import prompts
from pagefault.bench.command import SHIPPED
from pagefault.bench.pools import Pools
from pagefault.bench.recording import BudgetSpent, Ledger, Recorded, Spent
from pagefault.bench.strategies import Bench, strategies_named
from pagefault.bench.tasks import START, Item, Options, StrategyReply, Text, task_named
from pagefault.cli import main
from pagefault.errors import UsageError
from pagefault.models import Completion, Model, Prompt, Usage
from pagefault.models.offline import OfflineModel
from pagefault.models.tokens import HeuristicCounter
from pagefault.storage import Filter
from pagefault.testing.embedders import HashEmbedder
from pagefault.testing.models import ScriptedModel
from pagefault.testing.providers import ProviderServer

pytestmark = pytest.mark.anyio


def write(path: Path, *records: object) -> Path:
    """JSON Lines, or one list if the name says so."""
    lines = "".join(json.dumps(record) + "\n" for record in records)
    path.write_text(json.dumps(records) if path.suffix == ".json" else lines, "utf-8")
    return path


async def scored(task: str, item: Item, reply: StrategyReply | str) -> Mapping[str, float]:
    made = StrategyReply(reply) if isinstance(reply, str) else reply
    return await task_named(task).score(item, made, HashEmbedder())


# tasks

NQ: dict[str, Any] = {
    "question": "when did the barrage open",
    "answers": ["1966", "November 1966"],
    "ctxs": [
        {"title": "Tides", "text": "The barrage opened in 1966.", "isgold": True},
        {"title": "Lamps", "text": "In 1966 gas lamps were rare.", "isgold": False},
    ],
}


@pytest.mark.parametrize(
    ("said", "right", "answered"),
    [
        ("ANSWER: in 1966, DOCUMENT: Tides", 1, 1),
        ("Answer: It opened in 1966.\nDocument: tides.", 1, 1),
        ("ANSWER: 1966, DOCUMENT: 2", 1, 1),  # as the prompt numbered it
        ("ANSWER: 1966, DOCUMENT: The barrage opened in 1966, as it says", 0, 1),
        ("ANSWER: 1966, DOCUMENT: Boats", 0, 1),  # true, and not in that document
        ("ANSWER: 1967, DOCUMENT: Tides", 0, 1),
        ("1966", 0, 1),
        ("INSUFFICIENT INFORMATION", 0, 0),
    ],
)
async def test_an_answer_counts_if_it_is_in_the_document_it_names(
    tmp_path: Path, said: str, right: int, answered: int
) -> None:
    write(tmp_path / "nq.jsonl", NQ, {**NQ, "question": "again"})
    write(tmp_path / "docs.jsonl", {"title": "Boats", "text": "Boats float."}, NQ["ctxs"][1])
    item = task_named("docqa").items(tmp_path, Options())[0]
    assert [text.title for text in item.texts] == ["Tides", "Lamps", "Boats"], "each document once"
    reply = StrategyReply(said, seen=("doc0",), named={"2": "doc0"})
    assert await scored("docqa", item, reply) == {"accuracy": right, "answered": answered}


def test_more_documents_come_from_a_folder_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "asked").mkdir()
    data = write(tmp_path / "asked" / "nq.jsonl", NQ)
    (tmp_path / "more").mkdir()
    write(tmp_path / "more" / "docs.jsonl", {"title": "Boats", "text": "Boats float."})
    item = task_named("docqa").items(data, Options(documents=tmp_path / "more"))[0]
    assert [text.title for text in item.texts] == ["Tides", "Lamps", "Boats"]


async def test_documents_are_an_archive_that_is_loaded_once(tmp_path: Path) -> None:
    data = write(tmp_path / "nq.jsonl", NQ)
    item = task_named("docqa").items(data, Options())[0]
    for _ in range(2):  # the second run finds it in the database
        pools = Pools(tmp_path / "pools", HashEmbedder())
        async with pools.searching(item) as pool:
            found = await pool.search("When did the barrage open?", 2)
            archive = await pool.retriever.store.read(lambda tx: tx.shared("archive", "documents"))
            every = await pool.retriever.search(pool.agent, "archival", "", Filter())
        await pools.aclose()
        assert found[0].title == "Tides"
        assert archive is not None
        assert (archive.id, len(every)) == (pool.agent, 2)
    other = replace(item, texts=[*item.texts, Text("doc2", "Boats float.")])
    pools = Pools(tmp_path / "pools", HashEmbedder())
    with pytest.raises(UsageError, match="give one of its own to each set"):
        async with pools.searching(other):
            pass
    await pools.aclose()


async def test_each_question_on_documents_has_an_agent_of_its_own_beside_the_archive(tmp_path: Path) -> None:
    data = write(tmp_path / "nq.jsonl", NQ, {**NQ, "question": "When were gas lamps rare?"})
    embedder, counter = HashEmbedder(), HeuristicCounter()
    pools = Pools(tmp_path / "pools", embedder)
    stores, prefetched = set[int](), list[float]()
    for strategy in strategies_named(["memgpt", "memgpt+prefetch@200"], ()):
        for item, wanted in zip(task_named("docqa").items(data, Options()), ("doc0", "doc1"), strict=True):
            file = tmp_path / f"{strategy.name} {item.id}.jsonl"
            model = Recorded(OfflineModel(), file, Ledger(), counter)
            bench = Bench(model, lambda name: fail(name), "offline", 8192, counter, embedder, pools, tmp_path)
            reply = await strategy.reply(item, bench)
            assert wanted in reply.seen
            assert reply.named["documents/p1"] == "doc0"
            prefetched.append(dict(reply.counted)["prefetch_tokens"])
            async with pools.searching(item) as pool:
                stores.add(id(pool.retriever.store))
                assert await pool.retriever.store.read(lambda tx: tx.agents()) == []
                assert len(await pool.retriever.search(pool.agent, "archival", "", Filter())) == 2
    assert len(stores) == 1, "opened once"
    assert prefetched[:2] == [0, 0]
    assert min(prefetched[2:]) > 0
    await pools.aclose()


def fail(name: str) -> Recorded:
    raise AssertionError(f"nothing is asked for {name}")


@pytest.mark.parametrize(
    ("task", "option", "sentence"),
    [
        ("dmr", "--documents=x", "are for the task docqa"),
        ("nested-kv", "--documents-database=postgresql://x/y", "are for the task docqa"),
        ("docqa", "--documents=not-there", "There is no folder not-there"),
    ],
)
def test_options_for_documents_that_do_not_fit_are_refused(
    tmp_path: Path, task: str, option: str, sentence: str
) -> None:
    with pytest.raises(SystemExit) as exit:
        main(["bench", task, "--out", str(tmp_path), option])
    assert sentence in str(exit.value.code)


SESSIONS: list[dict[str, Any]] = [
    {
        "dialog": [{"text": "I keep bees."}, {"text": "Oh!"}, {"text": "Forty hives."}],
        "personas": [["I keep bees."]],
    },
    {"dialog": [{"text": "Back again."}, {"text": "Hello."}]},
]  # fmt: skip
DIALOGUE: dict[str, Any] = {
    "idx": 7,
    "previous_dialogs": SESSIONS,
    "self_instruct": {"B": "How many hives had you?", "A": "Forty."},
    "silver_evidence": ["dmr7:S1:3"],
    "dialog": [{"text": "How are the bees?"}],
}


async def test_a_dialogue_is_asked_of_its_first_speaker_and_lived_once(tmp_path: Path) -> None:
    again = {**DIALOGUE, "idx": 8, "self_instruct": {"B": "What do you keep?", "A": "Bees."}}
    first, second = task_named("dmr").items(write(tmp_path / "d.jsonl", DIALOGUE, again), Options())
    assert (first.pool, second.pool) == ("dmr7", "dmr7"), "one conversation"
    assert [text.own for text in first.texts] == [True, False, True, True, False]
    assert first.asked > max(text.at for text in first.texts)
    scores = await scored("dmr", first, "It was forty hives.")
    assert (scores["rouge_l_recall"], scores["answer_token_recall"]) == (1, 1)
    assert scores["token_f1"] == 0.4


async def test_an_opener_is_held_against_what_is_known_and_against_a_person(tmp_path: Path) -> None:
    (item,) = task_named("opener").items(write(tmp_path / "d.jsonl", DIALOGUE), Options())
    assert (item.question, item.gold, item.facts) == ("", ("How are the bees?",), ("I keep bees.",))
    same = await scored("opener", item, "How are the bees?")
    other = await scored("opener", item, "It rains in Bergen.")
    assert same["sim_h"] == pytest.approx(1.0)
    assert same["sim_1"] == same["sim_3"] > other["sim_1"]
    assert set((await scored("opener", item, " ")).values()) == {0.0}


LOCOMO: dict[str, Any] = {
    "sample_id": "s",
    "conversation": {
        "session_2": [{"speaker": "Bo", "dia_id": "D2:1", "text": "Look!", "blip_caption": "a red kite"}],
        "session_2_date_time": "1:56 pm on 8 May, 2023",
        "session_1": [{"speaker": "Ana", "dia_id": "D1:1", "text": "Hi."}],
        "session_1_date_time": "9:00 am on 1 May, 2023",
    },
    "qa": [
        {"question": "What did Bo show?", "category": 4, "answer": "a kite", "evidence": ["D2:1; D9:9"]},
        {"question": "Would Bo fly?", "category": 3, "answer": "Yes; he has a kite", "evidence": []},
        {"question": "What did Ana show?", "category": 5, "adversarial_answer": "a kite"},
    ],
}


async def test_a_conversation_of_two_has_their_names_dates_photos_and_questions_without_an_answer(
    tmp_path: Path,
) -> None:
    data = write(tmp_path / "locomo.json", LOCOMO)
    shown, open_domain, adversarial = task_named("locomo").items(data, Options())
    assert [(text.speaker, text.text) for text in shown.texts] == [
        ("Ana", "Hi."), ("Bo", "Look! [photo: a red kite]"),
    ]  # fmt: skip
    assert shown.texts[1].at == datetime(2023, 5, 8, 13, 56, tzinfo=UTC)
    assert (shown.evidence, open_domain.gold, adversarial.gold) == ({"D2:1"}, ("Yes",), ())
    assert [item.part for item in (shown, adversarial)] == ["single-hop", "adversarial"]
    assert (await scored("locomo", shown, "It was a kite."))["answer_token_recall"] == 1
    assert await scored("locomo", adversarial, "a kite") == {"wrongly_answered": 1.0}
    assert await scored("locomo", adversarial, "NO ANSWER") == {"wrongly_answered": 0.0}
    (only,) = task_named("locomo").items(data, Options(parts=frozenset({"adversarial"})))
    assert only.id == adversarial.id


INSTANCE: dict[str, Any] = {
    "question_id": "q1",
    "question_type": "single-session-user",
    "question": "Where is my desk from?",
    "answer": 12,
    "question_date": "2023/05/30 (Tue) 10:00",
    "haystack_session_ids": ["a", "b"],
    "haystack_dates": ["2023/05/20 (Sat) 02:21", None],
    "haystack_sessions": [
        [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello."}],
        [{"role": "user", "content": "My desk is from 12."}],
    ],
    "answer_session_ids": ["b"],
}


def test_a_chat_of_beam_is_loaded_and_its_questions_are_told_apart_by_kind() -> None:
    items = task_named("beam").items(SHIPPED / "beam", Options())
    by_kind = {item.part: item for item in items}
    first = by_kind["information_extraction"]
    assert (first.gold, first.evidence, first.lived) == (("sky.csv",), {"k1:2"}, False)
    assert [text.own for text in first.texts[:2]] == [False, True]
    assert first.texts[0].at.isoformat() == "2024-03-15T00:00:00+00:00"
    assert (by_kind["abstention"].gold, by_kind["abstention"].evidence) == ((), frozenset())
    chosen = task_named("beam").items(SHIPPED / "beam", Options(parts=frozenset({"knowledge_update"})))
    assert [item.part for item in chosen] == ["knowledge_update"]


async def test_a_history_has_its_evidence_by_turn_where_turns_are_marked_else_by_session(
    tmp_path: Path,
) -> None:
    absent = {**INSTANCE, "question_id": "q2_abs"}
    item, unanswerable = task_named("longmemeval").items(
        write(tmp_path / "longmemeval.json", INSTANCE, absent), Options()
    )
    assert [(text.id, text.own) for text in item.texts] == [("a/0", False), ("a/1", True), ("b/0", False)]
    assert item.texts[0].at == datetime(2023, 5, 20, 2, 21, tzinfo=UTC)
    assert (item.gold, unanswerable.gold) == (("12",), ())
    assert item.evidence == {"b"}
    marked = json.loads(json.dumps(INSTANCE))
    marked["haystack_sessions"][1][0]["has_answer"] = True
    (one,) = task_named("longmemeval").items(write(tmp_path / "longmemeval3.json", marked), Options())
    assert one.evidence == {"b/0"}
    uneven = write(tmp_path / "longmemeval2.json", {**INSTANCE, "haystack_dates": []})
    with pytest.raises(UsageError, match=r"record 1.*differ in number"):
        task_named("longmemeval").items(uneven, Options())


async def test_facts_are_told_first_and_the_conversation_grows_with_window_and_flushes(
    tmp_path: Path,
) -> None:
    told = [{"told": f"My box {n} is blue.", "question": f"Box {n}?", "answer": "blue"} for n in range(3)]
    data = write(
        tmp_path / "told.json", {"facts": told, "chatter": ["Rain in {town}."], "slots": {"town": ["Ulm"]}}
    )
    items = task_named("retention").items(data, Options(window=4096))
    by_part = {part: next(item for item in items if item.part == part) for part in ("1", "3", "10")}
    lengths = [len(by_part[part].texts) for part in ("1", "3", "10")]
    assert lengths == sorted(set(lengths))
    assert [text.text for text in by_part["10"].texts[:4]] == [
        *(fact["told"] for fact in told),
        "Rain in Ulm.",
    ]
    larger = task_named("retention").items(data, Options(window=8192))
    assert len(larger[0].texts) > lengths[0]
    assert (await scored("retention", items[0], 'You told me: "My box 0 is blue."'))["kept"] == 1
    assert (await scored("retention", items[0], "I don't know."))["kept"] == 0


# strategies


@dataclass
class Lab:
    """Where items are answered; ``seen`` are the prompts that the model got."""

    folder: Path
    pools: Pools
    seen: list[Prompt]

    async def reply(
        self, name: str, item: Item, model: Model | None = None, window: int = 4096, *, preload: bool = False
    ) -> StrategyReply:
        def answer(prompt: Prompt) -> Completion:
            self.seen.append(prompt)
            return Completion("Something.")

        def recorded(file: str) -> Recorded:
            return Recorded(asked, self.folder / name / f"{file}.jsonl", Ledger(), counter)

        asked, counter = model or ScriptedModel(answer), HeuristicCounter()
        (strategy,) = strategies_named([name], ())
        return await strategy.reply(
            item,
            Bench(
                recorded(item.id), recorded, asked.name, window, counter, self.pools.embedder, self.pools,
                self.folder, preload,
            ),
        )  # fmt: skip

    @property
    def text(self) -> str:
        """What the last prompt shows."""
        return self.seen[-1].messages[-1].text

    @property
    def size(self) -> int:
        return sum(HeuristicCounter().count(message.text) for message in self.seen[-1].messages)


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncGenerator[Lab]:
    pools = Pools(tmp_path / "pools", HashEmbedder())
    yield Lab(tmp_path, pools, [])
    await pools.aclose()


def archive(count: int) -> Item:
    texts = [
        Text(f"d{n}", f"Entry {n} on tides. " + "The sea is wide. " * 20, title=f"Tide {n}")
        for n in range(count)
    ]
    return Item("q", "sea", "passages", texts, "What of the tides?", prompts.DOCQA)


def talk(turns: int) -> Item:
    texts = [
        Text(f"t{n}", f"Line {n}: we had soup and bread today.", session=1 + n // 40) for n in range(turns)
    ]
    return Item("q", "talk", "conversation", texts, "What did we have?", prompts.DMR, lived=True, asked=START)


async def test_truncate_shows_the_newest_that_fit(lab: Lab) -> None:
    item = talk(400)
    reply = await lab.reply("truncate", item)
    assert reply.seen == tuple(text.id for text in item.texts[-len(reply.seen) :])
    assert 50 < len(reply.seen) < 400
    assert 0.8 * 4096 < lab.size < 4096 - 512
    assert (await lab.reply("truncate", talk(20))).seen == tuple(f"t{n}" for n in range(20))


async def test_full_shows_all_or_says_that_it_does_not_fit(lab: Lab) -> None:
    assert len((await lab.reply("full", talk(20))).seen) == 20
    asked = len(lab.seen)
    reply = await lab.reply("full", talk(400))
    assert "and the window has room for" in reply.unfit
    assert len(lab.seen) == asked, "nothing is asked"


@pytest.mark.parametrize("most", [1, 5, 20, 100])
async def test_k_documents_are_cut_so_that_all_of_them_fit(lab: Lab, most: int) -> None:
    reply = await lab.reply(f"retriever-reader@{most}", archive(120))
    assert len(reply.seen) == most
    assert lab.text.count("] (Tide ") == most
    assert lab.size < 4096
    whole = "The sea is wide. " * 20
    assert (whole.strip() in lab.text) == (most <= 20)


async def test_the_summary_is_bounded_and_made_once(lab: Lab) -> None:
    (strategy,) = strategies_named(["recursive-summary"], ())
    counter, requests = HeuristicCounter(), list[Prompt]()

    class Counted(OfflineModel):
        async def stream(self, prompt: Prompt) -> AsyncGenerator[Any]:
            requests.append(prompt)
            async for one in super().stream(prompt):
                yield one

    def recorded(file: str) -> Recorded:
        return Recorded(Counted(), lab.folder / "again" / f"{file}.jsonl", Ledger(), counter)

    for name in ("q", "q2"):
        item = replace(talk(400), id=name)
        bench = Bench(
            recorded(name), recorded, "offline", 4096, counter, lab.pools.embedder, lab.pools, lab.folder
        )
        await strategy.reply(item, bench)
    questions = [prompt for prompt in requests if prompts.SUMMARY in prompt.messages[-1].text]
    assert (len(requests), len(questions)) == (10 + 2, 2), "one a session, and the questions"
    shown = questions[0].messages[-1].text.partition("\n")[2].partition("\n\nQuestion:")[0]
    assert 0 < counter.count(shown) <= 300


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "without", "warned"),
    [
        ("memgpt", set[str](), True),
        ("memgpt-without-warning", set[str](), False),
        ("memgpt-without-recall", {"memory_search", "recall_search", "recall_read"}, True),
        ("memgpt-without-both", {"memory_search", "recall_search", "recall_read"}, False),
        ("memgpt-without-working-context", {"working_context_append", "working_context_replace"}, True),
    ],
)
async def test_an_ablation_does_without_its_part_and_nothing_else(
    lab: Lab, name: str, without: set[str], warned: bool
) -> None:
    whole = {"memory_search", "recall_search", "recall_read", "working_context_append", "archival_search"}
    prompts_seen: list[Prompt] = []

    class Watched(OfflineModel):
        async def stream(self, prompt: Prompt) -> AsyncGenerator[Any]:
            prompts_seen.append(prompt)
            async for one in super().stream(prompt):
                yield one

    reply = await lab.reply(name, talk(120), Watched())
    assert reply.text
    offered = [{f.name for f in prompt.functions} for prompt in prompts_seen if prompt.functions]
    assert all(not without & functions for functions in offered)
    assert all(whole - without <= functions | without for functions in offered)
    texts = [message.text for prompt in prompts_seen for message in prompt.messages]
    assert any(text.startswith("[memory_pressure ") for text in texts) == warned
    assert reply.counted["flushes"] >= 1


async def test_a_conversation_that_is_loaded_is_not_lived_through(lab: Lab) -> None:
    model = ScriptedModel(lambda _: Completion("Soup."))
    await lab.reply("memgpt", talk(60), model, preload=True)
    loaded = len(model.prompts)
    lived = ScriptedModel(lambda _: Completion("Soup."))
    await lab.reply("memgpt", replace(talk(60), id="q2", pool="other"), lived)
    assert loaded <= 3
    assert len(lived.prompts) >= 60


# the budget in money


def test_a_budget_in_money_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (home := tmp_path / "home").mkdir()
    monkeypatch.setenv("PAGEFAULT_HOME", str(home))
    with ProviderServer(lambda _: Completion("By the sea.", usage=Usage(input=1000, output=100))) as server:
        model = f"{server.url}#test"
        price = f'[prices."{model}"]\ninput = 10\noutput = 100\n'
        (home / "config.toml").write_text(price, "utf-8")
        with pytest.raises(SystemExit) as ended:
            main(
                [
                    "bench", "dmr", "--out", str(tmp_path / "out"), "--model", model, "--window", "8192",
                    "--strategy", "truncate", "--concurrency", "1", "--max-cost", "0.05",
                    "--embedder", "null",
                ]
            )  # fmt: skip
    assert ended.value.code == 0
    assert "The budget of 0.05 USD is spent." in capsys.readouterr().out
    found = json.loads((tmp_path / "out" / "results.json").read_text("utf-8"))["strategies"]["truncate"]
    assert (found["n"], found["spent"]["cost"]) == (3, pytest.approx(0.06))


def test_a_budget_in_money_cannot_be_kept_without_a_price() -> None:
    ledger = Ledger("test:model", max_cost=1.0)
    ledger.check()
    ledger.spent.add(Spent(1, 10, 1, cost=ledger.priced(Completion("So."), Usage(10, 1))))
    with pytest.raises(BudgetSpent, match="The price of this model is not known"):
        ledger.check()
