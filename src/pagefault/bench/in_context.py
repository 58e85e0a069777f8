"""Evidence in context: the share of the gold evidence that a prompt holds, and the tokens that this takes.

Needs no language model, so ways of managing context can be compared without one. It looks at two prompts of
an item: that of the first completion after the question, and that of the completion that gives the answer.
Of documents also the share that came into view at all (``evidence_seen``), however much of them was cut or
evicted by then. Leaves out whether a model then answers right.

A piece of evidence (a turn, a passage) is in context as far as its words are: a word counts if it stands in
the prompt within a run of at least five words of the piece, in their order (of all of them, if it has
fewer). So it does not matter where a text is shown, under which label, or how lines are broken; a text that
was cut counts for what is left of it, a summary for what it kept literally, a paraphrase for nothing. Of
evidence that is known by session alone, that turn of the session counts which is there most.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from statistics import fmean

from pagefault.bench.callers import is_lookup, is_search
from pagefault.bench.recording import Request, prompt_tokens
from pagefault.bench.tasks import Item
from pagefault.models import Completion, Prompt, PromptMessage, plain_name
from pagefault.models.tokens import Counter

__all__ = ["MEASURES", "ended_in_recall", "measured", "pieces_of", "share_of"]

MEASURES = (
    "evidence_in_context", "evidence_at_first", "evidence_seen", "context_tokens", "evidence_tokens",
    "completions", "lookups", "recall_lookups",
)  # fmt: skip
"""The measures that ``measured`` returns: the three shares only for items that have gold evidence, the third
only for documents, look-ups only where functions are offered."""

_RUN = 5  # words
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+")
_TIER = re.compile(
    r"^\[(recall|archival) ", re.MULTILINE
)  # a line of results; quoting lets no text imitate it
_SPEECH = "send_message"


def measured(
    item: Item, requests: Sequence[Request], counter: Counter, seen: Collection[str] = ()
) -> dict[str, float]:
    """The measures of one item from the requests that were made for it; none if there were none. ``seen``:
    the ids of the texts that came into view. A request for a summary counts as a completion alone."""
    if not requests:
        return {}
    turn = [request for request in requests if not _is_of_summary(request.prompt)] or requests
    first = turn[0].prompt
    answering = next((r for r in reversed(turn) if _speaks(r.prompt, r.completion)), turn[-1])
    shares: dict[str, float] = {}
    if evidence := pieces_of(item):
        shares["evidence_in_context"] = share_of(evidence, answering.prompt)
        shares["evidence_at_first"] = share_of(evidence, first)
        if item.form == "passages":
            shares["evidence_seen"] = len(item.evidence.intersection(seen)) / len(item.evidence)
    retrieved = sum(counter.count(text) for text in _retrieved(answering.prompt, len(first.messages)))
    return {
        **shares,
        "context_tokens": float(prompt_tokens(answering.prompt, counter)),
        "evidence_tokens": float(retrieved),
        "completions": float(len(requests)),
        **_lookups(answering.prompt, len(first.messages)),
    }


def _is_of_summary(prompt: Prompt) -> bool:
    """Return whether a prompt is the agent's own, continued by a request for a summary."""
    return prompt.plain and prompt.messages[-1].text.startswith("[summary_request] ")


def share_of(evidence: Sequence[Sequence[str]], prompt: Prompt) -> float:
    """The share of the evidence that a prompt holds, 0 to 1: the mean over its pieces, of each of which the
    text counts that is there most."""
    words = _words(" ".join(_shown(prompt)))
    runs: dict[int, frozenset[tuple[str, ...]]] = {}
    return fmean(max(_covered(_words(text), words, runs) for text in piece) for piece in evidence)


def pieces_of(item: Item) -> list[list[str]]:
    """The texts of each piece of evidence: one, or those of a session that say more than a word or two."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for text in item.texts:
        if text.id in item.evidence:
            found[text.id] = [text.text]
        elif (
            item.form == "conversation"
            and (session := text.id.rpartition("/")[0]) in item.evidence
            and len(_words(text.text)) >= _RUN
        ):
            found[session].append(text.text)
    return [*found.values()]


def _covered(piece: list[str], words: list[str], runs: dict[int, frozenset[tuple[str, ...]]]) -> float:
    """The share of a piece's words that stand in ``words`` in runs; ``runs`` keeps those of each length."""
    size = min(_RUN, len(piece))
    if not size:
        return 0.0
    if size not in runs:
        runs[size] = frozenset(zip(*(words[start:] for start in range(size)), strict=False))
    starts = [n for n in range(len(piece) - size + 1) if tuple(piece[n : n + size]) in runs[size]]
    return len({n + offset for n in starts for offset in range(size)}) / len(piece)


def _words(text: str) -> list[str]:
    """Words in lower case without punctuation; a Chinese or Japanese character is a word."""
    return _WORD.findall(text.lower())


def _shown(prompt: Prompt) -> Iterator[str]:
    """All texts of the prompt's messages, those in the arguments of calls too (what was noted)."""
    for message in prompt.messages:
        yield message.text
        for call in message.calls:
            try:
                yield json.dumps(json.loads(call.arguments), ensure_ascii=False).replace("\\n", " ")
            except ValueError:
                yield call.arguments


def _speaks(prompt: Prompt, completion: Completion) -> bool:
    """Return whether a completion says something to the user: by a call where speech is one, else by text."""
    if any(function.name == _SPEECH for function in prompt.functions):
        return any(plain_name(call.name) == _SPEECH for call in completion.calls)
    return bool(completion.text) and not completion.calls


def _results(prompt: Prompt, before: int) -> Iterator[PromptMessage]:
    """Results of an agent's searches and reads since the question (``before``: messages of its first
    prompt)."""
    for message in prompt.messages[before:]:
        if message.role == "tool" and is_lookup(message.name or ""):
            yield message


def _retrieved(prompt: Prompt, before: int) -> Iterator[str]:
    """The texts that were brought into the prompt to answer; of a single prompt all under its heading."""
    if prompt.functions:
        yield from (message.text for message in _results(prompt, before))
    else:
        yield prompt.messages[-1].text.rpartition("\n\n")[0].partition("\n")[2]


def _lookups(prompt: Prompt, before: int) -> dict[str, float]:
    """The number of searches, and of those among them that showed messages and no passage."""
    if not prompt.functions:
        return {}
    shown = [message.text for message in _results(prompt, before) if is_search(message.name or "")]
    recall = [text for text in shown if ended_in_recall(text)]
    return {"lookups": float(len(shown)), "recall_lookups": float(len(recall))}


def ended_in_recall(result: str) -> bool:
    """Return whether the result of a search shows messages and no passage."""
    return set(_TIER.findall(result)) == {"recall"}
