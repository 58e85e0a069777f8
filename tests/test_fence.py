"""A turn whose lock was lost: another process takes it, the first one cannot write any more.

Two real processes on each store. The second one finds the lock free although the first one is alive: the lock
file, or its folder, was removed or replaced, or the lease on the server ran out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import psycopg
import pytest

from pagefault.build import open_store, open_transfer
from pagefault.config import Installation
from pagefault.storage import Store
from pagefault.transfer import check
from pagefault.types import Role

_PROCESS = '''
import sys
from pathlib import Path
import anyio
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.functions.tools import tool
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.types import Event

home, database, name = Path(sys.argv[1]), sys.argv[2], sys.argv[3]

@tool(idempotent=True)
def wait(seconds: int) -> str:
    """Wait until the file named go is there."""
    print("waits", flush=True)
    import time
    while not (home / f"go-{name}").exists():
        time.sleep(0.01)
    return f"waited in {name}"

def note(text: str) -> str:
    """Note."""
    with (home / "noted").open("a") as file:
        file.write(f"{text}\\n")
    return "noted"

script = [
    [call("wait", seconds=1, heartbeat=True)], [call("archival_insert", text=f"by {name}", heartbeat=True)],
    [call("note", text=name, heartbeat=True)], [say(f"answer of {name}")],
]

async def show(outputs) -> None:
    async for output in outputs:
        if output.type != "delta":
            print(output.type, output.text, flush=True)

async def main() -> None:
    model = ScriptedModel(script if name == "first" else script[1:])
    parts = Parts(model=model, embedder=NullEmbedder(), tools=(wait, note))
    async with open_kernel(home, parts, Installation(database=database)) as kernel:
        await kernel.ensure_agent("ana", parse_settings({"zone": "UTC"}))
        print("open", flush=True)
        async with anyio.create_task_group() as tasks, kernel.listen("ana") as outputs:
            tasks.start_soon(show, outputs)
            await (kernel.post("ana", Event("message", "do it")) if name == "first" else kernel.recover())
            await kernel.idle()
            await anyio.sleep(0.1)
            tasks.cancel_scope.cancel()
        print("over", flush=True)

anyio.run(main)
'''


class Quiet:
    def begin(self, what: str, total: int) -> None: ...
    def advance(self, rows: int) -> None: ...


@dataclass
class Place:
    """A home, and the URL of its database; empty: the file in it."""

    home: Path
    database: str

    @contextmanager
    def process(self, name: str) -> Generator[subprocess.Popen[str]]:
        command = [sys.executable, "-c", _PROCESS, str(self.home), self.database, name]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            try:
                yield child
            finally:
                child.kill()

    def store(self) -> Store:
        return open_store(self.home, Installation(database=self.database))


def said(child: subprocess.Popen[str], until: str) -> list[str]:
    """The lines of a process up to the one that begins so."""
    lines: list[str] = []
    assert child.stdout is not None
    while not lines or not lines[-1].startswith(until):
        line = child.stdout.readline()
        assert line, f"it ended after {lines}"
        lines.append(line.rstrip("\n"))
    return lines


def remove_file(place: Place) -> None:
    (place.home / "locks" / "pagefault-1.lock").unlink()


def remove_folder(place: Place) -> None:
    shutil.rmtree(place.home / "locks")


def replace_file(place: Place) -> None:
    """With a copy, as a restore of the folder would."""
    path = place.home / "locks" / "pagefault-1.lock"
    shutil.copy(path, copy := path.with_suffix(".copy"))
    os.replace(copy, path)


def move_away(place: Place) -> None:
    (place.home / "locks").rename(place.home / "locks.old")


def take_away(place: Place) -> None:
    """As if its worker had not renewed its lease in time, and another one had reaped it."""
    with psycopg.connect(place.database, autocommit=True) as other:
        other.execute("UPDATE agents SET lease_fence = lease_fence + 1, holder = NULL WHERE id = 1")


LOSSES: list[tuple[bool, Callable[[Place], None]]] = [
    (False, remove_file), (False, remove_folder), (False, replace_file), (False, move_away),
    (True, take_away),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("server", "lose"), LOSSES, ids=lambda of: getattr(of, "__name__", ""))
@pytest.mark.parametrize("paused", [False, True])
def test_of_two_processes_in_one_turn_only_the_later_one_writes(
    server: bool, lose: Callable[[Place], None], paused: bool, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The first one is in the middle of a tool; ``paused``: it goes on when the second one has ended the
    turn, else while the second one is in the middle of the same tool."""
    place = Place(tmp_path, request.getfixturevalue("database") if server else "")
    with place.process("first") as first:
        said(first, "waits")
        lose(place)
        with place.process("second") as second:
            said(second, "waits")
            if paused:
                (tmp_path / "go-second").touch()
                said(second, "over")
            (tmp_path / "go-first").touch()
            if not paused:
                time.sleep(0.3)  # the first one's result would be written now
                (tmp_path / "go-second").touch()
                said(second, "over")
            heard = said(first, "over")
    assert [line for line in heard if line.startswith("said")] == ["said answer of second"]
    assert sum(line.startswith("done") for line in heard) == 1
    assert (tmp_path / "noted").read_text() == "second\n"
    anyio.run(_look, place)
    with closing(open_transfer(place.database or tmp_path / "pagefault.db")) as database:
        assert [finding.what for finding in check(database, Quiet())] == []


async def _look(place: Place) -> None:
    """One answer, one result of each call, all of the second process."""
    store = place.store()
    ana = (await store.read(lambda tx: tx.agents()))[0].id
    rows = await store.read(lambda tx: tx.messages(ana))
    assert [row.text for row in rows if row.role is Role.ASSISTANT] == ["answer of second"]
    results = Counter(row.call_id for row in rows if row.role is Role.RESULT)
    calls = [row.call_id for row in rows if row.role is Role.CALL]
    assert results == Counter(calls)
    assert next(row.text for row in rows if row.role is Role.RESULT) == "waited in second"
    assert [event.state for event in await store.read(lambda tx: tx.events(ana))] == ["done"]
    assert len(await store.read(lambda tx: tx.passages(ana, [1, 2, 3]))) == 1
    await store.close()
