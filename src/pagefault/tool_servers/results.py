"""The result of a tool as an outcome: texts, structured content, images and files by their names.

It is data, which is quoted and paged when it enters the log, as that of any tool. Left out: bounds on what a
server may send at all (``gate``).
"""

from __future__ import annotations

import binascii
import json
from base64 import b64decode
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pagefault.errors import UsageError
from pagefault.functions import Outcome
from pagefault.functions.rendering import as_text
from pagefault.images import MOST_IMAGES, image_type, read_image, returned_media
from pagefault.media import MediaContent
from pagefault.quoting import inline

if TYPE_CHECKING:
    from mcp_types import CallToolResult, ContentBlock, EmbeddedResource, ResourceLink

__all__ = ["outcome_of_result", "without"]

_MOST_PARTS = 200  # of one result
_LONGEST_LINK = 2_000  # characters of an address


def outcome_of_result(result: CallToolResult, tool: str, secrets: Sequence[str] = ()) -> Outcome:
    """The outcome of a call. ``secrets``: values that the server was given, and that it must not pass on."""
    reader = _Content(tool)
    parts = list(reader.parts(result.content[:_MOST_PARTS]))
    if (more := len(result.content) - _MOST_PARTS) > 0:
        parts.append(f"({more:,} further parts are left out.)")
    if result.structured_content is not None and not any(each.type == "text" for each in result.content):
        parts.insert(0, as_text(result.structured_content))
    text = as_text(
        without("\n".join(parts) or ("It gave no reason." if result.is_error else "Done."), secrets)
    )
    return Outcome(text, failed=bool(result.is_error), media=tuple(reader.media))


def without(text: str, secrets: Sequence[str]) -> str:
    """A text without values that are nobody's business."""
    for secret in secrets:
        text = text.replace(secret, "[redacted]")
        if (as_json := json.dumps(secret)[1:-1]) != secret:
            text = text.replace(as_json, "[redacted]")
    return text


class _Content:
    """Reads the parts of one result; ``media``: those that came with it, each once."""

    def __init__(self, tool: str) -> None:
        self._tool = tool
        self.media: list[MediaContent] = []

    def parts(self, content: Sequence[ContentBlock]) -> Iterator[str]:
        for number, block in enumerate(content, 1):
            if block.type == "text":
                yield block.text
            elif block.type == "image" or block.type == "audio":
                yield self._data(block.data, f"{self._tool}-{number}")
            elif block.type == "resource":
                yield self._resource(block, number)
            else:
                yield _link(block)

    def _resource(self, block: EmbeddedResource, number: int) -> str:
        resource: Any = block.resource
        name = f"resource {inline(str(resource.uri), _LONGEST_LINK)}"
        if (text := getattr(resource, "text", None)) is not None:
            return f"{name}:\n{text}"
        return f"{name}: {self._data(resource.blob, f'{self._tool}-{number}')}"

    def _data(self, data: str, name: str) -> str:
        """The name of an image or a file, which comes with the text; or the reason why it does not."""
        try:
            content = _media(b64decode(data, validate=True), name)
        except (binascii.Error, ValueError):
            return "(A part is no valid base64 and is left out.)"
        except UsageError as error:
            return f"({error})"
        if isinstance(content, str):
            return content
        if content not in self.media:
            if len(self.media) == MOST_IMAGES:
                return f"(left out: a result takes up to {MOST_IMAGES} images and files)"
            self.media.append(content)
        return content.media.name


def _media(data: bytes, name: str) -> MediaContent | str:
    """Bytes as media or, if they are UTF-8, as text."""
    if kind := image_type(data):
        return read_image(data, f"{name}.{kind.partition('/')[2]}")
    return returned_media(data) or data.decode()


def _link(block: ResourceLink) -> str:
    about = f" ({inline(block.description, 200)})" if block.description else ""
    return f"resource {inline(block.name)}: {inline(str(block.uri), _LONGEST_LINK)}{about}"
