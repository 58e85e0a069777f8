"""Row-level security: a transaction of a tenant reaches no row of another, whatever its statements say."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from conftest import Run
from pagefault.approvals import Approval, Grant
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import PagefaultError, StorageError, UsageError
from pagefault.kernel.tenancy import create_key, key_of, keys
from pagefault.media import Media, MediaContent
from pagefault.message_meta import RequestUsage, Usage
from pagefault.models import Completion
from pagefault.shared import Attachment, Outgoing, SharedRecord
from pagefault.storage import EmbedderRecord, Filter, Match, Transaction
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.postgres.connection import Driver
from pagefault.storage.postgres.dialect import OWNED_TABLES, translated
from pagefault.storage.postgres.opening import conninfo_of, prepare
from pagefault.storage.postgres.policies import BY_TENANT, CONFINE, PROTECTED, SHARED
from pagefault.storage.postgres.protection import Protection, ProtectionReport
from pagefault.storage.segments import SegmentSizes
from pagefault.storage.withdrawing import Tombstone
from pagefault.storage.within import TenantStore
from pagefault.tenancy import ApiKey, Quota
from pagefault.testing.models import ScriptedModel
from pagefault.testing.postgres import Databases
from pagefault.testing.store_opening import NOW
from pagefault.types import (
    AgentId,
    AgentRecord,
    Document,
    Event,
    Message,
    Page,
    Passage,
    Role,
    Schedule,
    Section,
)  # fmt: skip
from pagefault.views.spending import budgets
from test_upgrade import WITHOUT_TENANTS

pytestmark = pytest.mark.anyio

SECRET = "tangerine"
DIMENSIONS = 8
SIZES = SegmentSizes(small=10, open=5, dead=0.15)
RELATIONS = """
    SELECT relname FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v', 'm') ORDER BY 1"""
LEFT_OUT = {"alembic_version", "signals", "workers"}
"""Tables without rows of tenants which their transactions have no need of."""
SEGMENTS = "SELECT relname FROM pg_class WHERE relname ~ '^segment_' AND relkind = 'r' ORDER BY relname"
TRACES_OF_PROTECTION = """
    SELECT polname FROM pg_policy UNION ALL SELECT relname FROM pg_class WHERE relrowsecurity
    UNION ALL SELECT relname FROM pg_class WHERE strpos(array_to_string(relacl, ' '), %(role)s) > 0
    UNION ALL SELECT rolname FROM pg_roles WHERE rolname = %(role)s"""


def protect(url: str, role: str = "") -> ProtectionReport:
    with closing(Protection.open(url)) as protection:
        return protection.switch_on(role)


def unprotect(url: str) -> ProtectionReport:
    with closing(Protection.open(url)) as protection:
        return protection.switch_off()


@pytest.fixture
def role(database: str) -> Generator[str]:
    """The role of the protected database."""
    yield protect(database).role
    unprotect(database)


def rows(url: str, statement: str, **values: Any) -> list[Any]:
    """The rows of a statement that the owner of the database executes."""
    with psycopg.connect(url, autocommit=True) as driver:
        found = driver.execute(statement.encode(), values or None)
        return found.fetchall() if found.description is not None else []


def contents(url: str) -> dict[str, list[Any]]:
    """The rows of every table, as their owner reads them."""
    with psycopg.connect(url) as driver:
        names = [name for (name,) in driver.execute(RELATIONS).fetchall()]
        return {name: driver.execute(whole(name)).fetchall() for name in names}


def whole(table: str) -> bytes:
    return f"SELECT * FROM {table} t ORDER BY t::text".encode()


def segments(url: str, agent: int | None = None) -> list[str]:
    """The tables of sealed vectors, of all agents or of one."""
    found = [name for (name,) in rows(url, SEGMENTS)]
    return [name for name in found if agent is None or name.split("_")[1] == str(agent)]


@contextmanager
def confined(url: str, role: str, tenant: str) -> Generator[Driver]:
    """A transaction as ``Transaction.confined`` makes it, for any statement; undone at the end."""
    with psycopg.connect(url, autocommit=True) as driver, driver.transaction(force_rollback=True):
        driver.execute(translated(CONFINE), {"role": role, "tenant": tenant})
        yield driver


def attempt(driver: Driver, statement: str) -> list[Any] | None:
    """The rows of a statement, or their number; None if it is not permitted."""
    try:
        with driver.transaction():
            found = driver.execute(statement.encode())
            return found.fetchall() if found.description is not None else [found.rowcount]
    except errors.InsufficientPrivilege:
        return None


