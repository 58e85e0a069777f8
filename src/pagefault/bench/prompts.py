"""Every text that a model reads in a benchmark, but for what an agent's own prompt holds anyway.

A prompt of a single request has the brief as its system message, and one user message: the context under a
heading, a blank line, and the question behind ``Question:``. Passages are numbered ``[n] (title) text``;
turns are ``[2023-05-08 Mon 13:56] Ana: text``; pairs are one JSON object.
"""

from __future__ import annotations

from dataclasses import dataclass

from pagefault.models import Prompt, PromptMessage

__all__ = ["ANSWER_FORM", "QUESTION", "Brief", "headings", "one_prompt"]

QUESTION = "Question:"
ANSWER_FORM = "ANSWER: <answer>, DOCUMENT: <title of the document that says so>"

headings = {"conversation": "Conversation:", "passages": "Passages:", "pairs": "Pairs:"}
"""By the form of an item's texts."""

SUMMARY = "Summary of the conversation:"


@dataclass(frozen=True, slots=True)
class Brief:
    """What the task is, as told to an agent (in a section of its working context; empty: nothing is told) and
    to a reader that has one prompt."""

    agent: str
    reader: str


def one_prompt(brief: Brief, heading: str, context: str, question: str, max_tokens: int) -> Prompt:
    """The whole prompt of a single request."""
    asked = f"{heading}\n{context}\n\n{QUESTION} {question}"
    return Prompt((PromptMessage("system", brief.reader), PromptMessage("user", asked)), (), max_tokens)


NESTED_KV = Brief(
    agent=(
        "Archival storage holds pairs of a key and a value, one a passage. Asked for a key, find its value "
        "with archival_search. A value may itself be a key: then look up that key's value, and so on. Search "
        "for each value you find, also for the one you take to be the last: it is the answer only when no "
        "pair has it as its key. Send that last value and nothing else."
    ),
    reader=(
        "Below is a JSON object of keys and values. Find the value of the key you are asked for. A value may "
        "itself be a key: then look up its value, and so on, until a value is no key. Answer with that last "
        "value and nothing else."
    ),
)


def nested_kv_question(key: str) -> str:
    return f"What is the final value of the key {key}?"
