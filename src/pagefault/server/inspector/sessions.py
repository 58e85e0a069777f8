"""The visitor of the pages: a session by cookie after a key was given, and forms that only our pages send.

The cookie has a signed token with an id, the digest of the key and an end. The key is looked up at each
request: one that is revoked opens nothing any more, and neither does a session that was ended
(``signed_out``). A request that changes something has the header that htmx and our scripts send, or the token
of a form: no page of another origin can send either. Without keys, on the loopback, everybody there is in
(``auth``).
"""

from __future__ import annotations

import hmac
import secrets
from datetime import timedelta
from functools import partial

from fastapi import Request, Response
from starlette.datastructures import UploadFile

from pagefault.kernel import Kernel
from pagefault.kernel.tenancy import digest_of
from pagefault.server.auth import Caller, caller, key_caller, options_of
from pagefault.server.inspector.signed_out import BrowserSession, SignedOut
from pagefault.server.keys import key_with
from pagefault.server.problems import Problem

__all__ = [
    "begin_session",
    "check_form",
    "end_session",
    "form_token",
    "session_digest",
    "set_cookie",
    "signed_out",
    "visitor",
]

_COOKIE = "pagefault_session"
_LASTS = timedelta(hours=12)
_READS = frozenset({"GET", "HEAD"})


async def visitor(request: Request) -> Caller:
    """The caller of a page, as a dependency of routes: by the session, else as of any request."""
    await check_form(request)
    session = _session(request)
    key = await key_with(request, session.key) if session else None
    if not (session and key):
        return await caller(request)
    request.state.is_over = partial(_is_over, request, session)
    return key_caller(request, key)


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
    """Sign the visitor in with the secret of a key that there is, in a new session in place of the last."""
    import jwt

    _end(request)
    ends = _now(request) + _LASTS.total_seconds()
    claims = {"jti": secrets.token_urlsafe(16), "sub": digest_of(secret), "aud": _COOKIE, "exp": ends}
    token = jwt.encode(claims, options_of(request).session_secret, "HS256")
    set_cookie(request, response, _COOKIE, token, int(_LASTS.total_seconds()))


def end_session(request: Request, response: Response) -> None:
    """Sign the visitor out, and whoever has a copy of the cookie."""
    _end(request)
    set_cookie(request, response, _COOKIE, "", 0)


def session_digest(request: Request) -> str:
    """The digest of the key of the session; empty if there is none that holds."""
    session = _session(request)
    return session.key if session else ""


def signed_out() -> SignedOut:
    """The sessions that were ended, of a new server."""
    return SignedOut(_LASTS.total_seconds())


def _session(request: Request) -> BrowserSession | None:
    """The session of the cookie; None if there is none that holds."""
    secret, given = options_of(request).session_secret, request.cookies.get(_COOKIE, "")
    if not given:
        return None
    import jwt  # 9 MB that a server without sessions does not hold

    try:
        token = jwt.decode(
            given, secret, ["HS256"], {"require": ["jti", "exp", "sub"], "verify_exp": False},
            audience=_COOKIE,
        )  # fmt: skip  # whether it is over says our clock
    except jwt.PyJWTError:
        return None
    session = BrowserSession(token["jti"], token["sub"], float(token["exp"]))
    return None if _is_over(request, session) else session


def _is_over(request: Request, session: BrowserSession) -> bool:
    return session.ends <= _now(request) or _signed_out(request).has(session)


def _end(request: Request) -> None:
    if session := _session(request):
        _signed_out(request).add(session, _now(request))


def _signed_out(request: Request) -> SignedOut:
    return request.app.state.signed_out


def _now(request: Request) -> float:
    kernel: Kernel = request.app.state.kernel
    return kernel.clock.now().timestamp()


def set_cookie(request: Request, response: Response, name: str, value: str, seconds: int) -> None:
    """Set a cookie that no script reads and no other site has sent."""
    first = request.headers.get("x-forwarded-proto", "").partition(",")[0]  # the visitor's: proxies append
    is_safe = "https" in (request.url.scheme, first.strip().lower())
    response.set_cookie(name, value, seconds, path="/", secure=is_safe, httponly=True, samesite="strict")
