"""The figures of a fleet's run: how many turns were open, how fast they were woken and taken over, the cost.

They come from the steps and samples of ``fleet_processes``, all of one machine's monotonic clock. A turn is
open while its model thinks. Waking is from an event stored to its turn begun, or from the end of the agent's
turn before it. A failover is from the last sign of a process to the model asked elsewhere about an event
that it had open. Figures in seconds unless their name has another unit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fleet_processes import Fleet, Sample
from fleet_worker import Plan

Figures = dict[str, object]

_FULL = 0.999  # of the most open: what counts as all


@dataclass
class Turn:
    """The steps of one event's turn; what is asked or answered twice is there twice, with the process."""

    stored: float | None = None
    begun: list[tuple[float, str]] = field(default_factory=list)
    answered: list[tuple[float, str]] = field(default_factory=list)


def figures_of(fleet: Fleet, turns: Mapping[str, Turn]) -> Figures:
    """What a finished run amounts to."""
    ends = [at for turn in turns.values() for at, _ in turn.answered]
    began = fleet.samples[0].at
    seconds = max(ends) - began if ends else 0.0
    figures: Figures = {
        "processes": fleet.plan.processes,
        "events": fleet.plan.total,
        "agents": fleet.plan.agents,
        "think": fleet.plan.think,
        "seconds": round(seconds, 1),
        "events a second": round(len(turns) / seconds, 1) if seconds else 0.0,
        "open at once": most_open(fleet, turns),
        "asked again": sum(max(0, len(turn.begun) - 1) for turn in turns.values()),
        "waking ms": milliseconds(waking(fleet.plan, turns)),
    }
    if fleet.back:
        back, name = fleet.back
        resumed = [at - back for _, _, at, by in fleet.steps if at > back and (not name or by == name)]
        figures["resumed ms"] = milliseconds(resumed[:1]).get("most")
    elif not fleet.lost:
        figures |= used(fleet.samples, len(turns))
    if fleet.lost:
        took, unfinished = failovers(fleet.lost, turns)
        figures["failover ms"] = milliseconds(took)
        figures["failovers"] = len(took)
        figures["turns never continued"] = unfinished
    return figures


def turns_of(steps: Sequence[tuple[str, str, float, str]]) -> dict[str, Turn]:
    """The turns by the key of their event."""
    turns: dict[str, Turn] = defaultdict(Turn)
    for kind, key, at, process in steps:
        if kind == "s":
            turn = turns[key]
            turn.stored = at if turn.stored is None else min(at, turn.stored)
        elif kind == "b":
            turns[key].begun.append((at, process))
        elif kind == "e":
            turns[key].answered.append((at, process))
    for turn in turns.values():
        turn.begun.sort()
        turn.answered.sort()
    return dict(turns)


def most_open(fleet: Fleet, turns: Mapping[str, Turn]) -> int:
    """The most turns open at the same time; those of a process that is gone are open no more."""
    gone = {member.name: member.ended_at or float("inf") for member in fleet.members}
    changes: list[tuple[float, int]] = []
    for turn in turns.values():
        for at, process in turn.begun:
            over = min(
                (end for end, by in turn.answered if by == process and end >= at), default=gone[process]
            )
            changes += [(at, 1), (over, -1)]
    most = now = 0
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return most


def waking(plan: Plan, turns: Mapping[str, Turn]) -> list[float]:
    """How long each event waited for its turn to begin, while no other turn of its agent was open."""
    of_agent: dict[str, list[Turn]] = defaultdict(list)
    for process in range(plan.processes):
        for posts in plan.posts(process):
            for agent, key in posts:
                if (turn := turns.get(key)) and turn.begun:
                    of_agent[agent].append(turn)
    waited: list[float] = []
    for own in of_agent.values():
        before = 0.0
        for turn in sorted(own, key=lambda turn: turn.begun[0]):
            begun = turn.begun[0][0]
            waited.append(max(0.0, begun - max(turn.stored or begun, before)))
            before = turn.answered[-1][0] if turn.answered else begun
    return waited


def failovers(lost: Sequence[tuple[str, float]], turns: Mapping[str, Turn]) -> tuple[list[float], int]:
    """How long it took, for each turn that a process left open, until it was continued elsewhere; and how
    many turns never were. A turn that was continued nowhere but by that process itself is neither."""
    took: list[float] = []
    never = 0
    for name, since in lost:
        for turn in turns.values():
            if not any(by == name and at <= since for at, by in turn.begun):
                continue
            if any(at <= since for at, _ in turn.answered):
                continue
            later = [at - since for at, by in turn.begun if by != name and at > since]
            took += later[:1]
            never += not later and not turn.answered
    return took, never


def stale_answers(turns: Mapping[str, Turn], answers: Mapping[str, str], returned: str = "") -> list[str]:
    """The answers in the log of a process whose model was not the last to be asked: it had lost the turn.

    ``returned`` was paused or cut off: it may have opened a turn before, ask its model after, and be refused
    when it writes. So it is the last to be asked only where the answer is its own.
    """
    wrong: list[str] = []
    for key, by in answers.items():
        begun = [name for _, name in turns[key].begun] if key in turns else []
        asked = [name for name in begun if name != returned or by == returned]
        if asked and asked[-1] != by:
            wrong.append(f"event {key} was taken over by {asked[-1]}, and answered by {by}")
    return wrong


def used(samples: Sequence[Sample], turns: int) -> Figures:
    """Memory of an open turn, CPU of a turn, and CPU while nearly all turns were open and thinking."""
    first, last = samples[0], samples[-1]
    fullest = max(samples, key=lambda sample: sample.open)
    found: Figures = {
        "CPU ms a turn": round((last.cpu - first.cpu) / max(1, turns) * 1e3, 2),
        "server CPU ms a turn": round((last.server_cpu - first.server_cpu) / max(1, turns) * 1e3, 2),
    }
    if fullest.open:
        found["memory kB a turn"] = round((fullest.rss - first.rss) / fullest.open / 1024, 1)
    full = [sample for sample in samples if sample.open >= _FULL * fullest.open]
    if fullest.open and (waited := full[-1].at - full[0].at) > 0:
        found["all open for"] = round(waited, 1)
        found["CPU while all open"] = round(full[-1].cpu - full[0].cpu, 2)
        found["server CPU while all open"] = round(full[-1].server_cpu - full[0].server_cpu, 2)
    return found


def milliseconds(values: Sequence[float]) -> Figures:
    """The middle, the 95th and 99th of a hundred, and the largest."""
    ordered = sorted(values)
    if not ordered:
        return {}
    found: Figures = {
        f"p{share}": round(ordered[min(len(ordered) - 1, len(ordered) * share // 100)] * 1e3, 1)
        for share in (50, 95, 99)
    }
    return found | {"most": round(ordered[-1] * 1e3, 1)}
