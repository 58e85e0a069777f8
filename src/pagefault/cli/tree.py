"""The command tree: a table of names, each with its help and the module that is loaded when it is used.

``--help`` is printed from the table; a module of ``grammar`` is imported when one of its commands runs or its
own help is asked for. Commands of plug-ins come after the table, by their entry points.
"""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable
from importlib import import_module
from keyword import iskeyword
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from pagefault.cli.options import Database, Home, Json, Tenant, command_group

if TYPE_CHECKING:
    from pagefault.plugins import Plugins

__all__ = ["COMMANDS", "app"]

COMMANDS = {
    "chat": ("talk", "Talk with an agent; it is created if there is none of that name."),
    "run": ("talk", "Serve inboxes and timers of all agents until interrupted."),
    "serve": ("serve", "Serve agents over HTTP, until interrupted."),
    "mcp": ("mcp", "Serve an agent's memory to a client of MCP, over stdin and stdout."),
    "agent": ("agent", "The agents of this home."),
    "sleep": ("sleep", "Have an agent tidy its memory now, within the bounds of one sleep."),
    "undo": ("undo", "Withdraw the last turns of an agent: they stay in the log, and nowhere else."),
    "fork": ("fork", "Copy an agent to a new one, as it is or as it was at a message."),
    "diff": ("fork", "Show what memory differs between two agents, or between one then and now."),
    "past": ("fork", "Show what an agent knew at a message."),
    "trace": ("look", "Show why it said that: each step of an event's turn, from the log alone."),
    "usage": ("look", "Show tokens and cost, by agent, turn, day or model."),
    "recall": ("memory", "Recall storage: every message ever, verbatim."),
    "archival": ("memory", "Archival storage: documents and facts."),
    "forget": ("forget", "Forget a text, ids, a person or a time: everywhere, for good."),
    "archive": ("archive", "Archives: archival storage with a name, attached to any number of agents."),
    "section": ("section", "Sections of the working context that agents share."),
    "load": ("document", "Load documents into an agent's archival storage."),
    "document": ("document", "Documents that were loaded."),
    "event": ("event", "Events in an agent's inbox."),
    "tools": ("tools", "Servers of tools (MCP) that agents use: what they have, and what runs unasked."),
    "approval": ("approval", "Calls that wait until a person decides on them."),
    "outbox": ("section", "Changes on their way to what agents share, and those that are parked."),
    "schedule": ("event", "Timers."),
    "key": ("key", "Keys for the server: who may use which agents."),
    "tenant": ("key", "Tenants: what each may have and spend."),
    "audit": ("key", "Show who did what, or audit the memory of an agent."),
    "models": ("models", "Models: the providers there are, and what one model can do."),
    "import": ("importing", "Import conversations and memory from elsewhere, or an export of ours."),
    "export": ("export", "Write an agent to a file, or all that is held of a person."),
    "embedders": ("look", "List the kinds of embedder, the one that is set, and what the others lack."),
    "db": ("db", "The database: upgrades, checks, backups, copies."),
    "bench": ("bench", "Benchmarks: the paper's experiments, and the quality of search."),
}
"""By name: the module of ``grammar`` that has it, and its help."""


class _Commands(UserDict[str, Any]):
    """The commands by name; one is loaded when it is looked up. Plug-ins can be looked up, not listed."""

    def __contains__(self, name: object) -> bool:
        return name in self.data or name in _plugin_commands()

    def __getitem__(self, name: str) -> Any:
        if name not in self.data:
            return _command(name, "", _plugin_commands()[name]())
        module, help = self.data[name]
        word = f"{name}_" if iskeyword(name) else name
        return _command(name, help, getattr(import_module(f"pagefault.cli.grammar.{module}"), word))


def _plugin_commands() -> Plugins:
    from pagefault.plugins import Plugins

    return Plugins("commands")


def _command(name: str, help: str, found: typer.Typer | Callable[..., None]) -> Any:
    """A group or a single command as the parser takes it. ``help``: of a group, if it has none of its own."""
    if isinstance(found, typer.Typer):
        command = get_group(found)
        command.name, command.help = name, help or command.help
        return command
    single = command_group()
    single.command(name)(found)
    return get_command(single)


class CommandGroup(TyperGroup):
    """The root group."""

    table: ClassVar[dict[str, tuple[str, str]]] = COMMANDS

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Commands(self.table)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Write the list of commands without loading them."""
        from pagefault.plugins import plugins

        rows = [(name, help) for name, (_, help) in self.table.items()]
        rows += [
            (plugin.name, f"A plug-in, of the package {plugin.package}.")
            for plugin in plugins()
            if plugin.group == "commands" and plugin.name not in self.table
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


app = command_group(cls=CommandGroup)


def _version(value: bool) -> None:
    if value:
        from pagefault import __version__

        print(__version__)
        raise typer.Exit


@app.callback()
def root(
    home: Home = None,
    database: Database = None,
    json: Json = False,
    tenant: Tenant = None,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False,
) -> None:
    """Virtual memory for LLM agents: talk with one, and see what it remembers."""
