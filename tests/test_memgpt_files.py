"""MemGPT's folders, pickles and databases as items; a pickle that would run code, and a schema that would."""

from __future__ import annotations

import json
import os
import pickle
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from pagefault.errors import UsageError
from pagefault.importers import (
    BadRecord,
    ImportedAgent,
    ImportedMessage,
    ImportedPassage,
    ImportedSection,
    ImportOptions,
    Omission,
)
from pagefault.importers.memgpt import MemGPTImporter
from pagefault.importers.memgpt.pickles import StandIn, fields_of, read_pickle
from pagefault.importers.sources import open_source

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STAMP = "2023-11-20_08_05_00_PM_PST-0800"
SECRET = "sk-secret-7f3a91"


def read(path: Path) -> list[Any]:
    source = open_source(path)
    assert MemGPTImporter().recognises(source)
    return list(MemGPTImporter().read(source, ImportOptions(NOW)))


def of(kind: type, items: list[Any]) -> list[Any]:
    return [item for item in items if isinstance(item, kind)]


def said(items: list[Any]) -> list[tuple[str, str, str]]:
    return [(i.role, i.text, f"{i.at:%H:%M}") for i in items if isinstance(i, ImportedMessage)]


def packed(**values: str) -> str:
    return json.dumps(values)


LOGIN = {
    "role": "user",
    "content": packed(type="login", last_login="Never", time="2023-11-20 08:00:00 PM PST-0800"),
}
HELLO = {
    "role": "assistant",
    "content": "First login.",
    "function_call": {"name": "send_message", "arguments": '{\n  "message": "Hello Ana!"\n}'},
}
SENT = {"role": "function", "name": "send_message", "content": packed(status="OK", message="None", time="x")}
DOG = {
    "role": "user",
    "content": packed(
        type="user_message", message="My dog is Bruno.", time="2023-11-20 08:01:00 PM PST-0800"
    ),
}
NOTED = {
    "role": "assistant",
    "content": "Keep it.",
    "function_call": {
        "name": "core_memory_append",
        "arguments": '{"name": "human", "content": "Dog: Bruno"}',
    },
}
EDITED = {
    "role": "function",
    "name": "core_memory_append",
    "content": packed(status="Failed", message="full", time="x"),
}
SYSTEM = {"role": "system", "content": "You are MemGPT..."}
STATE: dict[str, Any] = {
    "model": "gpt-4",
    "system": "You are MemGPT...",
    "functions": [{"name": "send_message"}, {"name": "roll_dice"}],
    "messages": [SYSTEM, LOGIN, HELLO, SENT, DOG, NOTED, EDITED],
    "messages_total": 9,
    "memory": {"persona": "I am Sam.", "human": "First name: Ana"},
}
TALK = [
    ("event", "The user logged in; the last login was: Never", "04:00"),
    ("thought", "First login.", "04:00"),
    ("assistant", "Hello Ana!", "04:00"),
    ("user", "My dog is Bruno.", "04:01"),
    ("thought", "Keep it.", "04:01"),
    ("call", '{"name": "human", "content": "Dog: Bruno"}', "04:01"),
    ("result", "full", "04:01"),
]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder as ``~/.memgpt`` was, with one agent."""
    agent = tmp_path / "memgpt" / "agents" / "agent_1"
    (agent / "agent_state").mkdir(parents=True)
    (agent / "persistence_manager" / "index").mkdir(parents=True)
    (agent / "config.json").write_text(
        json.dumps({"name": "agent_1", "model": "gpt-4", "openai_key": SECRET})
    )
    (agent / "agent_state" / f"{STAMP}.json").write_text(json.dumps(STATE))
    older = {**STATE, "memory": {"persona": "old", "human": "old"}}
    (agent / "agent_state" / "2023-11-19_08_00_00_AM_PST-0800.json").write_text(json.dumps(older))
    return tmp_path / "memgpt"


def pickled(home: Path, value: object) -> Path:
    folder = home / "agents" / "agent_1" / "persistence_manager"
    path = folder / f"{STAMP}.persistence.pickle"
    path.write_bytes(value if isinstance(value, bytes) else pickle.dumps(value))
    return path


def stamped(message: dict[str, Any], minute: int) -> dict[str, Any]:
    return {"timestamp": f"2023-11-20 08:{minute:02}:00 PM PST-0800", "message": message}


def test_a_folder_without_its_pickle_has_the_messages_of_the_context(home: Path) -> None:
    items = read(home)
    about = of(ImportedAgent, items)[0]
    assert (about.name, about.model, about.style) == ("agent_1", "openai:gpt-4", "memgpt")
    assert [(each.name, each.text) for each in of(ImportedSection, items)] == [
        ("persona", "I am Sam."),
        ("human", "First name: Ana"),
    ]
    assert said(items) == TALK
    assert Omission("older messages", "", 2) in items
    assert Omission("file", f"agents/agent_1/persistence_manager/{STAMP}.persistence.pickle") in items
    assert Omission("tool", "roll_dice") in items
    assert SECRET not in repr(items)


def test_the_folder_of_one_agent_is_enough_and_so_is_its_state(home: Path) -> None:
    assert said(read(home / "agents" / "agent_1")) == TALK
    assert said(read(home / "agents" / "agent_1" / "agent_state" / f"{STAMP}.json")) == TALK


def test_the_pickle_of_0_2_has_all_messages_with_their_times(home: Path) -> None:
    earlier = {"role": "user", "content": packed(type="user_message", message="Earlier.", time="x")}
    rows = [stamped(earlier, 0), stamped(HELLO, 1), stamped(SENT, 2)]
    pickled(home, {"recall_memory": None, "messages": [], "all_messages": rows})
    assert said(read(home)) == [
        ("user", "Earlier.", "04:00"),
        ("thought", "First login.", "04:01"),
        ("assistant", "Hello Ana!", "04:01"),
    ]


def in_other_process(script: str) -> bytes:
    """The pickle that a script writes, whose classes are not known here."""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    return ran.stdout


OF_OTHERS = """
import pickle, sys, types
module = types.ModuleType("memgpt_persistence"); sys.modules["memgpt_persistence"] = module
class OpenAIObject(dict):
    def __init__(self, id=None, api_key=None): super().__init__()
    def __setstate__(self, state): self.update(state)
    def __reduce__(self): return (OpenAIObject, (None, "sk-secret-7f3a91"), dict(self))
