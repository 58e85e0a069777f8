"""The related systems as strategies: what each asks, finds and answers, told by scripted models."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from pagefault.bench.pools import Pools
from pagefault.bench.prompts import Brief
from pagefault.bench.recording import Ledger, Recorded
from pagefault.bench.strategies import Bench, strategies_named
from pagefault.bench.strategies.evidence import sentences
from pagefault.bench.tasks import START, Item, StrategyReply, Text
from pagefault.cli import main
from pagefault.models import Model, Prompt
from pagefault.models.tokens import HeuristicCounter
from pagefault.testing.embedders import HashEmbedder
from pagefault.testing.models import ScriptedModel

pytestmark = pytest.mark.anyio

RELATED = ("flare", "ircot", "pages", "generative-agents")
BRIEF = Brief("", "Answer from what is below. If it does not say, answer NO ANSWER.")

DOCUMENTS = (
    ("Ladoga", "The lighthouse of Ladoga was built by Petra Kovac."),
    ("Petra Kovac", "Petra Kovac was born in Split and studied in Vienna."),
    ("Split", "Split is a harbour town; its oldest bakery is called Zora."),
    *((f"Filler {n}", f"Entry {n} tells of meadow {n} and of nothing else.") for n in range(40)),
)


def passages(question: str) -> Item:
    texts = [Text(f"d{n}", text, title=title) for n, (title, text) in enumerate(DOCUMENTS)]
    return Item("q", "archive", "passages", texts, question, BRIEF, evidence=frozenset({"d0"}))


def conversation(question: str, turns: int = 30) -> Item:
    told = ["I moved to Lisbon for the new job.", "How exciting!", "My cat Minka hates the tram."]
    told += [f"We had soup number {n} today." for n in range(turns - len(told))]
    texts = [
        Text(
            f"t{n}", text, speaker="Ana" if n % 2 == 0 else "Bo", session=1 + n // 10,
            at=START + timedelta(days=n // 10, minutes=n),
        )
        for n, text in enumerate(told)
    ]  # fmt: skip
    return Item("q", "talk", "conversation", texts, question, BRIEF, asked=START + timedelta(days=9))


def shown(prompt: Prompt) -> str:
    return prompt.messages[-1].text


@dataclass
class Lab:
    """Where items are answered, with transcripts in ``folder``."""

    folder: Path
    pools: Pools
    counter: HeuristicCounter

    def bench(self, name: str, item: Item, model: Model, window: int = 4096) -> Bench:
        def recorded(file: str) -> Recorded:
            return Recorded(model, self.folder / name / f"{file}.jsonl", Ledger(), self.counter)

        return Bench(
            recorded(item.id), recorded, model.name, window, self.counter, self.pools.embedder, self.pools,
            self.folder,
        )  # fmt: skip

    async def reply(self, name: str, item: Item, model: Model, window: int = 4096) -> StrategyReply:
        (strategy,) = strategies_named([name], ())
        return await strategy.reply(item, self.bench(name, item, model, window))


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncGenerator[Lab]:
    pools = Pools(tmp_path / "pools", HashEmbedder())
    yield Lab(tmp_path, pools, HeuristicCounter())
    await pools.aclose()


# flare


async def test_flare_takes_a_grounded_draft_as_it_is(lab: Lab) -> None:
    model = ScriptedModel(["Petra Kovac built the lighthouse."])
    reply = await lab.reply("flare", passages("Who built the lighthouse of Ladoga?"), model)
    (prompt,) = model.prompts
    assert shown(prompt).startswith(
        "Passages:\n[1] (Ladoga) The lighthouse of Ladoga was built by Petra Kovac."
    )
    assert shown(prompt).endswith("\n\nQuestion: Who built the lighthouse of Ladoga?")
    assert reply.text == "Petra Kovac built the lighthouse."
    assert (reply.seen[0], reply.named["1"]) == ("d0", "d0")


async def test_flare_searches_with_an_uncertain_sentence_without_its_uncertain_words(lab: Lab) -> None:
    """What stands before it is kept, and the answer goes on with what that search found alone."""
    model = ScriptedModel(
        [
            "Petra Kovac built the lighthouse. Petra Kovac graduated in Copenhagen.",
            "Petra Kovac studied in Vienna.",
        ]
    )
    reply = await lab.reply("flare", passages("Who built the lighthouse of Ladoga?"), model)
    first, second = map(shown, model.prompts)
    assert "studied in Vienna" not in first
    assert "(Petra Kovac) Petra Kovac was born in Split and studied in Vienna." in second
    assert "Answer so far:\nPetra Kovac built the lighthouse." in second
    assert "Filler" not in second
    assert reply.text == "Petra Kovac built the lighthouse. Petra Kovac studied in Vienna."
    assert {"d0", "d1"} <= set(reply.seen)


async def test_flare_reads_on_where_the_draft_refuses(lab: Lab) -> None:
    item = passages("Entry of the meadow?")
    model = ScriptedModel(["NO ANSWER", "NO ANSWER"])
    reply = await lab.reply("flare", item, model, window=1024)
    first, second = (set(re.findall(r"\(Filler \d+\)", shown(prompt))) for prompt in model.prompts)
    assert first
    assert second
    assert not first & second
    assert reply.text == "NO ANSWER"


async def test_flare_ends_with_a_model_that_is_never_certain(lab: Lab) -> None:
    drafts = iter(range(1000))
    model = ScriptedModel(lambda _: " ".join(f"Zyx{next(drafts)} blorped quux{n}." for n in range(3)))
    reply = await lab.reply("flare", passages("Who built the lighthouse?"), model)
    assert len(model.prompts) == 4
    assert len(sentences(reply.text)) == 5  # one a search but for the last, whose draft stands whole


# ircot


async def test_ircot_retrieves_with_each_thought_then_answers_from_all_that_it_found(lab: Lab) -> None:
    model = ScriptedModel(
        [
            "The lighthouse was built by Petra Kovac. She was famous.",
            "Petra Kovac was born in Split.",
            "So the answer is Zora.",
            "Zora",
        ]
    )
    question = "Which bakery stands in the home of whoever built the lighthouse of Ladoga?"
    reply = await lab.reply("ircot", passages(question), model)
    first, second, third, last = map(shown, model.prompts)
    assert "studied in Vienna" not in first
    assert "studied in Vienna" in second
    assert "Reasoning so far:\nThe lighthouse was built by Petra Kovac.\n\nQuestion:" in second
    assert "famous" not in second
    assert "\nThe lighthouse was built by Petra Kovac.\nPetra Kovac was born in Split.\n" in third
    assert "Reasoning" not in last
    assert model.prompts[-1].messages[0].text == BRIEF.reader
    assert all(title in last for title in ("(Ladoga)", "(Petra Kovac)", "(Split)"))
    assert reply.text == "Zora"
    assert {"d0", "d1", "d2"} <= set(reply.seen)


@pytest.mark.parametrize("useless", ["NO ANSWER", ""])
async def test_ircot_answers_at_once_if_the_model_does_not_reason(lab: Lab, useless: str) -> None:
    model = ScriptedModel([useless, "Petra Kovac"])
    reply = await lab.reply("ircot", passages("Who built the lighthouse of Ladoga?"), model)
    assert (reply.text, len(model.prompts)) == ("Petra Kovac", 2)


async def test_ircot_ends_with_a_model_that_never_concludes(lab: Lab) -> None:
    thoughts = iter(range(1000))
    model = ScriptedModel(lambda _: f"Next I look up entry {next(thoughts)}.")
    reply = await lab.reply("ircot", passages("Who built the lighthouse?"), model)
    assert len(model.prompts) == 4 + 1
    assert reply.text == "Next I look up entry 4."


# pages


def command(command: str, text: str = "") -> str:
    return json.dumps({"command": command, "text": text})


async def test_pages_searches_opens_quotes_and_answers(lab: Lab) -> None:
    model = ScriptedModel(
        [
            command("search", "bakery Split"),
            command("open", "[4]"),
            command("quote", "its oldest bakery is called Zora"),
            command("answer"),
            "Zora",
        ]
    )
    reply = await lab.reply("pages", passages("Who built the lighthouse of Ladoga?"), model)
    first, second, third, fourth, last = map(shown, model.prompts)
    assert first.startswith(
        "Results for 'Who built the lighthouse of Ladoga?', page 1 of 1:\n[1] (Ladoga) The"
    )
    assert reply.named["4"] == "d2"  # a number that the first page did not have
    assert second.startswith(
        "Commands so far:\n- search bakery Split\n\nResults for 'bakery Split', page 1 of"
    )
    assert "[4] (Split) Split is a harbour town; its oldest bakery is called Zora." in second
    assert "Text 4, page 1 of 1:\n[4] (Split) Split is a harbour town" in third
    assert "Quotes:\n[4] (Split) its oldest bakery is called Zora\n" in fourth
    assert last == (
        "Passages:\n[4] (Split) its oldest bakery is called Zora\n\n"
        "Question: Who built the lighthouse of Ladoga?"
    )
    assert reply.text == "Zora"
    left = [re.findall(r"(\d+) commands are left", prompt.messages[0].text) for prompt in model.prompts]
    assert left == [["10"], ["9"], ["8"], ["7"], []]
    assert [prompt.answer_schema is not None for prompt in model.prompts] == [True] * 4 + [False]


async def test_pages_tells_what_is_wrong_with_a_command(lab: Lab) -> None:
    model = ScriptedModel(
        [command("open", "77"), command("quote", "never said"), command("next"), command("jump"), "Petra"]
    )
    await lab.reply("pages", passages("Who built the lighthouse of Ladoga?"), model)
    told = [line for line in shown(model.prompts[-1]).split("\n") if line.startswith("- ")]
    assert [line.partition(" (")[2].partition(";")[0].rstrip(")") for line in told] == [
        "no text has that number",
        "the page in view has no such words",
        "there is no next page",
        "there is no such command",
    ]


async def test_pages_takes_text_that_is_no_command_for_the_answer(lab: Lab) -> None:
    model = ScriptedModel(["ANSWER: Petra Kovac, DOCUMENT: Ladoga"])
    reply = await lab.reply("pages", passages("Who built the lighthouse of Ladoga?"), model)
    assert (reply.text, len(model.prompts)) == ("ANSWER: Petra Kovac, DOCUMENT: Ladoga", 1)


async def test_pages_turns_the_page_at_a_refusal_while_there_is_one(lab: Lab) -> None:
    model = ScriptedModel(lambda _: "NO ANSWER")
    reply = await lab.reply("pages", passages("Entry of the meadow?"), model, window=1024)
    places = [re.findall(r"page (\d+) of (\d+):", shown(prompt)) for prompt in model.prompts]
    assert len(places) > 1
    assert [place for ((place, _),) in places] == [str(n + 1) for n in range(int(places[0][0][1]))]
    assert reply.text == "NO ANSWER"


async def test_pages_opens_the_session_of_a_turn_where_it_stands(lab: Lab) -> None:
    model = ScriptedModel([command("open", "1"), command("answer", "Minka")])
    reply = await lab.reply("pages", conversation("Which cat hates the tram?"), model)
    first, second = map(shown, model.prompts)
    assert "[2023-01-01 Sun 09:02 #1] Ana: My cat Minka hates the tram." in first
    assert "How exciting!" in second  # of the same session
    assert "soup number 7 " not in second  # of the next one
    assert reply.text == "Minka"
    assert set(reply.seen) >= {f"t{n}" for n in range(10)}


@pytest.mark.parametrize(("does", "times"), [("search", 10), ("quote", 4)])
async def test_pages_ends_with_a_model_that_never_answers(lab: Lab, does: str, times: int) -> None:
    model = ScriptedModel(lambda _: command(does, "Petra Kovac"))
    await lab.reply("pages", passages("Petra Kovac?"), model)
    assert len(model.prompts) == times + 1
    assert shown(model.prompts[-1]).startswith("Passages:\n")


# generative agents


def mind(prompt: Prompt) -> str:
    """Rates a job and a cat high, soup low; infers one thing from the first memory that it is shown."""
    asked = prompt.messages[0].text
    lines = shown(prompt).split("\n")
    if "rate how" in asked:
        high = [9 if "Lisbon" in line or "Minka" in line else 5 for line in lines]
        return "\n".join(f"{number}: {rating}" for number, rating in enumerate(high, 1))
    if "most salient" in asked:
        return "1. What moved Ana?"
    if "insights" in asked:
        return "Ana likes change (because of 1, 2)\nGroundless\nUnseen (because of 4711)"
    return "To Lisbon."


async def test_generative_agents_rate_reflect_and_answer_from_the_best(lab: Lab) -> None:
    model = ScriptedModel(mind)
    reply = await lab.reply("generative-agents", conversation("Where did Ana move?", turns=40), model)
    told = [prompt.messages[0].text[:40] for prompt in model.prompts]
    ratings, reflection, insight = (
        told[0],
        *(prompt.messages[0].text[:40] for prompt in model.prompts if "Write" in prompt.messages[0].text),
    )
    assert told == [ratings, ratings, reflection, insight, ratings, BRIEF.reader[:40]]  # 20 + 20 turns: 208
    assert shown(model.prompts[0]).startswith("[1] [2023-01-01 Sun 09:00] Ana: I moved to Lisbon")
    assert model.prompts[3].messages[0].text.endswith("\n\nWhat moved Ana?")
    assert shown(model.prompts[4]) == "[1] [2023-01-04 Wed 09:39] reflection: Ana likes change"
    last = shown(model.prompts[-1])
    assert "reflection: Ana likes change" in last
    assert "Groundless" not in last
    assert "Unseen" not in last
    assert reply.text == "To Lisbon."
    assert set(reply.seen) == {f"t{n}" for n in range(40)}


async def test_generative_agents_keep_what_is_old_but_important_and_relevant_in_a_small_window(
    lab: Lab,
) -> None:
    model = ScriptedModel(mind)
    reply = await lab.reply("generative-agents", conversation("Where did Ana move?", 200), model, window=1024)
    assert "t0" in reply.seen
    assert len(reply.seen) < 60


async def test_a_rating_that_is_not_given_follows_from_the_length(lab: Lab) -> None:
    """The longest memory is the most important one then: of equally old ones it is seen, others are not."""
    item = conversation("", 120)
    long = "Granite, basalt, marble, slate, chalk, flint, gneiss, schist, jasper and onyx lay there."
    texts = [replace(text, text=long if text.id == "t60" else text.text, at=START) for text in item.texts]
    model = ScriptedModel(lambda _: "Understood.")
    reply = await lab.reply("generative-agents", replace(item, texts=texts), model, window=1024)
    assert "t60" in reply.seen
    assert len(reply.seen) < 60


async def test_documents_are_neither_rated_nor_reflected_on(lab: Lab) -> None:
    model = ScriptedModel(["Petra Kovac"])
    reply = await lab.reply("generative-agents", passages("Who built the lighthouse of Ladoga?"), model)
    assert (len(model.prompts), reply.seen[0]) == (1, "d0")


async def test_the_stream_of_a_pool_is_made_once(lab: Lab) -> None:
    model = ScriptedModel(mind)
    (strategy,) = strategies_named(["generative-agents"], ())
    for id in ("one", "two"):
        item = replace(conversation("Where did Ana move?"), id=id)
        await strategy.reply(item, lab.bench("generative-agents", item, model))
    asked = [
        "Lisbon" in shown(prompt) and prompt.messages[0].text == BRIEF.reader for prompt in model.prompts
    ]
    assert (
        asked == [False] * 5 + [True] * 2
    )  # ratings of 20, of 10, a reflection, its insights, their ratings


# all of them


@pytest.mark.parametrize("name", RELATED)
@pytest.mark.parametrize("window", [1024, 4096])
@pytest.mark.parametrize("item", [passages("Who built it?"), conversation("Where did Ana move?", 300)])
async def test_every_prompt_fits_and_a_run_that_is_repeated_asks_nothing(
    lab: Lab, name: str, window: int, item: Item
) -> None:
    words = iter(range(100_000))

    def rambling(prompt: Prompt) -> str:
        if prompt.answer_schema:
            return command("search", f"meadow {next(words)}")
        return " ".join(f"Meadow {next(words)} is wide." for _ in range(prompt.max_tokens // 16))

    long = [
        replace(text, text=text.text + " and so on" * 400 * (n == 7)) for n, text in enumerate(item.texts)
    ]
    item = replace(item, texts=long)
    model = ScriptedModel(rambling)
    reply = await lab.reply(name, item, model, window)
    for prompt in model.prompts:
        size = sum(lab.counter.count(message.text) for message in prompt.messages)
        assert size + prompt.max_tokens <= window
    again = ScriptedModel(["never asked"])
    assert await lab.reply(name, item, again, window) == reply
    assert again.prompts == []


@pytest.mark.parametrize("name", RELATED)
async def test_an_item_without_a_question_or_without_texts_is_answered_too(lab: Lab, name: str) -> None:
    model = ScriptedModel(lambda _: "Hello")
    assert (await lab.reply(name, conversation(""), model)).text == "Hello"
    empty = replace(conversation("Who?"), pool="none", id="none", texts=[])
    assert (await lab.reply(name, empty, model)).text == "Hello"


@pytest.mark.parametrize("task", ["dmr", "opener", "docqa", "locomo", "longmemeval"])
def test_all_four_run_on_the_data_that_is_shipped(task: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["bench", task, "--strategy", ",".join(RELATED), "--limit", "2", "--out", str(out)]
    with pytest.raises(SystemExit) as exit:
        main(arguments)
    assert exit.value.code == 0
    results = json.loads((out / "results.json").read_text("utf-8"))
    assert list(results["strategies"]) == list(RELATED)
    for scores in results["strategies"].values():
        assert scores["n"] == 2
        assert "failed" not in scores
        assert scores["context_tokens"]["mean"] > 0
        assert scores.get("evidence_at_first", {"mean": 1.0})["mean"] > 0
