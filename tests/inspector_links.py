"""A home that has one of everything the inspector shows, and a walk along the links of its pages.

``furnished`` fills an agent; ``walk`` follows each link from the start page, as a browser without scripts
and as htmx would. Left out: forms that change something.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urldefrag, urljoin

import httpx2

from conftest import Machine, Rig
from image_files import png
from pagefault import tool
from pagefault.config import parse_settings
from pagefault.images import read_image
from pagefault.kernel import approvals as deciding
from pagefault.kernel import archives, shared_sections
from pagefault.kernel.edits import add_timer
from pagefault.kernel.facts import remember
from pagefault.kernel.sections import edit_section
from pagefault.models import Completion, Usage
from pagefault.shared import Archive
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.types import Document, Event, EventKind, Page, Passage, Place
from pagefault.views import approvals
from test_inspector import HTML
from test_inspector_memory import add_document, park, wire

__all__ = ["STARTS", "Walk", "furnished", "kind_of", "walk"]

STARTS = ("/", "/agents/ana/search?q=boat")
"""Where a walk begins: what a visitor types is in no link."""

_FOREIGN = frozenset({"/docs"})
"""Pages of FastAPI, whose links are its own."""


@tool(approval=True)
def ring(whom: str) -> str:
    """Ring somebody up."""
    return f"rang {whom}"


@asynccontextmanager
async def furnished(machine: Machine) -> AsyncGenerator[Rig]:
    """An agent ``ana`` of whom there is one of everything: a call that waits for a decision, one that is
    allowed for good, a parked event, a timer, an image, versions, an archive, documents, a budget; and
    ``bo``, who is parked with an event in his inbox."""
    script: list[Completion] = [
        _completion(call("recall_search", query="harbour", heartbeat=True)),
        _completion(say("By the **lighthouse**, [here](https://example.org/harbour).")),
        _completion(call("wire", heartbeat=True, to="Bo", amount=1)),
        _completion(say("Paid.")),
        _completion(call("ring", heartbeat=True, whom="Bo")),
    ]
    model = ScriptedModel(lambda _: script.pop(0) if script else [say("ok")])
    async with machine.open(model, tools=(wire, ring), window=8192, daily_tokens=900_000) as rig:
        await _fill(rig)
        yield rig


def _completion(made: object) -> Completion:
    return Completion("I think first.", (made,), Usage(900, 20, 300))  # pyright: ignore[reportArgumentType]


async def _fill(rig: Rig) -> None:
    kernel, at = rig.kernel, rig.clock.now()
    await kernel.create_agent("bo", parse_settings({"zone": "UTC"}))
    bo = await kernel.record("bo")
    await kernel.store.write(lambda tx: tx.park_agent(bo.id, "Its model is gone."))
    await kernel.store.write(lambda tx: tx.post(bo.id, Event(EventKind.MESSAGE, "Are you there?", at=at)))
    for text in ("Likes green tea.", "Likes black tea."):
        await edit_section(kernel, "ana", "human", text)
    await shared_sections.share(kernel, "plan", ["ana", "bo"], text="Sail on Sunday.")
    for number in range(21):  # more than a page of the list and of a search have
        await remember(kernel, "ana", f"Boat {number}.", tags=["sea"])
    await archives.create(kernel, "manuals", "How things work.")
    await archives.attach(kernel, "manuals", "ana")
    await remember(kernel, Archive("manuals"), "A manual of the boat.")
    await add_document(rig, "The ebb and the boat.", "The flood.")
    shared = await kernel.record(Archive("manuals"))
    manual = Document("/boat.pdf", "The boat", "application/pdf", "cd", at, 0)
    leaf = Passage("How a boat is steered.", at, (), "/boat.pdf", 0, "The boat", Place(0, 1))
    await kernel.store.write(lambda tx: tx.put_document(shared.id, manual, [Page(1, "", leaf.text)], [leaf]))
    await add_timer(kernel, "ana", "Water the plants.", cron="0 9 * * *")
    await rig.send(Event(EventKind.MESSAGE, "Where is the boat? " + "Far out. " * 900, sender="Bo"))
    await rig.send("Pay.")
    (waiting,) = await approvals.approvals(kernel, "ana")
    await deciding.settle(kernel, "ana", waiting.id, True, remember="always")
    await kernel.idle()
    await rig.send(Event(EventKind.MESSAGE, "Ring her.", contents=(read_image(png(4, 3)),)))
    await park(rig)


@dataclass
class _Links(HTMLParser):
    """Collects the addresses to which a page leads, whether htmx asks for them, and the ids in it."""

    found: set[tuple[str, bool]] = field(default_factory=set[tuple[str, bool]])
    ids: set[str] = field(default_factory=set[str])

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given["id"]} if "id" in given else set()
        self.found |= {(given[name], False) for name in ("href", "src") if name in given}
        if "hx-get" in given:
            self.found.add((given["hx-get"], True))
        if tag == "form" and given.get("method", "get") == "get" and "action" in given:
            self.found.add((given["action"], False))


@dataclass
class Walk:
    """What was found: the pages of HTML by their address, and each link that leads nowhere, with the page
    that has it."""

    pages: dict[str, str] = field(default_factory=dict[str, str])
    wrong: list[str] = field(default_factory=list[str])


async def walk(client: httpx2.AsyncClient, *starts: str) -> Walk:
    """Follow all links of this server from pages on; a link to a place in a page needs the place."""
    found, waiting, asked = (
        Walk(),
        [(start, False, "") for start in starts],
        dict[tuple[str, bool], set[str]](),
    )
    places = list[tuple[str, str, str]]()
    while waiting:
        address, is_part, whence = waiting.pop()
        path, place = urldefrag(address)
        if place:
            places.append((path, place, whence))
        if (path, is_part) in asked:
            continue
        assert len(asked) < 3000, "the pages have no end"
        headers = HTML | ({"hx-request": "true"} if is_part else {})
        answer = await client.get(path, headers=headers, follow_redirects=True)
        links = _Links()
        asked[path, is_part] = links.ids
        if answer.status_code != 200:
            found.wrong.append(f"{whence} leads to {address}: {answer.status_code}")
        if not answer.headers.get("content-type", "").startswith("text/html") or path in _FOREIGN:
            continue
        if not is_part:
            found.pages[path] = answer.text
        links.feed(answer.text)
        waiting += [
            (urljoin(path, to), part, path) for to, part in links.found if not re.match(r"[a-z]+:", to)
        ]
    found.wrong += [
        f"{whence} leads to {path}#{place}, which is not there"
        for path, place, whence in places
        if path not in _FOREIGN and place not in asked[path, False]
    ]
    return found


def kind_of(path: str) -> str:
    """The address without what differs between pages of one kind: numbers, and what is asked for."""
    plain, _, query = path.partition("?")
    names = sorted({part.partition("=")[0] for part in query.split("&")} - {""})
    return re.sub(r"(?<=[/a-z])\d+(?=/|$)", "1", plain) + ("?" + "&".join(names) if names else "")
