"""The visitor of the pages: a session by cookie after a key was given, and forms that only our pages send.

The cookie has a signed token with the digest of the key and an end; the key is looked up at each request, so
that one that is revoked opens nothing any more. A request that changes something has the header that htmx and
our scripts send, or the token of a form: no page of another origin can send either. Without keys, on the
loopback, everybody there is in (``auth``).
"""

from __future__ import annotations

import hmac
from datetime import timedelta

import jwt
from fastapi import Request, Response
from starlette.datastructures import UploadFile

from pagefault.kernel import Kernel
from pagefault.kernel.tenancy import digest_of
from pagefault.server.auth import Caller, caller, key_caller, options_of
from pagefault.server.keys import key_with
from pagefault.server.problems import Problem

__all__ = [
    "begin_session",
    "check_form",
    "end_session",
    "form_token",
    "session_digest",
    "set_cookie",
    "visitor",
]

_COOKIE = "pagefault_session"
_LASTS = timedelta(hours=12)
_READS = frozenset({"GET", "HEAD"})


async def visitor(request: Request) -> Caller:
    """The caller of a page, as a dependency of routes: by the session, else as of any request."""
    await check_form(request)
    key = await key_with(request, session_digest(request))
    return key_caller(request, key) if key else await caller(request)


async def check_form(request: Request) -> None:
    """Raise a ``Problem`` for a request that changes something and was not sent by a page of ours."""
    if request.method in _READS or request.headers.get("hx-request") == "true":
        return
    given = (await request.form()).get("form_token", "") if _is_form(request) else ""
    if isinstance(given, UploadFile) or not hmac.compare_digest(given.encode(), form_token(request).encode()):
        raise Problem(403, "Form out of date", "This form is out of date; reload the page and send it again.")


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith(
        ("application/x-www-form-urlencoded", "multipart/form-data")
    )


def form_token(request: Request) -> str:
    """The token of the forms of this visitor's session."""
    session = request.cookies.get(_COOKIE, "")
    secret = options_of(request).session_secret
    return hmac.digest(secret.encode(), b"form\0" + session.encode(), "sha256").hex()


def begin_session(request: Request, response: Response, secret: str) -> None:
    """Sign the visitor in with the secret of a key that there is."""
    kernel: Kernel = request.app.state.kernel
    ends = int((kernel.clock.now() + _LASTS).timestamp())
    claims = {"sub": digest_of(secret), "aud": _COOKIE, "exp": ends}
    token = jwt.encode(claims, options_of(request).session_secret, "HS256")
    set_cookie(request, response, _COOKIE, token, int(_LASTS.total_seconds()))


def end_session(request: Request, response: Response) -> None:
    """Sign the visitor out."""
    set_cookie(request, response, _COOKIE, "", 0)


def session_digest(request: Request) -> str:
    """The digest of the key of the session; empty if there is none that holds."""
    secret, given = options_of(request).session_secret, request.cookies.get(_COOKIE, "")
    try:
        token = jwt.decode(
            given, secret, ["HS256"], {"require": ["exp", "sub"], "verify_exp": False}, audience=_COOKIE
        )  # whether it is over says our clock
    except jwt.PyJWTError:
        return ""
    kernel: Kernel = request.app.state.kernel
    return str(token["sub"]) if kernel.clock.now().timestamp() < token["exp"] else ""


def set_cookie(request: Request, response: Response, name: str, value: str, seconds: int) -> None:
    """Set a cookie that no script reads and no other site has sent."""
    is_safe = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", ""))
    response.set_cookie(name, value, seconds, path="/", secure=is_safe, httponly=True, samesite="strict")
