"""The images of a prompt, in the forms that several adapters share.

Left out: which images a model is sent (``wrappers.images``), and what they take in tokens (``image_tokens``).
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from itertools import groupby

from pagefault.media import MediaContent
from pagefault.models import PromptMessage

__all__ = ["as_base64", "images_apart"]


def as_base64(image: MediaContent) -> str:
    return b64encode(image.data).decode("ascii")


def images_apart(messages: Sequence[PromptMessage]) -> Iterator[PromptMessage]:
    """Yield the messages for a protocol whose results hold text only: the images of results stand in a
    message of their own, behind the last result of the completion."""
    for is_result, group in groupby(messages, key=lambda message: message.role == "tool"):
        run = list(group)
        yield from run
        images = tuple(image for message in run for image in message.images) if is_result else ()
        if images:
            names = ", ".join(dict.fromkeys(message.name or "" for message in run if message.images))
            yield PromptMessage("user", f"[images returned by {names}]", images=images)
