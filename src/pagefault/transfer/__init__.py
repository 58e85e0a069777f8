"""Agents on the move: copies between databases, exports and imports as JSON Lines, and checks of a database.

    lines.py      the file: a line for each row, checksums at the end
    sums.py       checksums of an agent's tables, the same in every database
    choosing.py   which agents are taken, and whether their names are free
    moving.py     copy, export, import: all of an agent, or nothing of it
    trust.py     the settings that an import takes only if it is told to
    checking.py   what must hold in a database, row by row
    traces.py     deleted words in the files of a folder
    repeats.py    what must not be in a log twice
    approvals.py  what an agent waits for is as it must be
    media.py      bytes of images and files are there, and are those that were stored
    sharing.py    what an agent is attached to, and what it has sent there

All of it works on ``storage.row_transfer``, is synchronous, and holds no more than a few hundred rows in
memory (a check also the numbers of an agent's rows and its vocabulary). Leaves out what is shown (``cli``)
and how a database is opened (``build``).
"""

from __future__ import annotations

from pagefault.transfer.checking import Finding, check, repair
from pagefault.transfer.lines import is_export
from pagefault.transfer.moving import Moved, Watch, copy_agents, export_agents, import_agents
from pagefault.transfer.traces import checked_words, traces_in
from pagefault.transfer.trust import GuardedSettings, guarded_settings

__all__ = [
    "Finding",
    "GuardedSettings",
    "Moved",
    "Watch",
    "check",
    "checked_words",
    "copy_agents",
    "export_agents",
    "guarded_settings",
    "import_agents",
    "is_export",
    "repair",
    "traces_in",
]
