"""Tenants on the move: copies, exports and imports keep agents of the same name apart, each in its tenant."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest

from pagefault import __version__
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.cli import main
from pagefault.config import AgentSettings, Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import NotFoundError, UsageError
from pagefault.kernel import Kernel, archives, facts, shared_sections
from pagefault.shared import Archive
from pagefault.storage.row_transfer import OWNED
from pagefault.tenancy import AgentKey
from pagefault.testing.models import ScriptedModel, say
from pagefault.testing.postgres import Databases
from pagefault.transfer import copy_agents, export_agents, guarded_settings, import_agents
from pagefault.views import memory as memory_views
from test_transfer import Heard, damage, opened, store_on, wrong

TENANTS = {"": "quince", "firm": "apple", "shop": "pear"}
ALL = [AgentKey(name, tenant) for name in ("ana", "archive:manuals", "section:plan") for tenant in TENANTS]


async def furnish(kernel: Kernel, secret: str) -> None:
    """Give a tenant an agent with memory of its own and shared, in all of which is the secret."""
    await kernel.create_agent("ana", parse_settings({"zone": "UTC", "instructions": f"Say {secret}."}))
    await facts.remember(kernel, "ana", f"{secret} in a passage")
    await archives.create(kernel, "manuals", f"about {secret}")
    await facts.remember(kernel, Archive("manuals"), f"{secret} in an archive")
    await archives.attach(kernel, "manuals", "ana")
    await shared_sections.share(kernel, "plan", ["ana"], text=f"{secret} in a section")
    async for _ in kernel.send("ana", f"{secret} in a message"):
        pass


def with_kernel(place: Path | str, work: object = None) -> dict[str, str]:
    """Furnish all tenants of a new database or, without ``work``, say what ana of each has."""

    async def run() -> dict[str, str]:
        parts = Parts(
            model=ScriptedModel(lambda _: [say("heard")]), embedder=NullEmbedder(), store=store_on(place)
        )
        found = dict[str, str]()
        folder = place.parent if isinstance(place, Path) else Path(".")
        async with open_kernel(folder, parts, Installation()) as kernel:
            for tenant, secret in TENANTS.items():
                within = kernel.within(tenant)
                if work:
                    await furnish(within, secret)
                elif [record.name for record in await within.agents()] == ["ana"]:
                    sections = [each.text for each in await memory_views.sections(within, "ana")]
                    passages = await memory_views.search(within, "ana", "passage archive")
                    found[tenant] = " ".join([*sections, repr(passages)])
        return found

    return anyio.run(run)


@pytest.fixture(params=["file", pytest.param("server", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    where: Path | str = tmp_path / "here" / "a.db"
    if request.param == "server":
        where = request.getfixturevalue("database")
    with_kernel(where, furnish)
    return where


def agents_of(place: Path | str) -> list[AgentKey]:
    with opened(place) as database, database.reading() as rows:
        return list(rows.agents())


def copy(source: Path | str, target: Path | str, names: Sequence[str] = (), tenant: str | None = None) -> int:
    """How many were copied; all others were there already."""
    with opened(source) as here, opened(target) as there:
        return sum(not each.known for each in copy_agents(here, there, names, Heard(), tenant))


def export(place: Path | str, *names: str, tenant: str | None = None) -> bytes:
    file = io.BytesIO()
    with opened(place) as database:
        export_agents(database, names, file, __version__, Heard(), tenant)
    return file.getvalue()


def take(
    place: Path | str,
    content: bytes,
    name: str | None = None,
    *,
    trust: bool = False,
    into: str | None = None,
) -> list[tuple[AgentKey, object]]:
    """The agents that were stored, and of which tenant they were if that was left out."""
    with opened(place) as database:
        file = io.BytesIO(content)
        moved = import_agents(database, file, "the file", name, Heard(), trust=trust, tenant=into)
    return [(AgentKey(each.name, each.tenant), each.left_out.get("tenant")) for each in moved]


def is_own(found: dict[str, str], tenant: str) -> bool:
    """Return whether an agent has all that is its tenant's, and nothing of another."""
    return {secret for secret in TENANTS.values() if secret in found[tenant]} == {TENANTS[tenant]}