def fill(tx: Transaction, id: AgentId, archive: AgentId, word: str) -> None:
    """Write a row of each kind, with the word wherever there is text."""
    usage = (RequestUsage("offline", Usage(1, 1)),)
    said = Message(Role.USER, word, NOW, usage=usage, speaker=word)
    tx.append(id, [said, said])
    tx.erase_rows(id, [2])
    tx.put_tombstone(id, Tombstone(NOW, word, {"rows": 1}))
    tx.put_section(id, Section("notes", word, 100), NOW)
    tx.attach(id, Attachment("archive", "papers", NOW))
    document = Document("d.txt", word, "text/plain", "0" * 64, NOW, 1)
    tx.put_document(id, document, [Page(1, word, word)], [Passage(word, NOW, (word,))])
    tx.post(id, Event("message", word, at=NOW))
    tx.add_schedule(id, Schedule(word, NOW + timedelta(days=1), "UTC"))
    tx.put_outgoing(id, Outgoing("archive:papers", "insert", f'"{word}"', NOW))
    tx.put_approvals(id, [Approval(1, 1, "archival_insert", word, NOW)])
    tx.put_grant(id, Grant("archival_insert", NOW, word))
    tx.put_media(id, [MediaContent(Media("a" * 64, "image/png", word, 1, 1, 1), word.encode())])
    tx.set_delivered(archive, id, 1)
    tx.put_key(ApiKey(word, NOW), f"digest {id}")
    tx.put_quota(Quota(agents=9))


async def furnish(store: PostgresStore, tenant: str, word: str) -> AgentId:
    """Make an agent of a tenant with rows in every table, and with sealed segments."""
    record = EmbedderRecord("f", "f", DIMENSIONS, wanted=True, in_service=True)
    await store.write(lambda tx: tx.put_embedder(record))
    own = TenantStore(store, tenant, "somebody")
    id = (await own.write(lambda tx: tx.create_agent(AgentRecord("ana", {"note": word}, NOW)))).id
    archive = await own.write(lambda tx: tx.create_shared(SharedRecord("archive", "papers", NOW, word)))
    await own.write(lambda tx: fill(tx, id, archive.id, word))
    texts = [Passage(f"{word} {n}", NOW, (word,)) for n in range(40)]
    stored = await own.write(lambda tx: tx.insert_passages(id, texts))
    items = await store.read(lambda tx: tx.pending_vectors("f", 100))
    drawn = np.random.default_rng(1).standard_normal((len(items), 1, DIMENSIONS)).astype(np.float32)
    await store.write(lambda tx: tx.put_vectors("f", items, list(drawn)))
    await own.write(lambda tx: tx.delete_passage(id, stored[-1].number))
    while await store.build(lambda tx: tx.seal(id, SIZES)):
        pass
    return id


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[PostgresStore]:
    store = PostgresStore.open(url, connections=2)
    try:
        yield store
    finally:
        await store.close()


async def two_tenants(url: str) -> tuple[AgentId, AgentId]:
    """Furnish the tenants `first`, which has the secret, and `second`; all tables have rows of both."""
    async with opened(url) as store:
        made = await furnish(store, "first", SECRET), await furnish(store, "second", "plum")
    for id in made:
        rows(url, f"INSERT INTO index_blocks VALUES ({id}, 'recall', '', 1, 1, '{SECRET}', '')")
    return made


# -- statements that ask for everything


async def test_a_tenant_sees_its_rows_alone_in_any_statement(database: str, role: str) -> None:
    await two_tenants(database)
    everything = contents(database)
    seen: dict[str, dict[str, list[Any]]] = {}
    for tenant in ("first", "second", ""):
        with confined(database, role, tenant) as driver:
            for name in everything:
                found = attempt(driver, whole(name).decode())
                if found is not None:
                    seen.setdefault(name, {})[tenant] = found
    sealed = set(segments(database))
    partitions = {name for name in everything if name.rpartition("_")[0] in PROTECTED} - set(PROTECTED)
    assert len(sealed) == 2
    assert seen.keys() == {*PROTECTED, *SHARED, *sealed}  # a new table is to be protected or left out
    assert everything.keys() - seen.keys() == LEFT_OUT | partitions
    for name in seen.keys() - set(SHARED):
        parts = [frozenset(map(repr, found)) for found in seen[name].values()]
        together = parts[0] | parts[1] | parts[2]
        assert sum(map(len, parts)) == len(together), name
        assert together == frozenset(map(repr, everything[name])), name
        assert name in sealed or (parts[0] and parts[1]), f"{name} has no rows to be seen"
        assert not parts[2], name


