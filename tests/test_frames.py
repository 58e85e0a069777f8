"""The depth of the house: how many frames of ours stand between an event and the bytes of a request, and
between a commit and the SQL of a passage. Seen by the interpreter's own profiling hook; nothing is replaced.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import pagefault
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.models import Completion
from pagefault.testing.models import call, say
from pagefault.testing.providers import ProviderServer

pytestmark = pytest.mark.anyio

OURS = str(Path(pagefault.__file__).parent)

# Budgets of the design. To change one, change it here, with the reason beside it.
# From the task that serves the agent. The design has 10; one more is the transport under all clients, which
# sends again what failed on a dead idle connection and says what is wrong with a proxy or a certificate.
TO_HTTP = 11
TO_SQL = 6  # in the store's thread, from the work of the transaction to the row; its index entries are deeper


def frames_of_ours(frame: FrameType | None) -> list[str]:
    """The functions of this package on the stack, innermost first."""
    found: list[str] = []
    while frame:
        if frame.f_code.co_filename.startswith(OURS):
            found.append(f"{Path(frame.f_code.co_filename).relative_to(OURS)}:{frame.f_code.co_name}")
        frame = frame.f_back
    return found


@contextmanager
def stacks() -> Generator[dict[str, list[list[str]]]]:
    """Our part of the stack at each HTTP request and at each statement of an archival insert."""
    seen: dict[str, list[list[str]]] = {"http": [], "sql": []}

    def look(frame: FrameType, event: str, argument: Any) -> None:
        file, name = frame.f_code.co_filename, frame.f_code.co_name
        if event == "call" and name == "handle_async_request" and "httpcore" in file:
            seen["http"].append(frames_of_ours(frame))
        elif event == "c_call" and getattr(argument, "__name__", "").startswith("execute"):
            found = frames_of_ours(frame)
            if any(place.endswith(":archival_insert") for place in found):
                seen["sql"].append(found)

    threading.setprofile(look)
    sys.setprofile(look)
    try:
        yield seen
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


async def test_a_turn_is_not_deep(tmp_path: Path) -> None:
    saved = call("archival_insert", text="Clara plays the piano.", heartbeat=True)
    turns = [Completion(calls=(saved,)), Completion(calls=(say("Noted."),))]
    with ProviderServer(turns) as server, stacks() as seen:
        parts = Parts(embedder=NullEmbedder())
        async with open_kernel(tmp_path, parts, Installation()) as kernel:
            settings = {"zone": "UTC", "model": f"{server.url}/v1#m", "window": 8192}
            await kernel.create_agent("ana", parse_settings(settings))
            outputs = [output async for output in kernel.send("ana", "Clara plays the piano.")]
    assert [o.text for o in outputs if o.type == "said"] == ["Noted."]
    http = max(seen["http"], key=len)
    assert len(http) <= TO_HTTP, "\n".join(http)
    passage = {"storage/sql/archive.py:insert_passages", "storage/sqlite/connection.py:insert"}
    inserts = [place for place in seen["sql"] if passage <= set(place)]
    work = min((place[: place.index("agent/turn_writer.py:_append") + 1] for place in inserts), key=len)
    assert len(work) <= TO_SQL, "\n".join(work)
