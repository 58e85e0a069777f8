"""Long foreign texts that are made for our patterns: the time grows with the text, not with its square.

Each function that sees such text reads, in a process of its own, pieces of its own forms again and again.
Where a pattern begins anew at each of them one text takes minutes or days; all together take seconds. The
limit of the process is one that only such a pattern exceeds.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from random import Random
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagefault.clock import moment
from pagefault.errors import FunctionError
from pagefault.models import Completion, Delta, FunctionSchema, Prompt, PromptMessage, plain_name
from pagefault.models.json_text import repair_json
from pagefault.models.wrappers.function_calling.json_mode import JSONReader
from pagefault.models.wrappers.function_calling.text import TextReader
from pagefault.models.wrappers.function_calling.thinking import ThinkingReader
from pagefault.quoting import normal, quoted, visible
from pagefault.redaction import redacted
from pagefault.retrieval.asking import read
from pagefault.retrieval.query import understand
from pagefault.storage.terms import terms

LIMIT = 90  # seconds of the processor's time
ANSWER, LONG = 100_000, 300_000  # characters
NOW = datetime(2026, 11, 28, tzinfo=UTC)
PROMPT = Prompt(
    (PromptMessage("system", "Be kind."), PromptMessage("user", "Hello.")),
    (FunctionSchema("look", "Look.", {"type": "object", "properties": {}}),),
    100,
)


def answer(reader: type[TextReader | JSONReader | ThinkingReader], text: str) -> None:
    """Read an answer that came in pieces."""
    made = reader(PROMPT)
    for at in range(0, len(text), 500):
        made.take(Delta(text[at : at + 500]))
    made.take(Completion(text))


def time_of(text: str) -> None:
    with suppress(FunctionError):
        moment(text, NOW, UTC)


DEEPSEEK, KIMI = "<｜tool▁calls▁begin｜>", "<|tool_calls_section_begin|>"
CALL = '\n<tool_call>{"name": "look"}</tool_call>'
OBJECT = '\n{"function": "look", "arguments": {}}'

# What reads, the number of characters, and texts as (beginning, what comes again and again, end).
CASES: dict[str, tuple[Callable[[str], object], int, Sequence[tuple[str, str, str]]]] = {
    "calls": (
        lambda text: answer(TextReader, text),
        ANSWER,
        [
            ("[TOOL_CALLS]", "a[ARGS]{", ""),
            ("[TOOL_CALLS]", "a[ARGS]{}", "x"),
            ("[TOOL_CALLS]a[ARGS]{", "} ", "x"),
            ("[TOOL_CALLS]a[ARGS]", " ", "x"),
            ("[TOOL_CALLS]", "a", ""),
            ("[TOOL_CALLS]", "{}", ""),
            (DEEPSEEK, "<｜tool▁call▁begin｜>", "<｜tool▁calls▁end｜>"),
            (DEEPSEEK, "<｜tool▁call▁begin｜>a<｜tool▁sep｜>", "<｜tool▁calls▁end｜>"),
            (KIMI, "<|tool_call_begin|>a<|tool_call_argument_begin|>", "<|tool_calls_section_end|>"),
            ("<tool_call>a<arg_key>", "<arg_key>", "</tool_call>"),
            ("<tool_call>a<arg_key>", "</arg_key> ", "</tool_call>"),
            ("<tool_call>a", "<arg_key></arg_key><arg_value>", "</tool_call>"),
            ("<tool_call><function=", "a", "</tool_call>"),
            ("<tool_call><function=a>", "<parameter=a>", "</function></tool_call>"),
            ("<tool_call><function=a><parameter=a", " ", "</function></tool_call>"),
            ("<tool_call>", "{a", "</tool_call>"),
            ("<tool_call>", "{1 ", ""),
            ("", "<tool_call>{}</tool_call>", ""),
            ("", "<tool_call>{}</tool_call> ", "x"),
            ("", "<tool_call>", ""),
            ('<tool_call>{"name": "', "()", '"}</tool_call>'),
            ("```", " ", ""),
            ("", "<code ", CALL),
            ("", "“", CALL),
            ("", "«", CALL),
            ("“", "\n\n", CALL),
            ("", "'", CALL),
            ("", "> ", CALL),
        ],
    ),
    "JSON": (
        lambda text: answer(JSONReader, text),
        ANSWER,
        [
            ("Here:\n", "{\n", OBJECT),
            ("“\n", "{}\n", OBJECT),
            ("```\n", "{}\n", OBJECT),
            ('{"thoughts": "', "{", '"}'),
            ('{"thoughts": "', "\\", ""),
            ('{"thoughts"', " ", ""),
            ("", "```\n ", OBJECT),
            ("", '{"a":', ""),
        ],
    ),
    "thinking": (
        lambda text: answer(ThinkingReader, text),
        ANSWER,
        [("", "<think></think>", ""), ("<think>", "</", ""), ("<|channel|>final<|message|>", "<|end|> ", "")],
    ),
    "broken JSON": (
        repair_json,
        200_000,
        [("", "{1", ""), ("", "{a:b ", ""), ('{"k":', '["', ""), ('{"k":', '"', ""), ("", "{", "")],
    ),
    "names of functions": (plain_name, LONG, [("a", "()", ""), ("", "api.", ""), ("a", ":1", "")]),
    "secrets": (
        redacted,
        LONG,
        [
            ("", "éeyJ", ""),
            ("", "éeyJaaaaaa.", ""),
            ("", "SG.", ""),
            ("", "a_", "token"),
            ("", "token ", ""),
            ("token", " ", ""),
            ("", "Bearer a", ""),
            ("", "authorization:", ""),
            ("", "aa://", ""),
            ("http://", "a:", ""),
            ("http://a?", "a?", ""),
            ("", "-----BEGIN ", ""),
            ("-----BEGIN ", "PRIVATE KEY", ""),
            ("password='", "\\", ""),
        ],
    ),
    "foreign text": (
        lambda text: visible(quoted(text)),
        LONG,
        [("", "<", ""), ("", "<\u200b", ""), ("<_", "_", ""), ("", "[A", ""), ("", "\n#", "")],
    ),
    "queries": (
        lambda text: understand(text, ["Ana Maria"], NOW),
        LONG,
        [("", '"', ""), ("", "a@a-", ""), ("", "a.1", "_"), ("in ", "may ", ""), ("", "you ", "")],
    ),
    "messages": (
        read,
        LONG,
        [
            ("", "what have ", ""),
            ("", "how many different ", ""),
            ("", "hey ", ""),
            ("", "hey, ", "?"),
            ("", "how are you, ", "?"),
            ("", "did you suggest ", ""),
            ("", "?", ""),
            ("", ". ", ""),
            ("", "什么都", ""),
            ("", "ขอบคุณ", ""),
            ("", "mı ", ""),
        ],
    ),
    "units": (terms, LONG, [("a", "\u0301\u0316", ""), ("", "ไ\u0e48", ""), ("", "漢", ""), ("", "_a", "")]),
    "times": (time_of, LONG, [("+", "1h ", ""), ("", "1 ", ""), ("", "a\u0301\u0316", ""), ("in", " ", "")]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_time_grows_with_the_text_and_not_faster(name: str) -> None:
    done = subprocess.run([sys.executable, __file__, name], stderr=subprocess.PIPE, check=False, text=True)
    assert done.returncode == 0, f"{done.stderr[-3000:]} ({LIMIT} seconds were not enough for the last text)"


def test_more_than_a_thousand_marks_on_a_letter_make_the_only_difference_in_a_normal_form() -> None:
    marks = "e" + "\u0301" * 3000
    assert normal("NFKC", marks) == unicodedata.normalize("NFKC", marks)
    assert normal("NFC", "x" * 998 + "e\u0301e\u0301") == "x" * 998 + "éé"
    assert normal("NFC", "\u1100" + "\u1161" * 3 + "한" * 2000) == "가\u1161\u1161" + "한" * 2000


ALPHABETS = ("aé\u0301 \u0316", "가각\u1100\u1161\u11a8", "漢字かが\u3099", "กิ่", "ကဥ\u102e", "كاتِبٌ", "ﬁ½Ⅷ①")


@given(st.sampled_from(ALPHABETS), st.integers(0, 2**32), st.sampled_from(("NFC", "NFKD")))
def test_a_long_text_has_the_normal_form_of_the_library(
    alphabet: str, seed: int, form: Literal["NFC", "NFKD"]
) -> None:
    text = "".join(Random(seed).choices(alphabet, k=2500))
    assert normal(form, text) == unicodedata.normalize(form, text)


def run(cases: Iterable[tuple[str, str, str]], reads: Callable[[str], object], length: int) -> None:
    for begin, again, end in cases:
        print(ascii((begin, again, end)), file=sys.stderr, flush=True)
        reads(begin + again * (length // len(again)) + end)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT + 5))
    reads, length, cases = CASES[sys.argv[1]]
    run(cases, reads, length)
