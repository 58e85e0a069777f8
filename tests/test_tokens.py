"""The heuristic counter: near the real counts written below, and additive but for the joints."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagefault.models.tokens import Counter, Family, HeuristicCounter, family_of

FAMILIES: tuple[Family, ...] = ("cl100k", "o200k", "large", "small")
ENGLISH = """I moved to Lisbon in March, and my sister's wedding is on the 14th of June. Could you remind me
a week before that to buy a present? She likes ceramics, old maps and anything to do with tea."""
CALL = """{"name": "archival_search", "arguments": "{\\"query\\": \\"wedding date\\", \\"page\\": 2}"}"""
CHINESE = "我下个月要从上海搬到杭州去工作,新公司在西湖旁边,做的是智能家居。"
JAPANESE = "来週の火曜日に歯医者の予約があるので、前の日に教えてください。"
UUID = "94071d67-86df-455c-8ee9-691e492ff740 0d7ba717-e034-410e-88ab-c13d37cc6499"
CODE = (
    "def evict(self, budget: int) -> list[Row]:\n    while self.tokens > budget:\n        self.rows.pop(0)\n"
)

REAL: list[tuple[Family, str, int]] = [  # counted with the ranks of OpenAI's tiktoken
    ("cl100k", ENGLISH, 48),
    ("o200k", ENGLISH, 48),
    ("cl100k", CALL, 26),
    ("cl100k", CODE, 28),
    ("cl100k", UUID, 41),
    ("o200k", UUID, 41),
    ("cl100k", CHINESE, 41),
    ("o200k", CHINESE, 26),
    ("cl100k", JAPANESE, 35),
    ("o200k", JAPANESE, 23),
]


@pytest.mark.parametrize(("family", "text", "real"), REAL)
def test_the_count_is_near_the_real_one(family: Family, text: str, real: int) -> None:
    assert -0.05 <= HeuristicCounter(family).count(text) / real - 1 <= 0.10


def test_nothing_counts_nothing() -> None:
    counter: Counter = HeuristicCounter()
    assert counter.count("") == 0


def test_other_scripts_cost_less_with_the_larger_vocabulary() -> None:
    for text in (CHINESE, JAPANESE, "поэтому мне нужно вернуться раньше", "γιατί δεν μου το είπες"):
        assert HeuristicCounter("o200k").count(text) < HeuristicCounter("cl100k").count(text)


@given(st.text(), st.text())
def test_counts_add_up_but_for_the_joint(left: str, right: str) -> None:
    count = HeuristicCounter().count
    joined = count(f"{left}\n\n{right}")
    assert abs(joined - count(left) - count(right)) <= 8


@given(st.text(max_size=200))
def test_no_text_is_free_and_none_costs_more_than_five_tokens_a_character(text: str) -> None:
    visible = sum(not character.isspace() for character in text)
    for family in FAMILIES:
        assert (visible > 0) <= HeuristicCounter(family).count(text) <= 5 * len(text)


def test_a_long_run_of_one_unit_is_counted() -> None:
    """Where the time grew by the square of the length, this would not end."""
    for unit in (
        "a",
        "A",
        "1",
        "a1",
        "a1a",
        "12345678ab",
        "-",
        "_",
        " ",
        "\n",
        " \n",
        "字",
        "é",
        "😀",
        "aB",
        "f0",
        "de ",
    ):
        assert HeuristicCounter().count(unit * 200_000) > 1_000, repr(unit)


@pytest.mark.parametrize(
    "model",
    [
        "gpt-4o",
        "openai:gpt-4o-mini,ollama:qwen3",
        "openrouter:openai/GPT-4.1",
        "http://127.0.0.1:8080/v1#gpt-oss-20b",
        "gpt-5-nano",
        "o3-mini",
    ],
)
def test_models_of_the_larger_vocabulary(model: str) -> None:
    assert family_of(model) == "o200k"


@pytest.mark.parametrize(
    "model",
    [
        "gpt-4",
        "openai:gpt-4-turbo",
        "gpt-3.5-turbo",
        "gpt-4-0613",
        "URL#gpt-4-32k",
        "offline",
        "",
        "offline,x",
    ],
)
def test_models_of_the_smaller_vocabulary(model: str) -> None:
    assert family_of(model) == "cl100k"


@pytest.mark.parametrize(
    "model",
    [
        "ollama:qwen3:8b",
        "openrouter:qwen/qwen-2.5-72b-instruct",
        "http://127.0.0.1:8080/v1#Llama-3.2-1B-Instruct",
        "openrouter:meta-llama/llama-4-scout",
        "google:gemini-2.5-flash",
        "ollama:gemma3:4b",
        "deepseek:deepseek-chat",
        "mistral:mistral-small-latest",
        "ollama:llama3.1",
    ],
)
def test_open_models_of_large_vocabularies(model: str) -> None:
    assert family_of(model) == "large"


@pytest.mark.parametrize(
    "model",
    [
        "claude-3-opus", "ollama:olmo-2", "o10", "any", "ollama:llama2", "ollama:mistral", "URL#smollm2",
        "http://gpt-4.example:8080/v1#any", "ollama:gpt-2", "llamacpp:mygpt-4all",
    ],
)  # fmt: skip
def test_every_other_model_is_counted_safely(model: str) -> None:
    assert family_of(model) == "small"


FOUND: list[tuple[Family, str, int]] = [  # the most tokens of any tokenizer that was tried, of the family
    ("large", UUID, 67),
    ("small", UUID, 68),
    ("large", ENGLISH, 50),
    ("small", ENGLISH, 53),
    ("large", CALL, 28),
    ("small", CALL, 31),
    ("large", CODE, 35),
    ("small", CODE, 35),
    ("large", CHINESE, 28),
    ("small", CHINESE, 57),
    ("large", JAPANESE, 21),
    ("small", JAPANESE, 53),
]


@pytest.mark.parametrize(("family", "text", "most"), FOUND)
def test_a_family_of_many_tokenizers_is_counted_as_the_costliest(
    family: Family, text: str, most: int
) -> None:
    assert -0.10 <= HeuristicCounter(family).count(text) / most - 1 <= 0.25


@given(st.text(max_size=200))
def test_classes_add_up_to_the_count(text: str) -> None:
    for family in FAMILIES:
        counter = HeuristicCounter(family)
        assert 0 <= counter.count(text) - sum(counter.by_class(text).values()) < 1 + 1e-6
