"""Signing in with a key and out again, and the choice of language and theme.

Left out: what a session is (``sessions``).
"""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from pagefault.kernel import Kernel
from pagefault.kernel.tenancy import has_keys, key_of
from pagefault.server.auth import is_loopback, options_of
from pagefault.server.inspector.pages import page_for, redirect
from pagefault.server.inspector.sessions import begin_session, check_form, end_session, set_cookie
from pagefault.server.problems import Problem

__all__ = ["routes"]

routes = APIRouter()
"""The routes of signing in and out, and of language and theme."""

_YEAR = 365 * 86_400  # seconds
_TRIES = 10  # wrong keys a minute from one address


@routes.get("/login")
async def login_page(request: Request, to: str = "/") -> Response:
    """Ask for a key, if one is needed."""
    kernel: Kernel = request.app.state.kernel
    if is_loopback(options_of(request).host) and not await has_keys(kernel):
        return redirect(request, "/")
    return page_for(request).show("login.html", to=_within(to), wrong=False)


@routes.post("/login")
async def login(
    request: Request, key: Annotated[str, Form()] = "", to: Annotated[str, Form()] = "/"
) -> Response:
    """Begin a session, if there is such a key."""
    await check_form(request)
    secret, logins, address = key.strip(), request.app.state.logins, _network(request)
    if wait := logins.take(address, _TRIES):
        what = f"Too many wrong keys came from this address; try again in {wait} s."
        raise Problem(429, "Too many requests", what, {"retry-after": str(wait)})
    if await key_of(request.app.state.kernel, secret) is None:
        return page_for(request).show("login.html", 403, to=_within(to), wrong=True)
    logins.give_back(address)
    response = redirect(request, _within(to))
    begin_session(request, response, secret)
    return response


@routes.post("/logout")
async def logout(request: Request) -> Response:
    """End the session."""
    await check_form(request)
    response = redirect(request, "/login")
    end_session(request, response)
    return response


@routes.post("/look")
async def look(
    request: Request,
    language: Annotated[str, Form()] = "",
    theme: Annotated[str, Form()] = "",
    to: Annotated[str, Form()] = "/",
) -> Response:
    """Choose the language or the theme."""
    await check_form(request)
    response = redirect(request, _within(to))
    for name, value in (("language", language), ("theme", theme)):
        if value.isalpha() and value.isascii() and len(value) < 8:
            set_cookie(request, response, name, value, _YEAR)
    return response


def _network(request: Request) -> str:
    """The address of the visitor; of IPv6 the network that one visitor has for itself (/64)."""
    host = request.client.host if request.client else ""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return host
    return str(address.ipv4_mapped or IPv6Network((int(address), 64), strict=False))


def _within(to: str) -> str:
    """The address if it is one of this server, else the first page."""
    outside = not to.startswith("/") or to.startswith(("//", "/\\")) or not to.isprintable()
    return "/" if outside else to