async def test_a_tenant_changes_its_rows_alone_in_any_statement(database: str, role: str) -> None:
    first, _ = await two_tenants(database)
    before = contents(database)
    for table in PROTECTED:
        column, theirs = ("tenant", "first") if table in BY_TENANT else ("agent", first)
        with confined(database, role, "second") as driver:
            (deleted,) = attempt(driver, f"DELETE FROM {table}") or [0]
            driver.execute(b"RESET ROLE")
            left = len(driver.execute(f"SELECT FROM {table}".encode()).fetchall())
            assert deleted, table
            assert left == len(before[table]) - deleted, table
        with confined(database, role, "second") as driver:
            assert attempt(driver, f"UPDATE {table} SET {column} = {column} WHERE {column} = '{theirs}'") == [
                0
            ]
            assert attempt(driver, f"UPDATE {table} SET {column} = '{theirs}'") is None, table
            assert attempt(driver, f"TRUNCATE {table}") is None, table
    with confined(database, role, "second") as driver:
        for statement in (
            f"INSERT INTO speakers VALUES ({first}, 'x')",
            "INSERT INTO quotas (tenant) VALUES ('third')",
            "UPDATE embedders SET wanted = false",
            "ALTER TABLE agents DISABLE ROW LEVEL SECURITY",
            "DROP POLICY pagefault_tenant ON agents",
            "DELETE FROM workers",
        ):
            assert attempt(driver, statement) is None, statement
    assert contents(database) == before


async def test_without_a_tenant_the_role_sees_nothing(database: str, role: str) -> None:
    async with opened(database) as store:
        await furnish(store, "", "plum")
    with psycopg.connect(database) as driver:
        for before in ("SELECT 1", "SELECT set_config('pagefault.tenant', '=', true)"):
            driver.execute(before.encode())
            driver.commit()  # after which the setting is empty, but known
            driver.execute(f"SET LOCAL ROLE {role}".encode())
            assert driver.execute("SELECT FROM agents").fetchall() == []
            assert driver.execute("SELECT FROM messages").fetchall() == []
            driver.commit()


# -- the statements of the store, which go by the agent's number


@pytest.mark.usefixtures("role")
async def test_a_number_of_another_tenants_agent_is_of_no_use(database: str) -> None:
    async with opened(database) as store:
        id = await furnish(store, "first", SECRET)
        await furnish(store, "second", "plum")
        first, second = TenantStore(store, "first", "x"), TenantStore(store, "second", "x")
        before = contents(database)
        query = Match(vector=np.ones(DIMENSIONS, np.float32), floor=-2.0)
        reads: dict[str, Callable[[Transaction], object]] = {
            "messages": lambda tx: tx.messages(id),
            "message": lambda tx: tx.message(id, 1),
            "speakers": lambda tx: tx.speakers(id),
            "sections": lambda tx: tx.sections(id),
            "section_history": lambda tx: tx.section_history(id, "notes"),
            "passages": lambda tx: tx.passages(id, range(1, 50)),
            "holdings": lambda tx: any(tx.holdings(id)),
            "documents": lambda tx: tx.documents(id),
            "pages": lambda tx: tx.document_pages(id, 1, 1, 1),
            "events": lambda tx: tx.events(id),
            "schedules": lambda tx: tx.schedules(id),
            "totals": lambda tx: tx.usage_totals(id),
            "usage": lambda tx: tx.usage_of_all(NOW, "first"),
            "texts": lambda tx: tx.texts(id, "archival", range(1, 50)),
            "search": lambda tx: tx.search(id, "archival", query, Filter(), "f").number.tolist(),
            "attachments": lambda tx: tx.attachments(id),
            "outgoing": lambda tx: tx.outgoing(id),
            "approvals": lambda tx: tx.approvals(id),
            "grants": lambda tx: tx.grants(id),
            "media": lambda tx: tx.media(id, ["a" * 64]),
        }
        for name, read in reads.items():
            assert await first.read(read), name
            assert not await second.read(read), name
        writes: list[Callable[[Transaction], object]] = [
            lambda tx: tx.append(id, [Message(Role.USER, "x", NOW)]),
            lambda tx: tx.put_section(id, Section("notes", "", 9), NOW),
            lambda tx: tx.insert_passage(id, Passage("x", NOW)),
            lambda tx: tx.delete_passage(id, 5),
            lambda tx: tx.delete_document(id, 1),
            lambda tx: tx.post(id, Event("message", "x", at=NOW)),
            lambda tx: tx.add_schedule(id, Schedule("x", NOW, "UTC")),
            lambda tx: tx.save_settings(id, {}),
            lambda tx: tx.park_agent(id, "x"),
            lambda tx: tx.rename_agent(id, "bo"),
            lambda tx: tx.delete_agent(id),
            lambda tx: tx.put_grant(id, Grant("f", NOW)),
            lambda tx: tx.put_media(id, [MediaContent(Media("b" * 64, "image/png", "", 1), b"x")]),
            lambda tx: tx.set_delivered(id, id, 9),
        ]
        for write in writes:
            with suppress(PagefaultError):
                await second.write(write)
        assert contents(database) == before
        await second.write(lambda tx: tx.put_grant((tx.agents()[0]).id, Grant("f", NOW)))  # the store goes on


