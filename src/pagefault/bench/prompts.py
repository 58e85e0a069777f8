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
    "PAIR",
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
    """The instructions of a task: for an agent (in a section of its working context; empty: none), and for a
    reader that has one prompt."""

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


PAIR = (
    "Below is a session of a longer conversation between A and B. Write one question that B could ask A in a "
    "later session, and A's answer. The question must be about something definite that was said in this "
    "session, so that whoever has not kept it cannot answer; it may name the subject, but must not give the "
    "answer away. The answer is one short phrase. Reply with one JSON object: "
    '{"B": "question", "A": "answer"}.'
)
"""The prompt that makes new pairs for deep memory retrieval, as the paper did, in our own words."""
