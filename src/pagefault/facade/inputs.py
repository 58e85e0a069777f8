"""Images of messages, as the faces take them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pagefault.ingest.attaching import ImageSource
    from pagefault.kernel import Kernel
    from pagefault.types import Event

    Images = Sequence[ImageSource] | ImageSource

__all__ = ["with_images"]


async def with_images(kernel: Kernel, event: Event, images: Images) -> Event:
    """The event with these images."""
    if not isinstance(images, str | bytes) and images == ():
        return event
    from pagefault.ingest.attaching import images_of

    return replace(event, contents=(*event.contents, *await images_of(kernel, images)))
