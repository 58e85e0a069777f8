"""Resources: sections of the working context, documents page by page, and memories, each under an address.

    pagefault://sections/human           a section
    pagefault://documents/d1             a document: its title, and how many pages it has
    pagefault://documents/d1/2           its second page;  .../2/3: the third part of a long one
    pagefault://memories/p7              a memory

An id of an attached archive (``manuals/d1``) has its slash as ``%2F``. Texts are quoted as data.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote, unquote

from mcp_types import (
    ListResourcesResult,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextResourceContents,
)

from pagefault.errors import NotFoundError, UsageError
from pagefault.mcp.access import MemoryAccess
from pagefault.mcp.cursors import ListPlace
from pagefault.mcp.reading import passage_of
from pagefault.mcp.shown import counted, named, read_page
from pagefault.quoting import quoted, visible
from pagefault.views import documents, memory
from pagefault.views.memory import SectionView

__all__ = ["TEMPLATES", "read_resource", "resources_at", "section_text"]

_SCHEME = "pagefault://"
_LONGEST = 300  # characters of an address
_LISTED = 20  # documents on a page of the list
_TYPE = "text/plain"

TEMPLATES = tuple(
    ResourceTemplate(uri_template=_SCHEME + path, name=name, title=title, description=what, mime_type=_TYPE)
    for path, name, title, what in (
        ("sections/{section}", "section", "A section", "A section that the agent always has in view."),
        ("sections/{section}/{part}", "section_part", "A part of a section", "Of a long section, from 1."),
        ("documents/{id}", "document", "A document", "Its title, and how many pages it has."),
        ("documents/{id}/{page}", "document_page", "A page of a document", "One page, from 1."),
        ("documents/{id}/{page}/{part}", "document_part", "A part of a page", "Of a long page, from 1."),
        ("memories/{id}", "memory", "A memory", "One memory, by the id that results show."),
        ("memories/{id}/{part}", "memory_part", "A part of a memory", "Of a long memory, from 1."),
    )
)
"""The forms of addresses."""


async def resources_at(access: MemoryAccess, cursor: str | None) -> ListResourcesResult:
    """A page of the list: the sections on the first one, then the documents, newest first."""
    place = ListPlace.of(cursor)
    number = place.offset // _LISTED + 1
    found = await documents.documents(access.kernel, access.agent, page=number, size=_LISTED)
    sections = () if place.offset else await memory.sections(access.kernel, access.agent)
    listed = [
        Resource(
            uri=_address("sections", each.name), name=each.name, title=f"Section {each.name}",
            description=named(each.description, 200) or None, mime_type=_TYPE,
        )
        for each in sections
    ]  # fmt: skip
    listed += [
        Resource(
            uri=_address("documents", each.id), name=each.id, title=named(each.title, 100) or each.id,
            description=counted(each.pages, "page"), mime_type=_TYPE,
        )
        for each in found
    ]  # fmt: skip
    more = str(ListPlace(number * _LISTED)) if number < found.pages else None
    return ListResourcesResult(resources=listed, next_cursor=more)


async def read_resource(access: MemoryAccess, uri: str) -> ReadResourceResult:
    """The text at an address; ``UsageError`` if there is none."""
    text = await _text_at(access, _parts(uri))
    return ReadResourceResult(contents=[TextResourceContents(uri=uri, mime_type=_TYPE, text=text)])


def section_text(section: SectionView, text: str) -> str:
    """A section as data: its name and description, then its text."""
    return f"[{_section_label(section)}]\n{quoted(visible(text))}"


def _section_label(section: SectionView) -> str:
    return f"section {section.name}: {named(section.description, 200)}".rstrip(": ")


def _address(kind: str, id: str) -> str:
    return f"{_SCHEME}{kind}/{quote(id, safe='')}"


def _parts(uri: str) -> Sequence[str]:
    if not uri.startswith(_SCHEME) or len(uri) > _LONGEST:
        raise UsageError(f"There is no resource {named(uri)}; resources/list names those there are.")
    return [unquote(part) for part in uri.removeprefix(_SCHEME).split("/")]


async def _text_at(access: MemoryAccess, parts: Sequence[str]) -> str:
    try:
        match parts:
            case ["sections", name, *part] if len(part) < 2:
                return await _section(access, name, *map(_number, part))
            case ["memories", id, *part] if len(part) < 2:
                return await _memory(access, id, *map(_number, part))
            case ["documents", id]:
                return await _document(access, id)
            case ["documents", id, page, *part] if len(part) < 2:
                return await _page(access, id, *map(_number, (page, *part)))
            case _:
                raise NotFoundError("the address has another form")
    except NotFoundError as error:
        raise UsageError(f"There is no such resource: {named(str(error), 200)}") from None


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 8 and int(text)):
        raise UsageError(f"{named(text)} is no number of a page; pages and parts are counted from 1.")
    return int(text)


async def _section(access: MemoryAccess, name: str, part: int = 1) -> str:
    found = await memory.section(access.kernel, access.agent, name)
    return _part(access, _section_label(found), found.text, part, _address("sections", name))


async def _memory(access: MemoryAccess, id: str, part: int = 1) -> str:
    found = await passage_of(access, id)
    return _part(access, found.id, found.text, part, _address("memories", id))


async def _document(access: MemoryAccess, id: str) -> str:
    found = await documents.document(access.kernel, access.agent, id)
    about = f"{found.id} {named(found.title)}, {counted(found.pages, 'page')}, {named(found.media)}"
    return f"[{about}]\nRead {_address('documents', id)}/1 for its first page."


async def _page(access: MemoryAccess, id: str, page: int, part: int = 1) -> str:
    found = await documents.document_page(access.kernel, access.agent, id, page)
    label = f"{id} {named(found.document.title)}, page {page}"
    return _part(access, label, found.text, part, f"{_address('documents', id)}/{page}")


def _part(access: MemoryAccess, label: str, text: str, part: int, address: str) -> str:
    shown = read_page(label, text, {}, str(ListPlace(part - 1)), access.tokens)
    more = f"\n[{address}/{part + 1} reads on]" if "cursor" in shown.data else ""
    return f"[{label}]\n{shown.text.partition(chr(10))[2]}{more}"
