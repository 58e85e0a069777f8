"""Slips of a model and oddities of a tool: each becomes a result that the model can act on.

Arguments that are broken, deep or endless; values of any type; times, pages and ids that are none. No turn
ends with an internal error for them, and what the log then holds can be sent to any provider.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from conftest import Machine
from pagefault.functions.rendering import as_text
from pagefault.models import Call, object_of
from pagefault.models.json_text import read_json, repair_json
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.types import Message, Role

pytestmark = pytest.mark.anyio

DEEP = 100_000
BROKEN = {
    "deep": '{"query": ' + "[" * DEEP + "]" * DEEP + "}",
    "deep, unclosed": '{"query": ' + '{"a": ' * 3000,
    "deeper than we write": '{"query": "a", "page": ' + "[" * 100 + "]" * 100 + "}",
    "brackets": "[" * 5000,
    "braces": "{" * 5000,
    "quotes": '"' * 5001,
    "many digits": '{"query": "a", "page": ' + "9" * 5000 + "}",
    "many digits in a text": '{"query": "a", "page": "' + "9" * 5000 + '"}',
    "a large number": '{"query": "a", "page": 99999999999999999999999}',
    "a negative page": '{"query": "a", "page": -5}',
    "no number": '{"query": "a", "page": NaN}',
    "no end": '{"query": "a", "page": Infinity}',
    "an overflow": '{"query": "a", "page": 1e999}',
    "a key twice": '{"query": "a", "query": "b"}',
    "half a pair": '{"query": "\\ud83d"}',
    "half a pair as it is": '{"query": "\ud83d"}',
    "zeros": '{"query": "a\\u0000b"}',
    "a list": '["a", 1]',
    "a number": "12",
    "nothing": "",
    "null": "null",
    "a list in a text": '{"query": "[]", "page": "[1]"}',
    "other types": '{"query": {"text": "a"}, "page": "one"}',
}  # fmt: skip


async def results(machine: Machine, *items: Call, tools: Any = ()) -> list[str]:
    """The results of calls of one completion, in a turn that ends well."""
    model = ScriptedModel([list(items), [say("Done.")], [say("Done.")]])
    async with machine.open(model, tools=tools, timers=True, documents=True, agents=True) as rig:
        outputs = await rig.send("Go.")
        assert [o.text for o in outputs if o.type == "alerted"] == []
        rows = [row for row in await rig.log() if row.role is Role.RESULT and row.text != "Sent."]
        sendable(rows)
        return [row.text for row in rows]


def sendable(rows: list[Message]) -> None:
    """Rows can be written as JSON, as an adapter does."""
    for row in rows:
        json.dumps(row.shown, allow_nan=False)
        json.dumps(object_of(row.text), allow_nan=False)


@pytest.mark.parametrize(
    "function", ["recall_search", "archival_insert", "document_open", "schedule", "gone"]
)
@pytest.mark.parametrize("raw", BROKEN.values(), ids=BROKEN)
async def test_arguments_of_any_shape_get_a_result(machine: Machine, function: str, raw: str) -> None:
    assert len(await results(machine, Call("", function, raw))) == 1


@pytest.mark.parametrize(
    ("wanted", "function", "arguments"),
    [
        ("years", "schedule", {"note": "x", "when": "+99999999999d"}),
        ("not a time", "schedule", {"note": "x", "when": "+" + "9" * 5000 + "d"}),
        ("years", "schedule", {"note": "x", "when": "9999-12-31T23:59:59"}),
        ("never|not a cron", "schedule", {"note": "x", "cron": "0 0 30 2 *"}),
        ("not a cron", "schedule", {"note": "x", "cron": "9" * 10_000}),
        ("years", "recall_search_by_date", {"start": "0001-01-01", "end": "9999-12-31"}),
        ("There is no document d1", "document_open", {"id": "d1", "page": 10**30}),
        ("There is no page", "recall_read", {"id": "m1", "page": 10**30}),
        ("There is no message", "recall_read", {"id": "m999999999999999"}),
        ("not the id", "recall_read", {"id": "m" + "9" * 40}),
        ("not the id", "page_in", {"id": "x" * 1000}),
        ("no passage|not the id", "archival_read", {"id": "p٣"}),
        ("no schedule", "unschedule", {"id": "t0"}),
        ("no section", "working_context_append", {"section": "human\n\n", "text": "x"}),
        ("no other agent", "send_to_agent", {"name": "ana", "text": "Hello, me."}),
    ],
)
async def test_what_is_not_there_is_named(
    machine: Machine, wanted: str, function: str, arguments: dict[str, Any]
) -> None:
    (text,) = await results(machine, call(function, heartbeat=True, **arguments))
    assert text.startswith("Error: ")
    assert any(part in text for part in wanted.split("|")), text


class Odd:
    """An object that cannot be shown."""

    def __str__(self) -> str:
        raise ValueError("no")

    __repr__ = __str__


class Colour(Enum):
    RED = "red"


class Model(BaseModel):
    name: str = "a"
    inner: Any = None


@dataclass
class Pair:
    left: object = 1
    right: object = None


def endless() -> Iterator[int]:
    while True:
        yield 1


CIRCULAR: list[Any] = [1]
CIRCULAR.append({"again": CIRCULAR})


def nested() -> list[Any]:
    value: list[Any] = []
    for _ in range(DEEP):
        value = [value]
    return value


VALUES: list[tuple[object, str]] = [
    (None, "Done."),
    ("text", "text"),
    (b"abc\xff", "file-8e3b08dc\n[file file-8e3b08dc, 4 bytes]"),
    ({"b"}, '["b"]'),
    ((1, 2.5, True), "[1, 2.5, true]"),
    ((n for n in range(3)), "[0, 1, 2]"),
    (deque([1]), "[1]"),
    (range(3), "[0, 1, 2]"),
    (Decimal("1.50"), '"1.50"'),
    (datetime(2026, 3, 1, tzinfo=UTC), '"2026-03-01T00:00:00Z"'),
    (Colour.RED, '"red"'),
    (Path("/tmp/a"), '"/tmp/a"'),
    (Pair(right=Odd()), '{"left": 1, "right": "<Unserializable Odd object>"}'),
    (Model(inner={1: Odd()}), '{"name": "a", "inner": {"1": "<Unserializable Odd object>"}}'),
    ({(1, 2): 3, None: 4}, '{"[1, 2]": 3, "null": 4}'),
    (np.arange(3), "[0, 1, 2]"),
    (np.float32(1.5), "1.5"),
    (np.array(7), "7"),
    (float("nan"), "NaN"),
    (10**6000, '"0x'),
    (ValueError("so"), '"so"'),
    (CIRCULAR, '[1, {"again": "(circular)"}]'),
    (nested(), "["),
    (endless(), "[1, 1, 1"),
    ("x" * 5_000_000, "xxx"),
    ([["y" * 5_000_000]], '[["yyy'),
    ({"z": list(range(3_000_000))}, '{"z": [0, 1'),
]


@pytest.mark.parametrize(("value", "starts"), VALUES, ids=[str(n) for n in range(len(VALUES))])
async def test_a_value_of_any_type_is_a_result(machine: Machine, value: object, starts: str) -> None:
    def give() -> Any:
        """Give it."""
        return value

    (text,) = await results(machine, call("give", heartbeat=True), tools=(give,))
    assert text.startswith(starts)
    assert len(text) <= 1_000_100
    if len(text) > 1_000_000:
        assert "The result was cut here, at 1,000,000 characters; ask for less." in text[-80:]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
PARAMETERS = (
    "message", "section", "text", "old", "new", "id", "query", "page", "start", "end", "tags", "note", "when",
    "cron", "name", "part", "request_heartbeat", "arguments",
)  # fmt: skip
NAMES = (
    "send_message", "working_context_append", "working_context_replace", "archival_insert", "archival_delete",
    "page_in", "page_out", "memory_search", "recall_search", "recall_search_by_date", "recall_read",
    "archival_search", "archival_read", "schedule", "unschedule", "list_schedules", "send_to_agent",
    "document_list", "document_open", "document_find", "echo",
)  # fmt: skip
VALUE = JSON | st.sampled_from(["human", "m1", "p1", "t1", "d1", "+1h", "2026-03-01", "* * * * *", "1", "a"])
WELL_FORMED = st.dictionaries(st.sampled_from(PARAMETERS), VALUE, max_size=5).map(json.dumps)
CUT_OFF = st.tuples(WELL_FORMED, st.integers(0, 60)).map(lambda pair: pair[0][: pair[1]])
RAW = WELL_FORMED | CUT_OFF | st.text(max_size=40)


def echo(text: Any) -> Any:
    """Give it back."""
    return text


async def turn(calls: list[tuple[str, str]]) -> None:
    with TemporaryDirectory() as home:
        await results(Machine(Path(home)), *(Call("", name, raw) for name, raw in calls), tools=(echo,))


@given(st.lists(st.tuples(st.sampled_from(NAMES), RAW), min_size=1, max_size=8))
def test_no_arguments_end_a_turn(calls: list[tuple[str, str]]) -> None:
    asyncio.run(turn(calls))


ANYTHING = st.recursive(
    JSON | st.binary(max_size=8) | st.decimals() | st.datetimes() | st.complex_numbers() | st.builds(Odd),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.integers() | st.binary(max_size=4), inner, max_size=3)
        | st.builds(Pair, inner, inner)
        | st.builds(Model, inner=inner)
        | st.lists(inner, max_size=3).map(iter)
    ),
    max_leaves=8,
)


@given(ANYTHING)
def test_any_value_is_text(value: object) -> None:
    assert isinstance(as_text(value), str)


@given(JSON)
def test_json_is_read_as_the_library_reads_it(value: object) -> None:
    text = json.dumps(value)
    read = read_json(text)
    assert "NaN" in text or "Infinity" in text or read == json.loads(text)


@given(st.text(alphabet='[]{}":,\\0n1e-.', max_size=200))
def test_almost_json_is_read_or_refused(text: str) -> None:
    try:
        read_json(text)
    except ValueError:
        repair_json(text)
