"""What requests cost: told by the log, added up by `pagefault usage`, priced, correcting our own count."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from conftest import Machine, Rig
from pagefault.accounting.prices import Price, Prices
from pagefault.accounting.usage import measured_ratio
from pagefault.addresses import is_near
from pagefault.cli.render import output_line, row_line
from pagefault.cli.slash import Slash
from pagefault.cli.usage import Meter, money, spending_line, usage_table
from pagefault.config import load_installation, parse_settings
from pagefault.context.calibration import Calibration
from pagefault.errors import ContextLengthExceeded, ModelError, UsageError
from pagefault.message_meta import RequestUsage
from pagefault.models import Completion, Prompt, PromptMessage, Usage
from pagefault.models.directory.catalogue import Catalogue
from pagefault.models.endpoint import RequestSettings, Vendor
from pagefault.models.offline import OfflineModel
from pagefault.models.wrappers.retrying import RetryingModel
from pagefault.storage import RowUsage
from pagefault.storage.sql.recall import ROW_USAGE
from pagefault.storage.sqlite import SQLiteStore
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.types import Message, Role
from pagefault.views.history import log_row
from pagefault.views.usage import Spending, spending_of, usage

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 22, tzinfo=UTC)
MINI = "openai:gpt-4o-mini"
OWN = {MINI: Price(0.15, 0.60, cached=0.075)}


def usages(log: list[Message]) -> list[tuple[Role, tuple[RequestUsage, ...]]]:
    return [(row.role, row.usage) for row in log if row.usage]


async def spent(rig: Rig) -> list[RequestUsage]:
    record = await rig.kernel.record("ana")
    rows = await rig.kernel.store.read(lambda tx: tx.spent(record.id))
    return [request for row in rows for request in row.usage]


# the log


async def test_the_first_row_of_a_step_says_what_its_request_cost(machine: Machine) -> None:
    usage = Usage(input=900, output=30, cached=800, thinking=20)
    answer = Completion(
        calls=(say("hi"), say("there")), usage=usage, model="gpt-4o-mini-2024-07-18", target=MINI
    )
    async with machine.open(ScriptedModel([answer])) as rig:
        counted = (await rig.process()).memory.counted
        await rig.send("hello")
        log = await rig.log()
    (row,) = [row for row in log if row.usage]
    assert (row.role, row.completion) == (Role.CALL, row.seq)
    (request,) = row.usage
    assert request.counted > counted
    assert request == RequestUsage(MINI, usage, request.counted, "gpt-4o-mini-2024-07-18")
    assert row.meta.saw is not None


async def test_without_a_report_the_tokens_are_our_own_count_and_that_is_said(machine: Machine) -> None:
    async with machine.open(ScriptedModel(["a few words in answer"]), style="native") as rig:
        await rig.send("hello")
        (request,) = await spent(rig)
    assert request.estimated
    assert request.usage.input == request.counted > 0
    assert request.usage.output > 4
    assert request.ratio is None, "it says nothing about our count"


async def test_a_completion_that_is_thrown_away_is_paid_for_on_the_next_row(machine: Machine) -> None:
    nothing = Completion(usage=Usage(input=700))
    model = ScriptedModel([nothing, Completion("hi", usage=Usage(input=701, output=2)), nothing, nothing])
    async with machine.open(model, style="native") as rig:
        await rig.send("hello")
        await rig.send("hello?")
        found = usages(await rig.log())
    assert [(role, [request.usage.input for request in entries]) for role, entries in found] == [
        (Role.ASSISTANT, [700, 701]),
        (Role.ALERT, [700, 700]),
    ]


async def test_a_prompt_that_the_server_cut_is_paid_for_and_says_nothing_of_our_count(
    machine: Machine,
) -> None:
    words = "the quick brown fox jumps over the lazy dog " * 40

    def server(prompt: Prompt) -> Completion:
        size = 600 + sum(len(m.text) for m in prompt.messages) // 4
        return Completion("ok", usage=Usage(input=size if size < 10_000 else 5500, output=2))

    small = [{"name": "human", "limit": 64}]
    async with machine.open(
        ScriptedModel(server), window=16384, style="native", sections=small, warn=1.0
    ) as rig:
        for _ in range(24):
            await rig.send(words)
        log = await rig.log()
    (told,) = [row for row in log if row.name == "truncated"]
    assert [request.usage.input for request in told.usage] == [5500]
    cut = [request for _, entries in usages(log) for request in entries if request.cut]
    assert len(cut) == 2, "the one that was kept, and the one that was thrown away"
    assert measured_ratio(cut) is None


async def test_the_summariser_is_paid_for_too(machine: Machine) -> None:
    def reporting(prompt: Prompt) -> Completion:
        if not prompt.plain:
            return Completion(calls=(say("I see."),), usage=Usage(input=1000, output=9))
        return Completion("They met.", usage=Usage(input=333, output=44))

    async with machine.open(ScriptedModel(reporting), window=4096) as rig:
        for _ in range(4):
            await rig.send("some words to remember " * 20)
        await rig.kernel.flush("ana")
        (entries,) = [entries for role, entries in usages(await rig.log()) if role is Role.SUMMARY]
    assert (entries[0].usage.input, entries[0].usage.output) == (333, 44)
    assert entries[0].counted > 100


async def test_what_thinking_took_is_told_apart_and_is_not_speech(machine: Machine) -> None:
    answer = Completion("Hello.", thinking="Let me see.", usage=Usage(input=700, output=9, thinking=5))
    async with machine.open(ScriptedModel([answer]), style="native") as rig:
        outputs = await rig.send("hi")
        assert [(o.type, o.text) for o in outputs] == [
            ("thought", "Let me see."),
            ("said", "Hello."),
            ("done", ""),
        ]
        (request,) = await spent(rig)
        rows = [row for row in await rig.log() if row.role is Role.THOUGHT]
    assert request.usage.thinking == 5
    assert [row.shown for row in rows] == [""], "it is never sent back as text"


async def test_it_is_known_which_of_several_models_answered() -> None:
    down, up = ScriptedModel([ModelError("down")], name="a"), ScriptedModel(["hi"], name="b")
    model = RetryingModel([down, up], targets=["openai:a", "ollama:b"])
    items = [item async for item in model.stream(Prompt((), (), 10))]
    last = items[-1]
    assert isinstance(last, Completion)
    assert (last.target, last.model) == ("ollama:b", "b")


async def test_a_catalogue_s_model_says_its_name_as_the_settings_have_it() -> None:
    source = Catalogue({})
    model = source.model("offline, ollama:qwen3", 8192, RequestSettings())
    items = [item async for item in model.stream(Prompt((PromptMessage("user", "hi"),), (), 10))]
    last = items[-1]
    assert isinstance(last, Completion)
    assert last.target == "offline"


async def test_today_is_answered_without_reading_the_log(tmp_path: Path) -> None:
    """The rows that tell of requests are found by an index that has nothing else."""
    await SQLiteStore.open(tmp_path / "a.db").close()
    statement = f"{ROW_USAGE} AND at >= :since AND at < :until ORDER BY at DESC, seq DESC"
    values = {"agent": 1, "since": 0, "until": 9}
    with sqlite3.connect(tmp_path / "a.db") as db:
        plan = " ".join(row[-1] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}", values))
    assert "messages_with_usage (agent=? AND at>? AND at<?)" in plan


# a summary that the model did not write


@pytest.mark.parametrize(
    ("answer", "why"),
    [(ModelError("The provider is down."), "The provider is down."), ("", "scripted wrote nothing.")],
)
async def test_a_summary_that_the_model_did_not_write_says_so(
    machine: Machine, answer: ModelError | str, why: str
) -> None:
    model = ScriptedModel(lambda prompt: [say("I see.")] if prompt.functions and not prompt.plain else answer)
    async with machine.open(model, window=4096) as rig:
        for _ in range(4):
            await rig.send("some words to remember " * 20)
        before = (await rig.kernel.record("ana")).last_seq
        await rig.kernel.flush("ana")
        (output,) = await rig.kernel.outputs("ana", before)
        (row,) = [row for row in await rig.log() if row.role is Role.SUMMARY]
    assert row.meta.extracted == output.data["extracted"] == why
    told = f"; the summary is an extract, because the model did not write it: {why}"
    assert output_line(output).endswith(told)
    assert row_line(log_row(row, UTC)).endswith(told)


async def test_a_summary_that_the_model_wrote_does_not(machine: Machine) -> None:
    model = ScriptedModel(lambda prompt: "They met." if prompt.plain else [say("I see.")])
    async with machine.open(model, window=4096) as rig:
        for _ in range(4):
            await rig.send("some words to remember " * 20)
        await rig.kernel.flush("ana")
        (row,) = [row for row in await rig.log() if row.role is Role.SUMMARY]
    assert not row.meta.extracted


# the ratio of reported to counted tokens


def answered(model: str, reported: int) -> RequestUsage:
    return RequestUsage(model, Usage(input=reported), counted=1000)


def test_a_report_raises_the_ratio_at_once_and_lowers_it_by_halves() -> None:
    calibration = Calibration()
    assert calibration.moved(1.0, answered("a", 1500)) == 1.5
    assert calibration.moved(1.5, answered("a", 1000)) == 1.25
    assert calibration.moved(1.0, answered("a", 1010)) == 1.0, "noise"


def test_what_only_refusals_have_raised_fades_where_nothing_is_reported() -> None:
    calibration, silent = Calibration(), replace(answered("a", 5000), estimated=True)
    assert calibration.moved(2.0, silent) == 1.9
    assert calibration.moved(1.02, silent) == 1.0
    assert calibration.moved(0.8, silent) == 0.8


def test_a_model_that_stands_in_only_raises_the_ratio_and_it_stays_there() -> None:
    calibration, ratio, seen = Calibration(("a", "b")), 1.2, [1.2]
    for model, reported in [("b", 700), ("a", 1200), ("b", 1600), ("a", 1200), ("b", 1600), ("a", 1200)]:
        ratio = calibration.moved(ratio, answered(model, reported))
        seen.append(ratio)
    assert seen == [1.2, 1.2, 1.2, 1.6, 1.6, 1.6, 1.6]


async def set_model(rig: Rig, names: str) -> None:
    settings = dict((await rig.kernel.record("ana")).settings) | {"model": names}
    await rig.kernel.change_settings("ana", parse_settings(settings))


async def test_a_new_model_starts_from_what_the_log_tells_of_it(machine: Machine) -> None:
    """Here, there and back: no model is judged by another one's reports."""
    names = {"x:dense": 1.5, "x:light": 0.8}
    wanted = "x:dense"

    def reporting(prompt: Prompt) -> Completion:  # noqa: ARG001
        return Completion("ok", usage=Usage(input=round(names[wanted] * counted[0])), target=wanted)

    counted = [0]
    async with machine.open(ScriptedModel(reporting), style="native") as rig:
        await set_model(rig, wanted)

        async def talk() -> None:
            for _ in range(3):
                counted[0] = (await rig.process()).memory.counted
                await rig.send("hi")

        async def ratio_with(model: str) -> float:
            await set_model(rig, model)
            return (await rig.kernel.record("ana")).queue.ratio

        await talk()
        dense = (await rig.kernel.record("ana")).queue.ratio
        assert dense > 1.4
        assert await ratio_with("x:dense, x:light") == dense, "the wanted model is the same"
        assert await ratio_with("x:light") == 1.0, "nothing is known of it yet"
        wanted = "x:light"
        await talk()
        light = (await rig.kernel.record("ana")).queue.ratio
        assert light < 1.0
        assert await ratio_with("x:dense") == pytest.approx(dense, rel=0.05)
        assert await ratio_with("x:light") < 0.85, "from its requests, not from where it had come to"


