"""The documented examples of each provider's stream, rewritten by hand, through the real client libraries.

Each file in ``tests/wire`` says what must come of it, then has the bytes as they are sent.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from adapters import error_of, streamed
from pagefault.errors import ModelUnavailable
from pagefault.models import Completion, Delta, Usage
from pagefault.testing.models import end_of
from pagefault.testing.providers import RawReply

pytestmark = pytest.mark.anyio

FILES = sorted((Path(__file__).parent / "wire").glob("*.txt"))


REASON = re.compile(rb'"(finish_reason|stop_reason|done_reason|finishReason)": ?"|"error"')


def read(file: Path) -> tuple[dict[str, Any], tuple[bytes]]:
    """What must come of it, and the bytes."""
    expected, _, raw = file.read_bytes().partition(b"\n---\n")
    return json.loads(expected), (raw,)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_a_documented_stream_is_read(file: Path) -> None:
    expected, raw = read(file)
    reply = RawReply(raw, done=False)
    if kind := expected.get("error"):
        assert type(await error_of(expected["name"], reply)).__name__ == kind
        return
    items = await streamed(expected["name"], [reply])
    end = end_of(items)
    calls = [(call.id, call.name, json.loads(call.arguments)) for call in end.calls]
    wanted = [(id or end.calls[n].id, *rest) for n, (id, *rest) in enumerate(expected.get("calls", []))]
    assert calls == wanted
    assert all(id for id, *_ in calls)
    rest = Completion(
        expected.get("text", ""), end.calls, Usage(*expected["usage"]), expected.get("thinking", ""),
        expected.get("echo"), expected.get("cut", False), end.model,
    )  # fmt: skip
    assert end == rest
    thought = [item.text for item in items if isinstance(item, Delta) and item.thinking]
    said = [
        item.text for item in items if isinstance(item, Delta) and item.call is None and not item.thinking
    ]
    assert ("".join(said), "".join(thought)) == (end.text, end.thinking)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_a_stream_that_ends_before_its_reason_is_not_taken_for_a_whole_one(file: Path) -> None:
    expected, (raw,) = read(file)
    events = [event + b"\n\n" for event in raw.split(b"\n\n")]
    if len(events) == 1:
        events = raw.splitlines(keepends=True)
    reasons = (n for n, event in enumerate(events) if REASON.search(event))
    last = next(reasons, len(events) - 1)
    for most in range(1, last + 1):
        error = await error_of(expected["name"], RawReply(tuple(events[:most]), done=False))
        assert type(error) is ModelUnavailable
        assert str(error).startswith("The answer of ")
        assert str(error).endswith("was cut off; try again.")
