"""The models there are: names to adapters with addresses and keys, and the windows they have.

``offline``, ``provider:name`` for the known providers and those of ``config.toml``, ``URL#name`` for any
server of OpenAI's shape, ``pydantic-ai:provider:name`` for whatever else that library knows. Adapters are
imported when one is made. Left out: the adapters, the retries, the windows of known models.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import anyio

from pagefault.addresses import checked_url, is_near, key_of, ollama_url
from pagefault.errors import ModelError, ModelSetupError, UsageError
from pagefault.models import Model
from pagefault.models.directory.findings import Findings
from pagefault.models.directory.known_windows import SAFE_WINDOW, window_of
from pagefault.models.directory.providers import PROVIDERS, SERVER_KEY, Adapter, Provider
from pagefault.models.endpoint import CheckResult, Endpoint, ModelOptions, RequestSettings, Vendor

__all__ = ["Catalogue", "Target"]

_ASKED_AGAIN = 60.0  # seconds after which a server is asked again what window it serves


@dataclass(frozen=True, slots=True)
class Target:
    """One model of one provider, and where to ask it."""

    name: str
    provider: Provider
    model: str
    endpoint: Endpoint


class _Closable(Protocol):
    def aclose(self) -> Awaitable[None]: ...


class Catalogue:
    """Makes models, each once, so that agents of one model share its connections.

    ``environment`` is where keys and addresses are read; ``own`` are the providers of ``config.toml``, which
    may stand for known ones; ``findings`` are what checks have found; ``delay`` is the time before the first
    retry, in seconds.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        own: Mapping[str, Provider] | None = None,
        findings: Findings | None = None,
        delay: float = 1.0,
    ) -> None:
        self.providers = {**PROVIDERS, **(own or {})}
        self._environment = environment
        self._findings = findings
        self._delay = delay
        self._made: dict[tuple[str, int, RequestSettings], Model] = {}
        self._open: list[_Closable] = []
        self._served: dict[str, tuple[float, int | None]] = {}

    # names

    def targets(self, names: str) -> tuple[Target, ...]:
        """What ``names`` stands for, the wanted model first; ``UsageError`` if one of them is no model."""
        found = tuple(self._target(name.strip()) for name in names.split(",") if name.strip())
        if not found:
            raise UsageError("No model is named; write offline or PROVIDER:NAME, e.g. openai:gpt-4o-mini.")
        return found

    def _target(self, name: str) -> Target:
        if name.startswith(("http://", "https://")):
            return self._at_url(name)
        provider, _, model = name.partition(":")
        if provider == "pydantic-ai" and ":" in model:
            provider, _, model = model.partition(":")
            known = Provider("", "", "pydantic_ai", package="pydantic_ai", extra=provider)
            return Target(name, known, model, Endpoint(provider))
        known = self.providers.get(provider)
        if known is None or (not model and known.adapter != "offline"):
            raise UsageError(
                f"There is no model {name!r}; write PROVIDER:NAME, e.g. openai:gpt-4o-mini "
                "(`pagefault models` lists the providers)."
            )
        return Target(name, known, model, self._endpoint(provider, known))

    def _at_url(self, name: str) -> Target:
        url, _, model = name.partition("#")
        if not model:
            raise UsageError(f"{url} names no model; write it behind the address, as in {url}#qwen3.")
        base_url = checked_url(url, "a model", SERVER_KEY)
        known = Provider("", "", base_url=base_url, key=SERVER_KEY, local=True)
        return Target(name, known, model, Endpoint(base_url, base_url, key_of(SERVER_KEY, self._environment)))

    def _endpoint(self, name: str, provider: Provider) -> Endpoint:
        base_url = provider.base_url
        if provider.adapter == "ollama" and not base_url:
            base_url = ollama_url(self._environment)
        elif address := self._environment.get(provider.address, "") if provider.address else "":
            base_url = address
        if base_url:
            base_url = checked_url(base_url, "a model", provider.key or SERVER_KEY)
        keys = [
            key_of(variable, self._environment) for variable in (provider.key, provider.other_key) if variable
        ]
        key = next(filter(None, keys), "")
        return Endpoint(name, base_url, key, provider.key, provider.headers, provider.timeout)

    def missing(self, name: str) -> str | None:
        """What a provider lacks to be used, as a sentence with the line that mends it; None if nothing."""
        provider = self.providers[name]
        if lacking := provider.lacks_package():
            return lacking
        try:
            endpoint = self._endpoint(name, provider)
        except UsageError as error:
            return str(error)
        elsewhere = (
            provider.adapter == "openai" and endpoint.base_url != PROVIDERS.get(name, provider).base_url
        )
        if provider.key and not (provider.local or endpoint.key or elsewhere):
            return f"It needs a key: export {provider.key}=..."
        return None

    def vendor(self, name: str) -> Vendor | None:
        """See ``ModelSource``. A provider that is known to be local is one's own wherever it is; an address
        says it for the others."""
        try:
            target = self._target(name)
        except UsageError:
            return None
        provider, url = target.endpoint.provider, target.endpoint.base_url
        known = PROVIDERS.get(provider)
        own = is_near(url) if url else False
        usual = known.base_url if known else ""
        elsewhere = url if url != usual else ""
        return Vendor(provider, target.model, elsewhere, own or bool(known and known.local))

    # models

    def model(self, names: str, window: int, settings: RequestSettings) -> Model:
        """The model of these names, made at the first time; see ``ModelSource``."""
        key = (names, window, settings)
        if key not in self._made:
            self._made[key] = self._whole(self.targets(names), window, settings)
        return self._made[key]

    def _whole(self, targets: tuple[Target, ...], window: int, settings: RequestSettings) -> Model:
        models = [
            self._calling(target, self.adapter(target, window, settings.options), settings)
            for target in targets
        ]
        if len(targets) == 1 and targets[0].provider.adapter == "offline":
            return models[0]
        from pagefault.models.wrappers.retrying import RetryingModel

        names = [target.name for target in targets]
        return RetryingModel(models, targets=names, budget=settings.patience, delay=self._delay)

    def _calling(self, target: Target, model: Model, settings: RequestSettings) -> Model:
        if target.provider.adapter == "offline":
            return model
        from pagefault.models.wrappers.function_calling import FunctionCallingModel

        found = self._findings
        needs_json = settings.calling == "auto" and found is not None and found.needs_json(target.name)
        return FunctionCallingModel(model, "json" if needs_json else settings.calling)

    def adapter(self, target: Target, window: int, options: ModelOptions) -> Model:
        """The bare adapter: one request to a completion, no retries."""
        name, model, endpoint = target.name, target.model, target.endpoint
        if target.provider.adapter == "offline":
            from pagefault.models.offline import OfflineModel

            return OfflineModel(window)
        provider = target.endpoint.provider
        if provider in self.providers and (lacking := self.missing(provider)):
            raise ModelSetupError(f"{name} cannot be used. {lacking}")
        make = _adapter_class(target.provider.adapter)
        made = make(model, window, endpoint, options)
        self._open.append(made)
        return made

    async def check(self, name: str) -> CheckResult:
        """Find out what one model can do, and keep how it calls functions; ``UsageError`` if it is none."""
        from pagefault.models.directory.check import check

        target, *others = self.targets(name)
        if others:
            raise UsageError("One model is checked at a time; leave out the commas.")
        if target.provider.adapter == "offline":
            raise UsageError("There is nothing to check: offline is no language model, and always there.")
        window, _ = await self._window(target, None)
        try:
            checked = await check(self.adapter(target, window, ModelOptions()))
        except ModelError as error:  # a key or a package is missing
            return CheckResult(str(error))
        if self._findings and checked.calling != "none":
            self._findings.remember(target.name, "json" if checked.calling == "json" else "native")
        return checked

    async def aclose(self) -> None:
        """Close the connections of all models made; they open new ones when they are asked again."""
        with anyio.CancelScope(shield=True):
            for model in self._open:
                await model.aclose()

    # windows

    async def window(self, names: str, wanted: int | None) -> tuple[int, str]:
        """See ``ModelSource``: as ``wanted``, else as served or known, else a safe one; never more than what
        a server says it serves. Of several models the smallest counts."""
        windows = [await self._window(target, wanted) for target in self.targets(names)]
        return min(windows, key=lambda window: window[0])

    async def _window(self, target: Target, wanted: int | None) -> tuple[int, str]:
        known = SAFE_WINDOW if target.provider.adapter == "offline" else window_of(target.model)
        # Ollama serves what a request asks for; a window that it was asked for before says nothing
        served = None if target.provider.adapter == "ollama" else await self._served_by(target)
        limit = wanted or known
        if served and (limit is None or served < limit):
            smaller = f"{target.name} serves a window of {served:,} tokens, not {limit:,}." if limit else ""
            return served, smaller
        if wanted:
            return wanted, ""
        if known is None or target.provider.adapter == "ollama":
            assumed = min(known or SAFE_WINDOW, SAFE_WINDOW)
            return (
                assumed,
                f"A window of {assumed:,} tokens is assumed for {target.name}; --window N sets it.",
            )
        return known, ""

    async def served_window(self, names: str) -> int | None:
        """See ``ModelSource``; asks anew."""
        self._served.clear()
        windows = [await self._served_by(target) for target in self.targets(names)]
        return min((window for window in windows if window), default=None)

    async def _served_by(self, target: Target) -> int | None:
        if not target.endpoint.base_url or target.provider.adapter not in ("openai", "ollama"):
            return None
        now = anyio.current_time()
        asked, window = self._served.get(target.name, (-_ASKED_AGAIN, None))
        if now - asked >= _ASKED_AGAIN:
            from pagefault.models.directory.served_window import served_window

            window = await served_window(target.endpoint, target.model)
            self._served[target.name] = (now, window)
        return window


def _adapter_class(adapter: Adapter) -> Callable[[str, int, Endpoint, ModelOptions], Any]:
    if adapter == "ollama":
        from pagefault.models.ollama import OllamaModel

        return OllamaModel
    if adapter == "pydantic_ai":
        from pagefault.models.pydantic_ai import PydanticAIModel

        return PydanticAIModel
    from pagefault.models.openai import OpenAIModel

    return OpenAIModel
