"""The servers that are given the key for servers which are named by their URL.

Those that the person named: in the settings of the installation, on the command line, in a program. An
agent's stored settings name none, because an agent may come from elsewhere. Left out: keys of providers,
whose addresses come from the table, the environment and ``config.toml`` alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import cast

from pagefault.addresses import server_of
from pagefault.kept import keep
from pagefault.models.directory.providers import SERVER_KEY

__all__ = ["ServerKeys"]


class ServerKeys:
    """``names`` are the models that the installation's settings name; the servers that are named later are
    kept in the file at ``path``, if there is one."""

    def __init__(self, names: str, path: Path | None = None) -> None:
        self._named = set(_servers(names))
        self._path = path

    def may_go_to(self, url: str) -> bool:
        """Return True if the key is for this server."""
        server = server_of(url)
        return server in self._named or server in self._kept()

    def add(self, names: str) -> tuple[str, ...]:
        """Let the servers that the person names have the key from now on; return those that are new."""
        new = tuple(server for server in _servers(names) if not self.may_go_to(server))
        self._named.update(new)
        if new and self._path:
            kept = json.dumps(sorted({*self._kept(), *new}), indent=2)
            keep(self._path, kept)
        return new

    def refusal(self, name: str) -> str:
        """Return the end of a sentence, for a server that wants the key and may not have it."""
        return f"{SERVER_KEY} is not for it; if it is, run: `pagefault models trust {name}`"

    def _kept(self) -> list[str]:
        if self._path is None:
            return []
        try:
            found: object = json.loads(self._path.read_text("utf-8"))
        except (OSError, ValueError):  # none was named yet, or the file is damaged
            return []
        return [str(server) for server in cast("list[object]", found)] if isinstance(found, list) else []


def _servers(names: str) -> Iterable[str]:
    for name in names.split(","):
        url = name.strip().partition("#")[0]
        if url.startswith(("http://", "https://")) and (server := server_of(url)):
            yield server
