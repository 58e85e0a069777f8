"""Memories of mem0 as passages: results of every version, and the database of its history."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pagefault.importers import BadRecord, ImportedMessage, ImportedPassage, ImportOptions
from pagefault.importers.mem0 import Mem0Importer
from pagefault.importers.sources import open_source

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BRUNO: dict[str, Any] = {
    "id": "6f1b",
    "memory": "Has a dog called Bruno",
    "hash": "9a1",
    "metadata": {"type": "personal"},
    "created_at": "2025-06-01T10:00:00-07:00",
    "updated_at": None,
    "user_id": "ana",
    "run_id": "s1",
    "categories": ["pets", 7],
}
TAGS = ("pets", "user:ana", "run:s1")


def read(path: Path) -> list[Any]:
    source = open_source(path)
    assert Mem0Importer().recognises(source)
    return list(Mem0Importer().read(source, ImportOptions(NOW)))


def written(tmp_path: Path, value: Any) -> Path:
    path = tmp_path / "memories.json"
    path.write_text(json.dumps(value))
    return path


@pytest.mark.parametrize("around", [{}, None, {"count": 1, "next": None}], ids=["OSS", "older", "platform"])
def test_a_memory_is_a_passage_with_its_date_and_tags(tmp_path: Path, around: Any) -> None:
    (passage,) = read(written(tmp_path, [BRUNO] if around is None else around | {"results": [BRUNO]}))
    assert (passage.text, passage.tags) == ("Has a dog called Bruno", TAGS)
    assert passage.at == datetime(2025, 6, 1, 17, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "until"),
    [
        ("2025-06-30", datetime(2025, 7, 1, tzinfo=UTC)),
        ("2025-06-30T12:00:00+02:00", datetime(2025, 6, 30, 10, tzinfo=UTC)),
        (None, None),
        ("", None),
    ],
)
def test_a_memory_that_expires_holds_until_then(tmp_path: Path, given: Any, until: datetime | None) -> None:
    (passage,) = read(written(tmp_path, {"results": [BRUNO | {"expiration_date": given}]}))
    assert passage.valid_until == until


def test_an_expiry_that_is_no_date_is_named(tmp_path: Path) -> None:
    (record,) = read(written(tmp_path, {"results": [BRUNO | {"expiration_date": "never"}]}))
    assert isinstance(record, BadRecord)
    assert (record.where, record.why) == ("memory 6f1b", "its time 'never' is none")


def test_the_same_memory_has_the_same_id_and_a_changed_one_another(tmp_path: Path) -> None:
    (before,) = read(written(tmp_path, [BRUNO]))
    (again,) = read(written(tmp_path, [BRUNO | {"updated_at": "2025-07-01T00:00:00Z", "score": 0.3}]))
    (changed,) = read(written(tmp_path, [BRUNO | {"memory": "Has two dogs"}]))
    assert before.id == again.id != changed.id


def test_relations_of_the_graph_are_sentences(tmp_path: Path) -> None:
    relations = [{"source": "ana", "relationship": "owns", "target": "bruno"}, {"source": 7}]
    passages = read(written(tmp_path, {"results": [BRUNO], "relations": relations}))
    assert [(each.text, each.tags) for each in passages][1:] == [("ana owns bruno", ("relation",))]


def test_a_damaged_memory_costs_that_one_alone(tmp_path: Path) -> None:
    items = read(written(tmp_path, [BRUNO, {"id": "x", "memory": None}, 7, BRUNO | {"created_at": "soon"}]))
    assert [type(each) for each in items] == [ImportedPassage, BadRecord, BadRecord, BadRecord]
    assert [each.where for each in items[1:]] == ["memory x", "memory 3", "memory 6f1b"]


@pytest.mark.parametrize(
    "value", [[], {"results": []}, [{"id": "a", "text": "b"}], {"memory": "x", "id": "y"}]
)
def test_what_is_no_result_is_not_recognised(tmp_path: Path, value: Any) -> None:
    assert not Mem0Importer().recognises(open_source(written(tmp_path, value)))


def history(path: Path, columns: str, rows: list[tuple[Any, ...]]) -> Path:
    with sqlite3.connect(path) as database:
        database.execute(f"CREATE TABLE history ({columns})")
        database.execute("CREATE TABLE messages (id, session_scope, role, content, name, created_at)")
        marks = ", ".join("?" * len(columns.split(",")))
        database.executemany(f"INSERT INTO history VALUES ({marks})", rows)
        said = ("m1", "user_id=ana", "user", "My dog is Bruno.", "ana", "2025-06-01T10:00:00+00:00")
        database.execute("INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?)", said)
    database.close()
    return path


NEWER = "id, memory_id, old_memory, new_memory, event, created_at, updated_at, is_deleted, actor_id, role"
OLDER = "id, memory_id, prev_value, new_value, event, timestamp, is_deleted"


def test_the_history_gives_each_memory_as_it_was_last(tmp_path: Path) -> None:
    at, later = "2025-06-01T10:00:00+00:00", "2025-06-02T10:00:00+00:00"
    rows = [
        ("1", "a", None, "Has a dog", "ADD", at, None, 0, "ana", "user"),
        ("2", "b", None, "Likes tea", "ADD", at, None, 0, None, None),
        ("3", "a", "Has a dog", "Has a dog called Bruno", "UPDATE", at, later, 0, "ana", "user"),
        ("4", "b", "Likes tea", None, "DELETE", at, later, 1, None, None),
    ]
    items = read(history(tmp_path / "history.db", NEWER, rows))
    passage, message = items
    assert (passage.text, passage.tags, passage.at) == (
        "Has a dog called Bruno",
        ("user:ana",),
        datetime(2025, 6, 1, 10, tzinfo=UTC),
    )
    assert isinstance(message, ImportedMessage)
    assert (message.text, message.role, message.speaker) == ("My dog is Bruno.", "user", "ana")


def test_the_older_history_is_read_too(tmp_path: Path) -> None:
    rows = [("1", "a", None, "Has a dog", "ADD", "2024-06-01T10:00:00", 0)]
    assert read(history(tmp_path / "history.db", OLDER, rows))[0].text == "Has a dog"
