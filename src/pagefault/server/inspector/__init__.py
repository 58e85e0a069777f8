"""The inspector: pages that show what the model sees and what it remembers, and change it.

    pages.py      a page for a visitor: rendering, errors as pages;  showing.py: values as a person reads them
    sessions.py   the visitor by a cookie, forms that only our own pages send;  signed_out.py: those ended
    signing_in.py with a key, and out again
    assets.py     style, scripts, icons;  texts.py: languages;  markdown.py: what people and agents write
    agents.py     the list of agents;  chat.py: talking with one
    memory.py     sections with their versions;  passages.py: passages and archives;  documents.py
    searching.py  search with the reasons of its results;  settings.py: settings, name and end of an agent
    fields.py     fields of forms as a browser sends them
    taking_back.py  undo, answering again, editing the last message; forgetting
    events.py     what waits: approvals, inbox, parked events, timers
    context.py    the main context as blocks, now or at a step;  turns.py: turns, one as a flame
    usage.py      tokens and money by day and model, budgets;  drawing.py: numbers to rectangles

A page is a route, a template and texts; ``docs/inspector.md`` shows how one is added. Left out: what stands
behind them; the pages show views, and act through the kernel as the REST does.
"""

from __future__ import annotations

from fastapi import APIRouter

from pagefault.server.inspector import (
    agents,
    assets,
    chat,
    context,
    documents,
    events,
    memory,
    passages,
    searching,
    settings,
    signing_in,
    taking_back,
    turns,
    usage,
)
from pagefault.server.inspector.pages import error_page, prepare
from pagefault.server.inspector.sessions import session_digest, signed_out

__all__ = ["PREFIXES", "error_page", "prepare", "router", "session_digest", "signed_out"]

PREFIXES = ("/",)
"""Where errors are pages for those who ask for HTML: wherever no other protocol has its own."""


def router() -> APIRouter:
    """All pages."""
    routes = APIRouter(include_in_schema=False)
    for module in (
        assets,
        signing_in,
        agents,
        chat,
        context,
        memory,
        passages,
        searching,
        documents,
        turns,
        events,
        settings,
        taking_back,
        usage,
    ):
        routes.include_router(module.routes)
    return routes
