"""Lexical units: texts that people take for the same have the same, in all of Unicode and every store."""

from __future__ import annotations

import sqlite3
import unicodedata
from contextlib import closing
from typing import Literal, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagefault.models.tokens import HeuristicCounter
from pagefault.retrieval.excerpt import excerpt
from pagefault.retrieval.query import understand
from pagefault.storage.terms import is_character, terms

Form = Literal["NFC", "NFD", "NFKC", "NFKD"]
FORMS: tuple[Form, ...] = get_args(Form)
BLOCKS = [
    range(start, start + 0x1000) for start in range(0, 0x110000, 0x1000) if not 0xD800 <= start < 0xE000
]


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("Acme™", "acmetm"),
        ("№17 ℃ x² ½", "no17 c x2 1 2"),
        ("𝓐𝓷𝓪 Ａｎａ Ⓐⓝⓐ", "ana ana ana"),
        ("ﬁne ①② ㎏", "fine 12 kg"),
        ("Straße STRASSE", "strass strass"),
        ("İstanbul ISPARTA ısparta", "istanbul isparta isparta"),
        ("ΑΘΗΝΑΣ Αθήνας", "αθηνασ αθηνασ"),
        ("Łódź Café Cafe\u0301", "lodz cafe cafe"),
        ("ﺍﻟﺴﻼﻡ السلام السَّلَام", "السلام السلام السلام"),
        ("zu\u00adcker zu\u200bcker zu\u2060cker \ufeffzucker zu\u200dcker", "zucker " * 5),
        ("हिन्दी भाषा", "हिन्दी भाषा"),
        ("你好吗", "你 你好 好 好吗 吗"),
        ("人々ﾃｽﾄ", "人 人々 々 々テ テ テス ス スト ト"),
        ("한국 한국", "한 한국 국 한 한국 국"),
        ("ตัวเลข ๑๒", "ตั ตัว ว วเ เ เล ล ลข ข 12"),
        ("٣٤ ३४ ๓๔ ۳۴ ３４ p٣ ตัว๓๔", "34 34 34 34 34 p3 ตั ตัว ว 34"),
        ("ພາສາ", "ພ ພາ າ າສ ສ ສາ າ"),
        ("ភាសា", "ភា ភាសា សា"),
        ("မြန်မာ", "မြ မြန် န် န်မာ မာ"),
        ("ꦧꦱ", "ꦧ ꦧꦱ ꦱ"),
        ("བོད་སྐད", "བོད སྐད"),
        ("👩\u200d💻 1\ufe0f\u20e3", "👩 💻 1"),
        ("a\0b\ud800c_d·e", "a b c d e"),
    ],
)
def test_units_of_a_text(text: str, units: str) -> None:
    assert terms(text) == [unicodedata.normalize("NFC", unit) for unit in units.split()]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.start:x}")
def test_every_character_has_the_same_units_in_any_form_and_case(block: range) -> None:
    text = " ".join(f"x{chr(code)}y {chr(code)}" for code in block)
    units = terms(text)
    for form in FORMS:
        assert terms(unicodedata.normalize(form, text)) == units
    for same in (text.casefold(), text.lower(), text.upper()):
        assert terms(same) == units


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(FORMS))
def test_every_text_has_the_same_units_in_any_form(text: str, form: Form) -> None:
    assert terms(unicodedata.normalize(form, text)) == terms(text)
    assert all(unit and unit.isascii() <= (unit.isalnum() and unit == unit.lower()) for unit in terms(text))


def test_sqlite_keeps_every_unit_as_it_is() -> None:
    units = {unit for block in BLOCKS for unit in terms(" ".join(f"{chr(c)} a{chr(c)}" for c in block))}
    with closing(sqlite3.connect(":memory:")) as file:
        file.execute("CREATE VIRTUAL TABLE lexicon USING fts5(units, tokenize = 'ascii')")
        file.execute("CREATE VIRTUAL TABLE vocabulary USING fts5vocab('lexicon', 'row')")
        file.execute("INSERT INTO lexicon VALUES (?)", (" ".join(units),))
        assert {unit for (unit,) in file.execute("SELECT term FROM vocabulary")} == units


def test_a_query_is_read_alike_in_any_form() -> None:
    plain = understand('what did Zoë say of "the ﬁne Käse" ２０２６４４５', ["Zoë"])
    for form in FORMS:
        other = understand(unicodedata.normalize(form, plain.text), [unicodedata.normalize("NFD", "Zoë")])
        assert (other.terms, other.exact) == (plain.terms, plain.exact)
        assert unicodedata.normalize("NFC", other.subject) == "Zoë"
    assert understand('"วันนี้"').exact


def test_a_character_is_no_pair() -> None:
    assert [unit for unit in terms("你好 ตัว abc") if is_character(unit)] == ["你", "好", "ตั", "ว"]


def test_an_excerpt_stands_at_a_word_with_marks() -> None:
    text = "so " * 300 + "the Cafe\u0301 zu\u00adcker is here" + " so" * 300
    for query in ("Café", "zucker"):
        assert "is here" in excerpt(text, query, 30, HeuristicCounter())
