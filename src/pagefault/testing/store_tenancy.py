"""The store suite's part on tenants as a whole: keys, quotas, the log of administrative acts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pagefault.errors import QuotaError, UsageError
from pagefault.media import Media, MediaContent
from pagefault.shared import shared_name
from pagefault.storage import Transaction
from pagefault.tenancy import ApiKey, AuditEntry, Quota, TenantCounts
from pagefault.testing.store_opening import NOW, WILD, Opened, StoreOpening, refused
from pagefault.types import AgentRecord, Document, Event, Page, Passage

__all__ = ["TenancyConformance"]


class TenancyConformance(StoreOpening):
    """Keys, quotas and acts are each tenant's own."""

    def test_a_key_is_found_by_its_digest_and_named_within_its_tenant(self, tmp_path: Path) -> None:
        first = ApiKey("ci", NOW, "admin", ("ana", WILD[2]), None, True, "firm", rate=0, body=2**40)
        second = ApiKey("ci", NOW, "read", None, "public", rate=60)
        with self.opened(tmp_path) as db:
            db.write(lambda tx: tx.within("firm").put_key(first, "d1"))
            db.write(lambda tx: tx.put_key(second, "d2"))
            for key, digest in ((second, "d3"), (ApiKey("other", NOW), "d1")):
                refused(UsageError, lambda k=key, d=digest: db.write(lambda tx: tx.within("").put_key(k, d)))
        with self.opened(tmp_path) as db:
            assert db.read(lambda tx: (tx.key_of("d1"), tx.key_of("d2"), tx.key_of("d3"))) == (
                first,
                second,
                None,
            )
            assert db.read(lambda tx: tx.within("other").key_of("d1")) == first
            assert db.read(lambda tx: tx.keys()) == [second, first]
            assert db.read(lambda tx: tx.within("firm").keys()) == [first]
            assert not db.write(lambda tx: tx.within("other").delete_key("ci"))
            assert db.write(lambda tx: tx.within("firm").delete_key("ci"))
            assert db.read(lambda tx: tx.keys()) == [second]

    def test_tenants_are_those_with_agents_keys_or_a_quota(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            assert db.read(lambda tx: tx.tenants()) == []
            for tenant, names in (("firm", ("ana", "bo", shared_name("archive", "x"))), ("", ("ana",))):
                for name in names:
                    db.write(lambda tx, t=tenant, n=name: tx.within(t).create_agent(AgentRecord(n, {}, NOW)))
            for tenant, digest in (("firm", "d1"), ("Éclair", "d2"), ("Éclair", "d3")):
                key = ApiKey(f"key {digest}", NOW)
                db.write(lambda tx, t=tenant, k=key, d=digest: tx.within(t).put_key(k, d))
            db.write(lambda tx: tx.within("Acme").put_quota(Quota(agents=5)))
        with self.opened(tmp_path) as db:
            found = db.read(lambda tx: tx.tenants())
            assert found == [
                TenantCounts("", 1, 0), TenantCounts("Acme", 0, 0), TenantCounts("firm", 2, 1),
                TenantCounts("Éclair", 0, 2),
            ]  # fmt: skip
            assert db.read(lambda tx: tx.within("firm").tenants()) == found[2:3]
            assert db.read(lambda tx: tx.within("none").tenants()) == []

    def test_acts_are_noted_with_what_they_change_or_not_at_all(self, tmp_path: Path) -> None:
        def act(tx: Transaction) -> None:
            tx = tx.within("firm", "Eva")
            ana = tx.create_agent(AgentRecord("ana", {}, NOW))
            tx.rename_agent(ana.id, "bo")
            tx.save_settings(ana.id, {"model": "x", "tools": None, "instructions": "secret words"})
            tx.save_settings(
                ana.id, {"model": "http://me:pw@h/v1#m", "tools": ("f", "g"), "metadata": {"a": 1}}
            )
            tx.put_quota(Quota(agents=5))
            tx.put_quota(Quota(agents=6, daily_cost=2.5))
            tx.put_key(ApiKey("ci", NOW, "read", ("ana", "bo"), None, True, rate=60, body=5_000), "d")
            tx.delete_key("ci")
            tx.delete_agent(ana.id)

        def fail(tx: Transaction) -> None:
            act(tx)
            raise UsageError("no")

        with self.opened(tmp_path) as db:
            refused(UsageError, lambda: db.write(fail))
            assert db.read(lambda tx: tx.acts(99)) == []
            db.write(act)
            db.write(lambda tx: tx.within("firm").create_agent(AgentRecord("quiet", {}, NOW)))
        with self.opened(tmp_path) as db:
            found = db.read(lambda tx: tx.within("firm").acts(99))
            assert {(entry.who, entry.tenant) for entry in found} == {("Eva", "firm")}
            assert [entry.what for entry in reversed(found)] == [
                "made ana", "renamed ana to bo",
                "changed the settings of bo: instructions; model default -> x",
                "changed the settings of bo: instructions; metadata; model x -> http://h/v1#m; "
                "tools none -> f, g",
                "set the quota: agents none -> 5", "set the quota: agents 5 -> 6; daily_cost none -> 2.5",
                "made the key ci, role read, for ana, bo, speaks for users, 60 requests a minute, "
                "5,000 bytes a request", "revoked the key ci",
                "deleted bo",
            ]  # fmt: skip
            assert db.read(lambda tx: tx.acts(2, found[1].id)) == found[2:4]
            assert db.read(lambda tx: tx.within("").acts(9)) == list[AuditEntry]()

    def test_a_quota_ends_what_a_tenant_may_make(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            made = db.write(lambda tx: tx.within("firm").create_agent(AgentRecord("ana", {}, NOW)))
            quota = Quota(1, 3, 1, 1000, 2.5, 6)
            db.write(lambda tx: tx.within("firm").put_quota(quota))
            assert db.read(lambda tx: (tx.within("firm").quota(), tx.quota())) == (quota, None)
            _refuses(db, lambda tx: tx.create_agent(AgentRecord("bo", {}, NOW)))
            db.write(lambda tx: tx.within("other").create_agent(AgentRecord("bo", {}, NOW)))
            document, pages = Document("a.md", "A", "text/markdown", "x", NOW, 1), [Page(1, "", "text")]
            db.write(lambda tx: tx.within("firm").put_document(made.id, document, pages, []))
            db.write(lambda tx: tx.within("firm").put_document(made.id, document, pages, []))
            another = Document("b.md", "B", "text/markdown", "x", NOW, 1)
            _refuses(db, lambda tx: tx.put_document(made.id, another, pages, []))
            for _ in range(3):
                db.write(lambda tx: tx.within("firm").insert_passage(made.id, Passage("words", NOW)))
            _refuses(db, lambda tx: tx.insert_passage(made.id, Passage("words", NOW)))
            db.write(lambda tx: tx.within("firm").post(made.id, Event("message", "the turn's own", at=NOW)))
            for hash in ("a" * 64, "b" * 64):
                content = MediaContent(Media(hash, "image/png", "", 3), b"123")
                db.write(lambda tx: tx.within("firm").check_quota("media_bytes"))
                for _ in range(2):  # the same bytes count once
                    db.write(lambda tx, c=content: tx.within("firm").put_media(made.id, [c]))
            _refuses(db, lambda tx: tx.check_quota("media_bytes"))
            db.write(lambda tx: tx.within("other").check_quota("media_bytes"))
            db.write(lambda tx: tx.within("firm").put_quota(Quota()))
            db.write(lambda tx: tx.within("firm").insert_passage(made.id, Passage("words", NOW)))


def _refuses(db: Opened, work: Callable[[Transaction], object]) -> None:
    refused(QuotaError, lambda: db.write(lambda tx: work(tx.within("firm"))))
