"""Markdown of people and agents as HTML that can do nothing: no HTML of theirs, no images from elsewhere.

Links lead to http, https and mailto alone. An image becomes a link to it. Texts that are long, or have so
many marks that reading them would take too long, stay plain.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup

from pagefault.quoting import visible

__all__ = ["markdown"]

_LONGEST = 20_000  # characters
_MOST_MARKS = 4000  # the parser's time grows with the square of their number
_MOST_CELLS = 8000  # a row of a table is filled up to its width
_MARKS = "[]*_`~<"
_SCHEMES = frozenset({"http", "https", "mailto"})
_AWAY = {"rel": "noopener noreferrer nofollow", "target": "_blank"}


def markdown(text: str) -> Markup:
    """The text as HTML."""
    shown = visible(text)
    if len(shown) > _LONGEST or _is_work(shown):
        return Markup('<p class="plain">{}</p>').format(shown)
    return Markup(_parser().render(shown))


def _is_work(text: str) -> bool:
    """Return whether a text has more marks than one that somebody wrote to be read."""
    lines = text.split("\n")
    columns = max(line.count("|") for line in lines)
    return sum(map(text.count, _MARKS)) > _MOST_MARKS or columns * len(lines) > _MOST_CELLS


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True}, renderer_cls=_Renderer)
    parser.enable(["table", "strikethrough"])
    parser.validateLink = _is_harmless  # pyright: ignore[reportAttributeAccessIssue]  # as its docs say
    return parser


def _is_harmless(url: str) -> bool:
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return False
    return parts.scheme.lower() in _SCHEMES


class _Renderer(RendererHTML):
    """Links that do not say where they were followed from, images that are links, headings that are none of
    the page's."""

    def link_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        tokens[idx].attrs |= _AWAY
        return self.renderToken(tokens, idx, options, env)

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        url = str(tokens[idx].attrs["src"])
        name = self.renderInlineAsText(tokens[idx].children, options, env) or url
        return Markup('<a href="{}" rel="{}" target="{}">{}</a>').format(url, *_AWAY.values(), name)

    def th_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        if style := str(tokens[idx].attrs.pop("style", "")):  # the policy lets no style stand in a page
            tokens[idx].attrs["class"] = style.replace("text-align:", "align-")
        return self.renderToken(tokens, idx, options, env)

    td_open = th_open

    def heading_open(self, tokens: Sequence[Token], idx: int, *_: Any) -> str:
        return f'<p class="heading {tokens[idx].tag}">'

    def heading_close(self, *_: Any) -> str:
        return "</p>\n"
