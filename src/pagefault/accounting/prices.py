"""What requests cost in money: by the user's own prices, else by the table of the library ``genai-prices``.

The table is that of the installed release; nothing is fetched. A price that is not known is None, never 0.
Left out: discounts, batches, prices by the hour, currencies other than the US dollar.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from pagefault.message_meta import RequestUsage, Usage
from pagefault.models.endpoint import Vendor

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
    """What each model costs. ``vendor`` says who serves a model of a name; ``own`` are the user's prices, by
    that name."""

    vendor: Callable[[str], Vendor | None]
    own: Mapping[str, Price]

    def cost(self, request: RequestUsage, at: datetime) -> float | None:
        """Dollars for a request made at that time; None if no price is known."""
        if price := self.own.get(request.model):
            return price.of(request.usage)
        vendor = self.vendor(request.model)
        if vendor is None:
            return None
        if vendor.self_hosted:
            return 0.0
        return _listed(vendor, request, at)


def _listed(vendor: Vendor, request: RequestUsage, at: datetime) -> float | None:
    """By the library's table: under the provider's own name for the model, which is the more exact, or under
    the name that was asked for."""
    import genai_prices

    usage = request.usage
    cached = min(usage.cached, usage.input)
    used = genai_prices.Usage(
        input_tokens=usage.input, output_tokens=usage.output, cache_read_tokens=cached,
        cache_write_tokens=min(usage.written, usage.input - cached),
    )  # fmt: skip
    for model in filter(None, (request.answered, vendor.model)):
        try:
            if vendor.url:
                found = genai_prices.calc_price(
                    used, model, provider_api_url=vendor.url, genai_request_timestamp=at
                )
            else:
                found = genai_prices.calc_price(
                    used, model, provider_id=vendor.provider, genai_request_timestamp=at
                )
        except LookupError:
            continue
        if found.model_price.input_mtok is not None and found.model_price.output_mtok is not None:
            return float(found.total_price)
    return None
