"""The settings of a provider of models, and of a price, in ``config.toml``."""

from __future__ import annotations

from collections.abc import Mapping
from string import Template

from pydantic import BaseModel, ConfigDict, Field

from pagefault.errors import UsageError

__all__ = ["PriceSettings", "ProviderSettings"]


class ProviderSettings(BaseModel):
    """A provider of models of one's own, or another address for a known one, under ``[providers.NAME]``.

    ``key`` names the environment variable that holds the key. In a header, ``$NAME`` stands for the value of
    an environment variable. ``timeout``: seconds between two pieces of an answer. The limits
    are for all agents of a process together.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: str = ""
    key: str = Field(default="", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$|^$")
    headers: dict[str, str] = Field(default={}, repr=False)
    timeout: float = Field(default=300.0, gt=0.0)
    requests_per_minute: float | None = Field(default=None, gt=0.0, allow_inf_nan=False)
    max_concurrent: int | None = Field(default=None, ge=1)

    def sent_headers(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The headers with the values of the variables they name; ``UsageError`` if one is not set."""
        try:
            return {name: Template(value).substitute(environment) for name, value in self.headers.items()}
        except (KeyError, ValueError) as error:
            raise UsageError(f"A header of a provider names {error}, which is not set; export it.") from None


class PriceSettings(BaseModel):
    """The price of a model, under ``[prices."PROVIDER:NAME"]``, in US dollars per million tokens. ``cached``:
    of input that was read from the provider's cache; ``written``: put there; None: as other input."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: float = Field(ge=0.0)
    output: float = Field(ge=0.0)
    cached: float | None = Field(default=None, ge=0.0)
    written: float | None = Field(default=None, ge=0.0)
