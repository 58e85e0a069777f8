"""A disk cache before an embedder that costs money or time: one SQLite file of vectors by hash of the text.

Nothing depends on it: if the file is damaged, locked, unwritable or full, texts are embedded without it, and
a damaged file is replaced. Safe with several processes. Plain ``sqlite3``, because
``diskcache``, the library for this, has had no release since 2023 and reads pickles (CVE-2025-69872). Left
out: tracking use; when the file is full, the oldest entries are deleted first.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

import anyio.to_thread
import numpy as np
from numpy.typing import NDArray

from pagefault.embedders import Embedder, Scale, Vectors
from pagefault.embedders.pair import reads
from pagefault.text_caches import holds_texts

__all__ = ["CachedEmbedder"]

LIMIT = 256 * 2**20
"""Bytes of the file: some 33,000 vectors of 1,536 dimensions."""

_Row = NDArray[np.float32]
_T = TypeVar("_T")

_WAIT = 2.0  # seconds for another process's write
_AT_ONCE = 500  # keys in one statement
_CHECK = 8  # bytes of hash behind a vector: SQLite does not see a bit that has turned
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class CachedEmbedder:
    """``embedder`` with its vectors kept in ``file``, at most ``limit`` bytes: a text is embedded once."""

    def __init__(self, embedder: Embedder, file: Path, *, limit: int = LIMIT) -> None:
        self._embedder = embedder
        self._file = _VectorFile(file, limit)
        self._dimensions: int | None = None
        holds_texts(self)

    def forget_texts(self) -> None:
        """Delete the file: of which texts its vectors are cannot be seen."""
        self._file.discard()

    @property
    def fingerprint(self) -> str:
        return self._embedder.fingerprint

    @property
    def dimensions(self) -> int | None:
        known = self._embedder.dimensions
        return self._dimensions if known is None else known

    @property
    def scale(self) -> Scale | None:
        return getattr(self._embedder, "scale", None)  # a plug-in's may lack it

    def reads(self, text: str) -> bool:
        return reads(self._embedder, text)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """See ``Embedder.embed``; the embedder is given each text that is not in the file, once."""
        if not texts:
            return np.empty((0, self.dimensions or 0), np.float32)
        keys = [_key(self.fingerprint, text) for text in texts]
        wanted = dict(zip(keys, texts, strict=True))
        found = await anyio.to_thread.run_sync(self._file.read, list(wanted))
        found |= await self._made({key: text for key, text in wanted.items() if key not in found})
        if len({row.size for row in found.values()} | {self.dimensions or found[keys[0]].size}) > 1:
            found = await self._made(wanted)  # another model is behind the name than was
        self._dimensions = found[keys[0]].size
        return np.stack([found[key] for key in keys])

    async def _made(self, wanted: Mapping[bytes, str]) -> dict[bytes, _Row]:
        if not wanted:
            return {}
        vectors = await self._embedder.embed(list(wanted.values()))
        made = dict(zip(wanted, vectors, strict=True))
        await anyio.to_thread.run_sync(self._file.write, made)
        return made


def _key(fingerprint: str, text: str) -> bytes:
    return blake2b(f"{fingerprint}\0{text}".encode(errors="surrogatepass"), digest_size=16).digest()


def _check(key: bytes, vector: bytes) -> bytes:
    return blake2b(key + vector, digest_size=_CHECK).digest()


class _VectorFile:
    """Vectors by key, in a file that is opened for each use and so belongs to no thread or event loop."""

    def __init__(self, path: Path, limit: int) -> None:
        self._path = path
        self._limit = limit

    def read(self, keys: Sequence[bytes]) -> dict[bytes, _Row]:
        """Return the vectors that are there and undamaged."""

        def work(db: sqlite3.Connection) -> dict[bytes, _Row]:
            found: dict[bytes, _Row] = {}
            for start in range(0, len(keys), _AT_ONCE):
                few = keys[start : start + _AT_ONCE]
                marks = ",".join("?" * len(few))
                for key, data in db.execute(f"SELECT key, vector FROM vectors WHERE key IN ({marks})", few):
                    vector = data[:-_CHECK]
                    if data[-_CHECK:] == _check(key, vector):
                        found[key] = np.frombuffer(vector, "<f4").astype(np.float32)
            return found

        return self._use(work) or {}

    def write(self, vectors: Mapping[bytes, _Row]) -> None:
        """Store these; the oldest are deleted to make room."""

        def work(db: sqlite3.Connection) -> None:
            rows = [(key, row.astype("<f4").tobytes()) for key, row in vectors.items()]
            with db:
                db.executemany(
                    "INSERT OR REPLACE INTO vectors (key, vector) VALUES (?, ?)",
                    [(key, data + _check(key, data)) for key, data in rows],
                )
                while self._size(db) > self._limit:
                    db.execute(
                        "DELETE FROM vectors WHERE age <= (SELECT age FROM vectors ORDER BY age "
                        "LIMIT 1 OFFSET (SELECT count(*) / 4 FROM vectors))"
                    )

        self._use(work)

    def _size(self, db: sqlite3.Connection) -> int:
        """Bytes in use; 0 when nothing is left to delete."""
        pages, free, size = (
            db.execute(f"PRAGMA {what}").fetchone()[0]
            for what in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size if db.execute("SELECT 1 FROM vectors LIMIT 1").fetchone() else 0

    def _use(self, work: Callable[[sqlite3.Connection], _T]) -> _T | None:
        """Run ``work`` on the open file; None if the file cannot be used."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with closing(sqlite3.connect(self._path, timeout=_WAIT)) as db:
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("PRAGMA synchronous = NORMAL")
                db.execute(
                    "CREATE TABLE IF NOT EXISTS vectors "
                    "(age INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, vector BLOB NOT NULL)"
                )
                return work(db)
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
                self.discard()
        except OSError:
            pass  # no folder, no permission: no cache
        return None

    def discard(self) -> None:
        """Delete the file; nothing depends on it."""
        for suffix in ("", "-wal", "-shm"):
            try:
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            except OSError:
                return