class LocalStateManager: pass
for kind in (OpenAIObject, LocalStateManager):
    kind.__module__, kind.__qualname__ = "memgpt_persistence", kind.__name__
    setattr(module, kind.__name__, kind)
manager = LocalStateManager()
call = OpenAIObject(); call.update(name="send_message", arguments='{"message": "Hello Ana!"}')
message = OpenAIObject(); message.update(role="assistant", content="First.", function_call=call)
manager.all_messages = [{"timestamp": "2023-11-20 08:03:00 PM PST-0800", "message": message}]
manager.memory = None
sys.stdout.buffer.write(pickle.dumps(manager))
"""


def test_objects_of_classes_that_are_not_here_are_read_without_them(home: Path) -> None:
    pickled(home, in_other_process(OF_OTHERS))
    items = read(home)
    assert said(items) == [("thought", "First.", "04:03"), ("assistant", "Hello Ana!", "04:03")]
    assert SECRET not in repr(items)


class _Runs:
    """Pickles to a call that makes a folder."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_would_run_code_runs_none(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "ran"
    value = read_pickle(pickle.dumps({"all_messages": [_Runs(mark)]}, protocol), "it")
    assert isinstance(fields_of(value)["all_messages"], list)
    assert not mark.exists()
    pickle.loads(pickle.dumps(_Runs(mark), protocol))  # it would
    assert mark.exists()


