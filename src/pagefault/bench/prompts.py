"""Every text that a model reads in a benchmark, but for what an agent's own prompt holds anyway.

A prompt of a single request has the brief as its system message, and one user message: the context under a
heading, a blank line, and the question behind ``Question:``. The heading is ``Conversation:``, ``Passages:``,
``Pairs:`` or ``Summary of the conversation:``. Passages are numbered ``[n] (title) text``;
turns are ``[2023-05-08 Mon 13:56] Ana: text``; pairs are one JSON object.
"""

from __future__ import annotations

from dataclasses import dataclass

from pagefault.models import Prompt, PromptMessage

__all__ = [
    "ANSWER_FORM",
    "INSUFFICIENT",
    "NO_ANSWER",
    "QUESTION",
    "SUMMARY",
    "Brief",
    "headings",
    "one_prompt",
]

QUESTION = "Question:"
OPENING = "A new session begins."
ANSWER_FORM = "ANSWER: <answer>, DOCUMENT: <title of the document that says so>"
INSUFFICIENT = "INSUFFICIENT INFORMATION"
NO_ANSWER = "NO ANSWER"

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
    asked = f"{QUESTION} {question}" if question else OPENING
    text = f"{heading}\n{context}\n\n{asked}"
    return Prompt((PromptMessage("system", brief.reader), PromptMessage("user", text)), (), max_tokens)


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


DMR = Brief(
    agent="",
    reader=(
        "You have talked with a friend in several sessions. Below is what you have of them. Answer your "
        "friend's question from it, briefly, in the first person. If it does not say, answer NO ANSWER."
    ),
)

OPENER = Brief(
    agent=(
        "When the user logs in, open the conversation: one short message that takes up something you know of "
        "their life, as a friend would."
    ),
    reader=(
        "You have talked with a friend in several sessions. Below is what you have of them. A new session "
        "begins: write the one short message that you open it with, taking up something you know of your "
        "friend's life."
    ),
)

DOCQA = Brief(
    agent=(
        "Answer questions from the documents in archival storage alone. Search with archival_search; when "
        "the first page of results does not answer, turn the page. Reply in exactly this form: "
        f"{ANSWER_FORM}. If no document answers the question, reply {INSUFFICIENT}."
    ),
    reader=(
        "Answer the question from the passages below alone. Reply in exactly this form: "
        f"{ANSWER_FORM}. If no passage answers the question, reply {INSUFFICIENT}."
    ),
)

LOCOMO = Brief(
    agent=(
        "Your recall storage holds the conversations of two people with each other. Answer questions about "
        "them from it, in as few words as will do; for times, give the date. If it does not say, answer NO "
        "ANSWER."
    ),
    reader=(
        "Below is what there is of the conversations of two people with each other. Answer the question "
        "from it, in as few words as will do; for times, give the date. If it does not say, answer NO "
        "ANSWER."
    ),
)

LONGMEMEVAL = Brief(
    agent="",
    reader=(
        "Below is what there is of earlier conversations between a user and you, their assistant. Answer the "
        "user's question from it, briefly. If it does not say, answer NO ANSWER."
    ),
)

RETENTION = Brief(
    agent="",
    reader=(
        "Below is what there is of a conversation between a user and you. Answer the user's question from "
        "it, briefly. If it does not say, answer NO ANSWER."
    ),
)
