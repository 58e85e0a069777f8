"""Forgetting, proven: 500 secrets planted over all places are gone from every byte, and all else is there."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import asdict
from pathlib import Path

import pytest

from forgetting_places import MARK, NEAR, NOW, PLACES, Planter
from pagefault.assembly import Parts
from pagefault.build import open_kernel, open_transfer
from pagefault.config import Installation, parse_settings
from pagefault.context import contained
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import InTurnError
from pagefault.kernel import Kernel, archives, shared_sections
from pagefault.kernel.approvals import answer, pending_approvals
from pagefault.kernel.forgetting import ForgetReceipt
from pagefault.kernel.forgetting.asking import ask_to_forget, tombstones
from pagefault.literal_query import LiteralQuery
from pagefault.message_meta import MessageMeta
from pagefault.names import system_key
from pagefault.storage import Transaction
from pagefault.storage.row_transfer import OWNED, TransferDatabase, Value
from pagefault.storage.traces import count_in
from pagefault.testing.models import Item, ScriptedModel, call, say
from pagefault.testing.postgres import Databases
from pagefault.types import Event, EventKind, Message, QueueState, Role

pytestmark = pytest.mark.anyio

SECRETS = 500
WAITING = 4  # calls of a turn that waits for decisions
SETTINGS = {"zone": "UTC", "instructions": f"Be kind.\nNever say {MARK}.", "metadata": {"of": [f"a {MARK}"]},
            "approval": ["archival_insert"]}  # fmt: skip
OF_QUEUES = {"agents", "vectors", "deliveries"}  # numbers alone, or what follows from the rest
KEYS = {
    "messages": ("seq",), "sections": ("name",), "section_versions": ("name", "version"),
    "passages": ("number",), "passage_tags": ("number", "tag"), "deletions": ("change", "number"),
    "recall_deletions": ("change", "number"), "tombstones": ("number",),
    "documents": ("number",), "document_pages": ("document", "page"), "inbox": ("number",),
    "schedules": ("number",), "grants": ("name",), "media": ("hash",), "attachments": ("target",),
    "outbox": ("number",), "speakers": ("name",), "approvals": ("number",),
}  # fmt: skip
Rows = dict[tuple[str, str, tuple[Value, ...]], dict[str, Value]]


@asynccontextmanager
async def opened(home: Path, model: ScriptedModel, url: str) -> AsyncGenerator[Kernel]:
    parts = Parts(model=model, embedder=NullEmbedder())
    async with open_kernel(home, parts, Installation(database=url)) as kernel:
        yield kernel


async def planted(kernel: Kernel) -> list[Planter]:
    """An agent with secrets in every place, an archive, a section that it shares with another, and a fork."""
    for name in ("ana", "bo", "fork"):
        await kernel.create_agent(name, parse_settings(SETTINGS if name != "bo" else {"zone": "UTC"}))
    await archives.create(kernel, "manuals", "")
    await archives.attach(kernel, "manuals", "ana")
    await shared_sections.share(kernel, "team", ["ana", "bo"], limit=400, text=f"calm\nthe {MARK}\n{NEAR}")
    await kernel.deliverer.deliver()
    ids = {name: (await kernel.record(name)).id for name in ("ana", "fork")}
    manuals = await kernel.store.read(lambda tx: tx.shared("archive", "manuals"))
    assert manuals
    planters = [Planter(ids["ana"]), Planter(ids["fork"]), Planter(manuals.id)]
    planters[1].tokens, planters[2].tokens = planters[0].tokens, planters[0].tokens
    while len(planters[0].tokens) < SECRETS:
        for name, plant in PLACES.items():
            for planter in planters:
                if planter is not planters[2] or "passage" in name or "document" in name or name == "pages":
                    await kernel.store.write(lambda tx, plant=plant, planter=planter: plant(tx, planter))
    for planter in planters[:2]:
        await kernel.store.write(lambda tx, of=planter: summarised(tx, of))
    created = (await kernel.record("ana")).created.isoformat()
    origin = Event(
        EventKind.EDITED,
        json.dumps({"name": "ana", "created": created, "at": 0}),
        system_key("forked"),
        at=NOW,
    )
    await kernel.store.write(lambda tx: tx.post(ids["fork"], origin))
    for name in ("ana", "fork"):
        for event in await kernel.store.read(lambda tx, name=name: tx.events(ids[name], state="pending")):
            await kernel.store.write(
                lambda tx, name=name, event=event: tx.set_event(ids[name], event.id, "done")
            )
    return planters


async def decided(home: Path, url: str, planters: list[Planter]) -> None:
    """Calls with secrets wait for a decision, of the agent, then of its fork: nothing is forgotten. Then they
    are decided on, with secrets in notes, in other arguments, and in who decides."""
    script: list[Item] = [
        [call("archival_insert", heartbeat=True, text=planter.secret()) for _ in range(WAITING)]
        for planter in planters[:2]
    ]
    script.insert(1, [say("ok")])
    async with opened(home, ScriptedModel(script, window=400_000), url) as kernel:
        for name, planter in zip(("ana", "fork"), planters, strict=False):
            assert [output.type async for output in kernel.send(name, "go")][-1] == "waiting"
            with pytest.raises(InTurnError, match=f"{name} waits for a decision"):
                await ask_to_forget(kernel, "ana", MARK)
            assert not await tombstones(kernel, "ana"), "nothing was forgotten"
            asked = await pending_approvals(kernel, name)
            assert [LiteralQuery(MARK).is_in(each.arguments) for _, each in asked] == [True] * WAITING
            for number, (_, each) in enumerate(asked):
                arguments = {"text": planter.secret()} if number % 2 else None
                note, by = planter.secret(), planter.secret()
                decision = answer(
                    kernel, name, each.id, bool(number % 2), note=note, arguments=arguments, by=by
                )
                assert [output.type async for output in decision]
            assert await kernel.store.read(lambda tx, of=planter.agent: tx.approvals(of)) == []


def summarised(tx: Transaction, planter: Planter) -> None:
    """A live summary in whose words the secret is, over all rows so far, and the head of the prompt."""
    record = tx.agent_by_id(planter.agent)
    assert record
    meta = MessageMeta(messages=record.last_seq, through=record.last_seq)
    draft = Message(Role.SUMMARY, planter.secret(), NOW, f"[summary]\n{planter.secret()}", meta=meta)
    (row,) = tx.append(planter.agent, [draft])
    head = f"<working_context>\n<x>\n{planter.secret()}\n</x>\n</working_context>"
    tx.save_queue(planter.agent, QueueState(row.seq, row.seq, None, head))


def rows_of(database: TransferDatabase) -> Rows:
    found: Rows = {}
    with database.reading() as rows:
        for owner, agent in rows.agents().items():
            for table in OWNED:
                for batch in rows.rows(agent, table) if table.name not in OF_QUEUES else ():
                    for row in batch:
                        values = dict(zip(table.columns, row, strict=True))
                        key = tuple(values[name] for name in KEYS.get(table.name, ()))
                        found[owner.name, table.name, key] = values
    return found


def has_it(values: dict[str, Value]) -> bool:
    query = LiteralQuery(MARK)
    return query.is_in(*(value for value in values.values() if isinstance(value, str)))


def what_stays(before: Rows, planned: ForgetReceipt) -> Iterator[tuple[str, str, tuple[Value, ...]]]:
    """The rows that have nothing of it and are not named by the plan."""
    named = {(place.owner, place.kind, place.id) for place in planned.places}
    for key, values in before.items():
        owner, table, of = key
        names = {
            "messages": [("message", f"m{of[0]}")] if of else [],
            "passages": [("passage", f"p{of[0]}")] if of else [],
            "passage_tags": [("passage", f"p{of[0]}")] if of else [],
            "inbox": [("event", f"{of[0]}")] if of else [],
            "section_versions": [("section version", f"{of[0]} {of[-1]}")] if of else [],
            "document_pages": [("page", f"d{of[0]} page {of[-1]}"), ("document", f"d{of[0]}")] if of else [],
        }.get(table, [])
        if has_it(values) or any((owner, *name) in named for name in names) or table in ("sections", "media"):
            continue
        yield key


async def forgotten(home: Path, url: str) -> None:
    model = ScriptedModel([], window=400_000)
    place = url or home / "pagefault.db"
    async with opened(home, model, url) as kernel:
        planters = await planted(kernel)
        tokens = planters[0].tokens
        assert len(tokens) >= SECRETS
    await decided(home, url, planters)
    with closing(open_transfer(place)) as database:
        before = rows_of(database)
        assert sum(map(has_it, before.values())) >= SECRETS * 3 // 4
    async with opened(home, model, url) as kernel:
        planned = await ask_to_forget(kernel, "ana", MARK, dry_run=True)
        assert {place.owner for place in planned.places} == {
            "ana", "fork", "bo", "archive:manuals", "section:team",
        }  # fmt: skip
        receipt = await ask_to_forget(kernel, "ana", MARK, by="the test")
        assert receipt.total >= len(planned.places)
        assert not receipt.places
        assert MARK not in json.dumps(asdict(receipt), default=str).casefold()
        again = await ask_to_forget(kernel, "ana", MARK, dry_run=True)
        assert again.places == ()
        assert contained.cache_info().currsize == 0
        model.prompts.clear()
        for name in ("ana", "fork", "bo"):
            assert [output async for output in kernel.send(name, "hello")]
        said = json.dumps([asdict(prompt) for prompt in model.prompts], default=str, ensure_ascii=False)
        assert not LiteralQuery(MARK).is_in(said)
        assert not [token for token in tokens if token in said]
    with closing(open_transfer(place)) as database:
        after = rows_of(database)
        assert [key for key, values in after.items() if has_it(values)] == []
        changed = [key for key in what_stays(before, planned) if after.get(key) != before[key]]
        assert changed == []
        found, _ = database.traces([MARK, *tokens], rewrite=True)
        assert found == []
    kept = {word for planter in planters for word in planter.kept}
    there = json.dumps(list(map(repr, after.values())))
    assert [word for word in kept if word not in there and not in_derived(word, before, planned)] == []


def in_derived(word: str, before: Rows, planned: ForgetReceipt) -> bool:
    """Return whether a word stood only in rows that went with what they were in."""
    stays = set(what_stays(before, planned))
    return not any(word in repr(values) for key, values in before.items() if key in stays)


async def test_nothing_is_left_in_the_bytes_of_a_file_and_all_else_is_there(tmp_path: Path) -> None:
    await forgotten(tmp_path, "")
    check_files(tmp_path)


def check_files(folder: Path) -> None:
    """No file has the mark, nor its end: an index shares the beginnings of words."""
    for file in folder.iterdir():
        if file.is_file():
            assert count_in(file, MARK) == 0, file
            assert b"zibarite" not in file.read_bytes().lower(), file


async def test_nothing_is_left_in_the_tables_of_a_server(tmp_path: Path, databases: Databases) -> None:
    with databases.one() as url:
        await forgotten(tmp_path, url)
