"""The faces that a program holds: ``pagefault.open`` for asynchronous code, ``Agent`` for the rest.

session.py    an open installation and its agents
agent.py      an agent in asynchronous code; thin: the kernel and the views do the work
options.py    its settings as keyword arguments
reply.py      the reply to an event
sync.py       the synchronous faces
blocking.py   the thread with an event loop on which they block
"""

from pagefault.facade.agent import AsyncAgent
from pagefault.facade.options import AgentOptions, SectionOptions
from pagefault.facade.session import Pagefault, open
from pagefault.facade.sync import Agent

__all__ = ["Agent", "AgentOptions", "AsyncAgent", "Pagefault", "SectionOptions", "open"]
