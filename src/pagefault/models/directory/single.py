"""A source with one model, which the program gave; left out: closing it, which is the program's business."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from pagefault.media import Media
from pagefault.models import Model
from pagefault.models.endpoint import RequestSettings, Vendor
from pagefault.models.image_tokens import image_tokens
from pagefault.models.tokens import Counter, counter_for, family_of
from pagefault.models.wrappers.images import ImagesModel

__all__ = ["SingleModelSource"]


@dataclass(frozen=True, slots=True)
class SingleModelSource:
    """A source with one model, whatever the name."""

    given: Model

    def image_tokens(self, names: str, images: bool | None) -> Callable[[Media], int]:  # noqa: ARG002
        return partial(image_tokens, self.given.name) if images is not False else lambda _: 0

    def model(self, names: str, window: int, settings: RequestSettings) -> Model:  # noqa: ARG002
        return self.given if settings.images is not False else ImagesModel(self.given, lambda: False)

    async def window(self, names: str, wanted: int | None) -> tuple[int, str]:  # noqa: ARG002
        return wanted or self.given.window, ""

    def counter(self, names: str) -> Counter:
        return counter_for(family_of(names))

    async def served_window(self, names: str) -> int | None:  # noqa: ARG002
        return None

    def trust(self, names: str) -> tuple[str, ...]:  # noqa: ARG002
        return ()

    def vendor(self, name: str) -> Vendor | None:  # noqa: ARG002
        return None

    async def aclose(self) -> None:
        """Do nothing: the model is closed by the caller who made it."""