def test_a_copy_keeps_all_tenants_apart(place: Path | str, tmp_path: Path, databases: Databases) -> None:
    target: Path | str = databases.new() if isinstance(place, Path) else tmp_path / "there" / "b.db"
    assert agents_of(place) == ALL
    assert copy(place, target) == len(ALL)
    assert copy(place, target) == 0
    assert agents_of(target) == ALL
    assert wrong(place) == wrong(target) == []
    found = with_kernel(target)
    assert found == with_kernel(place)
    assert all(is_own(found, tenant) for tenant in TENANTS)
    assert "in a section" in found["firm"]
    assert "in an archive" in found["firm"]


def test_a_copy_of_a_tenant_has_nothing_of_another(place: Path | str, tmp_path: Path) -> None:
    of_firm, one, of_default = tmp_path / "1" / "b.db", tmp_path / "2" / "b.db", tmp_path / "3" / "b.db"
    assert copy(place, of_firm, tenant="firm") == 3
    assert copy(place, one, ["ana"], "firm") == 3  # and what it is attached to
    assert copy(place, of_default, ["ana"]) == 3
    assert agents_of(of_firm) == agents_of(one) == [key for key in ALL if key.tenant == "firm"]
    assert agents_of(of_default) == [key for key in ALL if not key.tenant]
    assert list(with_kernel(one)) == ["firm"]
    assert is_own(with_kernel(one), "firm")
    with pytest.raises(NotFoundError, match="There is no agent 'bo' of tenant 'firm' in"):
        copy(place, one, ["bo"], "firm")
    with pytest.raises(NotFoundError, match="There are no agents of tenant 'none' in"):
        copy(place, one, tenant="none")
    with pytest.raises(NotFoundError, match=r"There is no agent 'ana' in .*; one is of tenant 'firm'\."):
        export(one, "ana")


def test_another_agent_of_a_tenant_stops_a_copy(place: Path | str, tmp_path: Path) -> None:
    target = tmp_path / "there" / "b.db"
    copy(place, target)
    damage(target, "UPDATE agents SET settings = '{}' WHERE name = 'ana' AND tenant = 'shop'")
    with pytest.raises(UsageError, match="has another agent 'ana' of tenant 'shop' already"):
        copy(place, target)


def test_a_backup_brings_all_tenants_back(place: Path | str, tmp_path: Path) -> None:
    target, content = tmp_path / "there" / "b.db", export(place)
    with pytest.raises(UsageError, match=r"has (archive|agent|shared section) '\w+' of more than one tenant"):
        take(target, content)
    with pytest.raises(UsageError, match="of more than one tenant; each keeps its own with --trust"):
        take(target, content, trust=True, into="firm")
    assert agents_of(target) == []
    taken = take(target, content, trust=True)
    assert sorted(key for key, _ in taken) == sorted(ALL)
    assert {left_out for _, left_out in taken} == {None}
    assert wrong(target) == []
    assert with_kernel(target) == with_kernel(place)


def test_a_file_does_not_choose_its_tenant(place: Path | str, tmp_path: Path) -> None:
    target, content = tmp_path / "there" / "b.db", export(place, "ana", tenant="firm")
    brought = guarded_settings(io.BytesIO(content), "the file", AgentSettings())
    assert "tenant: firm" in brought[0].sentences()
    chosen = guarded_settings(io.BytesIO(content), "the file", AgentSettings(), "shop")
    assert not any("tenant" in line for line in chosen[0].sentences())
    assert take(target, content) == [(AgentKey("ana"), "firm")]
    assert take(target, content, into="shop") == [(AgentKey("ana", "shop"), None)]
    assert take(target, content, trust=True) == [(AgentKey("ana", "firm"), None)]
    with pytest.raises(UsageError, match="The agent 'ana' of tenant 'firm' is there already"):
        take(target, content, trust=True)
    assert take(target, content, "bo", into="firm") == [(AgentKey("bo", "firm"), None)]
    with pytest.raises(UsageError, match="cannot be a tenant's name"):
        take(target, content, into="a b")
    assert wrong(target) == []


