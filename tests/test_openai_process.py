"""A client of OpenAI takes up a stream whose server was killed in the middle of a text."""

from __future__ import annotations

import signal
from contextlib import suppress
from pathlib import Path

import pytest
from httpx2 import RemoteProtocolError
from openai import APIConnectionError, OpenAI
from openai.types.responses import ResponseStreamEvent

from pagefault.models import Completion
from pagefault.testing.providers import ProviderServer
from test_server_process import HELD, TEXT, home, process

pytestmark = pytest.mark.slow

__all__ = ["home"]


def delta_text(events: list[ResponseStreamEvent]) -> str:
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


def test_a_stream_is_taken_up_behind_a_kill(home: Path) -> None:
    with ProviderServer([HELD, Completion(TEXT)]) as provider:
        seen = list[ResponseStreamEvent]()
        with process(home, provider.environment) as (server, url):
            with (
                OpenAI(base_url=f"{url}/v1", api_key="none") as client,
                suppress(RemoteProtocolError, APIConnectionError),
            ):
                for event in client.responses.create(model="ana", input="Hi", stream=True):
                    seen.append(event)
                    if event.type == "response.output_text.delta":
                        server.send_signal(signal.SIGKILL)
            assert server.wait(60) == -signal.SIGKILL
        assert seen[0].type == "response.created"
        assert 0 < len(delta_text(seen)) < len(TEXT)
        id, position = seen[0].response.id, seen[-1].sequence_number
        with (
            process(home, provider.environment) as (_, url),
            OpenAI(base_url=f"{url}/v1", api_key="none") as client,
        ):
            rest = list(client.responses.retrieve(id, stream=True, starting_after=position))
            assert delta_text(seen) + delta_text(rest) == TEXT
            assert client.responses.retrieve(id).output_text == TEXT
        assert len(provider.seen) == 2  # the turn was carried on, and no message came twice
