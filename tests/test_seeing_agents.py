"""Agents that see, over real HTTP: from an event with images to the bytes that their model's server gets."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from image_files import GIF, PNG, png
from pagefault import Event
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import AgentSettings, Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.images import Image, read_image
from pagefault.kernel import Kernel
from pagefault.media import NOT_SHOWN
from pagefault.models import Call, Completion, Usage
from pagefault.storage import Transaction
from pagefault.testing.providers import ProviderRequest, ProviderServer, Turn, refuse
from pagefault.testing.providers.replies import spoken
from pagefault.types import Message, Output

pytestmark = pytest.mark.anyio

CAT = Event("message", "What is this?", contents=(read_image(PNG, "cat.png"),))
DOG = Event("message", "And this?", contents=(read_image(GIF, "dog.gif"),))
SEEN = {name: b64encode(data).rstrip(b"=") for name, data in {"cat": PNG, "dog": GIF}.items()}
NO_IMAGES = refuse(400, "m is not a multimodal model")


def draw() -> Image:
    """Draw a chart."""
    return Image(png(64, 48), "chart.png")


@asynccontextmanager
async def agent(home: Path, model: str, **settings: Any) -> AsyncGenerator[Kernel]:
    parts = Parts(embedder=NullEmbedder(), tools=(draw,))
    async with open_kernel(home, parts, Installation(agent=AgentSettings(window=16_384))) as kernel:
        await kernel.create_agent("ana", parse_settings({"model": model, "window": 16_384, **settings}))
        yield kernel


async def say(kernel: Kernel, event: str | Event) -> list[Output]:
    return [output async for output in kernel.send("ana", event)]


async def log(kernel: Kernel) -> list[Message]:
    record = await kernel.record("ana")
    return await kernel.store.read(lambda tx: tx.messages(record.id))


async def ratio(kernel: Kernel) -> float:
    id = (await kernel.record("ana")).id

    def read(tx: Transaction) -> float:
        record = tx.agent_by_id(id)
        assert record
        return record.queue.ratio

    return await kernel.store.read(read)


def seen(server: ProviderServer) -> list[list[str]]:
    """The images in each request, by name; Gemini's are in the form of base64 for URLs."""
    bodies = [body.replace(b"-", b"+").replace(b"_", b"/") for body in server.bodies]
    return [[name for name, data in SEEN.items() if data in body] for body in bodies]


