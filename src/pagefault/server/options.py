"""The options of a server, which ``pagefault serve`` reads from its command line."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from pagefault.config import AgentSettings
from pagefault.mcp import DEFAULT_TOKENS

__all__ = ["ServerOptions"]


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """``agent``: the defaults of new agents. ``hosts``: further names by which requests may address the
    server, beside those of the loopback. ``body``: the most bytes of a request, ``upload``: of one with
    files. ``heartbeat``: seconds between comments on an idle stream; ``recheck``: between two looks
    at the key of one. ``grace``: seconds for open turns to end
    when the server stops. ``rate``: requests a minute that a key may send, 0 for no
    limit. ``user_secret``: the secret with which Open WebUI signs its users. ``mcp_tokens``: the most tokens
    of one result of MCP; ``mcp_seconds``: how long its ``send_message`` waits for a reply.
    ``session_secret``: signs the sessions of the inspector; servers behind one address have the same."""

    host: str = "127.0.0.1"
    port: int = 8283
    agent: AgentSettings = field(default_factory=AgentSettings)
    hosts: tuple[str, ...] = ()
    body: int = 16 << 20
    upload: int = 256 << 20
    heartbeat: float = 15.0
    grace: float = 30.0
    recheck: float = 5.0
    rate: int = 600
    user_secret: str = field(default="", repr=False)
    mcp_tokens: int = DEFAULT_TOKENS
    mcp_seconds: float = 300.0
    session_secret: str = field(default_factory=secrets.token_urlsafe, repr=False)
