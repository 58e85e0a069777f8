"""The catalogue: makes models from their names, with addresses, keys and windows.

``offline``, ``provider:name`` for the known providers, those of ``config.toml`` and of plug-ins, ``URL#name``
for any server of OpenAI's shape, ``pydantic-ai:provider:name`` for everything else that library knows.
Adapters are imported when one is made. Left out: the adapters, the wrappers, the windows of known models.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Protocol, runtime_checkable

import anyio

from pagefault.addresses import checked_url, is_near, key_of, ollama_url
from pagefault.errors import ModelError, ModelSetupError, UsageError
from pagefault.media import Media
from pagefault.models import Model
from pagefault.models.directory.findings import Findings
from pagefault.models.directory.providers import PROVIDERS, SERVER_KEY, Provider, ProviderTable
from pagefault.models.directory.server_keys import ServerKeys
from pagefault.models.directory.sight import Sight
from pagefault.models.directory.targets import Target
from pagefault.models.directory.templates import Templates
from pagefault.models.directory.tokenizers import Tokenizers
from pagefault.models.directory.windows import Windows
from pagefault.models.endpoint import (
    AdapterFactory,
    CheckResult,
    Endpoint,
    ModelFinding,
    ModelOptions,
    RequestSettings,
    Vendor,
)
from pagefault.models.image_tokens import image_tokens
from pagefault.models.tokens import Counter
from pagefault.models.wrappers.images import ImagesModel
from pagefault.models.wrappers.limiter import Pace, RateLimiter, limiter_of

__all__ = ["Catalogue", "Target"]


@runtime_checkable
class _Closable(Protocol):
    def aclose(self) -> Awaitable[None]: ...


class Catalogue:
    """Makes models, each once, so that agents of one model share its connections.

    Keys and addresses are read from ``environment``. ``own`` are providers of ``config.toml``; they may
    replace known ones. ``findings`` are the results of checks; ``delay`` is the time before the first retry,
    in seconds. ``plugins`` are functions that load the adapters of further providers; ``keys``: the servers
    that may have the key for servers.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        own: Mapping[str, Provider] | None = None,
        findings: Findings | None = None,
        delay: float = 1.0,
        pace: Pace | None = None,
        plugins: Mapping[str, Callable[[], AdapterFactory]] | None = None,
        keys: ServerKeys | None = None,
    ) -> None:
        self.providers = ProviderTable(own or {}, {} if plugins is None else plugins)
        self._environment = environment
        self._findings = findings
        self._keys = keys or ServerKeys("")
        self._delay, self._pace = delay, pace or Pace()
        self._made: dict[tuple[str, int, RequestSettings, tuple[ModelFinding, ...]], Model] = {}
        self._open: list[_Closable] = []
        self._windows, self._sight = Windows(), Sight(findings)
        self._templates, self._tokenizers = Templates(), Tokenizers()

    # names

    def targets(self, names: str) -> tuple[Target, ...]:
        """Return the models that ``names`` stands for, the preferred one first; ``UsageError`` for an
        unknown name."""
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
        key = key_of(SERVER_KEY, self._environment)
        withheld = "" if not key or self._keys.may_go_to(base_url) else self._keys.refusal(name)
        endpoint = Endpoint(base_url, base_url, "" if withheld else key, SERVER_KEY, withheld=withheld)
        return Target(name, known, model, endpoint)

    def trust(self, names: str) -> tuple[str, ...]:
        """See ``ModelSource``."""
        new = self._keys.add(names)
        if new:
            self._made.clear()
        return new

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
        """Return a sentence on what a provider lacks, with the command that fixes it; None if nothing."""
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
        """See ``ModelSource``. Known local providers and addresses of the local network are self-hosted."""
        try:
            target = self._target(name)
        except UsageError:
            return None
        provider, url = target.endpoint.provider, target.endpoint.base_url
        known = PROVIDERS.get(provider)
        usual = known.base_url if known else ""
        self_hosted = bool((url and is_near(url)) or (known and known.local))
        return Vendor(provider, target.model, url if url != usual else "", self_hosted)

    # models

    def model(self, names: str, window: int, settings: RequestSettings) -> Model:
        """Return the model of these names with its wrappers, the same one each time; see ``ModelSource``."""
        targets = self.targets(names)
        key = (names, window, settings, tuple(map(self._finding, targets)))  # a check may come later
        if key not in self._made:
            self._made[key] = self._wrapped(targets, window, settings)
        return self._made[key]

    def _finding(self, target: Target) -> ModelFinding:
        return self._findings.of(target.name) if self._findings else ModelFinding()

    def _wrapped(self, targets: tuple[Target, ...], window: int, settings: RequestSettings) -> Model:
        models = [
            self._with_functions(target, self.adapter(target, window, settings.options), settings)
            for target in targets
        ]
        if len(targets) == 1 and targets[0].provider.adapter == "offline":
            return models[0]
        from pagefault.models.wrappers.retrying import RetryingModel

        names = [target.name for target in targets]
        return RetryingModel(
            models, targets=names, limiters=[self._limiter(target) for target in targets],
            budget=settings.patience, delay=self._delay, pace=self._pace,
        )  # fmt: skip

    def _limiter(self, target: Target) -> Callable[[], RateLimiter]:
        """Return how to get the limiter that all agents of the event loop share."""
        where = (target.endpoint.base_url or target.endpoint.provider, target.endpoint.key)
        return partial(limiter_of, where, target.provider.limits, self._pace)

    def _with_functions(self, target: Target, model: Model, settings: RequestSettings) -> Model:
        if target.provider.adapter == "offline":
            return model
        from pagefault.models.wrappers.function_calling import FunctionCallingModel

        see, turn_blind = self._sight.sees, self._sight.turned_blind
        model = ImagesModel(
            model, partial(see, target.name, target.model, settings.images), partial(turn_blind, target.name)
        )
        drops = partial(self._templates.drops_functions, target)
        return FunctionCallingModel(model, settings.calling, self._finding(target), drops)

    def image_tokens(self, names: str, images: bool | None) -> Callable[[Media], int]:
        """See ``ModelSource``. Of several models the one that takes the most tokens counts."""
        targets, sees = self.targets(names), self._sight.sees

        def count(image: Media) -> int:
            seeing = (each.model for each in targets if sees(each.name, each.model, images))
            return max((image_tokens(model, image) for model in seeing), default=0)

        return count

    def adapter(self, target: Target, window: int, options: ModelOptions) -> Model:
        """Return the bare adapter: one request per completion, no retries."""
        name, endpoint = target.name, target.endpoint
        if target.provider.adapter == "offline":
            from pagefault.models.offline import OfflineModel

            return OfflineModel(window)
        if endpoint.provider in self.providers and (lacking := self.missing(endpoint.provider)):
            raise ModelSetupError(f"{name} cannot be used. {lacking}")
        endpoint = replace(endpoint, saw=partial(_saw, self._limiter(target)))
        made = target.provider.factory()(target.model, window, endpoint, options)
        if isinstance(made, _Closable):
            self._open.append(made)
        return made

    async def check(self, name: str) -> CheckResult:
        """Test one model, and store how it calls functions; ``UsageError`` for an unknown name."""
        from pagefault.models.directory.check import check

        target, *others = self.targets(name)
        if others:
            raise UsageError("One model is checked at a time; leave out the commas.")
        self.trust(name)
        (target,) = self.targets(name)
        if target.provider.adapter == "offline":
            raise UsageError("There is nothing to check: offline is no language model, and always available.")
        window, _ = await self._windows.of(target, None)
        try:
            result = await check(self.adapter(target, window, ModelOptions()))
        except ModelError as error:  # a key or a package is missing
            return CheckResult(str(error))
        self._sight.checked(target.name)
        if self._findings and result.calling != "none":
            finding = ModelFinding(result.calling, result.late_thinking, result.images)
            self._findings.remember(target.name, finding)
        return result

    async def aclose(self) -> None:
        """Close the connections of all models; a model opens new ones when it is used again."""
        with anyio.CancelScope(shield=True):
            for model in self._open:
                await model.aclose()

    # windows

    async def window(self, names: str, wanted: int | None) -> tuple[int, str]:
        """See ``ModelSource``: the wanted window, else the known or reported one, else a safe one; never more
        than a server reports. Of several models the smallest window counts. Learns the first one's tokenizer.
        """
        targets = self.targets(names)
        windows = [await self._windows.of(target, wanted) for target in targets]
        await self._tokenizers.learn(targets[0])
        return min(windows, key=lambda window: window[0])

    def counter(self, names: str) -> Counter:
        """See ``ModelSource``; fitted to the tokenizer of its server, if ``window`` has learnt of one."""
        return self._tokenizers.counter(self.targets(names)[0].name)

    async def served_window(self, names: str) -> int | None:
        """See ``ModelSource``; asks the servers each time."""
        self._windows.forget()
        windows = [await self._windows.served(target) for target in self.targets(names)]
        return min((window for window in windows if window), default=None)


def _saw(limiter: Callable[[], RateLimiter], status: int, headers: Mapping[str, str]) -> None:
    limiter().saw(status, headers)
