"""Vectors of what a command loads or searches: made within a bound, and what waits is said."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from conftest import Run
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.cli.vectors import complete
from pagefault.config import AgentSettings
from pagefault.embedders import Embedder, Vectors
from pagefault.kernel.facts import remember
from pagefault.testing.embedders import HashEmbedder
from pagefault.testing.embeddings_server import Embeddings
from pagefault.testing.providers import ProviderServer, refuse


@pytest.fixture
def embedded(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A file to load into the agent `ana`, with an embedder whose server is not there."""
    run("agent", "create", "ana")
    monkeypatch.setenv("PAGEFAULT_EMBEDDER", "http://127.0.0.1:9/v1#m")
    (tmp_path / "tides.txt").write_text("The tide turns at noon.")
    return tmp_path / "tides.txt"


def rows(run: Run) -> list[object]:
    return [each["vectors"] for each in run("embedders", "--json").json if each["vectors"]]


def test_a_load_makes_the_vectors_of_what_it_loads(
    run: Run, embedded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ProviderServer(Embeddings()) as server:
        monkeypatch.setenv("PAGEFAULT_EMBEDDER", f"{server.url}#m")
        loaded = run("load", str(embedded), "--agent", "ana")
        assert (loaded.code, loaded.err) == (0, "")
        assert rows(run) == [{"rows": 1, "of": 1, "in_service": True}]


@pytest.mark.parametrize("command", ["recall", "archival"])
def test_a_search_makes_the_vectors_that_wait(
    run: Run, embedded: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ProviderServer(Embeddings()) as server:
        monkeypatch.setenv("PAGEFAULT_EMBEDDER", f"{server.url}#m")
        run("archival", "insert", embedded.read_text(), "--agent", "ana")
        assert not any(request.get("input") == [embedded.read_text()] for request in server.requests)
        run("recall", "search", "--agent", "ana")  # a list by time needs none
        assert rows(run) == [{"rows": 0, "of": 1, "in_service": True}]
        assert run(command, "search", "noon", "--agent", "ana").err == ""
        assert rows(run) == [{"rows": 1, "of": 1, "in_service": True}]


def test_a_load_that_cannot_make_them_says_why_and_what_waits(
    run: Run, embedded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ProviderServer(Embeddings([refuse(401, "no")] * 9)) as server:
        monkeypatch.setenv("PAGEFAULT_EMBEDDER", f"{server.url}#m")
        loaded = run("load", str(embedded), "--agent", "ana", "--json")
    assert loaded.code == 0
    assert [item["state"] for item in loaded.json["documents"]] == ["loaded"]
    why, waits = loaded.err.splitlines()
    assert why.startswith(f"Vectors are not made: m at {server.url} wants a key; set PAGEFAULT_EMBEDDER_KEY")
    assert waits.startswith("1 of 1 messages and passages have no vector yet and are found by their words")


def test_a_server_with_another_model_under_the_same_name_is_named(
    run: Run, embedded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was embedded stays, the rest and each search go by words."""
    embeddings = Embeddings()
    with ProviderServer(embeddings) as server:
        monkeypatch.setenv("PAGEFAULT_EMBEDDER", f"{server.url}#m")
        run("load", str(embedded), "--agent", "ana")
        embeddings.dimensions = 5
        embedded.with_name("moon.txt").write_text("The moon makes the tide.")
        loaded = run("load", str(embedded.with_name("moon.txt")), "--agent", "ana")
        found = run("archival", "search", "tide", "--agent", "ana", "--json")
    assert loaded.code == found.code == 0
    assert "Vectors are not made" in loaded.err
    assert "another model" in loaded.err
    assert found.json["total"] == 2


class Slow(HashEmbedder):
    """Embeds so many batches, then never again."""

    def __init__(self, batches: int) -> None:
        super().__init__(32)
        self.batches = batches
        self.stuck = asyncio.Event()

    async def embed(self, texts: Sequence[str]) -> Vectors:
        if self.batches == 0:
            self.stuck.set()
            await asyncio.Event().wait()
        self.batches -= 1
        return await super().embed(texts)


async def completed(
    home: Path,
    embedder: Embedder,
    seconds: float,
    stuck: asyncio.Event | None = None,
    grace: float = 60.0,
) -> None:
    async def work() -> None:
        await complete(kernel, seconds, grace=grace)

    kernel = open_kernel(home, Parts(embedder=embedder))
    try:
        await kernel.create_agent("ana", AgentSettings())
        for number in range(70):
            await remember(kernel, "ana", f"Fact {number}.")
        task = asyncio.create_task(work())
        if stuck:
            await stuck.wait()
            task.cancel()
        await task
    finally:
        await kernel.close()


def test_the_batch_at_work_at_the_bound_is_stored(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    asyncio.run(completed(tmp_path, HashEmbedder(32), 0.0))
    assert capfd.readouterr().err.startswith("6 of 70 messages and passages have no vector yet")


def test_a_batch_without_end_is_given_up(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    asyncio.run(completed(tmp_path, Slow(0), 0.0, grace=0.05))
    assert capfd.readouterr().err.startswith("70 of 70 messages and passages have no vector yet")


def test_being_stopped_leaves_what_is_stored_and_says_what_waits(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async def story() -> None:
        slow = Slow(1)
        await completed(tmp_path, slow, 60.0, slow.stuck)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(story())
    assert capfd.readouterr().err.startswith("6 of 70 messages and passages have no vector yet")


def test_with_nothing_to_make_nothing_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    asyncio.run(completed(tmp_path, HashEmbedder(32), 60.0))
    assert capfd.readouterr().err == ""
