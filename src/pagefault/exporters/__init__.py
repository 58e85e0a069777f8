"""Exporters: an agent for other programs and for people, read while it runs.

    reading.py     the agent, and its log page by page
    agent_file.py  Letta's agent file (``.af``, v2);  agent_messages.py: rows as its messages
    markdown.py    Markdown for people
    writing.py     to a file;  new_file.py: one that is written whole or not at all

What the form has no place for is counted and named, so that nobody takes an export for a whole copy; that is
our own form, which ``transfer`` writes.
"""

from __future__ import annotations

from pagefault.exporters.agent_file import agent_file_text
from pagefault.exporters.markdown import markdown_text
from pagefault.exporters.reading import Losses

__all__ = ["Losses", "agent_file_text", "markdown_text"]
