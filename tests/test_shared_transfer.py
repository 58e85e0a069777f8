"""Archives and shared sections on the move: they go with those who use them, and an import gives no access to
what is here unless it is told to."""

from __future__ import annotations

import asyncio
import io
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import NotFoundError, UsageError
from pagefault.kernel.shared_sections import attach, edit
from pagefault.shared import Attachment, Outgoing, SharedRecord
from pagefault.storage import Filter, Match, Transaction
from pagefault.storage.row_transfer import AGENT, OUTBOX, OWNED
from pagefault.tenancy import AgentKey
from pagefault.testing.models import ScriptedModel
from pagefault.transfer import copy_agents, export_agents, import_agents
from pagefault.transfer.lines import dump
from pagefault.types import AgentId, AgentRecord, Passage, Section
from pagefault.views.memory import sections
from pagefault.views.sharing import shared_sections
from test_transfer import Heard, agents_of, damage, opened, store_on, wrong

NOW = datetime(2026, 11, 29, tzinfo=UTC)
TABLES = {table.name: table for table in OWNED}
EMPTY = (1, 1, 0, 0, 0, 0, 0, 0)


def run(place: Path | str, work: Callable[[Transaction], Any]) -> Any:
    """One transaction of the store itself."""

    async def transaction() -> Any:
        store = store_on(place)
        try:
            return await store.write(work)
        finally:
            await store.close()

    return asyncio.run(transaction())


def fill(tx: Transaction) -> None:
    """The archives manuals and news; ana, who reads the one and writes to the other; bob with none."""
    for name in ("manuals", "news"):
        archive = tx.create_shared(SharedRecord("archive", name, NOW, f"All of {name}."))
        tx.insert_passage(archive.id, Passage(f"The {name} are red.", NOW, ("t",)))
    ana = tx.create_agent(AgentRecord("ana", {}, NOW)).id
    tx.create_agent(AgentRecord("bob", {}, NOW))
    tx.attach(ana, Attachment("archive", "manuals", NOW, read_only=True))
    tx.attach(ana, Attachment("archive", "news", NOW))


def send(place: Path | str, *targets: str, applied: int = 0) -> None:
    """Effects of ana that are on their way, of which the first ones were applied to ``archive:news``."""
    with opened(place) as database, database.writing() as rows:
        ana, news = rows.agents()[AgentKey("ana")], rows.agents()[AgentKey("archive:news")]
        rows.restore(ana, OUTBOX, [(n, to, "insert", "{}", 1) for n, to in enumerate(targets, 1)])
    damage(place, f"UPDATE agents SET last_outgoing = {len(targets)} WHERE name = 'ana'")
    if applied:
        damage(place, f"INSERT INTO deliveries (agent, sender, number) VALUES ({news}, {ana}, {applied})")


def sent(place: Path | str, name: str = "ana") -> list[tuple[Any, Any]]:
    """Number and target of each effect in the outbox of an agent."""
    with opened(place) as database, database.reading() as rows:
        return [
            (row[0], row[1]) for batch in rows.rows(rows.agents()[AgentKey(name)], OUTBOX) for row in batch
        ]


def attached(place: Path | str, name: str = "ana") -> list[tuple[str, bool]]:
    def work(tx: Transaction) -> list[tuple[str, bool]]:
        record = tx.agent(name)
        assert record is not None
        return [(each.target, each.read_only) for each in tx.attachments(record.id)]

    return run(place, work)


def export(place: Path | str, *names: str) -> bytes:
    file = io.BytesIO()
    with opened(place) as database:
        export_agents(database, names, file, "0.1.0", Heard())
    return file.getvalue()


def take(
    place: Path | str, content: bytes, name: str | None = None, *, trust: bool = False
) -> dict[str, dict[str, Any]]:
    """What an import left out, by name."""
    with opened(place) as database:
        moved = import_agents(database, io.BytesIO(content), "the file", name, Heard(), trust=trust)
    return {each.name: dict(each.left_out) for each in moved}