HOSTILE: dict[str, bytes] = {
    "code by name": b"cbuiltins\nexec\n(S'import os; os.abort()'\ntR.",
    "code by getattr": b"cbuiltins\ngetattr\n(cos\n\nS'abort'\ntR(tR.",
    "code by a stacked name": b"\x80\x04\x8c\x02os\x8c\x05abort\x93)R.",
    "an instance": b"(S'-c'\nios\nabort\n.",
    "an object": b"(cos\nabort\no.",
    "an extension": b"\x80\x02\x82\x01)R.",
    "a persistent id": b"Pevil\n.",
    "a state of a class": b"cos\nabort\n}b.",
    "a place of memory that is far away": b"\x80\x02K\x01r\xff\xff\xff\x7f.",
    "a length that is not there": b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
    "a number of many digits": b"I" + b"9" * 10_000 + b"\n.",
    "cut off": b"\x80\x04}(",
    "no pickle": b"hello",
    "empty": b"",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_pickle_is_stand_ins_or_a_sentence(data: bytes) -> None:
    try:
        value = read_pickle(data, "it")
    except UsageError as error:
        value = error
    assert value is StandIn or isinstance(value, StandIn | int | UsageError)


def test_a_pickle_that_cannot_be_read_is_named_and_the_state_is_taken(home: Path) -> None:
    path = pickled(home, b"\x80\x04}(")
    items = read(home)
    assert said(items) == TALK
    (bad,) = of(BadRecord, items)
    assert bad.where.endswith(path.name)
    assert "no pickle" in bad.why


NODES = """
import pickle, sys, types, enum
module = types.ModuleType("llama_index_schema"); sys.modules["llama_index_schema"] = module
class NodeRelationship(str, enum.Enum):
    SOURCE = "1"
class TextNode:
    def __getstate__(self): return {"__dict__": self.__dict__, "__fields_set__": {"text"}}
    def __setstate__(self, state): self.__dict__.update(state["__dict__"])
for kind in (NodeRelationship, TextNode):
    kind.__module__, kind.__qualname__ = "llama_index_schema", kind.__name__
    setattr(module, kind.__name__, kind)
node = TextNode(); node.text = "The tide turns at noon."; node.id_ = "n1"; node.embedding = [0.5] * 4
node.relationships = {NodeRelationship.SOURCE: "x"}
empty = TextNode(); empty.text = None
sys.stdout.buffer.write(pickle.dumps([node, empty]))
"""


def test_nodes_of_an_index_are_passages(home: Path) -> None:
    index = home / "agents" / "agent_1" / "persistence_manager" / "index"
    (index / "nodes.pkl").write_bytes(in_other_process(NODES))
    node = {"__data__": {"text": "High water at six.", "id_": "n2"}, "__type__": "1"}
    (index / "docstore.json").write_text(json.dumps({"docstore/data": {"n2": node}}))
    items = read(home)
    assert [(each.text, each.id) for each in of(ImportedPassage, items)] == [
        ("The tide turns at noon.", "n1"),
        ("High water at six.", "n2"),
    ]
    assert [each.why for each in of(BadRecord, items)] == ["it has no text"]


# databases

AGENT, USER = UUID("8d0a4f4e-0000-4000-8000-000000000001"), UUID("8d0a4f4e-0000-4000-8000-000000000002")
OTHER = "8d0a4f4e-0000-4000-8000-000000000003"


def made(path: Path, state: Any, *, as_bytes: bool = False, extra: str = "") -> Path:
    """A database as MemGPT 0.3 made it."""
    id: Any = AGENT.bytes_le if as_bytes else str(AGENT)
    with sqlite3.connect(path) as database:
        database.executescript(
            """
            CREATE TABLE agents (id CHAR PRIMARY KEY, user_id CHAR, name VARCHAR, system VARCHAR,
                created_at DATETIME, llm_config JSON, embedding_config JSON, state JSON, _metadata JSON,
                tools JSON);
            CREATE TABLE memgpt_recall_memory_agent (id CHAR PRIMARY KEY, user_id CHAR, agent_id CHAR,
                role VARCHAR, text VARCHAR, model VARCHAR, name VARCHAR, tool_calls JSON,
                tool_call_id VARCHAR, embedding BINARY, created_at DATETIME);
            CREATE TABLE memgpt_archival_memory_agent (id CHAR PRIMARY KEY, user_id CHAR, text VARCHAR,
                doc_id CHAR, agent_id CHAR, data_source VARCHAR, embedding BINARY, metadata_ JSON,
                created_at DATETIME);
            CREATE TABLE tokens (id CHAR, token VARCHAR);
            """
            + extra
        )
        database.execute(
            "INSERT INTO agents (id, name, system, llm_config, state, tools) VALUES (?, ?, ?, ?, ?, ?)",
            (id, "ana", "You are MemGPT.", json.dumps({"model": "gpt-4", "api_key": SECRET}),
             json.dumps(state), json.dumps(["send_message"])),
        )  # fmt: skip
        database.execute("INSERT INTO tokens VALUES ('t', ?)", (SECRET,))
        call = {"id": "c1", "tool_call_type": "function", "function": {"name": "send_message",
                "arguments": json.dumps({"message": "Hello!"})}}  # fmt: skip
        rows = [
            ("m2", id, "assistant", "Greet.", json.dumps([call]), None, "2024-03-01 10:00:05.000000"),
            ("m1", id, "user", packed(type="user_message", message="Hi.", time="x"), None, None,
             "2024-03-01 10:00:00.000000"),
            ("m3", id, "tool", packed(status="OK", message="None", time="x"), None, "c1",
             "2024-03-01 10:00:06"),
            ("m4", OTHER, "user", "not mine", None, None, "2024-03-01 10:00:00"),
            ("m5", id, "user", "when?", None, None, "yesterday"),
        ]  # fmt: skip
        database.executemany(
            "INSERT INTO memgpt_recall_memory_agent (id, agent_id, role, text, tool_calls, tool_call_id, "
            "created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        database.execute(
            "INSERT INTO memgpt_archival_memory_agent (id, agent_id, text, data_source, embedding, "
            "created_at) VALUES ('p1', ?, 'Bruno is a dog.', 'notes', x'80', '2024-02-01 09:00:00')",
            (id,),
        )
    database.close()
    return path


STATES: dict[str, Any] = {
    "0.3.0": {"persona": "I am Sam.", "human": "Ana", "messages": []},
    "0.3.22": {"memory": {"persona": {"value": "I am Sam.", "limit": 2000}, "human": {"value": ["Ana"]}}},
    "0.4.0": {"memory": {"memory": {"persona": {"value": "I am Sam."}, "human": {"value": "Ana"}}}},
}


@pytest.mark.parametrize("as_bytes", [False, True], ids=["text ids", "bytes of ids"])
@pytest.mark.parametrize("state", STATES.values(), ids=STATES.keys())
def test_a_database_has_agents_with_their_own_rows(tmp_path: Path, state: Any, as_bytes: bool) -> None:
    items = read(made(tmp_path / "sqlite.db", state, as_bytes=as_bytes))
    assert [(each.name, each.text) for each in of(ImportedSection, items)] == [
        ("persona", "I am Sam."),
        ("human", "Ana"),
    ]
    assert said(items) == [
        ("user", "Hi.", "10:00"),
        ("thought", "Greet.", "10:00"),
        ("assistant", "Hello!", "10:00"),
    ]
    (passage,) = of(ImportedPassage, items)
    assert (passage.text, passage.tags, passage.id) == ("Bruno is a dog.", ("notes",), "p1")
    assert passage.at == datetime(2024, 2, 1, 9, tzinfo=UTC)
    assert [each.where for each in of(BadRecord, items)] == ["message 4 of ana"]
    assert Omission("secret", "", 1) in items
    assert SECRET not in repr(items)


def test_a_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = made(tmp_path / "sqlite.db", STATES["0.3.0"])
    before, beside = path.read_bytes(), sorted(tmp_path.iterdir())
    os.chmod(path, 0o400)
    read(path)
    assert path.read_bytes() == before
    assert sorted(tmp_path.iterdir()) == beside


def test_changes_that_are_not_in_the_database_yet_are_named(tmp_path: Path) -> None:
    made(tmp_path / "sqlite.db", STATES["0.3.0"])
    (tmp_path / "sqlite.db-wal").write_bytes(b"x" * 32)
    for given in (tmp_path, tmp_path / "sqlite.db"):
        assert [each.where for each in of(BadRecord, read(given))] == ["sqlite.db-wal", "message 4 of ana"]


ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT"
SCHEMAS: dict[str, str] = {
    "a view": "DROP TABLE agents; CREATE VIEW agents AS " + ENDLESS + " max(x) AS id, 'v' AS name FROM n;",
    "a virtual table": "DROP TABLE agents; CREATE VIRTUAL TABLE agents USING fts5(id, name, state);",
}


def rewritten(path: Path, script: str) -> Path:
    with sqlite3.connect(path) as database:
        database.executescript(script)
    database.close()
    return path


@pytest.mark.parametrize("script", SCHEMAS.values(), ids=SCHEMAS.keys())
def test_what_is_no_plain_table_is_not_read(tmp_path: Path, script: str) -> None:
    path = rewritten(made(tmp_path / "sqlite.db", STATES["0.3.0"]), script)
    items = read(path)
    assert not of(ImportedAgent, items)
    assert [each.why for each in of(BadRecord, items)] == ["it has no table of agents, or nobody in it"]


def test_a_column_that_is_computed_is_not_read(tmp_path: Path) -> None:
    script = "ALTER TABLE agents RENAME COLUMN name TO n; ALTER TABLE agents ADD COLUMN name AS (n || 'x');"
    path = rewritten(made(tmp_path / "sqlite.db", STATES["0.3.0"]), script)
    assert [each.name for each in of(ImportedAgent, read(path))] == ["agent-1"]


def test_triggers_of_a_database_change_nothing(tmp_path: Path) -> None:
    script = "CREATE TRIGGER t AFTER UPDATE ON agents BEGIN DELETE FROM agents; END;"
    assert said(read(rewritten(made(tmp_path / "sqlite.db", STATES["0.3.0"]), script)))


def damaged_file(data: bytes) -> bytes:
    return data[:5000] + b"\xff" * (len(data) - 5000)


def cut_file(data: bytes) -> bytes:
    return data[: len(data) // 2]


@pytest.mark.parametrize("harm", [damaged_file, cut_file])
def test_a_damaged_database_is_a_sentence(tmp_path: Path, harm: Callable[[bytes], bytes]) -> None:
    path = made(tmp_path / "sqlite.db", STATES["0.3.0"])
    path.write_bytes(harm(path.read_bytes()))
    items = read(path)
    assert of(BadRecord, items)


def test_other_databases_and_folders_are_not_recognised(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.db") as database:
        database.execute("CREATE TABLE agents (id)")
    database.close()
    (tmp_path / "agent_state").mkdir()
    (tmp_path / "agent_state" / "x.json").write_text("{}")
    assert not MemGPTImporter().recognises(open_source(tmp_path))


def test_a_stand_in_takes_whatever_a_pickle_does_to_it() -> None:
    value = StandIn(1, api_key=SECRET)(2)
    value["a"] = 1
    value.append(1)
    value.extend([1])
    value.__setstate__(({"b": 2}, {"__dict__": {"c": 3}}))
    assert {name: value.fields[name] for name in ("a", "b")} == {"a": 1, "b": 2}
    assert SECRET not in repr(value.fields)
