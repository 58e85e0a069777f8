"""The conversation, the message and the sender that a request names; never guessed from its transcript.

Own headers come first, then those of Open WebUI. It sends the requests for titles, tags and follow-ups with
the id of the chat, unstreamed: they are not for the agent's memory, and are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from urllib.parse import unquote

from pagefault.errors import UsageError
from pagefault.names import check_sender, shown_sender
from pagefault.server.auth import Caller
from pagefault.server.problems import Problem

__all__ = ["conversation_of", "key_of", "refuse_task", "sender_of"]

_CHAT, _OPEN_WEBUI_CHAT = "x-pagefault-chat", "x-openwebui-chat-id"
_TASKS = ("x-pagefault-task", "x-openwebui-task")
_MESSAGES = ("x-pagefault-message", "x-openwebui-user-message-id")
_ANSWER = "x-openwebui-message-id"
_KEYS = ("idempotency-key", "x-idempotency-key")
_SENDER, _OPEN_WEBUI_NAME, _OPEN_WEBUI_JWT = (
    "x-pagefault-sender",
    "x-openwebui-user-name",
    "x-openwebui-user-jwt",
)
_ISSUER = "open-webui"
_LEEWAY = 60  # seconds that the clocks of two machines may differ
_LONGEST = 512  # characters of a header that becomes a key

Headers = Mapping[str, str]


def refuse_task(headers: Headers, *, stream: bool) -> None:
    """Raise a ``Problem`` for a request that a chat interface makes for itself."""
    named = next((value for name in _TASKS if (value := _header(headers, name))), "")
    silent = _header(headers, _OPEN_WEBUI_CHAT) and not _header(headers, _CHAT) and not stream
    if named or silent:
        raise Problem(
            400, "Not for the agent",
            "Titles, tags and follow-ups are no part of the agent's conversation, and it would remember "
            "them; choose another model for such tasks, in Open WebUI as the task model in its settings.",
            code="task_refused",
        )  # fmt: skip


def conversation_of(headers: Headers) -> str:
    """The conversation that the request names; empty if it names none."""
    return _header(headers, _CHAT) or _header(headers, _OPEN_WEBUI_CHAT)


def key_of(headers: Headers, conversation: str) -> str | None:
    """The key of the event: the request's own, else its ids of the conversation and of the messages in it."""
    for name in _KEYS:
        if key := _header(headers, name):
            return key
    message = next((value for name in _MESSAGES if (value := _header(headers, name))), "")
    if not (conversation and message):
        return None
    return "/".join(filter(None, (conversation, message, _header(headers, _ANSWER))))


def sender_of(headers: Headers, name: str, caller: Caller, secret: str) -> str | None:
    """The sender of the message, from a caller that may speak for users; None from any other. ``name``: in
    the message itself. With ``secret`` only a user that Open WebUI has signed with it counts of its
    headers."""
    if not caller.speaks_for_users:
        return None
    sender = (
        unquote(_header(headers, _SENDER))
        or _open_webui_user(headers, secret, caller.kernel.clock.now())
        or name
    )
    try:
        check_sender(sender) if sender else None
    except UsageError:
        sender = shown_sender(sender)
    return sender or None


def _open_webui_user(headers: Headers, secret: str, now: datetime) -> str:
    token = headers.get(_OPEN_WEBUI_JWT, "")
    if not secret and token:
        raise Problem(
            400, "Unknown user",
            "Open WebUI signs its users, and this server has no secret to check that with; start it with "
            "PAGEFAULT_USER_SECRET set to Open WebUI's FORWARD_USER_INFO_HEADER_JWT_SECRET.",
        )  # fmt: skip
    if not secret:
        return unquote(_header(headers, _OPEN_WEBUI_NAME))
    if not token:
        return ""
    import jwt

    try:
        claims = jwt.decode(
            token, secret, ["HS256"], issuer=_ISSUER,
            options={"require": ["exp", "iss"], "verify_exp": False, "verify_iat": False},
        )  # fmt: skip
        in_time = now.timestamp() <= float(claims["exp"]) + _LEEWAY  # by the clock that is injected
    except (jwt.PyJWTError, TypeError, ValueError):
        in_time, claims = False, {}
    if not in_time:
        why = "The signature of Open WebUI's user does not fit, or is too old; compare secrets and clocks."
        raise Problem(401, "Unknown user", why)
    return str(claims.get("name") or claims.get("email") or claims.get("sub") or "")


def _header(headers: Headers, name: str) -> str:
    """A header's value; empty if a client left its placeholder in it."""
    value = headers.get(name, "").strip()
    if len(value) > _LONGEST:
        raise Problem(
            400, "Wrong request", f"The header {name} is longer than {_LONGEST} characters; shorten it."
        )
    with suppress(UnicodeError):  # ASGI reads Latin-1; interfaces send names as UTF-8
        value = value.encode("latin-1").decode()
    return "" if value.startswith("{{") else value
