"""The MCP server: an agent's memory for clients of the Model Context Protocol.

    access.py      whose memory a request is for, and what it may do there
    tools.py       the table of tools;  arguments.py: what each takes
    reading.py     the tools that look;  writing.py: those that change
    conversations.py  `read_conversation` and `append_messages`;  talking.py: `send_message`
    shown.py       stored texts as data, within a budget of tokens;  cursors.py: further pages
    prompts.py     prompts;  resources.py: sections, documents and memories as resources
    serving.py     all of it as a server of the official SDK, for one request or one stream
    exchange.py    one HTTP request, answered by such a server

Nothing is held between requests: both versions of the protocol, 2026-07-28 and 2025-11-25, come to the same
handlers. The SDK takes a second to import, so this module and ``access`` do without it. Left out: walls, keys
and routes (``pagefault.server``), and the process that speaks over stdin and stdout (``pagefault.cli``).
"""

from __future__ import annotations

from pagefault.mcp.access import DEFAULT_TOKENS, MemoryAccess

__all__ = ["DEFAULT_TOKENS", "MemoryAccess"]
