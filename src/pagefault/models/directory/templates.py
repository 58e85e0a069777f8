"""The functions of a server's chat template: one without them drops all that it is offered, in silence.

llama.cpp says of its template whether it has functions. Only servers that may be llama.cpp are asked, once a
process, and one that does not say so is believed to have them. Left out: noticing it by the tokens that are
reported (``wrappers.function_calling.unseen``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from pagefault.models.directory.server_facts import facts_client, json_from
from pagefault.models.directory.targets import Target
from pagefault.models.endpoint import Endpoint

__all__ = ["Templates"]

_OTHERS = frozenset(("vllm", "lmstudio", "ollama"))
"""The providers of this machine that are known to be no llama.cpp."""

_MOST_TRIES = 3  # times that a server is asked which does not answer


@dataclass(slots=True)
class Templates:
    """Knows the servers whose template has no functions, by their addresses."""

    _lacking: dict[str, bool] = field(default_factory=dict[str, bool])
    _silent: dict[str, int] = field(default_factory=dict[str, int])  # how often a server did not answer

    async def drops_functions(self, target: Target) -> bool:
        """Return True if the server says that its template has no functions."""
        endpoint = target.endpoint
        url = endpoint.base_url
        may_say = target.provider.adapter == "openai" and endpoint.provider not in _OTHERS
        if not may_say or not url.startswith("http:"):
            return False
        if url not in self._lacking:
            said = await _capabilities(endpoint)
            if said is None:  # it cannot be reached, or is loading; the request itself will say so
                self._silent[url] = self._silent.get(url, 0) + 1
                if self._silent[url] < _MOST_TRIES:
                    return False
                said = dict[str, Any]()
            self._lacking[url] = said.get("supports_tools") is False
        return self._lacking[url]


async def _capabilities(endpoint: Endpoint) -> Mapping[str, Any] | None:
    """Return what the server says of its template, empty if it says nothing; None if it does not answer."""
    root = endpoint.base_url.rstrip("/").removesuffix("/v1")
    async with facts_client(endpoint) as client:
        status, props = await json_from(client, f"{root}/props")
    if not status or status >= 500:
        return None
    return _fields(_fields(props).get("chat_template_caps"))


def _fields(value: object) -> Mapping[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