def test_an_import_attaches_nothing_of_another_tenant(place: Path | str, tmp_path: Path) -> None:
    """Ana of firm is attached to an archive by name; one of this name that is there is not hers."""
    target = tmp_path / "there" / "b.db"
    with opened(place) as here, here.reading() as rows:
        attachments = next(table for table in OWNED if table.name == "attachments")
        ana = rows.agents()[AgentKey("ana", "firm")]
        assert rows.count(ana, attachments) == 2
    take(target, export(place, "archive:manuals", tenant="shop"), into="")
    take(target, export(place, "ana", tenant="firm"))  # into the tenant of that archive
    with opened(target) as there, there.reading() as rows:
        assert rows.count(rows.agents()[AgentKey("ana")], attachments) == 0
    assert wrong(target) == []


def test_a_damaged_tenant_is_found_and_not_taken_over(place: Path | str, tmp_path: Path) -> None:
    hostile = "firm\x1b[31m"
    damage(place, f"UPDATE agents SET tenant = '{hostile}' WHERE tenant = 'shop' AND name = 'ana'")
    said = [what for _, what in wrong(place) if "In agents, tenant is" in what]
    assert said
    assert "cannot be a tenant's name" in said[0]
    with pytest.raises(UsageError, match="cannot be a tenant's name"):
        copy(place, tmp_path / "there" / "b.db")
    with pytest.raises(UsageError, match="is damaged; nothing is imported"):
        take(tmp_path / "c" / "b.db", export(place, "ana", tenant=hostile), trust=True)


@pytest.mark.parametrize("by", ["option", "environment"])
def test_the_command_line_chooses_a_tenant(
    place: Path | str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    by: str,
) -> None:
    home, file, target = tmp_path / "home", tmp_path / "ana.jsonl", tmp_path / "b.db"
    given = ["--tenant", "firm"] if by == "option" else []
    if by == "environment":
        monkeypatch.setenv("PAGEFAULT_TENANT", "firm")
    here = ["--home", str(place.parent)] if isinstance(place, Path) else ["--database", place]

    def pagefault(*words: str) -> object:
        with pytest.raises(SystemExit) as ended:
            main(["--json", *words])
        said = capsys.readouterr()
        assert not ended.value.code, said.err
        return json.loads(said.out)

    if isinstance(place, Path):
        place.rename(place.with_name("pagefault.db"))
        place = place.with_name("pagefault.db")
    pagefault("db", "export", "ana", str(file), *here, *given)
    taken = pagefault("db", "import", str(file), "--home", str(home), *given)
    assert isinstance(taken, list)
    assert [(each["agent"], each["tenant"]) for each in taken] == [("ana", "firm")]  # pyright: ignore
    copied = pagefault("db", "copy", str(place), str(target), *given)
    assert isinstance(copied, list)
    assert {each["tenant"] for each in copied} == {"firm"}  # pyright: ignore
    assert agents_of(target) == [key for key in ALL if key.tenant == "firm"]


@pytest.mark.slow
def test_a_backup_of_postgresql_has_all_tenants(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_kernel(database, furnish)
    monkeypatch.setenv("PAGEFAULT_TENANT", "firm")
    backup, home = tmp_path / "all.jsonl", tmp_path / "home"
    with pytest.raises(SystemExit):
        main(["db", "backup", str(backup), "--database", database])
    monkeypatch.delenv("PAGEFAULT_TENANT")
    with pytest.raises(SystemExit):
        main(["db", "import", str(backup), "--home", str(home), "--trust"])
    assert "ana of firm" in capsys.readouterr().out
    assert agents_of(home / "pagefault.db") == ALL
    assert wrong(home / "pagefault.db") == []
