"""The functions that one agent is offered, by its settings and by what is attached to it."""

from __future__ import annotations

from collections.abc import Sequence

from pagefault.config import AgentSettings
from pagefault.functions import Function
from pagefault.functions.documents import document_functions
from pagefault.functions.syscalls import memory_functions, naming_archives

__all__ = ["own_functions"]


def own_functions(settings: AgentSettings, archives: Sequence[str]) -> tuple[Function, ...]:
    """The functions of pagefault itself, in the order of the prompt. ``archives``: the names of those
    attached, which may have documents. ``forget`` is offered if the setting approval names it."""
    speech, some = settings.style == "memgpt", bool(archives)
    forgets = "forget" in settings.approval
    offered = memory_functions(
        speech=speech, timers=settings.timers, agents=bool(settings.agents), archives=some, forgets=forgets
    )
    if settings.documents or some:
        offered += document_functions(archives=some)
    return naming_archives(offered, archives)
