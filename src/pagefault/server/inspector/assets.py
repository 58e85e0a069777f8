"""Style, scripts and icons, served from memory under an address that has the hash of all of them.

So a browser keeps them for good and asks for them anew when one has changed. They are compressed once.
"""

from __future__ import annotations

import gzip
import mimetypes
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from fastapi import APIRouter, Request, Response

from pagefault.server.inspector.headers import SECURITY
from pagefault.server.problems import Problem

__all__ = ["asset_url", "routes"]

routes = APIRouter()
"""The route of assets."""

_FOLDER = Path(__file__).parent / "static"
_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
_FOR_GOOD = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class _Asset:
    type: str
    data: bytes
    packed: bytes


@cache
def _assets() -> dict[str, _Asset]:
    found: dict[str, _Asset] = {}
    for path in sorted(_FOLDER.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            type = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "text/plain"
            found[path.relative_to(_FOLDER).as_posix()] = _Asset(type, data, gzip.compress(data, mtime=0))
    return found


@cache
def _version() -> str:
    digest = sha256()
    for name, asset in _assets().items():
        digest.update(f"{name}\0{len(asset.data)}\0".encode() + asset.data)
    return digest.hexdigest()[:16]


def asset_url(name: str) -> str:
    """The address of a file of ``static/``."""
    return f"/static/{_version()}/{name}"


@routes.get("/static/{version}/{name:path}")
async def get_asset(version: str, name: str, request: Request) -> Response:
    """Return a file; the address of another version gives today's, which is not kept."""
    asset = _assets().get(name)
    if asset is None:
        raise Problem(404, "Not found", "There is no such file of the inspector; reload the page.")
    headers = {**SECURITY, "vary": "accept-encoding"}
    headers["cache-control"] = _FOR_GOOD if version == _version() else "no-cache"
    packs = "gzip" in request.headers.get("accept-encoding", "")
    if packs:
        headers["content-encoding"] = "gzip"
    return Response(asset.packed if packs else asset.data, headers=headers, media_type=asset.type)
