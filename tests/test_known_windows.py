"""The table of context windows: the models of the paper's Table 1, today's, and how a name is matched."""

from __future__ import annotations

import pytest

from pagefault.models.directory.known_windows import SAFE_WINDOW, window_of


@pytest.mark.parametrize(
    ("model", "thousands"),
    [
        ("llama-7b", 2),
        ("llama-2-70b-chat", 4),
        ("gpt-3.5-turbo-0301", 4),
        ("mistral-7b", 8),
        ("gpt-4", 8),
        ("gpt-3.5-turbo", 16),
        ("gpt-4-32k", 32),
        ("claude-2", 100),
        ("gpt-4-turbo", 128),
        ("yi-34b-200k", 200),
    ],
)
def test_the_models_of_the_paper_s_first_table(model: str, thousands: int) -> None:
    window = window_of(model)
    assert window is not None
    assert window // 1000 == thousands


@pytest.mark.parametrize(
    ("model", "window"),
    [
        ("gpt-4o-mini-2024-07-18", 128_000),
        ("gpt-4o-2024-08-06", 128_000),
        ("gpt-4-turbo-2024-04-09", 128_000),
        ("qwen3-4b-instruct-2507", 262_144),
        ("gpt-4.1-nano", 1_047_576),
        ("gpt-5.2", 272_000),
        ("gpt-5-chat-latest", 128_000),
        ("o3-mini", 200_000),
        ("o1-mini", 128_000),
        ("claude-3-5-sonnet-20241022", 200_000),
        ("claude-opus-4-5", 200_000),
        ("gemini-1.5-pro-002", 2_097_152),
        ("gemini-2.5-flash", 1_048_576),
        ("gemini-3-pro-preview", 1_048_576),
        ("qwen2.5-72b-instruct", 32_768),
        ("qwen3-8b", 32_768),
        ("mixtral-8x22b-instruct", 65_536),
        ("deepseek-v3.1", 131_072),
        ("gemma-3-27b-it", 131_072),
        ("phi-4", 16_384),
        ("phi-4-mini-instruct", 131_072),
    ],
)
def test_today_s_models(model: str, window: int) -> None:
    assert window_of(model) == window


@pytest.mark.parametrize(
    "model",
    ["llama-3.1", "Llama-3.1-8B", "meta-llama/Meta-Llama-3.1-70B-Instruct", "llama3.1:8b-instruct-q4_K_M"],
)
def test_organisation_case_and_hyphens_do_not_matter(model: str) -> None:
    assert window_of(model) == 131_072


def test_the_longest_prefix_decides() -> None:
    assert window_of("openai/gpt-4") == 8192
    assert window_of("openai/gpt-4-0613") == 8192
    assert window_of("openai/gpt-4o") == 128_000


@pytest.mark.parametrize("model", ["", "my-finetune", "o10", "llama-31", "company/", "turbo-gpt-4"])
def test_an_unknown_model_is_not_guessed(model: str) -> None:
    assert window_of(model) is None


def test_the_safe_window_is_one_that_pagefault_can_work_with() -> None:
    assert SAFE_WINDOW == 8192
