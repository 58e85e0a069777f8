"""Asking a server for facts about itself: quickly, quietly, with its own key. Left out: the facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagefault.models.endpoint import Endpoint

if TYPE_CHECKING:
    from httpx2 import AsyncClient

__all__ = ["facts_client", "json_from"]

_TIMEOUT = 2.0  # seconds; a running server answers at once


def facts_client(endpoint: Endpoint) -> AsyncClient:
    """Return a client for one server, to be closed by its ``async with``."""
    from pagefault.connections.client import http_client

    headers = dict(endpoint.headers)
    if endpoint.key:
        headers["authorization"] = f"Bearer {endpoint.key}"
    return http_client(timeout=_TIMEOUT, headers=headers)


async def json_from(client: AsyncClient, url: str, body: object = None) -> tuple[int, object]:
    """Return the status of a server's answer, 0 if there is none, and the JSON value in it, None if it is a
    failure or no JSON. With a ``body`` it is posted."""
    from httpx2 import HTTPError, InvalidURL

    try:
        answer = await (client.get(url) if body is None else client.post(url, json=body))
        return answer.status_code, answer.json() if answer.is_success else None
    except (HTTPError, InvalidURL):
        return 0, None
    except ValueError:
        return 200, None