async def test_a_prompt_that_was_too_long_still_raises_the_ratio(machine: Machine) -> None:
    model = ScriptedModel([ContextLengthExceeded("too long"), [say("ok")]])
    async with machine.open(model) as rig:
        await set_model(rig, "a, b")
        await rig.send("hi")
        assert (await rig.kernel.record("ana")).queue.ratio >= 1.1


# money

CATALOGUE = Catalogue({"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"})


@pytest.mark.parametrize(
    ("name", "vendor"),
    [
        ("offline", Vendor("offline", "", self_hosted=True)),
        ("ollama:qwen3", Vendor("ollama", "qwen3", "http://127.0.0.1:11434", self_hosted=True)),
        ("vllm:qwen3", Vendor("vllm", "qwen3", self_hosted=True)),
        ("groq:llama", Vendor("groq", "llama")),
        ("openai:gpt-4o", Vendor("openai", "gpt-4o", "http://127.0.0.1:9/v1", self_hosted=True)),
        ("pydantic-ai:cohere:command-r", Vendor("cohere", "command-r")),
        ("nonsense", None),
    ],
)
def test_who_serves_a_model(name: str, vendor: Vendor | None) -> None:
    assert CATALOGUE.vendor(name) == vendor


@pytest.mark.parametrize(
    ("url", "near"),
    [
        ("http://127.0.0.1:8080/v1", True),
        ("http://[::1]:8080/v1", True),
        ("http://192.168.1.7/v1", True),
        ("http://gpu:8000/v1", True),
        ("http://gpu.local/v1", True),
        ("https://8.8.8.8/v1", False),
        ("https://api.openai.com/v1", False),
    ],
)
def test_which_addresses_are_one_s_own(url: str, near: bool) -> None:
    assert is_near(url) is near


