"""Requests of OpenAI's protocols with anything in them: an answer or a sentence, no fault of the server."""

from __future__ import annotations

import json
import random
from typing import Any, cast

import pytest

from conftest import Machine, served
from pagefault.testing.models import ScriptedModel

pytestmark = pytest.mark.anyio

JSON = {"content-type": "application/json"}
VALUES: list[Any] = [
    None, True, 0, -1, 2**70, 1.5, "", "user", "text", "x" * 5000, "\0", "\u202e", "\ud800", "{{TASK}}", [],
    {}, [None], [[]], {"type": "text"}, {"type": "text", "text": 7},
    {"type": "image_url", "image_url": {"url": "/"}},
]  # fmt: skip
CHAT: dict[str, Any] = {
    "model": "ana", "stream": False, "stream_options": {"include_usage": True}, "n": 1, "tools": [],
    "messages": [{"role": "user", "name": "Ann", "content": [{"type": "text", "text": "Hi"}]}],
    "metadata": {"a": "b"}, "response_format": {"type": "text"},
}  # fmt: skip
RESPONSE: dict[str, Any] = {
    "model": "ana", "stream": False, "background": False, "conversation": {"id": "c"}, "tools": [],
    "input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
    "text": {"format": {"type": "text"}}, "previous_response_id": None, "metadata": {},
}  # fmt: skip


def changed(value: Any, rng: random.Random) -> Any:
    """The value with something else at one place."""
    if not value or not isinstance(value, dict | list) or rng.random() < 0.2:
        return rng.choice(VALUES)
    copy = cast("Any", value).copy()
    place = rng.choice(list(copy) if isinstance(value, dict) else range(len(copy)))
    copy[place] = changed(copy[place], rng)
    return copy


async def test_no_request_is_a_fault_of_the_server(machine: Machine) -> None:
    rng, statuses = random.Random(7), set[int]()
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        for _ in range(400):
            path, body = rng.choice([("chat/completions", CHAT), ("responses", RESPONSE)])
            for _ in range(rng.randint(0, 2)):
                body = changed(body, rng) if isinstance(body, dict) else body
            headers = JSON | ({"X-OpenWebUI-Chat-Id": "c"} if rng.random() < 0.1 else {})
            content = json.dumps(body)
            answer = await server.client.post(f"/v1/{path}", content=content, headers=headers)
            assert answer.status_code < 500, (body, answer.text)
            if answer.status_code != 200:
                assert answer.json()["error"]["message"]
            statuses.add(answer.status_code)
    assert statuses >= {200, 400, 404}
