"""The store suite's part on what is forgotten: nothing of it is found or read, and the rest is there."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from pagefault.errors import NotFoundError
from pagefault.media import Media, MediaContent
from pagefault.message_meta import MessageMeta, RequestUsage, SeenContext, Usage
from pagefault.storage import Filter, Match, Transaction
from pagefault.storage.withdrawing import Tombstone
from pagefault.testing.store_opening import NOW, Opened, StoreOpening, refused, said, unit
from pagefault.types import AgentId, Event, EventKind, Message, Passage, Role, Schedule, Section

__all__ = ["ForgettingConformance"]

PAID = RequestUsage("x:a", Usage(100, 10))
PICTURE = MediaContent(Media("a" * 64, "image/png", "", 3, 1, 1), b"abc")
SHARED = MediaContent(Media("b" * 64, "image/png", "", 3, 1, 1), b"abd")
NAMED = replace(PICTURE.media, name="kiwi.png")
DECIDED = MessageMeta(sources=("m1",), decided_by="Kiwi", decision="approved")
ROWS = [
    replace(
        said("kiwi asked", meta=MessageMeta(media=(NAMED, SHARED.media), images=1)),
        event=1, shown="kiwi asked", speaker="Kiwi", tokens=3, name="kiwi-kind",
    ),
    replace(
        said(
            '{"q": "kiwi"}', Role.CALL, usage=[PAID],
            meta=MessageMeta(saw=SeenContext(8192), notes=("kiwi",), echo={"kiwi": "kiwi"}, heartbeat=True),
        ),
        event=1, completion=2, call_id="c1", name="search",
    ),
    replace(
        said("kiwi found", Role.RESULT, meta=DECIDED),
        event=1, completion=2, call_id="c1", name="search",
    ),
    replace(said("plum said", Role.ASSISTANT), event=1, shown="plum said", speaker="Bo"),
    replace(said("kiwi elsewhere"), name=EventKind.APPENDED, speaker="Bo"),
    said("kiwi summed", Role.SUMMARY, meta=MessageMeta(messages=4, through=4, extracted="kiwi")),
]  # fmt: skip


def numbers(row: Message) -> tuple[object, ...]:
    """The part of a row that stays."""
    return row.seq, row.role, row.at, row.event, row.completion, row.usage


class ForgettingConformance(StoreOpening):
    """Erasing, tombstones and holds."""

    def _filled(self, db: Opened) -> AgentId:
        ana = db.agent("ana")
        db.write(lambda tx: tx.put_media(ana, [PICTURE, SHARED]))
        db.write(lambda tx: tx.append(ana, ROWS))
        return ana

    def test_of_an_erased_row_only_numbers_and_marks_are_left(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = self._filled(db)
            before = db.read(lambda tx: tx.messages(ana))
            assert db.write(lambda tx: tx.erase_rows(ana, [1, 2, 3, 5, 6, 99])) == 5
            assert db.write(lambda tx: tx.erase_rows(ana, [1, 2])) == 0
            after = db.read(lambda tx: tx.messages(ana))
            assert "kiwi" not in str([asdict(row) for row in after]).casefold()
            assert after[3] == before[3]
            kept = list(map(numbers, before))
            assert list(map(numbers, after)) == kept
            assert [row.erased for row in after] == [True, True, True, False, True, True]
            assert [(row.call_id, row.name) for row in after[1:3]] == [("c1", "search")] * 2
            assert after[1].meta == MessageMeta(saw=SeenContext(8192), heartbeat=True)
            assert after[2].meta == MessageMeta(decision="approved")
            assert after[5].meta == MessageMeta(messages=4, through=4)
            assert [row.is_appended for row in after] == [False] * 4 + [True, False]
            assert sum(row.tokens for row in after) == 0
        with self.opened(tmp_path) as db:
            assert db.read(lambda tx: tx.messages(ana)) == after
            refused(NotFoundError, lambda: db.write(lambda tx: tx.erase_rows(AgentId(99), [1])))

    def test_an_erased_row_is_not_found(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, bo = self._filled(db), db.agent("bo")
            waiting = db.read(lambda tx: tx.pending_vectors("f", 99))
            db.embed(waiting, *(unit(1, n) for n in range(len(waiting))))
            assert db.found(ana, "recall", "kiwi") == [5, 1]
            db.write(lambda tx: tx.erase_rows(ana, [1, 2, 3, 5, 6]))
            every = Filter(roles=tuple(Role))
            assert db.found(ana, "recall", "kiwi", filter=every) == []
            assert db.found(ana, "recall", filter=every) == [4]
            near = db.search(ana, "recall", Match(vector=unit(1, 0), floor=-1.0), every)
            assert near.numbers == [4]
            assert db.read(lambda tx: tx.pending_vectors("f", 99)) == []
            assert db.read(lambda tx: tx.embedded("f")) == (1, 1)
            db.write(lambda tx: tx.append(bo, [ROWS[3]]))
            for match in (Match(("plum",)), Match(("kiwi", "said"))):
                one = db.read(lambda tx, m=match: tx.search(ana, "recall", m, every, "f"))
                other = db.read(lambda tx, m=match: tx.search(bo, "recall", m, every, "f"))
                assert (one.lexical.tolist(), one.whole) == (other.lexical.tolist(), other.whole)
                assert one.speakers == other.speakers == ("Bo",)

    def test_speakers_and_media_go_with_the_last_row_of_theirs(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = self._filled(db)
            event = db.write(lambda tx: tx.post(ana, Event("image", "look", media=(SHARED.media,))))
            hashes = [PICTURE.media.hash, SHARED.media.hash]
            assert db.read(lambda tx: tx.speakers(ana)) == ["Bo", "Kiwi"]
            db.write(lambda tx: tx.erase_rows(ana, [1, 5]))
            assert db.read(lambda tx: tx.speakers(ana)) == ["Bo"]
            assert db.read(lambda tx: tx.media(ana, hashes)) == [SHARED]
            assert db.write(lambda tx: tx.erase_events(ana, [event.id])) == 1
            assert db.read(lambda tx: tx.media(ana, hashes)) == []

    def test_withdrawn_rows_and_passages_are_forgotten_too(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = self._filled(db)
            db.write(lambda tx: tx.insert_passage(ana, Passage("kiwi kept", NOW, ("kiwi",))))
            db.write(lambda tx: tx.insert_passage(ana, Passage("plum kept", NOW)))
            marker = db.write(lambda tx: tx.append(ana, [said("undone", Role.ALERT)]))[0].seq
            db.write(lambda tx: tx.withdraw_rows(ana, 1, marker))
            db.write(lambda tx: tx.withdraw_passages(ana, marker, numbers=[1]))
            assert db.write(lambda tx: tx.erase_rows(ana, [1, 2, 3, 5, 6])) == 5
            rows = db.read(lambda tx: tx.messages(ana, withdrawn=True))
            assert [row.withdrawn for row in rows] == [7, 7, 7, 7, None, 7, None]
            assert "kiwi" not in str([asdict(row) for row in rows]).casefold()
            assert db.write(lambda tx: tx.erase_passages(ana, [1, 9])) == 1
            assert [p.number for p in db.read(lambda tx: tx.stored_passages(ana))] == [2]
            assert db.found(ana, "archival", "kept") == [2]
            db.write(lambda tx: tx.insert_passage(ana, Passage("kiwi again", NOW)))
            assert db.found(ana, "archival", "kiwi") == [3]
            assert db.write(lambda tx: tx.erase_passages(ana, [3, 2])) == 2
            assert db.found(ana, "archival") == []
            # An erased row that is undone afterwards left the indexes once.
            db.write(lambda tx: tx.append(ana, [said("fig one"), said("fig two"), said("fig three")]))
            db.write(lambda tx: tx.erase_rows(ana, [8]))
            assert db.write(lambda tx: tx.withdraw_rows(ana, 8, 10)) == 2
            assert db.found(ana, "recall", "fig") == [10]

    def test_versions_of_a_section_lose_their_texts(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            for text in ("kiwi one", "kiwi two", "clean"):
                db.write(lambda tx, t=text: tx.put_section(ana, Section("human", f"of {t}", 10, t), NOW))
            assert db.write(lambda tx: tx.erase_versions(ana, "human", [1, 2, 7])) == 2
            assert db.write(lambda tx: tx.erase_versions(ana, "nobody", [1])) == 0
            history = [each for _, each in db.read(lambda tx: tx.section_history(ana, "human"))]
            texts = [(each.version, each.description, each.text) for each in history]
            assert texts == [(1, "", ""), (2, "", ""), (3, "of clean", "clean")]
            assert [each.text for each in db.read(lambda tx: tx.sections(ana))] == ["clean"]

    def test_an_erased_event_is_not_served_and_its_key_is_free(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            wild = Event("message", "kiwi", "kiwi-key", "Kiwi", NOW, trace="00-kiwi")
            for event in (wild, replace(wild, key="kiwi-2"), Event("message", "plum")):
                db.write(lambda tx, e=event: tx.post(ana, e))
            db.write(lambda tx: tx.set_event(ana, 1, "done"))
            assert db.write(lambda tx: tx.erase_events(ana, [1, 2, 9])) == 2
            events = db.read(lambda tx: tx.events(ana))
            assert "kiwi" not in str([asdict(event) for event in events]).casefold()
            assert [event.state for event in events] == ["done", "done", "pending"]
            served = db.read(lambda tx: tx.next_event(ana))
            assert served is not None
            assert served.text == "plum"
            assert db.write(lambda tx: tx.post(ana, wild)).id == 4
            db.write(lambda tx: tx.erase_events(ana, [3, 4]))
            assert db.read(lambda tx: tx.next_event(ana)) is None
            assert db.read(lambda tx: tx.waiting(9)) == []

    def test_timers_are_forgotten_whether_withdrawn_or_not(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            for event in (1, 2, 3):
                db.write(lambda tx, e=event: tx.add_schedule(ana, Schedule("kiwi", NOW, "UTC", event=e)))
            db.write(lambda tx: tx.withdraw_schedules(ana, [1], 1))
            assert db.write(lambda tx: tx.erase_schedules(ana, [1, 2, 9])) == 2
            assert [t.number for t in db.read(lambda tx: tx.schedules(ana, withdrawn=True))] == [3]

    def test_tombstones_say_when_by_whom_and_how_many(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, bo = db.agent("ana"), db.agent("bo")
            assert db.read(lambda tx: tx.tombstones(ana)) == []
            stone = Tombstone(NOW, "admin", {"rows": 3, "passages": 1})
            assert db.write(lambda tx: tx.put_tombstone(ana, stone)) == replace(stone, number=1)
            db.write(lambda tx: tx.put_tombstone(bo, stone))
            db.write(lambda tx: tx.put_tombstone(ana, Tombstone(NOW, "", {})))
        with self.opened(tmp_path) as db:
            stones = list(db.read(lambda tx: tx.tombstones(ana)))
            assert stones == [replace(stone, number=1), Tombstone(NOW, "", {}, 2)]
            db.write(lambda tx: tx.delete_agent(ana))
            assert list(db.read(lambda tx: tx.tombstones(ana))) == []
            assert len(db.read(lambda tx: tx.tombstones(bo))) == 1

    def test_a_hold_is_noted_with_its_reason(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")

            def held() -> str:
                record = db.read(lambda tx: tx.agent("ana"))
                assert record is not None
                return record.hold

            assert held() == ""
            db.write(lambda tx: tx.hold(ana, "case 7"))
            assert held() == "case 7"
            db.write(lambda tx: tx.hold(ana, ""))
            assert held() == ""
            refused(NotFoundError, lambda: db.write(lambda tx: tx.hold(AgentId(99), "x")))

    def test_work_that_fails_forgets_nothing(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = self._filled(db)
            db.write(lambda tx: tx.put_section(ana, Section("human", "", 10, "kiwi"), NOW))
            event = db.write(lambda tx: tx.post(ana, Event("message", "kiwi", "k")))
            before = db.read(lambda tx: (tx.messages(ana), tx.speakers(ana)))

            def work(tx: Transaction) -> None:
                tx.erase_rows(ana, [1, 2, 3])
                tx.erase_versions(ana, "human", [1])
                tx.erase_events(ana, [event.id])
                tx.put_tombstone(ana, Tombstone(NOW, "", {}))
                raise KeyError

            refused(KeyError, lambda: db.write(work))
            assert db.read(lambda tx: (tx.messages(ana), tx.speakers(ana))) == before
            assert db.found(ana, "recall", "kiwi") == [5, 1]
            assert db.read(lambda tx: tx.media(ana, [PICTURE.media.hash])) == [PICTURE]
            assert db.read(lambda tx: tx.event(ana, event.id)) == event
            assert [each.text for each in db.read(lambda tx: tx.sections(ana))] == ["kiwi"]
            assert list(db.read(lambda tx: tx.tombstones(ana))) == []
