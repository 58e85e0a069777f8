"""What must hold in a home folder after every crash, seen from outside: plain SQL, none of pagefault's code.

Reads the database and the files that the outside tools wrote. Each function yields a sentence for each
violation (DESIGN: exactly once inside, at most once outside; one agent, one turn at a time). Leaves out how
the processes died.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from crash_script import BACK, FORK, SECRET, YES

Row = dict[str, Any]
_OPENING = ("user", "event", "alert")
_SPEAKS = "answer "


@dataclass(frozen=True)
class Mind:
    """One agent as stored. ``results`` are by call, ``calls`` and ``messages`` in order of the log."""

    name: str
    record: Row
    messages: list[Row]
    inbox: list[Row]
    passages: list[Row]
    versions: list[Row]
    sections: dict[str, int]

    @property
    def calls(self) -> list[Row]:
        return [row for row in self.messages if row["role"] == "call"]

    @property
    def results(self) -> dict[str, Row]:
        return {row["call_id"]: row for row in self.messages if row["role"] == "result"}

    def returned(self, function: str) -> Iterator[tuple[dict[str, Any], Row]]:
        """Arguments and result of each call of a function that did not fail."""
        results = self.results
        for call in self.calls:
            result = results.get(call["call_id"])
            if call["name"] == function and result and not json.loads(result["meta"]).get("failed"):
                yield json.loads(call["text"]), result


ROWS = "SELECT (SELECT count(*) FROM messages WHERE {0}) + (SELECT count(*) FROM passages WHERE {0}) AS n"
VECTORS = "(SELECT DISTINCT agent, tier, number FROM vectors) v"


class File:
    """The database of a home, as SQLite has it."""

    is_server = False

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, timeout=30)
        self._db.row_factory = sqlite3.Row

    def rows(self, sql: str) -> list[Row]:
        return [dict(row) for row in self._db.execute(sql)]

    def count(self, what: str) -> int:
        return self.rows(f"SELECT count(*) AS n FROM {what}")[0]["n"]

    def close(self) -> None:
        self._db.close()

    def faults(self) -> Iterator[str]:
        """What is wrong with the database as a whole."""
        if (said := self._db.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
            yield f"integrity_check: {said}"
        if broken := self.rows("PRAGMA foreign_key_check"):
            yield f"foreign_key_check: {len(broken)} rows"
        try:
            self._db.execute("INSERT INTO lexicon (lexicon) VALUES ('integrity-check')")
        except sqlite3.DatabaseError as error:
            yield f"the lexical index is damaged: {error}"
        self._db.rollback()
        yield from _index_faults(self, self.count("lexicon"))


class Server:
    """The database of a home, as PostgreSQL has it."""

    is_server = True
    _OWNED = (
        "messages", "speakers", "sections", "section_versions", "passages", "passage_tags", "deletions",
        "inbox", "schedules", "vectors", "vector_marks", "postings", "agent_names",
    )  # fmt: skip

    def __init__(self, url: str) -> None:
        self._db = psycopg.Connection[Row].connect(url, autocommit=True, row_factory=dict_row)

    def rows(self, sql: str) -> list[Row]:
        return self._db.execute(sql.encode()).fetchall()

    def count(self, what: str) -> int:
        return self.rows(f"SELECT count(*) AS n FROM {what}")[0]["n"]

    def close(self) -> None:
        self._db.close()

    def faults(self) -> Iterator[str]:
        """What is wrong with the database as a whole."""
        for table in self._OWNED:
            if lost := self.count(f"{table} WHERE agent NOT IN (SELECT id FROM agents)"):
                yield f"{lost} rows of {table} belong to nobody"
        units = "(SELECT agent, tier, number, sum(count) AS n FROM postings GROUP BY agent, tier, number) p"
        yield from _index_faults(self, self.count(units))
        for tier, table, number in (("recall", "messages", "seq"), ("archival", "passages", "number")):
            join = f"ON p.agent = r.agent AND p.number = r.{number} AND p.tier = '{tier}'"
            true = "CASE WHEN r.withdrawn IS NULL THEN r.units ELSE 0 END"
            if wrong := self.count(f"{table} r LEFT JOIN {units} {join} WHERE coalesce(p.n, 0) <> {true}"):
                yield f"{wrong} rows of {table} have other postings than units"
        if held := self.count("agents WHERE holder IS NOT NULL"):
            yield f"{held} agents are held by nobody alive"


def connected(home: Path) -> File | Server:
    url = home / "database"
    return Server(url.read_text()) if url.exists() else File(home / "pagefault.db")


def _index_faults(db: File | Server, entered: int) -> Iterator[str]:
    indexed, wanted = (
        db.rows(ROWS.format(f"withdrawn IS NULL AND {each}"))[0]["n"] for each in ("units > 0", "embed")
    )
    if indexed != entered:
        yield f"{indexed} rows should be in the lexical index, {entered} are"
    if wanted != (vectors := db.count(VECTORS)):
        yield f"{wanted} rows should have a vector, {vectors} have"


def check(home: Path, posted: Mapping[str, Sequence[str]], hours: int = 0) -> list[str]:
    """All that is wrong in a home whose agents should be done with all that was ``posted``: keys by agent,
    in order of posting. ``hours``: how often each hourly timer has come due."""
    with closing(connected(home)) as db:
        every = [_mind(db, row) for row in db.rows("SELECT * FROM agents ORDER BY id")]
        wrong = list(db.faults())
        if left := db.count("approvals"):
            wrong.append(f"{left} approvals are left of turns that are over")
    minds = [mind for mind in every if mind.name.removeprefix("forking:") not in (BACK, FORK)]
    if hours:  # a scripted run
        wrong += _taken_back({mind.name: mind for mind in every})
    if {mind.name for mind in minds} != set(posted):
        wrong.append(f"the agents are {[mind.name for mind in minds]}, not {list(posted)}")
    for mind in minds:
        rules = (_log, _queue, _calls, _memory, _speech, _turns, _prefetched)
        found = [text for rule in rules for text in rule(mind)]
        found += [*_events(mind, posted.get(mind.name, ())), *_timers(mind, hours)]
        found += [] if db.is_server else _lock(home, mind)
        wrong += [f"{mind.name}: {text}" for text in found]
    return wrong + list(_letters(minds)) + list(_outside(home, minds)) + list(_struck(home, minds))


def interrupted(home: Path) -> int:
    """Outside calls whose outcome is not known."""
    with closing(connected(home)) as db:
        return db.count("messages WHERE role = 'result' AND text LIKE '%outcome unknown%'")


def open_turns(home: Path) -> int:
    """Agents that are in the middle of a turn."""
    with closing(connected(home)) as db:
        if not db.is_server and not db.count("sqlite_master WHERE name = 'inbox'"):
            return 0  # killed before there were tables
        return db.count("inbox WHERE state IN ('active', 'waiting')")


def _mind(db: File | Server, record: Row) -> Mind:
    def rows(sql: str) -> list[Row]:
        return db.rows(f"{sql.replace('?', str(record['id']))}")

    return Mind(
        record["name"],
        record,
        rows("SELECT * FROM messages WHERE agent = ? ORDER BY seq"),
        rows("SELECT * FROM inbox WHERE agent = ? ORDER BY number"),
        rows("SELECT * FROM passages WHERE agent = ? ORDER BY number"),
        rows("SELECT * FROM section_versions WHERE agent = ? ORDER BY name, version"),
        {row["name"]: row["version"] for row in rows("SELECT * FROM sections WHERE agent = ?")},
    )


def _log(mind: Mind) -> Iterator[str]:
    """Numbered one after another, and one turn at a time: the rows of an event lie together."""
    numbers = [row["seq"] for row in mind.messages]
    if numbers != list(range(1, mind.record["last_seq"] + 1)):
        yield f"{len(numbers)} log rows are not numbered 1 to {mind.record['last_seq']}"
    turns = [row["event"] for row in mind.messages if row["event"] is not None]
    starts = [event for before, event in zip([None, *turns], turns, strict=False) if event != before]
    if again := [event for event, times in Counter(starts).items() if times > 1]:
        yield f"the turns of events {again} are mixed with others"


def _taken_back(minds: Mapping[str, Mind]) -> Iterator[str]:
    """The fork and its agent have nothing of what was forgotten, and know of it once; the agent alone was
    undone, once."""
    for name in (BACK, FORK):
        if name not in minds:
            yield f"there is no agent {name}"
            continue
        mind = minds[name]
        yield from _log(mind)
        stored = [mind.messages, mind.inbox, mind.passages, mind.versions]
        if left := [row for rows in stored for row in rows if SECRET in repr(row)]:
            yield f"{name}: {len(left)} rows have what was forgotten"
        told = ("forgotten", "withdrawn")
        marks = Counter(
            row["name"] for row in mind.messages if row["role"] == "alert" and row["name"] in told
        )
        if marks != Counter(forgotten=1, withdrawn=int(name == BACK)):
            yield f"{name}: what was taken back is noted as {dict(marks)}"
        rest = [row for row in (*mind.messages, *mind.passages) if f"{BACK}-undone" in row["text"]]
        if {row["withdrawn"] is None for row in rest} != {name == FORK}:
            yield f"{name}: {len(rest)} rows that were undone in {BACK} alone are not so"


def _queue(mind: Mind) -> Iterator[str]:
    """Every flush goes on where the one before ended; what is before the start is under the summary."""
    summaries = [row for row in mind.messages if row["role"] == "summary"]
    through = [json.loads(row["meta"])["through"] for row in summaries]
    if through != sorted(set(through)):
        yield f"flushes went through {through}"
    newest = summaries[-1]["seq"] if summaries else None
    if (mind.record["summary"], mind.record["start"]) != (newest, through[-1] + 1 if through else 1):
        queue = {key: mind.record[key] for key in ("summary", "start")}
        yield f"the queue stands at {queue}, the newest summary is m{newest} through {through[-1:]}"


def _events(mind: Mind, keys: Sequence[str]) -> Iterator[str]:
    """None lost, none doubled, none waiting; served in the order of posting."""
    stored = [event["key"] for event in mind.inbox if event["key"] in set(keys)]
    if stored != list(keys):
        yield f"{len(keys)} events were posted, {len(stored)} are stored, or in another order"
    order: list[int] = []
    for event in mind.inbox:
        if event["state"] != "done" or event["rank"] is not None:
            yield f"event {event['number']} ({event['kind']}) is {event['state']}"
        opened = [r["seq"] for r in mind.messages if r["event"] == event["number"] and _opens(r)]
        warning = event["kind"] == "memory_pressure"
        if len(opened) != 1 and not (warning and not opened):  # a flush takes back a warning that waits
            yield f"event {event['number']} ({event['kind']}) has {len(opened)} opening rows"
        order += [] if warning else opened
    if order != sorted(order):
        yield "events were not served in the order of posting"


def _opens(row: Row) -> bool:
    return row["role"] in _OPENING and row["completion"] is None and not json.loads(row["meta"]).get("stop")


def _prefetched(mind: Mind) -> Iterator[str]:
    """What was prefetched stands once, behind the message that opened its turn."""
    for before, row in pairwise([{"event": None}, *mind.messages]):
        if row["role"] != "prefetch" or not row["text"]:  # without a text it marks what is out of view
            continue
        if before["event"] != row["event"] or not _opens(before):
            yield f"m{row['seq']} was prefetched and is not behind the message that opened its turn"


def _calls(mind: Mind) -> Iterator[str]:
    """Each call has one result, behind it."""
    results = Counter(row["call_id"] for row in mind.messages if row["role"] == "result")
    calls = Counter(row["call_id"] for row in mind.calls)
    if results != calls or max(calls.values(), default=1) > 1:
        differ = dict((calls - results) | (results - calls))
        yield f"{calls.total()} calls have {results.total()} results: {differ}"
    if early := [c["call_id"] for c in mind.calls if mind.results.get(c["call_id"], c)["seq"] < c["seq"]]:
        yield f"calls {early} have results before them"


def _memory(mind: Mind) -> Iterator[str]:
    """The effects of memory functions are those that their results tell, each once."""
    saved = {result["text"]: args["text"] for args, result in mind.returned("archival_insert")}
    gone = {args["id"] for args, _ in mind.returned("archival_delete")}
    told = {text[len("Saved as p") : -1]: kept for text, kept in saved.items()}
    kept = {number: text for number, text in told.items() if f"p{number}" not in gone}
    if len(told) != len(list(mind.returned("archival_insert"))) or len(told) != mind.record["last_passage"]:
        yield f"{len(told)} passages were inserted by the log, {mind.record['last_passage']} by the archive"
    if {str(row["number"]): row["text"] for row in mind.passages} != kept:
        yield f"the archive holds {len(mind.passages)} passages, the log tells of {len(kept)}"
    edits: Counter[str] = Counter()
    for name in ("working_context_append", "working_context_replace", "page_in", "page_out"):
        edits.update(result["text"].split(" ")[0] for _, result in mind.returned(name))
    for section, version in mind.sections.items():
        versions = [row["version"] for row in mind.versions if row["name"] == section]
        if versions != list(range(1, version + 1)) or version != 1 + edits[section]:
            yield f"section {section} has {len(versions)} versions after {edits[section]} edits"


def _speech(mind: Mind) -> Iterator[str]:
    """What was said is what ``send_message`` was called with; each message got one answer."""
    said = [row["text"] for row in mind.messages if row["role"] == "assistant"]
    if said != [args["message"] for args, _ in mind.returned("send_message")]:
        yield f"{len(said)} things were said, {len(list(mind.returned('send_message')))} were sent"
    for event in mind.inbox:
        answer = _SPEAKS + str(event["key"])
        if event["kind"] == "message" and said.count(answer) != 1:
            yield f"message {event['key']} was answered {said.count(answer)} times"


def _turns(mind: Mind) -> Iterator[str]:
    """No turn ended by an alert: no step was asked for again without end, no internal error."""
    for row in mind.messages:
        if row["role"] == "alert" and json.loads(row["meta"]).get("stop"):
            yield f"event {row['event']} was stopped: {row['text']}"


def _timers(mind: Mind, hours: int) -> Iterator[str]:
    """Each timer fired once for each time it was due."""
    keys = [e["key"].removeprefix("\x1f") for e in mind.inbox if e["kind"] == "timer"]
    fired = Counter(key.split("@")[0] for key in keys)
    wanted: Counter[str] = Counter()
    for args, result in mind.returned("schedule"):
        found = re.match(r"Scheduled as (t\d+)", result["text"])
        wanted[found[1] if found else "?"] += hours if args.get("cron") else 1
    if fired != wanted:
        yield f"timers fired {dict(fired)}, they were due {dict(wanted)}"
    start = datetime(2026, 3, 1, 9, tzinfo=UTC)
    hourly = {(start + timedelta(hours=hour)).isoformat() for hour in range(1, hours + 1)}
    for timer in [t for t, times in wanted.items() if times == hours > 1]:
        due = {key.split("@")[1] for key in keys if key.startswith(f"{timer}@")}
        if due != hourly:
            yield f"{timer} fired for {sorted(due)}"


def _lock(home: Path, mind: Mind) -> Iterator[str]:
    """Nobody holds the agent's turn."""
    path = home / "locks" / f"pagefault-{mind.record['id']}.lock"
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield "its turn lock is held by nobody alive"
    finally:
        os.close(descriptor)


