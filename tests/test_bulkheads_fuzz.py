"""Whatever a tool raises and whatever is stored of one agent: the other is answered, the process lives, and
the damaged one is listed."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import PagefaultError
from pagefault.kernel import Kernel
from pagefault.models import Prompt
from pagefault.testing.memory import MemoryDatabase, MemoryStore
from pagefault.testing.models import Item, ScriptedModel, call, say
from pagefault.views.agents import agents

PATIENCE = 60.0
COLUMNS = (
    ("agents", "settings"), ("agents", "created"), ("agents", "start"), ("agents", "summary"),
    ("agents", "ratio"), ("agents", "head"), ("messages", "role"), ("messages", "at"), ("messages", "meta"),
    ("messages", "usage"),
    ("messages", "text"), ("messages", "shown"), ("inbox", "state"), ("inbox", "at"), ("inbox", "kind"),
    ("section_versions", "token_limit"), ("section_versions", "text"),
)  # fmt: skip
VALUES = st.one_of(
    st.text(max_size=20), st.integers(-(2**62), 2**62), st.floats(), st.binary(max_size=8),
    st.sampled_from(["{", "[]", "{}", "null", "7", '{"zone": "x"}', '{"saw": 1}', '{"sources": 3}']),
)  # fmt: skip
Makers = st.SearchStrategy[Callable[[], BaseException]]
LEAVES: Makers = st.sampled_from(
    [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError, RecursionError, StopIteration,
     TimeoutError, OSError, UnicodeError, AssertionError]
)  # fmt: skip


def groups(
    inner: st.SearchStrategy[Callable[[], BaseException]],
) -> st.SearchStrategy[Callable[[], BaseException]]:
    return st.lists(inner, min_size=1, max_size=3).map(
        lambda makes: lambda: BaseExceptionGroup("several", [make() for make in makes])
    )


async def answered(kernel: Kernel, name: str, text: str = "hello") -> list[str]:
    with anyio.fail_after(PATIENCE):
        return [o.text async for o in kernel.send(name, text) if o.type in ("said", "alerted")]


@given(st.recursive(LEAVES, groups, max_leaves=5), st.booleans())
def test_whatever_a_tool_raises(make: Callable[[], BaseException], blocking: bool) -> None:
    async def act() -> str:
        """Act."""
        await anyio.lowlevel.checkpoint()
        raise make()

    def block() -> str:
        """Act."""
        raise make()

    block.__name__ = "act"

    def script(prompt: Prompt) -> Item:
        return [call("act")] if prompt.messages[-1].text.endswith("go") else [say("ok")]

    async def main() -> None:
        tool = block if blocking else act
        parts = Parts(
            ScriptedModel(script), NullEmbedder(), store=MemoryStore(MemoryDatabase()), tools=(tool,)
        )
        async with open_kernel(Path("nowhere"), parts, Installation()) as kernel:
            for name in ("bad", "good"):
                await kernel.create_agent(name, parse_settings({"zone": "UTC"}))
            assert await answered(kernel, "bad", "go") == ["ok"]
            assert await answered(kernel, "good") == ["ok"]

    anyio.run(main)


@pytest.mark.slow
@given(st.sampled_from(COLUMNS), VALUES)
def test_whatever_is_stored(column: tuple[str, str], value: object) -> None:
    async def fill(kernel: Kernel) -> None:
        for name in ("bad", "good"):
            await kernel.create_agent(name, parse_settings({"zone": "UTC"}))
            await answered(kernel, name)

    async def main(home: Path) -> None:
        def parts() -> Parts:
            return Parts(ScriptedModel([]), NullEmbedder())

        async with open_kernel(home, parts(), Installation()) as kernel:
            await fill(kernel)
        with closing(sqlite3.connect(home / "pagefault.db")) as file:
            owner = "id" if column[0] == "agents" else "agent"
            try:
                with file:
                    file.execute(f"UPDATE {column[0]} SET {column[1]} = ? WHERE {owner} = 1", (value,))
            except (sqlite3.Error, UnicodeEncodeError):
                return  # the database itself refuses it
        async with open_kernel(home, parts(), Installation()) as kernel:
            assert await answered(kernel, "good") == ["ok"]
            try:
                served = await answered(kernel, "bad")
            except PagefaultError:
                served = []
            assert await answered(kernel, "good") == ["ok"]
            listed = {agent.name: agent.parked for agent in await agents(kernel)}
            assert listed["good"] == ""
            assert served or listed["bad"]

    with tempfile.TemporaryDirectory() as home:
        anyio.run(main, Path(home))
