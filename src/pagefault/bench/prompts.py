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


# Other systems' strategies: flare, ircot, pages, generative-agents

FLARE = "If an answer so far is given, write only what follows it."
SO_FAR = "Answer so far:"

IRCOT = (
    "Below is what was found so far for a question, and the reasoning so far if there is any. Write the "
    "next sentence of the reasoning and nothing else: one step, which names what is to be looked up next. "
    'When the answer is known, that sentence begins with "So the answer is". If nothing below helps, write '
    "NO ANSWER."
)
THOUGHTS = "Reasoning so far:"

PAGES = (
    "You look for the answer in a text browser. Each of your replies is one JSON object and nothing else: "
    '{{"command": "...", "text": "..."}}. Commands: search (text: what to search for), open (text: the '
    "number of a text, to read all of it and what stands around it), next (the next page), quote (text: "
    "words of the page in view, exactly as they stand; quotes are kept), answer (text: the answer, in the "
    "form asked for above; without a text you are shown your quotes alone and asked again). {left} commands "
    "are left."
)
PAGES_DONE = "Commands so far:"
PAGES_QUOTES = "Quotes:"

IMPORTANCE = (
    "Below are memories, each with a number. On the scale of 1 to 10, where 1 is purely mundane (brushing "
    "teeth, making the bed) and 10 is extremely poignant (a break-up, being admitted to college), rate how "
    "poignant each of them is. Answer with one line a memory and nothing else: its number, a colon, its "
    "rating."
)

REFLECTION = (
    "Below are memories, the newest last. Write the 3 most salient high-level questions that can be answered "
    "about the people in them, one a line, and nothing else."
)

INSIGHT = (
    "Below are memories, each with a number. Write at most 5 high-level insights that can be inferred from "
    "them and answer this, one a line, each in the form: insight (because of 1, 5, 3).\n\n{question}"
)