def _letters(minds: Sequence[Mind]) -> Iterator[str]:
    """What agents sent each other arrived once."""
    sent = Counter((m.name, a["name"], a["text"]) for m in minds for a, _ in m.returned("send_to_agent"))
    came = Counter((e["sender"], m.name, e["text"]) for m in minds for e in m.inbox if e["kind"] == "agent")
    if sent != came:
        yield f"{sent.total()} letters between agents were sent, {came.total()} came"


def _outside(home: Path, minds: Sequence[Mind]) -> Iterator[str]:
    """An outside effect happened at most once for a call, and once if the call says so; an idempotent tool
    may have run again, and its outcome is known."""
    for function, argument, file, once in (
        ("append_line", "line", "lines", True),
        ("look_up", "word", "looked_up", False),
    ):
        found = [(mind, call) for mind in minds for call in mind.calls if call["name"] == function]
        called = [(mind, call, json.loads(call["text"])[argument]) for mind, call in found]
        calls = Counter(value for _, _, value in called)
        good = Counter(args[argument] for mind in minds for args, _ in mind.returned(function))
        path = home / file
        lines = Counter(path.read_text().splitlines() if path.exists() else [])
        if missing := good - lines:
            yield f"{function} said it ran and did not: {dict(missing)}"
        if once and (twice := lines - calls):
            yield f"{function} ran more often than it was called: {dict(twice)}"
        if not once and good != calls:
            yield f"{function} is idempotent and still has no result for {dict(calls - good)}"
        for mind, call, value in called:
            text = mind.results.get(call["call_id"], {"text": "(nothing)"})["text"]
            if value not in text and "outcome unknown" not in text:
                yield f"{mind.name}: {function} returned {text!r}"


def _struck(home: Path, minds: Sequence[Mind]) -> Iterator[str]:
    """A call that was approved ran once, or its outcome is unknown; one that was refused never ran, and none
    before a decision."""
    path = home / "struck"
    struck = Counter(path.read_text().splitlines() if path.exists() else [])
    if again := [line for line, times in struck.items() if times > 1]:
        yield f"{again} were struck more than once"
    for mind in minds:
        for call in mind.calls:
            if call["name"] != "strike":
                continue
            line, result = json.loads(call["text"])["line"], mind.results[call["call_id"]]
            decision = "approved" if line.endswith(YES) else "refused"
            if json.loads(result["meta"]).get("decision") != decision:
                yield f"{mind.name}: strike {line} was not {decision}: {result['text']!r}"
            ran, told = struck[line] == 1, f"Struck {line}."
            if (ran and decision == "refused") or (told == result["text"] and not ran):
                yield f"{mind.name}: strike {line} ran {struck[line]} times and returned {result['text']!r}"
            if decision == "approved" and result["text"] != told and "outcome unknown" not in result["text"]:
                yield f"{mind.name}: strike {line} returned {result['text']!r}"
