"""What hypothesis chooses from in ``test_machine``: what is said to the agent, how its model behaves, and at
which of its writes the process dies.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from machine import Behaviour
from machine_archives import Change
from machine_witness import ARCHIVES
from pagefault.errors import ContextLengthExceeded, ModelError
from pagefault.kernel.conversations import AppendedMessage
from pagefault.models import Call, Completion
from pagefault.testing.models import call
from pagefault.types import Event, EventKind

WORDS = (
    "the quick brown fox ",
    "敏捷的棕色狐狸跳过了懒狗。",
    '{"id": 17, "tags": ["a", "b"]}, ',
    "🦊🐕 ",
    "What of the fox? ",
)


def text_of(unit: str, size: int) -> str:
    return (unit * (size // len(unit) + 1))[:size].strip()


def made(name: str, heartbeat: bool, arguments: dict[str, Any]) -> Call:
    return call(name, heartbeat=heartbeat, **arguments)


texts = st.builds(
    text_of, st.sampled_from(WORDS), st.sampled_from((4, 40, 200, 200, 800, 800, 3000, 9000, 30_000))
)
short = st.builds(text_of, st.sampled_from(WORDS), st.sampled_from((4, 20, 80, 160)))
kinds = st.sampled_from(
    (EventKind.MESSAGE,) * 4
    + (EventKind.ALERT, EventKind.LOGIN, EventKind.TIMER, EventKind.UPLOAD_FINISHED)
    + (EventKind.OVERHEARD,) * 2
)
events = st.lists(st.builds(Event, kinds, texts), min_size=1, max_size=3)
sections = st.sampled_from(("human", "persona", "paged_in", "nowhere"))
of_archives = tuple(f"{name}/p" for name in ARCHIVES)
items = st.sampled_from([f"{kind}{n}" for kind in ("m", "m", "p", "x", *of_archives) for n in range(1, 31)])
names = st.sampled_from((*ARCHIVES, "vault"))
numbers = st.integers(1, 3)


forgettable = st.sampled_from([f"{letter}{n}" for letter in "mmp" for n in range(1, 41)])


def calls_of(name: str, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Call]:
    return st.builds(made, st.just(name), st.booleans(), st.fixed_dictionaries(arguments))


good_calls = st.one_of(
    calls_of("send_message", message=texts),
    calls_of("archival_insert", text=texts),
    calls_of("archival_insert", text=short),
    calls_of("archival_insert", text=short, archive=names),
    calls_of("archival_search", query=st.sampled_from(("fox", "no1x", "zq1z")), archive=names),
    calls_of("archival_read", id=items),
    calls_of("archival_delete", id=items),
    calls_of("working_context_append", section=sections, text=short),
    calls_of("working_context_replace", section=sections, old=st.sampled_from(("fox", "I am")), new=short),
    calls_of("page_in", id=items),
    calls_of("page_out", id=items),
    calls_of("recall_read", id=items, page=numbers),
    calls_of("memory_search", query=st.sampled_from(("no1x", "no2x", "zq1z", "no such thing")), page=numbers),
    calls_of("poke", number=st.just(0)),
    calls_of("peek", number=st.integers(1, 40)),
    calls_of("strike", number=st.just(0)),
)
bad_calls = st.one_of(
    st.builds(Call, st.just(""), st.sampled_from(("archival_insert", "sned_message", "poke")), texts),
    st.builds(
        Call, st.just(""), st.just("send_message"), st.sampled_from(('{"message": "no end', "[]", "{}"))
    ),
    calls_of("archival_insert", text=st.none(), more=texts),
    calls_of("no_such_function", text=short),
)
calls = st.lists(st.one_of(good_calls, good_calls, good_calls, bad_calls), min_size=1, max_size=4).map(tuple)
completions = st.one_of(
    st.builds(Completion, st.just(""), calls),
    st.builds(Completion, st.just(""), calls),
    st.builds(Completion, short, calls),
    st.builds(Completion, texts),
    st.just(Completion()),
    st.just(ModelError("The provider is down.")),
    st.just(ContextLengthExceeded("The prompt is too long.")),
)
strikes = st.lists(st.one_of(calls_of("strike", number=st.just(0)), good_calls), min_size=1, max_size=3)
summaries = st.one_of(
    st.builds(Completion, st.one_of(st.just(""), short, texts)),
    st.just(ModelError("No summaries today.")),
)


@st.composite
def behaviours(draw: st.DrawFn) -> Behaviour:
    return Behaviour(draw(st.lists(completions, max_size=5)), draw(summaries))


said_elsewhere = st.lists(
    st.builds(
        AppendedMessage, texts, st.sampled_from(("user", "assistant", "event")), st.sampled_from(("", "Bo")),
        st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    ),
    min_size=1,
    max_size=3,
)  # fmt: skip
deaths = st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=1, max_size=3)
changes: st.SearchStrategy[Change] = st.sampled_from(
    ("attach", "attach", "attach", "attach read-only", "detach", "rename", "put", "put", "take")
)