def copy(source: Path | str, target: Path | str, *names: str) -> dict[str, bool]:
    """The agents that were copied, and which of them were there already."""
    with opened(source) as here, opened(target) as there:
        return {moved.name: moved.known for moved in copy_agents(here, there, names, Heard())}


@pytest.fixture(params=["file", pytest.param("server", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    where: Path | str = tmp_path / "here" / "a.db"
    if request.param == "server":
        where = request.getfixturevalue("database")
    run(where, fill)
    return where


# -- checks


def test_a_database_with_archives_is_right(place: Path | str) -> None:
    assert wrong(place) == []


@pytest.mark.parametrize(
    ("statement", "name", "sentence"),
    [
        ("UPDATE attachments SET target = 'archive:gone' WHERE target = 'archive:news'", "ana",
         "It is attached to the archive 'gone', which is not there; detach it."),
        ("UPDATE agents SET last_outgoing = 1 WHERE name = 'ana'", "ana",
         "Its outbox goes beyond number 1, the last one counted."),
        ("UPDATE attachments SET target = 'bob' WHERE target = 'archive:news'", "ana",
         "In attachments, target is 'bob': it is neither an archive nor a shared section."),
        ("UPDATE outbox SET parked = 'it is odd' WHERE number = 2", "ana",
         "Its change 2 of archive:news is parked: it is odd"),
        ("UPDATE deliveries SET number = 3", "archive:news",
         "More is noted as applied to it than 3 has sent, so that further changes would be lost."),
        ("UPDATE outbox SET payload = '[]' WHERE number = 1", "ana",
         "In outbox 1, payload is '[]': it is no JSON object."),
        ("UPDATE agents SET settings = '{\"description\": 7}' WHERE name = 'archive:news'", "archive:news",
         "In agents, settings is '{\"description\": 7}': it is no JSON object of texts."),
        ("UPDATE agents SET name = 'archive:a/b' WHERE name = 'archive:news'", "archive:a/b",
         "'a/b' cannot be the name of an archive; use up to 64 letters of English, digits, dots, dashes and "
         "underscores."),
    ],
)  # fmt: skip
def test_what_is_wrong_with_what_agents_share_is_found(
    statement: str, name: str, sentence: str, place: Path | str
) -> None:
    send(place, "archive:news", "archive:news", applied=1)
    assert wrong(place) == []
    damage(place, statement)
    assert (name, sentence) in wrong(place)


# -- copies


def test_a_copy_of_all_has_archives_before_those_who_read_them(place: Path | str, tmp_path: Path) -> None:
    copied = copy(place, there := tmp_path / "b.db")
    assert list(copied) == ["archive:manuals", "archive:news", "ana", "bob"]
    assert attached(there) == [("archive:manuals", True), ("archive:news", False)]
    assert set(copy(place, there).values()) == {True}
    assert wrong(there) == []

    def search(tx: Transaction) -> int:
        archive = tx.shared("archive", "news")
        assert archive is not None
        assert archive.description == "All of news."
        return len(tx.search(archive.id, "archival", Match(("red",), ()), Filter(), "").number)

    assert run(there, search) == 1


def test_an_agent_is_copied_with_what_it_is_attached_to(place: Path | str, tmp_path: Path) -> None:
    run(place, lambda tx: tx.create_shared(SharedRecord("archive", "other", NOW)))
    assert list(copy(place, tmp_path / "b.db", "ana")) == ["archive:manuals", "archive:news", "ana"]
    assert list(copy(place, tmp_path / "c.db", "bob")) == ["bob"]
    assert list(copy(place, tmp_path / "d.db", "archive:news")) == ["archive:news"]
    with pytest.raises(NotFoundError, match=r"no agent 'news' in .*; archive 'news' is named archive:news"):
        copy(place, tmp_path / "d.db", "news")
    assert list(copy(place, tmp_path / "d.db", "ana")) == ["archive:manuals", "archive:news", "ana"]


def test_an_agent_gets_no_access_to_another_archive_of_that_name_by_a_copy(
    place: Path | str, tmp_path: Path
) -> None:
    run(there := tmp_path / "b.db", lambda tx: tx.create_shared(SharedRecord("archive", "news", NOW)))
    with pytest.raises(UsageError, match=r"b\.db has another archive 'news' already; nothing is copied\."):
        copy(place, there, "ana")
    assert agents_of(there) == ["archive:news"]


@pytest.mark.parametrize(("applied", "left"), [(0, [1, 2, 3]), (2, [2, 3]), (3, [2])])
def test_a_copy_has_those_effects_on_their_way_that_its_archives_lack(
    applied: int, left: list[int], place: Path | str, tmp_path: Path
) -> None:
    send(place, "archive:news", "archive:manuals", "archive:news", applied=applied)
    copy(place, there := tmp_path / "b.db", "ana")
    assert [number for number, _ in sent(there)] == left
    assert set(copy(place, there).values()) == {True, False}  # bob was not there
    assert wrong(there) == []


def test_a_parked_effect_is_copied_though_later_ones_were_applied(place: Path | str, tmp_path: Path) -> None:
    send(place, *["archive:news"] * 3, applied=2)
    damage(place, "UPDATE outbox SET parked = 'it is odd' WHERE number = 1")
    copy(place, there := tmp_path / "b.db")
    assert [number for number, _ in sent(there)] == [1, 3]


def share_section(place: Path | str, version: int, given: int) -> None:
    """The shared section rules with so many versions, of which ana's copy was given one."""

    def work(tx: Transaction) -> None:
        shared = tx.create_shared(SharedRecord("section", "rules", NOW))
        for number in range(version):
            tx.put_section(shared.id, Section("rules", f"text {number}", 99), NOW)
            tx.put_outgoing(shared.id, Outgoing(shared.stored_name, "written", "{}", NOW))
        ana = named(tx, "ana")
        tx.attach(ana, Attachment("section", "rules", NOW))
        tx.set_delivered(ana, shared.id, given)

    run(place, work)


def given(place: Path | str, name: str = "ana") -> int:
    def work(tx: Transaction) -> int:
        shared = tx.shared("section", "rules")
        return tx.delivered(named(tx, name), shared.id) if shared else -1

    return run(place, work)


def test_a_copy_of_a_shared_section_is_given_what_it_lacks_and_nothing_twice(
    place: Path | str, tmp_path: Path
) -> None:
    share_section(place, 3, 2)
    assert wrong(place) == []
    copy(place, there := tmp_path / "b.db", "ana")
    assert (given(there), sent(there, "section:rules")) == (2, sent(place, "section:rules"))
    assert set(copy(place, there, "ana").values()) == {True}
    take(elsewhere := tmp_path / "c.db", export(place))
    assert given(elsewhere) == 2
    assert (wrong(there), wrong(elsewhere)) == ([], [])


@pytest.mark.parametrize("trust", [False, True])
def test_an_import_has_no_hold_on_a_section_that_is_here(trust: bool, place: Path | str) -> None:
    """The copy that it brings has a text of its own; attaching gives it the one that is shared here."""
    share_section(place, 3, 2)
    left_out = take(place, export(place, "ana"), "eve", trust=trust)
    assert "section:rules" in left_out["eve"]["attachments"]
    assert given(place, "eve") == 0
    assert wrong(place) == []


def test_more_noted_as_given_than_was_written_is_found(place: Path | str) -> None:
    share_section(place, 3, 4)
    assert [(name, what[:15]) for name, what in wrong(place)] == [("ana", "More is noted a")]


def test_an_agent_is_copied_with_what_it_still_sends_to(place: Path | str, tmp_path: Path) -> None:
    send(place, "archive:news")
    run(place, lambda tx: tx.detach(named(tx, "ana"), "archive", "news"))
    assert list(copy(place, tmp_path / "b.db", "ana")) == ["archive:manuals", "archive:news", "ana"]


def named(tx: Transaction, name: str) -> AgentId:
    record = tx.agent(name)
    assert record is not None
    return record.id


# -- imports


def test_an_import_of_an_agent_attaches_it_to_nothing_that_is_here(place: Path | str) -> None:
    send(place, "archive:news", "archive:news", "archive:manuals")
    left_out = take(place, export(place, "ana"), "eve")
    assert left_out == {
        "eve": {
            "attachments": ["archive:manuals (read-only)", "archive:news"],
            "outbox": {"archive:news": 2, "archive:manuals": 1},
        }
    }
    assert (attached(place, "eve"), sent(place, "eve")) == ([], [])
    assert wrong(place) == []


def test_a_trusted_import_is_attached_to_what_is_here_and_applies_nothing_again(place: Path | str) -> None:
    send(place, "archive:news")
    content = export(place, "ana")
    run(place, lambda tx: tx.delete_agent(tx.shared("archive", "manuals").id))  # type: ignore[union-attr]
    left_out = take(place, content, "eve", trust=True)
    assert left_out == {
        "eve": {"attachments": ["archive:manuals (read-only)"], "outbox": {"archive:news": 1}}
    }
    assert (attached(place, "eve"), sent(place, "eve")) == ([("archive:news", False)], [])
    run(place, lambda tx: tx.create_shared(SharedRecord("archive", "manuals", NOW)))
    assert attached(place, "eve") == [("archive:news", False)]


@pytest.mark.parametrize("trust", [False, True])
def test_a_file_that_brings_its_archives_is_whole(trust: bool, place: Path | str, tmp_path: Path) -> None:
    send(place, "archive:news", "archive:news", applied=1)
    left_out = take(there := tmp_path / "b.db", export(place), trust=trust)
    assert left_out == {"archive:manuals": {}, "archive:news": {}, "ana": {}, "bob": {}}
    assert attached(there) == [("archive:manuals", True), ("archive:news", False)]
    assert sent(there) == [(2, "archive:news")]
    assert wrong(there) == []


def test_an_archive_is_exported_and_imported_alone(place: Path | str, tmp_path: Path) -> None:
    content = export(place, "archive:news")
    take(there := tmp_path / "b.db", content)
    assert (agents_of(there), export(there, "archive:news")) == (["archive:news"], content)
    with pytest.raises(UsageError, match="The archive 'news' is there already; give another name"):
        take(place, content)
    for name, stored in (("old", "archive:old"), ("archive:older", "archive:older")):
        assert list(take(place, content, name)) == [stored]
    for name in ("section:old", "a/b", "archive:"):
        with pytest.raises(UsageError, match="cannot be the name of an archive"):
            take(place, content, name)
    with pytest.raises(UsageError, match="cannot be an agent's name"):
        take(place, export(place, "bob"), "archive:bob")
    assert attached(place) == [("archive:manuals", True), ("archive:news", False)]


def shared_section(tx: Transaction) -> None:
    made = tx.create_shared(SharedRecord("section", "plan", NOW))
    tx.put_section(made.id, Section("plan", "what is next", 200, "Sow beans."), NOW)


def test_a_shared_section_is_imported_under_another_name(place: Path | str, tmp_path: Path) -> None:
    run(there := tmp_path / "b.db", shared_section)

    def own(tx: Transaction) -> None:
        tx.put_section(tx.create_agent(AgentRecord("eve", {}, NOW)).id, Section("plan", "", 90, "mine"), NOW)

    run(place, own)
    take(place, export(there, "section:plan"), "garden")

    async def work() -> tuple[list[tuple[str, str]], tuple[str, int]]:
        parts = Parts(model=ScriptedModel([]), embedder=NullEmbedder(), store=store_on(place))
        async with open_kernel(tmp_path / "home", parts, Installation()) as kernel:
            await attach(kernel, "garden", "eve")
            await edit(kernel, "garden", "Sow peas.")
            copies = {section.name: section.text for section in await sections(kernel, "eve")}
            (shown,) = await shared_sections(kernel)
            return sorted(copies.items()), (shown.text, shown.version)

    assert asyncio.run(work()) == ([("garden", "Sow peas."), ("plan", "mine")], ("Sow peas.", 2))
    assert wrong(place) == []


# -- what is hostile


def changed(content: bytes, *lines: dict[str, Any], **values: Any) -> bytes:
    """The export with rows added and values of the agent's own row changed; its checksums are right."""
    from hashlib import sha256

    from pagefault.transfer.sums import Sums

    head, own, *rest = content.splitlines(keepends=True)
    end = json.loads(rest.pop())["end"]
    own = dump({"agents": json.loads(own)["agents"] | values})
    rows = [own, *rest, *map(dump, lines)]
    sums = Sums()
    for row in rows:
        ((name, _),) = json.loads(row).items()
        sums.add(AGENT if name == "agents" else TABLES[name], row)
    head = dump(json.loads(head) | {"rows": len(rows)})
    end["tables"] = {name: (sum.rows, sum.checksum) for name, sum in sums.tables().items()}
    end["sha256"] = sha256(b"".join([head, *rows])).hexdigest()
    return b"".join([head, *rows, dump({"end": end})])


TIMER = {
    "number": 1, "due": 1, "cron": None, "zone": "UTC", "catch_up": "once", "note": "x", "event": None,
    "withdrawn": None,
}  # fmt: skip


def test_a_changed_file_is_one_that_is_imported(place: Path | str, tmp_path: Path) -> None:
    take(tmp_path / "b.db", changed(export(place, "bob"), {"schedules": TIMER}, last_schedule=1))
    assert wrong(tmp_path / "b.db") == []


@pytest.mark.parametrize("limits", [(), (0,), (200, 200)])
def test_a_shared_section_without_one_text_is_refused(
    limits: tuple[int, ...], place: Path | str, tmp_path: Path
) -> None:
    rows: list[dict[str, Any]] = []
    for name, limit in zip(("plan", "human"), limits, strict=False):
        version = {"name": name, "version": 1, "at": 1, "description": "", "token_limit": limit, "text": ""}
        rows += [
            {"sections": {"name": name, "version": 1}},
            {"section_versions": version | {"read_only": False, "born": None}},
        ]
    head, *rest = export(place, "bob").splitlines(keepends=True)
    content = changed(b"".join([dump(json.loads(head) | {"agent": "section:plan"}), *rest]), *rows)
    with pytest.raises(UsageError, match=r"a shared section has one|as only what was removed has"):
        take(tmp_path / "b.db", content, trust=True)


def test_an_archive_that_would_have_turns_is_refused(place: Path | str, tmp_path: Path) -> None:
    content = changed(export(place, "archive:news"), {"schedules": TIMER}, last_schedule=1)
    with pytest.raises(UsageError, match="It has a row of schedules, which only agents have"):
        take(tmp_path / "b.db", content, trust=True)


@pytest.mark.parametrize(
    "target",
    [
        "bob",
        "archive:",
        "archive:a/b",
        "archive:x\x1b[2J",
        "archive:a\nb: left out",
        "section:x y",
        "Archive:news",
    ],
)
@pytest.mark.parametrize("trust", [False, True])
def test_an_attachment_to_what_cannot_be_is_refused(
    trust: bool, target: str, place: Path | str, tmp_path: Path
) -> None:
    line = {"attachments": {"target": target, "read_only": False, "at": 1}}
    with pytest.raises(UsageError, match="is damaged; nothing is imported") as refused:
        take(tmp_path / "b.db", changed(export(place, "bob"), line), trust=trust)
    assert not re.search(r"[\x1b]|\nb: left out", str(refused.value))
