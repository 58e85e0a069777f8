"""The statements for a new SQLite file make what the migrations make.

After a new migration run ``python tests/test_new_database.py``, which writes them anew.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import anyio

from pagefault.storage.head import HEAD
from pagefault.storage.migrations import upgrade_sqlite
from pagefault.storage.sqlite import SQLiteStore
from pagefault.storage.sqlite.opening import NEW


def statements_of(driver: sqlite3.Connection) -> str:
    """The statements that make the tables of a database; those that SQLite makes by itself are left out."""
    made: list[tuple[str, str]] = driver.execute(
        "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid"
    ).fetchall()
    virtual = [name for name, sql in made if sql.startswith("CREATE VIRTUAL")]
    shadows = tuple(f"{name}_" for name in virtual)
    own = [sql for name, sql in made if name in virtual or not name.startswith((*shadows, "sqlite_"))]
    (version,) = driver.execute("SELECT version_num FROM alembic_version").fetchone()
    insert = f"INSERT INTO alembic_version VALUES ('{version}')"
    return "".join(f"{sql};\n" for sql in [*own, insert])


def migrated() -> str:
    """The statements of a database that went through all migrations."""
    driver = sqlite3.connect(":memory:", isolation_level=None)
    upgrade_sqlite(driver, Path("new"), None)
    return statements_of(driver)


def test_a_new_file_is_as_the_migrations_make_it() -> None:
    assert NEW.read_text("utf-8") == migrated(), f"run: python tests/{Path(__file__).name}"


def test_a_new_file_has_these_tables_and_no_row(tmp_path: Path) -> None:
    anyio.run(SQLiteStore.open(tmp_path / "a.db").close)
    with sqlite3.connect(tmp_path / "a.db") as driver:
        assert statements_of(driver) == NEW.read_text("utf-8")
        assert driver.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]
        assert driver.execute("SELECT count(*) FROM agents").fetchone() == (0,)


if __name__ == "__main__":
    NEW.write_text(migrated(), encoding="utf-8")
