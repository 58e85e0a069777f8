"""A page for a visitor: a template, in the visitor's language and theme, with the headers of all pages.

A route takes a ``Visit`` (or an ``AgentVisit``, for a page with ``{name}``) and returns ``page.show(...)``.
What it raises becomes a page with the error's sentence. htmx asks for parts of pages (``HX-Request``), and
shows the sentence of an error as a notice. Left out: who the visitor is (``sessions``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends, Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import URL
from starlette.types import Scope

from pagefault.kernel import Kernel
from pagefault.server.api.values import Name
from pagefault.server.auth import Caller
from pagefault.server.inspector.assets import asset_url
from pagefault.server.inspector.headers import SECURITY
from pagefault.server.inspector.markdown import markdown
from pagefault.server.inspector.sessions import form_token, visitor
from pagefault.server.inspector.showing import FILTERS, address, ago, harmless
from pagefault.server.inspector.texts import LANGUAGES, Translator, language_of
from pagefault.server.problems import Problem, rest_shape

__all__ = ["THEMES", "AgentVisit", "Visit", "WebPage", "error_page", "page_for", "prepare", "redirect"]

THEMES = ("auto", "light", "dark")
"""The themes of the pages; ``auto``: as the system has it."""

_OF_ADDRESSES = "%/?#[]@!$&'()*+,;=:~"
"""The characters that mean something in an address, which stay as they are."""


@dataclass(frozen=True, slots=True)
class WebPage:
    """The page that answers a request. ``caller``: None as long as nobody has signed in."""

    request: Request
    caller_or_none: Caller | None

    @property
    def caller(self) -> Caller:
        assert self.caller_or_none is not None, "the route has no Visit"
        return self.caller_or_none

    @property
    def kernel(self) -> Kernel:
        return self.caller.kernel

    @property
    def is_part(self) -> bool:
        """Return whether htmx asks, for a part of a page."""
        return "hx-request" in self.request.headers

    @property
    def t(self) -> Translator:
        """The sentences in the visitor's language."""
        request = self.request
        return Translator(
            language_of(request.cookies.get("language"), request.headers.get("accept-language", ""))
        )

    def show(
        self, template: str, status: int = 200, headers: dict[str, str] | None = None, /, **values: Any
    ) -> HTMLResponse:
        """A template with these values as the response."""
        text = _environment().get_template(template).render(_common(self) | values)
        return HTMLResponse(text, status, {**SECURITY, **(headers or {})})


def _common(page: WebPage) -> dict[str, Any]:
    """The values that every template has: ``t`` for sentences, ``ago`` for times, addresses, the visitor."""
    theme = page.request.cookies.get("theme")
    t, kernel = page.t, page.request.app.state.kernel
    return {
        "t": t, "ago": partial(ago, t, now=kernel.clock.now()), "address": address, "asset": asset_url,
        "markdown": markdown, "language": t.language, "languages": LANGUAGES, "themes": THEMES,
        "theme": theme if theme in THEMES else "auto", "caller": page.caller_or_none, "is_part": page.is_part,
        "may": partial(_may, page.caller_or_none), "form_token": form_token(page.request),
        "here": page.request.url.path + (f"?{page.request.url.query}" if page.request.url.query else ""),
    }  # fmt: skip


def _may(caller: Caller | None, role: Any) -> bool:
    return caller is not None and caller.has(role)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True,
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, auto_reload=False, finalize=harmless,
    )  # fmt: skip
    environment.filters.update(FILTERS)  # pyright: ignore[reportUnknownMemberType]  # not typed
    return environment


def prepare() -> None:
    """Read and compile all templates, so that the first view of a page does not wait for that."""
    environment = _environment()
    for name in environment.list_templates(["html"]):
        environment.get_template(name)


async def _visit(request: Request, caller: Annotated[Caller, Depends(visitor)]) -> WebPage:
    return WebPage(request, caller)


Visit = Annotated[WebPage, Depends(_visit)]
"""The page of a route, for a visitor who may be here."""


async def _agent_visit(name: Name, page: Visit) -> WebPage:
    await page.caller.check(name)
    return page


AgentVisit = Annotated[WebPage, Depends(_agent_visit)]
"""The page of a route with ``{name}``, for a visitor who may reach that agent."""


def page_for(request: Request) -> WebPage:
    """The page of a route that anybody may ask for."""
    return WebPage(request, None)


def redirect(request: Request, to: str) -> Response:
    """Lead the browser to another page of this server, whether htmx asked or not."""
    to = quote(to, safe=_OF_ADDRESSES)  # a header has no other letters
    if "hx-request" in request.headers:
        return Response(status_code=204, headers={**SECURITY, "hx-redirect": to})
    return Response(status_code=303, headers={**SECURITY, "location": to})


def error_page(problem: Problem, scope: Scope) -> Response:
    """The problem as a page, as a notice for htmx, or in the shape of the REST for those who ask for no HTML;
    whoever has to sign in first is led there."""
    request = Request(scope)
    if "text/html" not in request.headers.get("accept", "") and "hx-request" not in request.headers:
        return rest_shape(problem, scope)
    if problem.status_code == 401:
        return redirect(request, address("login", to=_asked_for(request)))
    template = "error_notice.html" if "hx-request" in request.headers else "error.html"
    return page_for(request).show(template, problem.status_code, dict(problem.headers or {}), problem=problem)


def _asked_for(request: Request) -> str:
    """The address of the page that the visitor sees, or wants to."""
    is_part = "hx-request" in request.headers
    here = URL(request.headers.get("hx-current-url", "")) if is_part else request.url
    try:
        return here.path + (f"?{here.query}" if here.query else "")
    except ValueError:  # what a browser would never call an address
        return "/"
