"""One HTTP request of a client, answered by a server made for it: streamable HTTP without sessions.

Left out: who the client is, and everything before its message is read (``pagefault.server``).
"""

from __future__ import annotations

from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.types import Receive, Scope, Send

from pagefault.mcp.access import MemoryAccess
from pagefault.mcp.serving import memory_server

__all__ = ["exchange"]


async def exchange(access: MemoryAccess, most: int, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request, of ``most`` bytes at most, as an application of ASGI does."""
    manager = StreamableHTTPSessionManager(memory_server(access), stateless=True, max_request_body_size=most)
    async with manager.run():
        await manager.handle_request(scope, receive, send)
