"""A home for the inspector's tests and its benchmark: an agent ``ana`` with thousands of messages, flushes,
Chinese, long words, and hostile text wherever text comes in; with ``mallory`` all is hostile; ``bo`` is new,
``卡尔`` waits for a decision.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from hostile_texts import HOSTILE_TEXTS, STORED_TEXTS
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, SectionSettings, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.functions.tools import tool
from pagefault.kernel import Kernel
from pagefault.kernel.facts import remember
from pagefault.models import Completion, Delta, Model, Prompt, StreamItem, Usage
from pagefault.storage import Store
from pagefault.testing.clock import FixedClock
from pagefault.testing.models import Item, ScriptedModel, call, say
from pagefault.types import Event, EventKind

RUNS, COVERS = HOSTILE_TEXTS["a script"], HOSTILE_TEXTS["styles inline"]

TALK = (
    (
        "I moved to Hangzhou last spring; the tea is better here.",
        "Noted: **Hangzhou**, since spring. How is Longjing?",
    ),
    (
        "我下周三要去北京出差，帮我记一下。",
        "好的，已经记下：下周三去**北京**出差。需要我提前一天提醒你吗？",
    ),
    (
        "Compare the two plans for me.",
        "| plan | price | memory |\n|---|---:|---:|\n| small | $4 | 1 GB |\n| large | $19 | 8 GB |",
    ),
    (
        "How do I list the files?",
        "Like this:\n\n```sh\nls -la ~/documents | sort -k5 -n\n```\n\nand `-h` makes sizes readable.",
    ),
    (
        "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft?",
        "1. One word.\n2. Eighty letters.\n3. [An article](https://example.org/words).",
    ),
)
"""What a user says, and the answer."""


@tool
def look_up(what: str) -> str:
    """Look something up.

    Args:
        what: What to look up.
    """
    number = sum(what.encode()) % len(STORED_TEXTS)
    return f"About {what[:40]}: {STORED_TEXTS[number]}"


@tool
def pay(to: str, amount: int) -> str:
    """Pay somebody.

    Args:
        to: Whom to pay.
        amount: How much.
    """
    return f"Paid {amount} to {to}."


def answering(prompt: Prompt) -> Item:
    """The next completion of a model that talks as ``TALK`` and ``STORED_TEXTS`` have it."""
    if prompt.plain or not prompt.functions:
        return Completion(
            "They talked about Hangzhou, plans and files. 用户下周三去北京。", usage=Usage(900, 60)
        )
    last, asked = prompt.messages[-1], str(prompt.messages[-1].text)
    size = sum(len(message.text) for message in prompt.messages) // 3
    usage = Usage(size, 80, cached=size * 4 // 5)
    if "#pay" in asked:
        return Completion("It wants money.", (call("pay", to="Bo <script>", amount=250),), usage)
    if "#look" in asked and last.role != "tool":
        return Completion("I look it up first.", (call("look_up", heartbeat=True, what=asked[-20:]),), usage)
    if "#hostile" in asked:
        number = int(asked.rpartition("#hostile")[2][:2])
        return Completion(STORED_TEXTS[number], (say(STORED_TEXTS[number]),), usage)
    for said, answer in TALK:
        if said in asked:
            return Completion("They told me more of themselves.", (say(answer),), usage)
    return Completion("", (say("I see."),), usage)


@dataclass
class Gate:
    """A place where a model stops: ``reached`` when it has come there; it goes on when it is ``opened``."""

    reached: anyio.Event = field(default_factory=anyio.Event)
    opened: anyio.Event = field(default_factory=anyio.Event)


class GatedModel(ScriptedModel):
    """Stops in each completion behind a few deltas until the next gate is opened; without gates it does
    not."""

    def __init__(self, script: Any = answering, *gates: Gate) -> None:
        super().__init__(script, window=6000, piece=6)
        self.gates = list(gates)

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        gate, count = self.gates.pop(0) if self.gates else None, 0
        async for item in super().stream(prompt):
            if gate and (count == 12 or not isinstance(item, Delta)):
                gate.reached.set()
                await gate.opened.wait()
                gate = None
            yield item
            count += 1


def model(script: Any = answering) -> ScriptedModel:
    return ScriptedModel(script, window=6000, piece=6)


@asynccontextmanager
async def opened(home: Path, model: Model, store: Store | None = None) -> AsyncGenerator[Kernel]:
    """A kernel over a home, with the tools of these tests and a clock that stands."""
    clock = FixedClock(step=1.0)
    parts = Parts(model=model, embedder=NullEmbedder(), store=store, clock=clock, tools=(look_up, pay))
    async with open_kernel(home, parts, Installation()) as kernel:
        yield kernel


async def fill(kernel: Kernel, rows: int = 2000) -> None:
    """Make the agents, and have ``ana`` talk until her log has so many rows."""
    sections = (
        SectionSettings(name="persona", text="I am Ana, careful and brief.", limit=300),
        SectionSettings(name="human", text=f"Likes tea. {RUNS} {COVERS}", limit=600),
    )
    settings = parse_settings({"zone": "Asia/Shanghai", "window": 6000})
    settings = settings.model_copy(update={"sections": sections, "approval": ("pay",)})
    for name in ("ana", "bo", "mallory", "卡尔"):
        await kernel.create_agent(name, settings)
    for number, text in enumerate(STORED_TEXTS):
        await remember(kernel, "ana", text, tags=[f"h{number}"])
    turn = 0
    while (await kernel.record("ana")).last_seq < rows:
        await _drained(kernel, "ana", Event(EventKind.MESSAGE, _said(turn)))
        turn += 1
    for number, text in enumerate(STORED_TEXTS):
        event = Event(EventKind.MESSAGE, f"{text}\n#look #hostile{number:02}", sender="Mallory O'Neil")
        await _drained(kernel, "mallory", event)
    await _drained(kernel, "卡尔", Event(EventKind.MESSAGE, "请付款 #pay"))


def _said(turn: int) -> str:
    text = f"{TALK[turn % len(TALK)][0]} ({turn})"
    if turn % 9 == 4:
        return f"{text} #look"
    number = turn // 7 % len(STORED_TEXTS)
    return f"{STORED_TEXTS[number]}\n#hostile{number:02}" if turn % 7 == 3 else text


async def _drained(kernel: Kernel, name: str, event: Event) -> None:
    async for _ in kernel.send(name, event):
        pass
