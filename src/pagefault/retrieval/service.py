"""The choice of the embedder in service: the one whose vectors the database has for all rows it reads.

When another embedder is configured, the former one stays in service, for new rows too, until the new one has
made vectors of all rows; then the new one takes its place and the former vectors are deleted. Several
processes may share a database: the embedder configured last is the one wanted. Leaves out making the vectors
(``kernel.indexer``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from time import monotonic

from pagefault.containment import barrier, contained
from pagefault.embedders import Embedder, Scale, Vectors
from pagefault.embedders.calibration import scale_of, sentences
from pagefault.embedders.pair import members_of, reads
from pagefault.errors import EmbedderError, PagefaultError, StorageError
from pagefault.redaction import logger_of
from pagefault.storage import EmbedderRecord, Store, Transaction

__all__ = ["EmbedderService", "readers", "scale_in_use", "vectors_of"]

logger = logger_of(__name__)

_VALID = 5.0  # seconds; another process may have put another embedder in service
_FORGET = 5_000  # vectors deleted in one transaction

_Made = Iterable[EmbedderRecord]
_calibrated: dict[str, Scale] = {}  # by fingerprint, under which a text has the same vector always


@dataclass(slots=True)
class EmbedderService:
    """``wanted`` is the configured embedder and ``name`` its name in the settings; ``make`` makes one from
    such a name."""

    store: Store
    wanted: Embedder
    name: str
    make: Callable[[str], Embedder]
    _made: dict[str, Embedder] = field(default_factory=dict[str, Embedder])
    _announced: bool = False
    _serving: Embedder | None = None
    _asked: float = 0.0  # when that was read from the database

    async def embedders(self) -> list[Embedder]:
        """The embedder in service, then the one that is to take its place, if any."""
        if self.wanted.dimensions == 0:  # search is lexical; what the database has stays as it is
            return [self.wanted]
        self._made.setdefault(self.wanted.fingerprint, self.wanted)
        records = await self.store.read(lambda tx: tx.embedders())
        if not self._announced:
            with suppress(StorageError):  # a database that can only be read: its vectors are searched
                if self.wanted.fingerprint not in [record.fingerprint for record in records if record.wanted]:
                    await self.store.write(self._announce)
                    records = await self.store.read(lambda tx: tx.embedders())
                self._announced = True
        chosen = [self._embedder(record) for record in records if record.in_service]
        chosen += [self._embedder(record) for record in records if record.wanted and not record.in_service]
        found = [embedder for embedder in chosen if embedder] or [self.wanted]
        self._serving, self._asked = found[0], monotonic()
        return found

    async def serving(self) -> Embedder:
        """The embedder whose vectors to search, as it was some seconds ago at most."""
        if self._serving is None or monotonic() > self._asked + _VALID:
            return (await self.embedders())[0]
        return self._serving

    async def switch(self, former: Embedder, by: Embedder) -> None:
        """Put ``by`` in service, if it has vectors of all rows, and forget those of ``former`` that it does
        not share."""
        used = {member.fingerprint for member in members_of(by)}

        def take_over(tx: Transaction) -> bool:
            records = {record.fingerprint: record for record in tx.embedders()}
            record = records.get(by.fingerprint)
            if record is None or not record.wanted or tx.settle_vectors(used):
                return False
            tx.put_embedder(replace(record, in_service=True))
            return True

        if await self.store.write(take_over):
            self._serving = by
            logger.info("search now uses %s", by.fingerprint)
            for name in {member.fingerprint for member in members_of(former)} - used:
                while await self.store.write(lambda tx, name=name: tx.forget_vectors(name, _FORGET)):
                    pass

    def _announce(self, tx: Transaction) -> None:
        known = {record.fingerprint: record for record in tx.embedders()}
        record = known.get(self.wanted.fingerprint) or EmbedderRecord(self.wanted.fingerprint, self.name)
        first = not any(other.in_service for other in known.values())
        record = replace(record, name=record.name or self.name)
        tx.put_embedder(replace(record, wanted=True, in_service=first or record.in_service))

    def _embedder(self, record: EmbedderRecord) -> Embedder | None:
        """The embedder of a record; None if it cannot be made here any more."""
        if record.fingerprint not in self._made:
            try:
                made = self.make(record.name)
            except PagefaultError as error:
                logger.warning("vectors of %s cannot be searched: %s", record.fingerprint, error)
                return None
            if made.fingerprint != record.fingerprint:
                return None
            self._made[record.fingerprint] = made
        return self._made[record.fingerprint]


def readers(embedder: Embedder, text: str, may_be_english: bool) -> list[Embedder]:
    """The embedders to make a query's vectors, in order of comparison; the first of a pair is for English."""
    members = members_of(embedder)[0 if may_be_english else -1 :]
    return [member for member in members if member.dimensions != 0 and reads(member, text)]


async def vectors_of(
    embedder: Embedder, texts: Sequence[str], seconds: float | None = None, made: _Made = ()
) -> Vectors:
    """Vectors of texts, a row for each, of finite numbers and as wide as those ``made`` by an embedder of the
    same fingerprint; ``EmbedderError`` whatever it does instead, ``TimeoutError`` after ``seconds``."""
    import numpy as np  # it takes longer to import than all of this package

    widths = {record.dimensions for record in made if record.fingerprint == embedder.fingerprint}

    async def embedded() -> Vectors:
        found = np.asarray(await embedder.embed(texts), np.float32)
        is_wide = found.ndim == 2 and widths <= {0, found.shape[1]}
        if not is_wide or len(found) != len(texts) or not np.isfinite(found).all():
            raise EmbedderError(
                f"{embedder.fingerprint} gave no vectors of finite numbers, as wide as before, for "
                f"{len(texts)} texts, but an array of shape {found.shape}; choose another embedder."
            )
        return found

    try:
        return await contained(embedder.fingerprint, embedded(), seconds)
    except EmbedderError:
        raise
    except PagefaultError as error:
        raise EmbedderError(f"{embedder.fingerprint} failed: {error}") from error


async def scale_in_use(embedder: Embedder, seconds: float | None = None) -> Scale:
    """The scale of an embedder: its own, else calibrated, once a process. Errors as ``vectors_of``."""
    with barrier():
        scale: Scale | None = getattr(embedder, "scale", None) or _calibrated.get(embedder.fingerprint)
    if scale is None:
        scale = scale_of(await vectors_of(embedder, sentences(), seconds))
        _calibrated[embedder.fingerprint] = scale
    return scale
