"""The store suite's part on media: bytes that are stored once, and go with their agent."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from pagefault.errors import NotFoundError
from pagefault.media import Media, MediaContent
from pagefault.storage import Transaction
from pagefault.testing.store_opening import NOW, WILD, StoreOpening, refused
from pagefault.types import AgentId, AgentRecord, Event

__all__ = ["MediaConformance"]


def _content(data: bytes, name: str = "a.png") -> MediaContent:
    return MediaContent(Media(sha256(data).hexdigest(), "image/png", name, len(data), 3, 2), data)


def _nameless(content: MediaContent) -> MediaContent:
    return replace(content, media=replace(content.media, name=""))


class MediaConformance(StoreOpening):
    """Bytes by their hash, and events that refer to them."""

    def test_media_are_stored_once_for_each_agent_and_go_with_it(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, bob = db.agent("ana"), db.agent("bob")
            every_byte, large = _content(bytes(range(256))), _content(b"\0\xff" * 300_000)
            db.write(lambda tx: tx.put_media(ana, [every_byte, large]))
            db.write(lambda tx: tx.put_media(ana, [_content(every_byte.data, "another name.png"), large]))
            db.write(lambda tx: tx.put_media(bob, [every_byte]))
            hashes = [large.media.hash, "0" * 64, every_byte.media.hash]
            assert db.read(lambda tx: tx.media(ana, hashes)) == [_nameless(large), _nameless(every_byte)]
            assert db.read(lambda tx: tx.media(ana, [])) == []
            db.write(lambda tx: tx.put_media(ana, []))
            db.write(lambda tx: tx.delete_agent(ana))
            assert db.read(lambda tx: tx.media(ana, hashes)) == []
            assert db.read(lambda tx: tx.media(bob, hashes)) == [_nameless(every_byte)]
            again = db.write(lambda tx: tx.create_agent(AgentRecord("ana", {}, NOW))).id
            assert db.read(lambda tx: tx.media(again, hashes)) == []
            refused(NotFoundError, lambda: db.write(lambda tx: tx.put_media(AgentId(99), [large])))

    def test_media_of_work_that_raises_are_not_stored(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, content = db.agent("ana"), _content(b"undone")

            def work(tx: Transaction) -> None:
                tx.put_media(ana, [content])
                raise ZeroDivisionError

            refused(ZeroDivisionError, lambda: db.write(work))
            assert db.read(lambda tx: tx.media(ana, [content.media.hash])) == []

    def test_an_event_keeps_what_it_refers_to(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, first, second = db.agent("ana"), _content(b"1", WILD[2]), _content(b"2")
            event = Event("message", "look", media=(first.media, second.media), contents=(first, second))
            posted = db.write(lambda tx: tx.post(ana, event))
            assert posted.media == event.media
            assert posted.contents == ()
            found = db.read(lambda tx: tx.next_event(ana))
            assert found == posted
            assert found is not None
            assert found.media == (first.media, second.media)
            assert found.contents == ()
            hashes = [first.media.hash, second.media.hash]
            assert db.read(lambda tx: tx.media(ana, hashes)) == [_nameless(first), _nameless(second)]

    def test_an_event_that_is_there_already_brings_no_bytes(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, content = db.agent("ana"), _content(b"1")
            first = db.write(lambda tx: tx.post(ana, Event("message", "look", key="k")))
            again = Event("message", "look", key="k", media=(content.media,), contents=(content,))
            assert db.write(lambda tx: tx.post(ana, again)) == first
            assert db.read(lambda tx: tx.media(ana, [content.media.hash])) == []
