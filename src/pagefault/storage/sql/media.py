"""Media: bytes of images and files, once for each agent by hash."""

from __future__ import annotations

from collections.abc import Sequence

from pagefault.media import Media, MediaContent
from pagefault.storage.sql.part import SqlPart
from pagefault.types import AgentId

__all__ = ["SqlMedia"]

_PUT = """
    INSERT INTO media (agent, hash, media_type, size, width, height, data)
    VALUES (:agent, :hash, :media_type, :size, :width, :height, :data) ON CONFLICT (agent, hash) DO NOTHING"""
_GET = "SELECT media_type, size, width, height, data FROM media WHERE agent = :agent AND hash = :hash"


class SqlMedia(SqlPart):
    """The part of a transaction on media."""

    def put_media(self, agent: AgentId, contents: Sequence[MediaContent]) -> None:
        if contents:
            self._require(agent)
        for each in contents:
            media = each.media
            self._db.send(
                _PUT,
                agent=agent,
                hash=media.hash,
                media_type=media.media_type,
                size=media.size,
                width=media.width,
                height=media.height,
                data=each.data,
            )

    def media(self, agent: AgentId, hashes: Sequence[str]) -> list[MediaContent]:
        found = [(hash, self._db.one(_GET, agent=agent, hash=hash)) for hash in hashes]
        return [
            MediaContent(Media(hash, media_type, "", size, width, height), bytes(data))
            for hash, (media_type, size, width, height, data) in ((hash, row) for hash, row in found if row)
        ]
