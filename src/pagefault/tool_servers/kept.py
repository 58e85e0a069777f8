"""The file of a home on servers of tools: their tools as last listed, and what is allowed.

With the last listing an agent's prompt is the same while a server is away. Without a file, as when the home
cannot be written to, it is known as long as the process lasts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any, cast

from pagefault.kept import keep
from pagefault.tool_servers.definitions import ToolDefinition, definition_of

__all__ = ["KeptServer", "KeptServers"]

_LARGEST = 64 << 20  # bytes of the file
_PATIENCE = 10.0  # seconds that a process which changes the file is waited for


@dataclass(slots=True)
class KeptServer:
    """The knowledge of one server. ``tools``: as last listed, None: never; ``seen``: the definition by which
    a tool ran unasked for the first time, or empty if it was asked for; ``allowed``: those that a person
    allowed. Both are hashes by name."""

    tools: tuple[ToolDefinition, ...] | None = None
    seen: dict[str, str] = field(default_factory=dict[str, str])
    allowed: dict[str, str] = field(default_factory=dict[str, str])


class KeptServers:
    """The file, read anew when it has changed: other processes write it too."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known: dict[str, KeptServer] = {}
        self._stamp: tuple[int, int, int] | None = None
        self._lock = Lock()

    def read(self, name: str) -> KeptServer:
        """Return what is known of a server now: a copy."""
        known = self._read().get(name) or KeptServer()
        return replace(known, seen=dict(known.seen), allowed=dict(known.allowed))

    def change(self, name: str, edit: Callable[[KeptServer], None]) -> None:
        """Change what is known of a server; one at a time, over all processes that have this home."""
        with self._lock, self._held():
            server = self.read(name)
            edit(server)
            everything = {**self._read(), name: server}
            self._known = everything
            if self._path is not None:
                stored = {each: asdict(values) for each, values in everything.items()}
                keep(self._path, json.dumps(stored, ensure_ascii=False))
                self._stamp = self._stamp_of()

    @contextmanager
    def _held(self) -> Generator[None]:
        """Keep other processes from changing the file; not in a home in which nothing can be written."""
        from filelock import FileLock, Timeout

        with ExitStack() as stack:
            if self._path is not None:
                with suppress(OSError, Timeout):
                    self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                    lock = FileLock(self._path.with_suffix(".lock"), timeout=_PATIENCE, mode=0o600)
                    stack.enter_context(lock)
            yield

    def _read(self) -> dict[str, KeptServer]:
        """All that is known; from the file if that has changed since."""
        stamp = self._stamp_of()
        if stamp is not None and stamp != self._stamp:
            self._known, self._stamp = _servers(self._path), stamp
        return self._known

    def _stamp_of(self) -> tuple[int, int, int] | None:
        try:
            about = self._path.stat() if self._path else None
        except OSError:  # nothing is kept yet
            return None
        return (about.st_ino, about.st_mtime_ns, about.st_size) if about else None


def _servers(path: Path | None) -> dict[str, KeptServer]:
    try:
        if path is None or path.stat().st_size > _LARGEST:
            return {}
        found: object = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):  # the file is damaged
        return {}
    items = cast("dict[str, object]", found).items() if isinstance(found, dict) else ()
    servers = {name: cast("dict[str, Any]", each) for name, each in items if isinstance(each, dict)}
    return {
        name: KeptServer(_tools(each.get("tools")), _hashes(each, "seen"), _hashes(each, "allowed"))
        for name, each in servers.items()
    }


def _tools(stored: object) -> tuple[ToolDefinition, ...] | None:
    if not isinstance(stored, list):
        return None
    read: Sequence[ToolDefinition | None] = [definition_of(each) for each in cast("list[object]", stored)]
    return tuple(each for each in read if each is not None)


def _hashes(values: dict[str, Any], key: str) -> dict[str, str]:
    found = values.get(key)
    items = cast("dict[str, object]", found).items() if isinstance(found, dict) else ()
    return {name: str(hash) for name, hash in items}
