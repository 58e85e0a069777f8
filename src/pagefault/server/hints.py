"""Hints at the command line, in the sentences of our errors, as requests that a client can make.

The sentences are the kernel's and name a command; over HTTP the same is asked of the REST. What no request
does is left to whoever runs the server.
"""

from __future__ import annotations

import re

__all__ = ["REQUESTS", "for_clients"]

_AGENT = "/api/v1/agents/{name}"
REQUESTS = {
    "agent list": "GET /api/v1/agents",
    "agent create": "POST /api/v1/agents",
    "agent show": f"GET {_AGENT}",
    "agent release": f"POST {_AGENT}/release",
    "agent set": f"PATCH {_AGENT}",
    "approval list": "GET /api/v1/approvals",
    "approval grants": f"GET {_AGENT}/grants",
    "event list --parked": "GET /api/v1/inbox?parked=true",
    "schedule list": f"GET {_AGENT}/schedules",
    "trace": f"GET {_AGENT}/trace",
    "load": f"POST {_AGENT}/documents",
}
"""The commands that sentences name, each with the request that does the same."""
_ANY = "|".join(sorted(map(re.escape, REQUESTS), key=len, reverse=True))
_COMMAND = re.compile(rf"`pagefault (?:({_ANY})\b)?[^`]*`")


def for_clients(sentence: str) -> str:
    """A sentence with requests in the place of commands."""
    return _COMMAND.sub(_for_client, sentence)


def _for_client(found: re.Match[str]) -> str:
    return f"`{REQUESTS[found[1]]}`" if found[1] else f"{found[0]} on the server"
