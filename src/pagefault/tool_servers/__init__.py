"""Servers of tools, spoken to by the Model Context Protocol (MCP) with the official SDK's client.

``source``      the servers of an installation, as agents have them
``server``      one server: connected at the first use, again when it failed, and its calls
``connection``  one connection, in a task of its own
``stdio``, ``guard``, ``http``, ``gate``   the ways to a server, and the bounds on what comes from it
``definitions``, ``schemas``, ``results``  what it says: tools, their parameters, their results
``kept``        the file with what is known of servers, and what is allowed

What a server sends is foreign data. It may send anything, as much and as long as it likes, or nothing. Left
out: prompts, resources and instructions of servers; sampling and elicitation, which are refused."""
