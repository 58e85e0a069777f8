"""Embedders behind a server, over real HTTP: which server a name means, batches, odd texts, faults."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import anyio
import numpy as np
import pytest

from pagefault.embedders import Embedder, Vectors
from pagefault.embedders.remote import AT_ONCE, BATCH_CHARACTERS, BATCH_TEXTS, RemoteEmbedder
from pagefault.embedders.servers import Server, server_of
from pagefault.errors import EmbedderError, EmbedderSetupError, UsageError
from pagefault.testing.embedders import TEXTS, EmbedderConformance
from pagefault.testing.embeddings_server import Embeddings, Fault, vectors_of
from pagefault.testing.providers import Body, ProviderRequest, ProviderServer, RawReply, Refused, refuse

KEY = "sk-secret-0123456789"
RESET = RawReply(cut=True)


@pytest.fixture(scope="module")
def server() -> Iterator[ProviderServer]:
    with ProviderServer(Embeddings()) as server:
        yield server


def embedder_at(server: ProviderServer, **options: Any) -> RemoteEmbedder:
    target = Server(f"{server.url}#m", "m", server.url, KEY, "SOME_KEY", "run `mend it`")
    return RemoteEmbedder(target, **{"max_retries": 0, **options})


def embed(embedder: RemoteEmbedder, *calls: Sequence[str]) -> list[Vectors]:
    """The calls one after the other, in one event loop."""

    async def run() -> list[Vectors]:
        try:
            return [await embedder.embed(texts) for texts in calls]
        finally:
            await embedder.aclose()

    return anyio.run(run)


def embedded(texts: Sequence[str], embeddings: Embeddings, **options: Any) -> Vectors:
    with ProviderServer(embeddings) as server:
        return embed(embedder_at(server, **options), texts)[0]


def error_of(*faults: Fault, texts: Sequence[str] = ("one", "two"), **options: Any) -> EmbedderError:
    with pytest.raises(EmbedderError) as raised:
        embedded(texts, Embeddings(faults), **options)
    return raised.value


def unit(texts: Sequence[str], dimensions: int = 8) -> Vectors:
    vectors = vectors_of(texts, dimensions)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class Suite(EmbedderConformance):
    async def close(self, embedder: Embedder) -> None:
        assert isinstance(embedder, RemoteEmbedder)
        await embedder.aclose()


class TestOpenAI(Suite):
    @pytest.fixture(autouse=True)
    def served(self, server: ProviderServer) -> None:
        target = server_of("openai:m", {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.url})
        assert target
        self.one = RemoteEmbedder(target)

    def embedder(self) -> Embedder:
        return self.one


class TestOllama(Suite):
    @pytest.fixture(autouse=True)
    def served(self, server: ProviderServer) -> None:
        target = server_of("ollama:m", {"OLLAMA_HOST": server.url.removesuffix("/v1")})
        assert target
        self.one = RemoteEmbedder(target)

    def embedder(self) -> Embedder:
        return self.one


class TestAnyServer(Suite):
    """One that takes few texts at a time, cuts connections, and sends lists of numbers."""

    @pytest.fixture(autouse=True)
    def served(self) -> Iterator[None]:
        with ProviderServer(Embeddings(faults=[RESET], plain=True, batch=2)) as server:
            target = server_of(f"{server.url}#m", {})
            assert target
            self.one = RemoteEmbedder(target)
            yield

    def embedder(self) -> Embedder:
        return self.one


# names


def test_openai_is_named_by_its_model_and_wants_a_key() -> None:
    found = server_of("openai:text-embedding-3-small", {"OPENAI_API_KEY": KEY})
    assert found
    assert (found.fingerprint, found.model, found.url, found.key) == (
        "openai:text-embedding-3-small", "text-embedding-3-small", None, KEY,
    )  # fmt: skip
    with pytest.raises(EmbedderSetupError, match="set OPENAI_API_KEY"):
        server_of("openai:text-embedding-3-small", {})


def test_a_key_is_trimmed_and_must_be_one_that_can_be_sent() -> None:
    found = server_of("openai:m", {"OPENAI_API_KEY": f" {KEY}\n"})
    assert found
    with pytest.raises(UsageError, match="OPENAI_API_KEY holds characters"):
        server_of("openai:m", {"OPENAI_API_KEY": "schlüssel"})


def test_another_address_for_openai_is_another_fingerprint_and_needs_no_key() -> None:
    found = server_of("openai:m", {"OPENAI_BASE_URL": "http://127.0.0.1:1234/v1/"})
    assert found
    assert (found.fingerprint, found.url) == ("http://127.0.0.1:1234/v1#m", "http://127.0.0.1:1234/v1")
    assert not found.has_key


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("127.0.0.1", "http://127.0.0.1:11434"),
        ("box:8000", "http://box:8000"),
        (":8000", "http://127.0.0.1:8000"),
        ("0.0.0.0:8000", "http://127.0.0.1:8000"),
        ("http://box:8000/", "http://box:8000"),
        ("https://box", "https://box"),
        ("[::1]", "http://[::1]:11434"),
        ("[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_ollama_is_where_its_own_variable_says(host: str, url: str) -> None:
    found = server_of("ollama:nomic-embed-text:latest", {"OLLAMA_HOST": host, "OPENAI_API_KEY": KEY})
    assert found
    assert (found.url, found.fingerprint) == (f"{url}/v1", "ollama:nomic-embed-text")
    assert not found.has_key


def test_a_url_names_its_model_in_the_fragment() -> None:
    name = "https://example.org/v1/#BAAI/bge-m3:8b@q8"
    found = server_of(name, {"OPENAI_API_KEY": "not for others", "PAGEFAULT_EMBEDDER_KEY": KEY})
    assert found
    assert (found.url, found.model, found.key) == ("https://example.org/v1", "BAAI/bge-m3:8b@q8", KEY)
    assert KEY not in repr(found)


@pytest.mark.parametrize(
    "name",
    [
        "http://127.0.0.1:8080/v1",
        "http://127.0.0.1:8080/v1#",
        "http://#m",
        "http:#m",
        "http://[::1#m",
        "http://127.0.0.1:0/v1#m",
        "https://ada:hunter2@[::1#m",
        "http://127.0.0.1:eighty/v1#m",
        "https://ada:hunter2@example.org/v1#m",
        "https://example.org/v1?key=hunter2#m",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_showing_secrets(name: str) -> None:
    with pytest.raises(UsageError) as raised:
        server_of(name, {})
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("name", ["minilm", "openai:", "ollama:", "cohere:embed", ""])
def test_other_names_are_none_of_these(name: str) -> None:
    assert server_of(name, {"OPENAI_API_KEY": KEY}) is None


# requests


def test_texts_go_out_in_batches_and_come_back_in_order() -> None:
    texts = [f"text {number}" for number in range(3 * BATCH_TEXTS + 1)]
    with ProviderServer(Embeddings()) as server:
        (vectors,) = embed(embedder_at(server), texts)
        sizes = sorted(len(body["input"]) for body in server.requests)
    assert sizes == [1, BATCH_TEXTS, BATCH_TEXTS, BATCH_TEXTS]
    np.testing.assert_allclose(vectors, unit(texts), atol=1e-6)


def test_a_batch_is_bounded_in_characters_too() -> None:
    texts = [letter * 30_000 for letter in "abcdefg"]
    with ProviderServer(Embeddings(window=30_000)) as server:
        embed(embedder_at(server), texts)
        assert sorted(len(body["input"]) for body in server.requests) == [1, 3, 3]
        assert all(sum(map(len, body["input"])) <= BATCH_CHARACTERS for body in server.requests)


def test_some_requests_are_open_at_a_time_and_no_more() -> None:
    embeddings = Embeddings()
    together = threading.Barrier(AT_ONCE)
    open_now: list[int] = []
    most: list[int] = []

    def slow(request: ProviderRequest) -> RawReply | Refused:
        open_now.append(1)
        most.append(len(open_now))
        together.wait(60)
        open_now.pop()
        return embeddings(request)

    with ProviderServer(slow) as server:
        embed(embedder_at(server), ["x"] * (2 * AT_ONCE * BATCH_TEXTS))
    assert max(most) == AT_ONCE


def test_what_servers_refuse_is_not_sent() -> None:
    with ProviderServer(Embeddings()) as server:
        embed(embedder_at(server), ["", " \n", "a\0b", "half \ud83d", "c" * 50_000])
        sent = [text for body in server.requests for text in body["input"]]
    assert sent[:4] == [".", ".", "a b", "half ?"]
    assert max(map(len, sent)) == 32_000


def test_a_text_that_is_too_long_is_cut_until_it_fits_and_its_company_is_whole() -> None:
    texts = ["short", "long " * 30, "also short"]
    vectors = embedded(texts, Embeddings(window=100))
    np.testing.assert_allclose(vectors, unit(["short", ("long " * 30)[:100], "also short"]), atol=1e-6)


def test_a_server_that_takes_fewer_texts_gets_fewer() -> None:
    texts = [f"text {number}" for number in range(50)]
    np.testing.assert_allclose(embedded(texts, Embeddings(batch=8)), unit(texts), atol=1e-6)


def test_a_server_that_finds_everything_too_long_is_given_up() -> None:
    assert "finds a text of 16 characters too long" in str(error_of(*[refuse(413, "Too large")] * 99))


def test_nothing_is_sent_for_no_texts() -> None:
    with ProviderServer(Embeddings()) as server:
        embedder = embedder_at(server)
        before, _, after = embed(embedder, [], ["x"], [])
        assert (before.shape, after.shape) == ((0, 0), (0, 8))
        assert len(server.requests) == 1


# answers


def shuffled(body: Body) -> Body:
    return {**body, "data": body["data"][::-1]}


def zeros(body: Body) -> Body:
    return changed(body, embedding=[0.0] * 8)


def changed(body: Body, **fields: Any) -> Body:
    first, *rest = body["data"]
    return {**body, "data": [{**first, **fields}, *rest]}


def test_vectors_are_put_in_order_by_their_numbers() -> None:
    vectors = embedded(["one", "two", "three"], Embeddings([shuffled]))
    np.testing.assert_allclose(vectors, unit(["one", "two", "three"]), atol=1e-6)


def test_a_vector_of_zeros_is_given_a_direction() -> None:
    vectors = embedded(["one", "two"], Embeddings([zeros]))
    assert vectors[0].tolist() == [1.0, *[0.0] * 7]


WRONG: list[tuple[Callable[[Body], Body], str]] = [
    (lambda body: {**body, "data": body["data"][:1]}, "1 vectors for 2 texts"),
    (lambda body: {**body, "data": body["data"] * 2}, "4 vectors for 2 texts"),
    (lambda body: {**body, "data": []}, "0 vectors for 2 texts"),
    (lambda _: {"error": "none today"}, "0 vectors for 2 texts"),
    (lambda body: changed(body, index=1), "numbered them wrongly"),
    (lambda body: changed(body, index=None), "numbered them wrongly"),
    (lambda body: changed(body, index=[0]), "numbered them wrongly"),
    (lambda body: changed(body, embedding=[1.0] * 3), "different lengths"),
    (lambda body: changed(body, embedding=None), "no lists of numbers"),
    (lambda body: changed(body, embedding="!"), "no lists of numbers"),
    (lambda body: changed(body, embedding=["a"] * 8), "no lists of numbers"),
    (lambda body: changed(body, embedding=[10**400] * 8), "cannot be read"),
    (lambda body: changed(body, embedding=[float("nan")] * 8), "numbers missing or infinite"),
    (lambda body: changed(body, embedding=[1e300] * 8), "numbers missing or infinite"),
]


@pytest.mark.parametrize(("fault", "said"), WRONG)
def test_an_answer_that_is_wrong_is_not_believed(fault: Callable[[Body], Body], said: str) -> None:
    error = str(error_of(fault))
    assert said in error
    assert "check the address" in error


def test_the_number_of_dimensions_stays() -> None:
    turns = [Embeddings(dimensions=8), Embeddings(dimensions=5)]
    with ProviderServer(lambda request: turns.pop(0)(request)) as server:
        embedder = embedder_at(server)
        with pytest.raises(EmbedderError, match="5 dimensions, and of 8 before"):
            embed(embedder, ["one"], ["two"])
        assert embedder.dimensions == 8


# faults


@pytest.mark.parametrize("fault", [refuse(500, "Oops"), refuse(503, "Busy"), RESET])
def test_a_passing_fault_is_waited_out(fault: RawReply | Refused) -> None:
    with ProviderServer(Embeddings([fault])) as server:
        (vectors,) = embed(embedder_at(server, max_retries=1), ["one"])
        assert len(server.requests) == 2
    np.testing.assert_allclose(vectors, unit(["one"]), atol=1e-6)


def test_a_rate_limit_is_waited_out_as_long_as_the_server_says() -> None:
    began = time.monotonic()
    embedded(["one"], Embeddings([refuse(429, "Slow down", retry_after="1")]), max_retries=1)
    assert time.monotonic() - began >= 1.0


def test_a_key_that_is_not_accepted_is_not_tried_again() -> None:
    with ProviderServer(Embeddings([refuse(401, f"Incorrect API key: {KEY}")] * 9)) as server:
        with pytest.raises(EmbedderSetupError) as raised:
            embed(embedder_at(server, max_retries=3), ["one"])
        assert len(server.requests) == 1
    assert str(raised.value).endswith("does not accept the key; set SOME_KEY to one that is valid.")


def test_a_model_that_is_not_there_is_a_matter_of_setting_up() -> None:
    error = error_of(refuse(404, 'model "m" not found'))
    assert isinstance(error, EmbedderSetupError)
    assert str(error).endswith("is not there; run `mend it`.")


@pytest.mark.parametrize(
    ("turn", "said"),
    [
        (refuse(429, "You exceeded\nyour quota"), "over its rate limit or quota; try again later: "),
        (refuse(500, f"Oops {KEY}"), "failed with status 500: "),
        (refuse(400, "No such thing"), "failed with status 400: "),
        (RESET, "cannot be reached; check the network"),
    ],
)
def test_errors_are_one_line_with_the_mend_and_without_the_key(turn: RawReply | Refused, said: str) -> None:
    error = error_of(turn)
    assert not isinstance(error, EmbedderSetupError)
    assert said in str(error)
    assert "\n" not in str(error)
    assert KEY not in str(error)


def test_a_server_that_is_silent_or_not_there_is_an_error() -> None:
    with ProviderServer(lambda _: time.sleep(0.5) or RESET) as server:
        with pytest.raises(EmbedderError, match=r"did not answer within 0\.1 s"):
            embed(embedder_at(server, timeout=0.1), ["one"])
        gone = embedder_at(server)
    with pytest.raises(EmbedderError, match="cannot be reached"):
        embed(gone, ["one"])


def test_one_batch_that_fails_ends_the_call() -> None:
    texts = ["x"] * (20 * BATCH_TEXTS)
    with ProviderServer(Embeddings([refuse(401, "No")])) as server:
        with pytest.raises(EmbedderSetupError):
            embed(embedder_at(server), texts)
        assert len(server.requests) < 20


def test_after_an_error_the_next_call_is_answered() -> None:
    with ProviderServer(Embeddings([refuse(500, "Oops")])) as server:
        embedder = embedder_at(server)
        with pytest.raises(EmbedderError):
            embed(embedder, ["one"])
        np.testing.assert_allclose(embed(embedder, ["one"])[0], unit(["one"]), atol=1e-6)


def test_the_key_goes_to_the_server_and_is_shown_nowhere() -> None:
    with ProviderServer(Embeddings()) as server:
        embedder = embedder_at(server)
        embed(embedder, ["one"])
        assert server.keys == [KEY]
        assert KEY not in repr(embedder) + embedder.fingerprint


def test_the_client_is_not_imported_before_the_first_text() -> None:
    code = (
        "import sys; from pagefault.build import make_embedder; make_embedder('ollama:m');"
        "print('openai' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_all_odd_texts_get_the_vectors_of_what_is_sent(server: ProviderServer) -> None:
    alone = [embed(embedder_at(server), [text])[0][0] for text in TEXTS]
    np.testing.assert_allclose(embed(embedder_at(server), TEXTS)[0], alone, atol=1e-6)
