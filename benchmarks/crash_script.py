"""What the agents of the crash matrix are told, and the model that does it.

The model is a function of the prompt: what to do stands in the open event, how far it has come in the
completions behind it. So the process that takes over from a killed one does what that one would have done.
"""

from __future__ import annotations

import re

from pagefault.models import Call, Completion, Prompt
from pagefault.testing.models import Item, call, say

AGENTS = ("ana", "bo", "cy", "di")
PLANS = ("note", "outside", "later", "find", "tell", "change", "note", "outside")
ASKS = "Which fact did you keep?"  # of what was prefetched for it, a kill may leave nothing, or all, once
YES, NO = "-yes", "-no"
"""The end of the lines that a person lets an agent strike, and does not."""

BACK, FORK = "ed", "ed-fork"
"""The agent that is taken back, and its fork."""
SECRET = "zanzibarite"

_ASKING = ("outside", "find")
_FILLER = "The harbour lay grey and quiet, and nobody on the quay had anything to add. " * 26


def messages(turns: int) -> dict[str, list[tuple[str, str]]]:
    """Key and text of each message of a scripted run, by agent, in order of posting."""
    return {name: [message(name, turn, "+30m") for turn in range(turns)] for name in AGENTS}


def message(name: str, turn: int, when: str) -> tuple[str, str]:
    """Key and text of one message; each agent begins at another plan."""
    place = AGENTS.index(name)
    plan = PLANS[(place + turn) % len(PLANS)]
    arg = when if plan == "later" else AGENTS[(place + 1) % len(AGENTS)]
    asked = ASKS if plan in _ASKING else ""
    return f"{name}-{turn}", f"{plan} #{name}-{turn} {arg} {_FILLER}{asked}"


def taken_back() -> list[tuple[str, str]]:
    """Key and text of the messages to the agent that is forked, undone and made to forget: the first one has
    the secret, the second one is undone."""
    return [(f"{BACK}-{tag}", f"note #{BACK}-{tag} - {_FILLER}") for tag in (SECRET, "undone")]


def _steps(plan: str, tag: str, arg: str) -> list[list[Call]]:
    """The calls of each completion by which an event of this plan is served."""
    answer = [say(f"answer {tag}")]
    if plan == "note":
        note = call("working_context_append", heartbeat=True, section="human", text=tag)
        return [[call("archival_insert", heartbeat=True, text=f"fact {tag}", tags=["fact"]), note], answer]
    if plan == "find":
        found = call("page_in", heartbeat=True, id="m1")
        return [[call("memory_search", heartbeat=True, query="harbour quay")], [found], answer]
    if plan == "outside":
        once = call("append_line", heartbeat=True, line=tag)
        wanted = [call("strike", heartbeat=True, line=f"{tag}{verdict}") for verdict in (YES, NO)]
        return [[once, *wanted, call("look_up", heartbeat=True, word=tag)], answer]
    if plan == "later":
        alarm = call("schedule", note=f"wake #{tag}-alarm", when=arg)
        cron = [call("schedule", note=f"wake #{tag}-cron", cron="0 * * * *")] if arg == "+30m" else []
        return [[alarm, *cron, call("list_schedules", heartbeat=True)], answer]
    if plan == "tell":
        return [[call("send_to_agent", heartbeat=True, name=arg, text=f"told #{tag}-told")], answer]
    if plan == "change":
        return [_changes(tag), answer]
    if plan == "told":
        return [[call("archival_insert", heartbeat=True, text=f"heard {tag}")], answer]
    return [answer]  # wake


def _changes(tag: str) -> list[Call]:
    """Six calls in one completion, of which some fail."""
    return [
        call("working_context_append", section="human", text=f"draft {tag}"),
        call("working_context_replace", section="human", old=f"draft {tag}", new=f"final {tag}"),
        call("working_context_append", section="nowhere", text=tag),
        call("archival_delete", id="p1"),
        call("page_out", id="m1"),
        call("archival_insert", heartbeat=True, text=f"kept {tag}"),
    ]


def reply(prompt: Prompt) -> Item:
    """One completion, from the prompt alone."""
    if prompt.plain or not prompt.functions:
        return f"Summary of {len(prompt.messages[-1].text)} characters."
    rows = enumerate(prompt.messages)
    opened = max(n for n, m in rows if m.role == "user" and not m.text.startswith("[prefetched "))
    found = re.search(r"\] (?:\w+ )?(\w+) #([\w-]+)(?: (\S+))?", prompt.messages[opened].text)
    if not found:  # memory pressure
        return [call("archival_insert", text="saved under pressure")]
    steps = _steps(found[1], found[2], found[3] or "")
    behind = "\n".join(m.text for m in prompt.messages[opened + 1 :] if m.role == "assistant")
    done = max((int(n) for n in re.findall(rf"step {found[2]} (\d+)", behind)), default=0)
    calls = steps[min(done, len(steps) - 1)]
    return Completion(f"step {found[2]} {done + 1}", tuple(calls))
