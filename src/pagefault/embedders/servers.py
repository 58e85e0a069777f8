"""Which embeddings server a name stands for: ``openai:NAME``, ``ollama:NAME`` or ``URL#NAME``.

The model stands in the URL's fragment, which is the one part that is never sent to a server; names of models
hold colons, slashes and at-signs. Keys come from the environment, and each goes to one kind of server only:
OpenAI's key never to another address. Left out: talking to the server (``remote.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pagefault.errors import EmbedderSetupError, UsageError

__all__ = ["KEY", "OLLAMA_PORT", "OPENAI_KEY", "Server", "server_of"]

OPENAI_KEY = "OPENAI_API_KEY"
KEY = "PAGEFAULT_EMBEDDER_KEY"
"""The variable with the key for a ``URL#NAME``, should its server want one."""

OLLAMA_PORT = 11434
_NO_KEY = "none"  # the client insists on one


@dataclass(frozen=True, slots=True)
class Server:
    """An address that serves one model. ``url`` is None for OpenAI itself; ``fingerprint`` holds no secret.

    ``key_name`` is the variable that holds the key, ``mend`` what to do if the model is not there.
    """

    fingerprint: str
    model: str
    url: str | None
    key: str = field(repr=False)
    key_name: str
    mend: str

    @property
    def where(self) -> str:
        """Model and address, for messages."""
        return f"{self.model} at {self.url}" if self.url else f"{self.model} at OpenAI"

    @property
    def has_key(self) -> bool:
        return self.key != _NO_KEY


def server_of(name: str, environment: Mapping[str, str]) -> Server | None:
    """The server that ``name`` stands for, None if it is none of the three forms.

    ``EmbedderSetupError`` if OpenAI's key is missing, ``UsageError`` for an address that cannot be used.
    """
    provider, _, model = name.partition(":")
    if provider in ("http", "https"):
        return _compatible(name, environment)
    if provider == "openai" and model:
        return _openai(model, environment)
    if provider == "ollama" and model:
        return _ollama(model, environment)
    return None


def _openai(model: str, environment: Mapping[str, str]) -> Server:
    url = environment.get("OPENAI_BASE_URL", "").rstrip("/") or None
    if url:
        _check(url)
    key = _key(OPENAI_KEY, environment)
    if key == _NO_KEY and not url:
        raise EmbedderSetupError(
            f"{model} needs a key: set {OPENAI_KEY}, or choose an embedder that needs none, such as minilm."
        )
    fingerprint = f"{url}#{model}" if url else f"openai:{model}"
    return Server(fingerprint, model, url, key, OPENAI_KEY, "check the model's name and OPENAI_BASE_URL")


def _ollama(model: str, environment: Mapping[str, str]) -> Server:
    model = model.removesuffix(":latest")  # the tag that is meant when there is none
    host = environment.get("OLLAMA_HOST", "").strip().rstrip("/")
    if "://" not in host:
        host = f"http://{host if not host.startswith(':') else '127.0.0.1' + host}"
        host = host if host != "http://" else "http://127.0.0.1"
        host += "" if _port(host) else f":{OLLAMA_PORT}"
    host = host.replace("://0.0.0.0", "://127.0.0.1", 1)  # where a server listens, not where it is
    _check(host)
    mend = f"run `ollama pull {model}`, or check OLLAMA_HOST"
    return Server(f"ollama:{model}", model, f"{host}/v1", _NO_KEY, "OLLAMA_HOST", mend)


def _compatible(name: str, environment: Mapping[str, str]) -> Server:
    url, _, model = name.partition("#")
    url = url.rstrip("/")
    if not model:
        raise UsageError(f"The embedder {_shown(url)} names no model; write it behind a #, as in {_EXAMPLE}.")
    _check(url)
    key = _key(KEY, environment)
    mend = "check the model's name and the address, which ends in /v1 on most servers"
    return Server(f"{url}#{model}", model, url, key, KEY, mend)


_EXAMPLE = "http://127.0.0.1:8080/v1#bge-m3"


def _key(name: str, environment: Mapping[str, str]) -> str:
    key = environment.get(name, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise EmbedderSetupError(f"{name} holds characters that no key has; set it again.")
    return key or _NO_KEY


def _check(url: str) -> None:
    """Refuse what has no host, and what would have a secret stored with the fingerprint."""
    port = _port(url)
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise UsageError(f"{_shown(url)} is not the address of an embedder; write one like {_EXAMPLE}.")
    if "@" in parts.netloc or parts.query:
        raise UsageError(
            f"An embedder's address takes no password and no query ({_shown(url)}); put the key into {KEY}."
        )


def _port(url: str) -> int | None:
    """The port that stands in an address, 0 if it is none."""
    try:
        return urlsplit(url).port
    except ValueError:
        return 0


def _shown(url: str) -> str:
    """An address without what may be secret."""
    return url.partition("?")[0].replace(url.partition("://")[2].rpartition("@")[0], "", 1)
