"""The cost of requests in money: by the user's own prices, else by the table of the library ``genai-prices``.

The table is that of the installed release; nothing is fetched. A price that is not known is None, never 0.
Left out: discounts, batches, prices by the hour, currencies other than the US dollar.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from pagefault.message_meta import RequestUsage, Usage
from pagefault.models.endpoint import Vendor

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice

__all__ = ["Price", "Prices"]


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens; ``cached`` and ``written`` as in ``Usage``, None: as other input."""

    input: float
    output: float
    cached: float | None = None
    written: float | None = None

    def of(self, usage: Usage) -> float:
        """Dollars."""
        parts = (
            (max(0, usage.input - usage.cached - usage.written), self.input),
            (usage.cached, self.input if self.cached is None else self.cached),
            (usage.written, self.input if self.written is None else self.written),
            (usage.output, self.output),
        )
        return sum(tokens * price for tokens, price in parts) / 1e6


@dataclass(frozen=True, slots=True)
class Prices:
    """The price of each model. ``vendor`` says who serves a model of a name; ``own`` are the user's prices
    by that name."""

    vendor: Callable[[str], Vendor | None]
    own: Mapping[str, Price]
    _vendors: dict[str, Vendor | None] = field(default_factory=dict[str, "Vendor | None"])

    def cost(self, request: RequestUsage, at: datetime) -> float | None:
        """Dollars for a request made at that time; None if no price is known."""
        return self.cost_of_sum(request.model, request.answered, request.usage, 1, at)

    def cost_of_sum(
        self, model: str, answered: str, usage: Usage, requests: int, at: datetime
    ) -> float | None:
        """Dollars for so many requests whose tokens add up to ``usage``. All have the price of ``at``, and
        the input tokens of each are within the same tier of that price."""
        if price := self.own.get(model):
            return price.of(usage)
        vendor = self._vendor(model)
        if vendor is None:
            return None
        if vendor.self_hosted:
            return 0.0
        listed = _listed(vendor, answered, at)
        return None if listed is None else _dollars(listed, usage, requests)

    def period(self, model: str, answered: str, at: datetime) -> int:
        """A number that is the same for all times at which a model has one price."""
        vendor = None if model in self.own else self._vendor(model)
        return id(_listed(vendor, answered, at)) if vendor and not vendor.self_hosted else 0

    def _vendor(self, model: str) -> Vendor | None:
        if model not in self._vendors:
            self._vendors[model] = self.vendor(model)
        return self._vendors[model]


def _listed(vendor: Vendor, answered: str, at: datetime) -> ModelPrice | None:
    """The price in the library's table: under the provider's own name for the model, which is the more exact,
    or under the name that was asked for."""
    from genai_prices.data_snapshot import get_snapshot

    provider = None if vendor.url else vendor.provider
    for name in filter(None, (answered, vendor.model)):
        try:
            _, model = get_snapshot().find_provider_model(name, None, provider, vendor.url or None)
        except LookupError:
            continue
        price = model.get_prices(at)
        if price.input_mtok is not None and price.output_mtok is not None:
            return price
    return None


def _dollars(price: ModelPrice, usage: Usage, requests: int) -> float:
    """The price of the mean request, times their number: within a tier a price is linear."""
    import genai_prices

    cached = min(usage.cached, usage.input)
    parts = (usage.input, usage.output, cached, min(usage.written, usage.input - cached))
    entered, output, read, written = (Decimal(tokens) / requests for tokens in parts)
    mean = genai_prices.Usage(
        input_tokens=entered, output_tokens=output, cache_read_tokens=read, cache_write_tokens=written
    )
    return float(price.calc_price(mean)["total_price"] * requests)
