"""An agent's settings, shown and changed; the agent renamed and deleted.

Fields that the form has no place for keep their values. A form that was made from other settings than there
are now is not stored. Left out: sections (``memory``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Form, Response
from starlette.datastructures import FormData

from pagefault.config import AgentSettings, settings_of
from pagefault.errors import UsageError
from pagefault.server.api.agents import change_settings, check_new_name
from pagefault.server.api.values import Name
from pagefault.server.auth import options_of
from pagefault.server.inspector.fields import names_in, plain_text
from pagefault.server.inspector.pages import AgentVisit, WebPage, redirect
from pagefault.server.inspector.showing import address
from pagefault.server.problems import Problem, problem_of
from pagefault.views import agents
from pagefault.views.offered import program_tools

__all__ = ["routes"]

routes = APIRouter(prefix="/agents/{name}/settings")
"""The routes of settings."""

_TEXTS = ("model", "zone", "thinking")
_NUMBERS = ("window", "max_steps", "daily_tokens", "daily_cost", "temperature", "approval_timeout")
_SWITCHES = ("timers", "documents", "fold_at_once")
_NAMES = ("approval", "tags")
_CHANGED = "The settings were changed since this page was made; look at them again, then change them."


@routes.get("")
async def settings_page(name: Name, page: AgentVisit, saved: bool = False) -> Response:
    """Show the settings of an agent in a form, after a change with a notice that it is stored."""
    return await _shown(name, page, saved=saved)


@routes.post("")
async def change(name: Name, page: AgentVisit) -> Response:
    """Store the settings of the form, if they are still those that it was made from."""
    page.caller.require("admin")
    form = await page.request.form()
    values = _values_of(form)
    settings = settings_of(await page.kernel.record(name))
    if form.get("made_from") != _digest(settings):
        return await _shown(name, page, values, Problem(409, "Changed meanwhile", _CHANGED))
    try:
        await change_settings(page.caller, options_of(page.request).agent, name, _changes(settings, values))
    except (UsageError, Problem) as error:
        return await _shown(name, page, values, error if isinstance(error, Problem) else problem_of(error))
    return redirect(page.request, address("agents", name, "settings", saved=1))


@routes.post("/rename")
async def rename(name: Name, page: AgentVisit, new: str = Form("")) -> Response:
    """Give the agent another name."""
    page.caller.require("admin")
    new = new.strip()
    check_new_name(page.caller, name, new)
    await page.kernel.rename(name, new)
    return redirect(page.request, address("agents", new, "settings"))


@routes.post("/delete")
async def delete(name: Name, page: AgentVisit, typed: str = Form("")) -> Response:
    """Delete the agent with all its memory, if its name was typed."""
    page.caller.require("admin")
    if typed.strip() != name:
        raise UsageError(f"That is not the name of the agent; type {name} to delete it.")
    await page.kernel.delete(name)
    return redirect(page.request, address())


async def _shown(
    name: str,
    page: WebPage,
    typed: Mapping[str, Any] | None = None,
    problem: Problem | None = None,
    saved: bool = False,
) -> Response:
    settings = settings_of(await page.kernel.record(name))
    stored = settings.model_dump(mode="json")
    tools = program_tools(page.kernel)
    return page.show(
        "settings.html", problem.status_code if problem else 200, {},
        name=name, stored=stored, saved=saved, values=_texts_of(stored) | dict(typed or {}),
        made_from=_digest(settings), why=problem.detail if problem else "",
        about=await agents.summary(page.kernel, name),
        tools=[(tool.name, tool.schema.description) for tool in tools],
    )  # fmt: skip


def _texts_of(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as the form's fields have them: texts, lists of names in one line, switches."""
    texts = {key: "" if stored[key] is None else str(stored[key]) for key in (*_TEXTS, *_NUMBERS)}
    lists = {key: " ".join(stored[key] or ()) for key in _NAMES}
    return texts | lists | {key: stored[key] for key in (*_SWITCHES, "instructions", "tools")}


def _values_of(form: FormData) -> dict[str, Any]:
    """The fields of a form that was sent, as ``_texts_of`` has them."""
    texts = {key: str(form.get(key, "")).strip() for key in (*_TEXTS, *_NUMBERS, *_NAMES)}
    switches = {key: key in form for key in _SWITCHES}
    tools = [str(each) for each in form.getlist("tool")] if form.get("tools") == "some" else None
    instructions = plain_text(str(form.get("instructions", "")))
    return texts | switches | {"tools": tools, "instructions": instructions if instructions.strip() else None}


def _changes(settings: AgentSettings, values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a form changes, as they are stored."""
    stored = settings.model_dump(mode="json")
    shown, changed = _texts_of(stored), dict[str, Any]()
    for key, value in values.items():
        if value != shown[key]:
            changed[key] = names_in(value) if key in _NAMES else _parsed(key, value)
    return changed


def _parsed(key: str, value: Any) -> Any:
    if key in _NUMBERS or key == "thinking":
        return int(value) if value.isascii() and value.isdigit() else value or None
    return value


def _digest(settings: AgentSettings) -> str:
    """The mark of the settings that a form was made from."""
    text = json.dumps(settings.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
