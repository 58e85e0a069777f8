"""Addresses and keys as users give them: URLs, ``OLLAMA_HOST``, environment variables; URLs as they are kept.

Shared by models and embedders. Left out: connections.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from ipaddress import ip_address
from urllib.parse import urlsplit

from pagefault.errors import UsageError
from pagefault.redaction import without_user

__all__ = ["OLLAMA_PORT", "checked_url", "clean_url", "is_near", "key_of", "ollama_url", "server_of"]

OLLAMA_PORT = 11434
_LOOPBACK = "127.0.0.1"


def checked_url(url: str, whose: str, key: str) -> str:
    """Return the URL without a slash at its end; ``UsageError`` if it is invalid or may hold a secret.

    ``whose`` ("a model") is for the error message; ``key`` is the variable to set instead of a password.
    """
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # an invalid port or IPv6 address
        parts, whole = urlsplit(""), False
    if "@" in url or parts.query:
        shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        raise UsageError(
            f"The address of {whose} takes no password and no query ({shown}); set {key} instead."
        )
    if not whole:
        raise UsageError(f"{url} is not the address of {whose}; write one like http://{_LOOPBACK}:8080/v1.")
    return url.rstrip("/")


def ollama_url(environment: Mapping[str, str]) -> str:
    """Return the address of Ollama: ``OLLAMA_HOST`` as Ollama reads it, else port 11434 on this machine."""
    url = environment.get("OLLAMA_HOST", "").strip().rstrip("/")
    if "://" not in url:
        url = f"http://{url if url and url[0] != ':' else _LOOPBACK + url}"
        url += "" if ":" in url.rpartition("]")[2].removeprefix("http:") else f":{OLLAMA_PORT}"
    return url.replace("://0.0.0.0", f"://{_LOOPBACK}", 1)  # an address to listen on, not to connect to


def clean_url(url: str, *, marked: bool = False) -> str:
    """Return the URL as it may be stored and shown: without user name, password, query and fragment.

    ``marked``: with a short hash of a query in place of the fragment, so that the addresses of two documents
    that differ in their queries stay two. Never raises.
    """
    rest = without_user(url).partition("#")[0]
    place, _, query = rest.partition("?")
    return f"{place}#{sha256(query.encode(errors='replace')).hexdigest()[:8]}" if marked and query else place


def server_of(url: str) -> str:
    """Return scheme, host and port of a URL, by which two addresses are of the same server."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    except ValueError:  # an invalid port or IPv6 address
        return ""
    return f"{parts.scheme}://{(parts.hostname or '').rstrip('.')}:{port}"


def is_near(url: str) -> bool:
    """Return True if an address is on this machine or in its network, judged by its host alone."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        return not ip_address(host).is_global
    except ValueError:  # a name
        return "." not in host or host.endswith((".localhost", ".local", ".internal", ".lan"))


def key_of(name: str, environment: Mapping[str, str]) -> str:
    """Return the key in a variable, empty if it is not set; ``UsageError`` if it is invalid."""
    key = environment.get(name, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise UsageError(f"{name} holds characters that no key has; set it again.")
    return key