PRICES = Prices(Catalogue({}).vendor, {"ollama:mine": Price(1.0, 2.0, cached=0.5)})


def cost(name: str, usage: Usage, answered: str = "", prices: Prices = PRICES) -> float | None:
    return prices.cost(RequestUsage(name, usage, answered=answered), NOW)


def test_a_known_model_costs_what_the_table_says() -> None:
    plain = cost(MINI, Usage(input=1_000_000))
    assert plain == pytest.approx(0.15)
    assert cost(MINI, Usage(input=1_000_000, cached=1_000_000)) == pytest.approx(0.075)
    assert cost(MINI, Usage(output=1_000_000, thinking=500_000)) == pytest.approx(0.6)
    assert cost("openai:my-name-for-it", Usage(input=1_000_000), "gpt-4o-mini-2024-07-18") == plain
    assert cost("https://api.openai.com/v1#gpt-4o-mini", Usage(input=1_000_000)) == plain


@pytest.mark.parametrize("model", [MINI, "google:gemini-2.5-pro", "anthropic:claude-sonnet-4-5"])
def test_the_price_of_a_sum_is_the_sum_of_the_prices(model: str) -> None:
    """Also where a provider charges more for long prompts, and for odd numbers of tokens."""
    sizes = (7, 1000, 199_999, 200_001, 300_001, 450_000)
    made = [RequestUsage(model, Usage(size, size // 3, size // 2, size // 7)) for size in sizes]
    each = [PRICES.cost(request, NOW) for request in made]
    rows = [RowUsage(n, NOW, 1, Role.CALL, (request,)) for n, request in enumerate(made)]
    assert spending_of(rows, PRICES).cost == pytest.approx(sum(filter(None, each)), abs=1e-8)
    assert all(each)


def test_one_s_own_server_costs_nothing_and_an_unknown_price_is_no_price() -> None:
    much = Usage(input=1_000_000, output=1_000_000)
    assert (
        cost("ollama:other", much) == cost("http://127.0.0.1:8080/v1#x", much) == cost("offline", much) == 0
    )
    assert cost("openai:gpt-of-tomorrow", much) is None
    assert cost("https://llm.example.com/v1#x", much) is None
    assert cost("scripted", much) is None


def test_a_price_of_the_user_s_own_goes_first(tmp_path: Path) -> None:
    assert cost("ollama:mine", Usage(input=1000, output=100, cached=400, written=100)) == pytest.approx(
        (600 * 1.0 + 400 * 0.5 + 100 * 2.0) / 1e6
    )
    (tmp_path / "config.toml").write_text(f'[prices."{MINI}"]\ninput = 3\noutput = 4\nwritten = 5.5\n')
    prices = Prices(Catalogue({}).vendor, load_installation(tmp_path).own_prices)
    assert cost(MINI, Usage(input=2_000_000, written=1_000_000), prices=prices) == pytest.approx(8.5)


@pytest.mark.parametrize(
    "line", ["input = -1\noutput = 1", "input = 1", "input = 1\noutput = 1\nchached = 1"]
)
def test_a_price_that_is_wrong_is_one_sentence(tmp_path: Path, line: str) -> None:
    (tmp_path / "config.toml").write_text(f'[prices."{MINI}"]\n{line}\n')
    with pytest.raises(UsageError, match=r"^(The|There is no) setting prices\.openai:gpt-4o-mini\.\w+"):
        load_installation(tmp_path)


def test_prices_are_loaded_when_one_is_asked_for_and_nothing_is_fetched() -> None:
    program = """
import socket, sys, threading
def refuse(*_): raise SystemExit("it went to the network")
socket.socket.connect = refuse
import pagefault.build, pagefault.accounting.prices
assert "genai_prices" not in sys.modules
from datetime import UTC, datetime
from pagefault.models import Usage
from pagefault.models.directory.catalogue import Catalogue
from pagefault.accounting.prices import Prices
from pagefault.message_meta import RequestUsage
prices = Prices(Catalogue({}).vendor, {})
assert prices.cost(RequestUsage("ollama:x", Usage(9, 9)), datetime.now(UTC)) == 0.0
assert "genai_prices" not in sys.modules
assert prices.cost(RequestUsage("openai:gpt-4o", Usage(9, 9)), datetime.now(UTC)) > 0.0
assert threading.active_count() == 1
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# adding up


def added(*made: tuple[RequestUsage, float]) -> Spending:
    """The sum of requests at a price for each of their models, in dollars per million input tokens."""
    prices = Prices(lambda _: None, {request.model: Price(price, 0.0) for request, price in made if price})
    rows = [RowUsage(1, NOW, 1, Role.CALL, (request,)) for request, _ in made]
    return spending_of(rows, prices)


def test_spending_is_added_up_and_says_what_is_not_known() -> None:
    assert spending_line(Spending()) == "nothing"
    priced = RequestUsage(MINI, Usage(1000, 50, 800, thinking=40), counted=1100)
    one = added((priced, 12.3))
    assert spending_line(one) == "1,000 in (80 % cached), 50 out (40 thinking), $0.0123"
    assert (one.error, one.measured) == (pytest.approx(10.0), 1)
    estimate = RequestUsage("x:y", Usage(1000, 50), counted=1000, estimated=True)
    two = added((priced, 12.3), (estimate, 0.0))
    assert spending_line(two) == "about 2,000 in (40 % cached), 100 out (40 thinking), $0.0123 + unknown"
    assert (two.error, two.measured) == (pytest.approx(10.0), 1), "an estimate is not held against itself"
    assert two.unpriced == ("x:y",)


def test_errors_of_counting_are_averaged_over_what_was_measured() -> None:
    requests = [RequestUsage(MINI, Usage(1000), counted=counted) for counted in (1100, 1000, 800)]
    whole = added(*((request, 1.0) for request in requests))
    assert (whole.error, whole.measured) == (pytest.approx(-10 / 3), 3)


def test_no_price_at_all_is_not_nothing() -> None:
    nothing = added((RequestUsage("x:y", Usage(1000, 50)), 0.0))
    assert (money(nothing), nothing.cost) == ("unknown", None)


async def test_the_meter_of_a_chat_tells_the_last_turn_and_the_session(machine: Machine) -> None:
    answer = Completion(calls=(say("hi"),), usage=Usage(100_000, 1000, 50_000), target=MINI)
    model = ScriptedModel(lambda _: answer)
    async with machine.open(model, window=200_000) as rig:
        await rig.send("before the chat")
        rig.kernel.own_prices = OWN
        meter = await Meter.started(rig.kernel, "ana")
        assert await meter.line() == ""
        await rig.send("one")
        turn = "100,000 in (50 % cached), 1,000 out, $0.0118"
        assert await meter.line() == f"turn: {turn} · session: {turn}"
        await rig.send("two")
        twice = "200,000 in (50 % cached), 2,000 out, $0.0237"
        assert await meter.line() == f"turn: {turn} · session: {twice}"


async def test_a_slash_command_tells_what_was_spent_by_model(machine: Machine) -> None:
    answer = Completion(calls=(say("hi"),), usage=Usage(100_000, 1000), target=MINI)
    told: list[str] = []

    async def unasked(given: object) -> str:
        raise AssertionError(given)

    async with machine.open(ScriptedModel([answer]), window=200_000) as rig:
        rig.kernel.own_prices = OWN
        await rig.send("hello")
        assert await Slash(rig.kernel, "ana", told.append, unasked, unasked).run("/usage")
    assert MINI in told[0]
    assert "$0.0156" in told[0]


async def test_turns_days_and_models_are_added_up(machine: Machine) -> None:
    """Days are the agent's own; a flush between turns is told by itself."""

    def reporting(prompt: Prompt) -> Completion:
        if prompt.plain or not prompt.functions:
            return Completion("They met.", usage=Usage(300, 30), target="openai:gpt-4o")
        heartbeat = prompt.messages[-1].role == "user"
        made = call("memory_search", query="x", heartbeat=True) if heartbeat else say("ok")
        return Completion(calls=(made,), usage=Usage(1000, 10), target=MINI)

    async with machine.open(ScriptedModel(reporting), zone="Asia/Tokyo") as rig:
        machine.clock.advance(7 * 3600)  # 16:00 UTC of the first of March: the second in Tokyo
        await rig.send("one")
        machine.clock.advance(24 * 3600)
        await rig.send("two")
        await rig.kernel.flush("ana")

        async def by(part: Any, since: str | None = None) -> list[tuple[str, int, int]]:
            found = await usage(rig.kernel, "ana", by=part, since=since)
            return [(row.part, row.spent.requests, row.spent.input) for row in found]

        flush = next(row.id for row in await rig.log() if row.role is Role.SUMMARY)
        assert await by("agent") == [("", 5, 4300)]
        assert await by("turn") == [("1", 2, 2000), ("2", 2, 2000), (f"{flush} flush", 1, 300)]
        assert await by("day") == [("2026-03-02", 2, 2000), ("2026-03-03", 3, 2300)]
        assert await by("day", "2026-03-03") == [("2026-03-03", 3, 2300)]
        assert await by("model") == [(MINI, 4, 4000), ("openai:gpt-4o", 1, 300)]
        text = usage_table(await usage(rig.kernel, "ana", by="model"), "model")
    assert "our count is off by" in text
    assert "(4 requests)" in text


async def test_the_offline_model_costs_nothing_and_its_tokens_are_shown(machine: Machine) -> None:
    async with machine.open(OfflineModel(8192)) as rig:
        await rig.send("My cat is called Nala.")
        rig.kernel.own_prices = {"offline": Price(0.0, 0.0)}
        (row,) = await usage(rig.kernel, "ana")
    assert row.spent.input > 0
    assert (row.spent.cost, row.spent.unpriced, row.spent.estimated) == (0.0, (), row.spent.requests)
