"""The gate before a client: it passes on what was asked for, within bounds, and ends a connection that
floods.

A message may have so many bytes and parts. What was not asked for (notifications, requests of the server,
answers to nothing) may come now and then, and not all the time.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, cast

import anyio

from pagefault.errors import OperatorError
from pagefault.quoting import inline

if TYPE_CHECKING:
    from mcp_types import JSONRPCMessage

__all__ = ["LARGEST_MESSAGE", "MOST_PARTS", "Gate", "ServerFault"]

LARGEST_MESSAGE = 8 << 20
"""Bytes of a message: of a result with images in base64, or of a page of tools."""

MOST_PARTS = 200_000
"""Objects and lists in a message: reading them takes a fraction of a second."""

_BURST, _RATE = 2_000.0, 100.0  # unasked messages at once, and a second; a message counts for each 4 kB
_UNIT = 4_096
_SHOWN = 80  # characters of what is no message


class ServerFault(OperatorError):
    """A server of tools that cannot be used as it behaves; the message says why."""


class Gate:
    """The bounds of one connection. ``is_closed``: it is over, for the reason in ``why``; ``heard_at``: when
    the last message came; ``news``: set when it is over, or when the server says that its tools are others;
    ``dropped``: tools that were left out, because they are none of the protocol; ``stray``: the last line
    that was no message, as of a program that prints."""

    def __init__(self) -> None:
        self.is_closed = False
        self.is_ending = False
        self.why = ""
        self.dropped = 0
        self.stray = ""
        self.heard_at = 0.0
        self.news = anyio.Event()
        self._asked: set[str] = set()
        self._room, self._at = _BURST, monotonic()

    def close(self, why: str) -> None:
        """End the connection; the first reason counts."""
        if not self.is_closed:
            self.is_closed, self.why = True, why
            self.news.set()

    def lost(self, why: str) -> None:
        """End the connection from the server's side; not if it is being ended from ours, for a reason."""
        if not self.is_ending:
            self.close(why)

    def check(self, raw: bytes | bytearray) -> None:
        """Raise ``ServerFault`` for a message that is not even to be read."""
        if len(raw) > LARGEST_MESSAGE:
            raise ServerFault(f"it sent a message of more than {LARGEST_MESSAGE >> 20} MB")
        if raw.count(b"{") + raw.count(b"[") > MOST_PARTS:
            raise ServerFault(f"it sent a message of more than {MOST_PARTS:,} parts")

    def sent(self, message: JSONRPCMessage) -> None:
        """Note a message to the server."""
        if (id := getattr(message, "id", None)) is not None and hasattr(message, "method"):
            self._asked.add(str(id))

    def admit(self, message: JSONRPCMessage, size: int) -> None:
        """Note a message from the server; ``ServerFault`` if too many come unasked."""
        self.heard_at = monotonic()
        method = getattr(message, "method", None)
        if method is None and (id := str(getattr(message, "id", None))) in self._asked:
            self._asked.discard(id)
            return self._tidy(getattr(message, "result", None))
        if method == "notifications/tools/list_changed":
            self.news.set()
        self.charge(size)

    def stumble(self, line: bytes) -> None:
        """Note a line that is no message; ``ServerFault`` if it was to be an answer, for whose call nothing
        would come any more."""
        if line.strip():
            self.stray = inline(line[: 4 * _SHOWN].decode("utf-8", "replace"), _SHOWN)
        if self._asked and b'"jsonrpc"' in line and b'"id"' in line and b'"method"' not in line:
            raise ServerFault(f"it sent an answer that cannot be read: {self.stray}")
        self.charge(len(line) or 1)

    def charge(self, size: int) -> None:
        """Take what was not asked for off the allowance."""
        now = monotonic()
        self._room = min(_BURST, self._room + (now - self._at) * _RATE) - (1.0 + size / _UNIT) * bool(size)
        self._at = now
        if self._room < 0.0:
            raise ServerFault("it sends much that was not asked for")

    def _tidy(self, result: object) -> None:
        """Prepare a page of tools, of which one that is malformed would cost the others. Schemas of results
        are taken out: the client would check results by them, and a pattern may take for ever."""
        values = cast("dict[str, object]", result) if isinstance(result, dict) else {}
        listed = values.get("tools")
        if not isinstance(listed, list):
            return
        tools = [each for each in cast("list[object]", listed) if _is_tool(each)]
        self.dropped += len(cast("list[object]", listed)) - len(tools)
        for tool in tools:
            cast("dict[str, object]", tool).pop("outputSchema", None)
        values["tools"] = tools


def _is_tool(value: object) -> bool:
    tool = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    schema = tool.get("inputSchema")
    is_object = isinstance(schema, dict) and cast("dict[str, object]", schema).get("type") == "object"
    has_text = isinstance(tool.get("name"), str) and isinstance(tool.get("description", ""), str)
    return is_object and has_text and isinstance(tool.get("annotations") or {}, dict)