@pytest.mark.usefixtures("role")
async def test_an_agent_is_deleted_whole_by_its_tenant(database: str) -> None:
    first, second = await two_tenants(database)
    async with opened(database) as store:
        await TenantStore(store, "first", "somebody").write(lambda tx: tx.delete_agent(first))
        assert [a.id for a in await TenantStore(store, "second").read(lambda tx: tx.agents())] == [second]
    assert {segment.split("_")[1] for segment in segments(database)} == {str(second)}
    for table in OWNED_TABLES:
        assert rows(database, f"SELECT FROM {table} WHERE agent = {first}") == [], table


# -- segments and tables that come later


async def test_segments_are_protected_whenever_they_were_sealed(database: str) -> None:
    async with opened(database) as store:
        before = await furnish(store, "first", SECRET)
        done = protect(database)
        after = await furnish(store, "second", "plum")
        for tenant, own, others in (("first", before, after), ("second", after, before)):
            with confined(database, done.role, tenant) as driver:
                assert attempt(driver, f"SELECT number FROM segment_{own}_1")
                assert attempt(driver, f"SELECT number FROM segment_{others}_1") == []
        assert unprotect(database).tables == done.tables + 1
        await furnish(store, "third", "plum")
    assert rows(database, TRACES_OF_PROTECTION, role=done.role) == []


async def test_a_table_that_is_not_protected_is_closed_and_an_upgrade_protects_it(
    database: str, role: str
) -> None:
    for statement in WITHOUT_TENANTS:
        rows(database, statement)
    rows(database, "UPDATE alembic_version SET version_num = '0016'")
    rows(database, "CREATE TABLE quotas (tenant text)")
    with confined(database, role, "first") as driver:
        assert attempt(driver, "SELECT * FROM quotas") is None
    rows(database, "DROP TABLE quotas")
    prepare(conninfo_of(database, 10))
    await two_tenants(database)
    with confined(database, role, "second") as driver:
        for table in ("api_keys", "audit", "quotas"):
            found = attempt(driver, f"SELECT tenant FROM {table}")
            assert set(found or ()) == {("second",)}, table


# -- all tenants together are seen where they are to be


@pytest.mark.usefixtures("role")
async def test_what_is_of_all_tenants_is_found(database: str, tmp_path: Path) -> None:
    model = ScriptedModel(lambda _: Completion("yes", usage=Usage(900, 100)))
    parts = Parts(model=model, embedder=NullEmbedder(), store=PostgresStore.open(database))
    async with open_kernel(tmp_path, parts, Installation(total_daily_tokens=1500)) as kernel:
        for tenant in ("first", "second", "third"):
            own = kernel.within(tenant)
            await own.create_agent("ana", parse_settings({"zone": "UTC"}))
            heard = [output async for output in own.send("ana", "hello")]
        assert "The installation has reached its daily budget: 2,000 of 1,500 tokens" in heard[0].text
        (shown,) = await budgets(kernel.within("third"), installation=True)
        assert (shown.of, shown.spent.input + shown.spent.output) == ("installation", 2000)
        secret = await create_key(kernel.within("first"), "ci")
        found = await key_of(kernel, secret)
        assert found
        assert (found.tenant, found.name) == ("first", "ci")
        assert await keys(kernel.within("second")) == []


# -- switching it on and off


async def test_a_process_that_runs_takes_it_up_and_gives_it_up(database: str) -> None:
    async with opened(database) as store:
        id = await furnish(store, "first", SECRET)
        second = TenantStore(store, "second")
        assert await second.read(lambda tx: tx.messages(id))  # only the statements' own conditions
        role = protect(database).role
        rows(database, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                       "WHERE datname = current_database() AND pid <> pg_backend_pid()")  # fmt: skip
        assert await second.read(lambda tx: tx.messages(id)) == []
        done = unprotect(database)
        assert (done.role, done.stays) == (role, False)
        assert await second.read(lambda tx: tx.messages(id))
        await second.write(lambda tx: tx.create_agent(AgentRecord("bo", {}, NOW)))


