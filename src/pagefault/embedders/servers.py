"""From an embedder's name to its server: ``openai:NAME``, ``ollama:NAME`` or ``URL#NAME``.

The model stands in the URL's fragment, which is the one part that is never sent to a server; names of models
hold colons, slashes and at-signs. Keys come from the environment; OpenAI's goes nowhere but to OpenAI or
``OPENAI_BASE_URL``. Left out: talking to the server (``remote.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pagefault import addresses
from pagefault.addresses import checked_url, key_of, ollama_url
from pagefault.errors import EmbedderSetupError, UsageError

__all__ = ["KEY", "OPENAI_KEY", "Server", "server_of"]

OPENAI_KEY = "OPENAI_API_KEY"
KEY = "PAGEFAULT_EMBEDDER_KEY"
"""The variable with the key for any other server, should it want one."""

_NO_KEY = "none"  # the client insists on one
_WHOSE = "an embedder"
_EXAMPLE = "http://127.0.0.1:8080/v1#bge-m3"


@dataclass(frozen=True, slots=True)
class Server:
    """An address that serves one model. ``url`` is None for OpenAI itself; ``fingerprint`` holds no secret.

    ``key_name`` is the variable that holds the key, ``advice`` how to fix a missing model.
    """

    fingerprint: str
    model: str
    url: str | None
    key: str = field(repr=False)
    key_name: str
    advice: str

    @property
    def where(self) -> str:
        """Model and address, for messages."""
        return f"{self.model} at {self.url}" if self.url else f"{self.model} at OpenAI"

    @property
    def has_key(self) -> bool:
        return self.key != _NO_KEY


def server_of(name: str, environment: Mapping[str, str], named: str | None = None) -> Server | None:
    """Return the server for ``name``, None if it has none of the three forms.

    ``named``: the embedder that the person set, if ``name`` comes from elsewhere (a database); ``KEY`` is for
    the server of that one alone.

    ``EmbedderSetupError`` if OpenAI's key is missing, ``UsageError`` for an address that cannot be used.
    """
    provider, _, model = name.partition(":")
    if provider in ("http", "https"):
        return _checked_key(_compatible(name, environment), name, named)
    if provider == "openai" and model:
        return _openai(model, environment)
    if provider == "ollama" and model:
        return _checked_key(_ollama(model, environment), name, named)
    return None


def _checked_key(server: Server, name: str, named: str | None) -> Server:
    """Return the server, without the key if it is not the one that the person set."""
    here, there = (addresses.server_of(each.partition("#")[0]) for each in (name, named or name))
    if here == there:
        return server
    return replace(server, key=_NO_KEY, key_name=f"it as the embedder of this installation, and {KEY}")


def _openai(model: str, environment: Mapping[str, str]) -> Server:
    given = environment.get("OPENAI_BASE_URL", "")
    url = checked_url(given, _WHOSE, KEY) if given else None
    key = key_of(OPENAI_KEY, environment) or _NO_KEY
    if key == _NO_KEY and not url:
        raise EmbedderSetupError(
            f"{model} needs a key: set {OPENAI_KEY}, or choose an embedder that needs none, such as minilm."
        )
    fingerprint = f"{url}#{model}" if url else f"openai:{model}"
    return Server(fingerprint, model, url, key, OPENAI_KEY, "check the model's name and OPENAI_BASE_URL")


def _ollama(model: str, environment: Mapping[str, str]) -> Server:
    model = model.removesuffix(":latest")  # the tag that is meant when there is none
    url = checked_url(ollama_url(environment), _WHOSE, KEY)
    advice = f"run `ollama pull {model}`, or check OLLAMA_HOST"
    return Server(f"ollama:{model}", model, f"{url}/v1", key_of(KEY, environment) or _NO_KEY, KEY, advice)


def _compatible(name: str, environment: Mapping[str, str]) -> Server:
    url, _, model = name.partition("#")
    url = checked_url(url, _WHOSE, KEY)
    if not model:
        raise UsageError(f"The embedder {url} names no model; write it behind the address, as in {_EXAMPLE}.")
    key = key_of(KEY, environment) or _NO_KEY
    advice = "check the model's name and the address, which ends in /v1 on most servers"
    return Server(f"{url}#{model}", model, url, key, KEY, advice)