@pytest.fixture(params=["openai", "anthropic", "gemini", "ollama"])
def model_at(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[[ProviderServer], str]:
    """Gives the name of a model of one shape at a server."""
    name = {
        "anthropic": "anthropic:claude-haiku-4-5",
        "gemini": "google:gemini-2.5-flash",
        "ollama": "ollama:m",
    }

    def point(server: ProviderServer) -> str:
        for variable, value in server.environment.items():
            monkeypatch.setenv(variable, value)
        return name.get(request.param, f"{server.url}#m")

    return point


async def test_an_image_is_sent_in_each_shape_until_it_is_evicted(
    tmp_path: Path, model_at: Callable[[ProviderServer], str]
) -> None:
    with ProviderServer(lambda request: spoken(request, "I see.")) as server:
        async with agent(tmp_path, model_at(server)) as kernel:
            await say(kernel, CAT)
            await say(kernel, DOG)
            assert seen(server) == [["cat"], ["cat", "dog"]]
            assert await kernel.flush("ana")
            await say(kernel, "Still there?")
    assert seen(server)[-1] == []


async def test_a_blind_model_is_sent_the_line_alone(tmp_path: Path) -> None:
    with ProviderServer(lambda request: spoken(request, "ok")) as server:
        async with agent(tmp_path, f"{server.url}#gpt-3.5-turbo") as kernel:
            await say(kernel, CAT)
            (row, *_) = await log(kernel)
    assert seen(server) == [[]]
    last = server.requests[0]["messages"][-1]["content"]
    assert last.splitlines()[-2:] == [f"[image cat.png, 3 x 2, {len(PNG)} bytes]", NOT_SHOWN]
    assert row.meta.shown_images == ()


async def test_a_model_that_turns_blind_in_the_middle_goes_on(tmp_path: Path) -> None:
    eyes = [True]

    def turn(request: ProviderRequest) -> Turn:
        sees = eyes[0] or b"image_url" not in request.raw
        return spoken(request, "ok") if sees else NO_IMAGES

    with ProviderServer(turn) as server:
        async with agent(tmp_path, f"{server.url}#m") as kernel:
            await say(kernel, CAT)
            eyes[0] = False
            outputs = await say(kernel, "And now?")
            (notice,) = (output.text for output in outputs if output.type == "noticed")
            assert "does not take images" in notice
            assert [output.text for output in outputs if output.type == "said"] == ["ok"]
            noted = [row.meta.notes for row in await log(kernel) if row.meta.notes]
            assert noted == [(notice,)]
            await say(kernel, DOG)
            shown = {media.name: row.meta.images for row in await log(kernel) for media in row.meta.media}
            assert shown == {"cat.png": 1, "dog.gif": 0}
    assert seen(server) == [["cat"], ["cat"], [], []]
    kept = json.loads((tmp_path / "models.json").read_text())
    assert kept == {f"{server.url}#m": {"calling": "", "images": False, "late_thinking": False}}


async def test_a_model_that_is_set_later_and_sees_is_not_shown_what_was_hidden(tmp_path: Path) -> None:
    with ProviderServer(lambda request: spoken(request, "ok")) as server:
        async with agent(tmp_path, f"{server.url}#m", images=False) as kernel:
            await say(kernel, CAT)
            settings = dict((await kernel.record("ana")).settings) | {"images": True}
            await kernel.change_settings("ana", parse_settings(settings))
            await say(kernel, DOG)
    assert seen(server) == [[], ["dog"]]


async def test_each_request_begins_with_the_whole_of_the_one_before(tmp_path: Path) -> None:
    with ProviderServer(lambda request: spoken(request, "ok")) as server:
        async with agent(tmp_path, f"{server.url}#m") as kernel:
            for event in (CAT, "go on", DOG, CAT):
                await say(kernel, event)
    messages = [body["messages"] for body in server.requests]
    for before, after in pairwise(messages):
        assert after[: len(before)] == before


async def test_an_image_that_a_tool_returns_is_seen_in_the_next_request(tmp_path: Path) -> None:
    def turn(request: ProviderRequest) -> Turn:
        if len(server.seen) > 1:
            return spoken(request, "A chart.")
        return Completion(calls=(Call("c1", "draw", '{"request_heartbeat": true}'),))

    with ProviderServer(turn) as server:
        async with agent(tmp_path, f"{server.url}#m") as kernel:
            await say(kernel, "Draw.")
    assert b64encode(png(64, 48)) in server.bodies[1]
    roles = [message["role"] for message in server.requests[1]["messages"]]
    assert roles[-3:] == ["assistant", "tool", "user"]


async def test_what_images_take_spoils_no_ratio_and_is_no_truncation(tmp_path: Path) -> None:
    """A server that reports twenty times what an image counts, then one that reports nothing of it."""
    reported = [4000]

    def turn(request: ProviderRequest) -> Turn:
        made = spoken(request, "ok")
        return Completion(made.text, made.calls, Usage(reported[0], 1))

    with ProviderServer(turn) as server:
        async with agent(tmp_path, f"{server.url}#m") as kernel:
            await say(kernel, "hello")
            before = await ratio(kernel)
            for reported[0] in (60_000, 600, 600, 600):
                await say(kernel, CAT)
                assert await ratio(kernel) == before
            rows = await log(kernel)
            assert [row for row in rows if row.name == "truncated"] == []
            assert [bool(usage.images) for row in rows for usage in row.usage] == [False, *[True] * 4]