async def test_it_can_be_switched_on_again_and_off_again(database: str) -> None:
    first, again = protect(database), protect(database)
    assert (again.role, again.tables) == (first.role, len(PROTECTED))
    with pytest.raises(UsageError, match=f"is protected with the role {first.role}; switch it off first"):
        protect(database, "another")
    assert unprotect(database).role == first.role
    assert unprotect(database).role == ""
    assert rows(database, TRACES_OF_PROTECTION, role=first.role) == []


async def test_a_role_of_several_databases_stays(databases: Databases, database: str, role: str) -> None:
    with databases.one() as other:
        assert protect(other, role).role == role
        done = unprotect(other)
        assert (done.role, done.stays) == (role, True)
    with confined(database, role, "first") as driver:
        assert attempt(driver, "SELECT FROM agents") == []


@pytest.fixture
def user(databases: Databases, database: str) -> Generator[tuple[str, str]]:
    """A user who owns the tables and may not make roles, and the URL with which it connects."""
    name = f"{conninfo_to_dict(database)['dbname']}_owner"
    databases.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'x'")
    rows(database, f"GRANT CREATE ON SCHEMA public TO {name}")
    yield name, make_conninfo(database, user=name, password="x")
    for kept in (f"REASSIGN OWNED BY {name} TO CURRENT_USER", f"DROP OWNED BY {name}"):
        rows(database, kept)
    databases.execute(f"DROP ROLE {name}")


def hand_over(url: str, user: str) -> None:
    """Make a user the owner of all tables and sequences."""
    owned = (
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
    )
    for (table,) in rows(url, owned):
        rows(url, f"ALTER TABLE {table} OWNER TO {user}")


async def test_a_user_without_the_right_is_told_what_to_have_done(
    databases: Databases, database: str, user: tuple[str, str]
) -> None:
    name, url = user
    for table in ("alembic_version", "agents", "agent_names", "embedders", "workers"):
        rows(database, f"GRANT SELECT ON {table} TO {name}")
    with pytest.raises(StorageError, match=r"may not protect the tables of .*; run it as postgres, their"):
        protect(url)
    hand_over(database, name)
    role = f"{name}_tenants"
    with pytest.raises(StorageError, match=f"CREATE ROLE {role}; GRANT {role} TO {name}; and then try again"):
        protect(url, role)
    databases.execute(f"CREATE ROLE {role}")
    databases.execute(f"GRANT {role} TO {name}")
    assert protect(url, role).role == role
    await two_tenants(url)
    with confined(url, role, "second") as driver:
        assert len(attempt(driver, "SELECT FROM agents") or ()) == 2
    done = unprotect(url)
    assert (done.role, done.stays) == (role, True)
    databases.execute(f"DROP ROLE {role}")  # nothing depends on it


async def test_a_role_that_bypasses_the_policies_is_refused(
    databases: Databases, database: str, user: tuple[str, str]
) -> None:
    name, _ = user
    hand_over(database, name)
    databases.execute(f"CREATE ROLE {name}_mighty BYPASSRLS")
    databases.execute(f"CREATE ROLE {name}_member IN ROLE {name}")
    for mighty in ("mighty", "member"):
        with pytest.raises(UsageError, match=f"The role {name}_{mighty} bypasses row-level security"):
            protect(database, f"{name}_{mighty}")
        databases.execute(f"DROP ROLE {name}_{mighty}")
    hostile = f'{name}"; DROP TABLE agents; --'
    assert protect(database, hostile).role == hostile
    assert unprotect(database).stays is False


def test_the_command_says_what_was_done(run: Run, database: str) -> None:
    done = run("db", "protect", "--database", database)
    role = done.out.rpartition("the role ")[2].strip(" .\n")
    assert (
        done.out == f"{len(PROTECTED)} tables are protected; transactions of tenants have the role {role}.\n"
    )
    off = run("db", "protect", "--off", "--database", database)
    assert off.out == (f"{len(PROTECTED)} tables are no longer protected; the role {role} is gone.\n")
    again = run("db", "protect", "--off", "--database", database, "--json")
    assert again.json == {
        "protected": False,
        "role": "",
        "role_stays": False,
        "tables": len(PROTECTED),
        "sessions": 0,
    }
    assert "SQLite has no row-level security" in run("db", "protect").err
