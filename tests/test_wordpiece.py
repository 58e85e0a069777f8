"""WordPiece of our own, held to the library ``tokenizers`` with the settings that the model came with."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordPiece as LibraryWordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from pagefault.embedders.minilm.wordpiece import WordPiece

FOLDER = Path(str(files("pagefault.embedders.minilm")))
OURS = WordPiece(FOLDER)
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


@cache
def library() -> Tokenizer:
    tokens = (FOLDER / "vocab.txt").read_text("utf-8").split("\n")
    vocabulary = {token: number for number, token in enumerate(tokens)}
    made = Tokenizer(LibraryWordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    made.normalizer = BertNormalizer(lowercase=True)  # pyright: ignore[reportAttributeAccessIssue]
    made.pre_tokenizer = BertPreTokenizer()  # pyright: ignore[reportAttributeAccessIssue]
    ends = [("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])]
    made.post_processor = TemplateProcessing("[CLS] $A [SEP]", special_tokens=ends)  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]
    made.add_special_tokens(SPECIAL)  # pyright: ignore[reportUnknownMemberType]
    made.enable_truncation(256)  # pyright: ignore[reportUnknownMemberType]
    return made


def same(text: str) -> None:
    assert OURS.ids(text) == library().encode(text).ids


@pytest.mark.parametrize(
    "text",
    [
        "", " \t\n", "The unaffable cat's 3,141.59 naïve cafés—ÉTÉ!", "word " * 254, "word " * 255, "x" * 100,
        "x" * 101, "é" * 100 + " é" * 10, "[CLS] a [MASK]b[SEP][UNKNOWN] [mask] [[PAD]]",
        "我喜欢喝绿茶。 お茶 한국어 ไทย",
        "ΑΣ ΑΣΑ Σ", "İstanbul Iğdır ǅ ﬁ ẞ", "\u200b\ufeffa\u00adb\u0000c\ufffd\x1cd\x85e\u2028f",
        "👩‍👩‍👧 🇩🇪 👍🏽",
        "a\u0301\u0323 \u1100\u1161\u11a8 \u302e\u302f\u0301 ☃\ufe0f", "豈 丽 \U0002b73a\U0002b820",
    ],
)  # fmt: skip
def test_known_difficulties(text: str) -> None:
    same(text)


@pytest.mark.slow
def test_each_character_within_a_word_and_alone() -> None:
    valid = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    for start in range(0, len(valid), 40):
        same(" ".join(f"a{each}b {each}" for each in valid[start : start + 40]))


CHARACTERS = st.characters(exclude_categories=["Cs"])
WORDS = st.sampled_from((FOLDER / "vocab.txt").read_text("utf-8").split("\n"))
PIECES = st.one_of(
    CHARACTERS,
    st.characters(categories=["Mn", "Mc", "Me", "Cf", "Cc", "Zs", "Lm", "Sk"]),
    WORDS,
    WORDS.map(str.upper),
    WORDS.map(lambda word: word.removeprefix("##")),
    st.sampled_from([" ", "\n", "-", "'", "\u0301", "\u0327", "\u200d", "\ufe0f", "[", "]", *SPECIAL]),
    st.text(CHARACTERS, max_size=20),
    st.tuples(st.text(CHARACTERS, max_size=3), st.integers(1, 130)).map(lambda two: two[0] * two[1]),
)  # fmt: skip


@given(st.lists(PIECES, max_size=60).map("".join))
def test_any_text(text: str) -> None:
    same(text)


@given(st.lists(PIECES, min_size=1, max_size=5).map("".join), st.booleans())
def test_long_texts(text: str, spaces: bool) -> None:
    same(((text + " " * spaces) * (10_000 // max(1, len(text)) + 1))[:10_000])
