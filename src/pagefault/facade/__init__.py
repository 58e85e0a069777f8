"""The faces that a program holds: ``pagefault.open`` for asynchronous code, ``Agent`` for the rest.

``session``   an open installation and its agents
``agent``     an agent in asynchronous code; thin: the kernel and the views do the work
``memory``    its memory alone, for a loop of one's own
``memory_files``, ``anthropic_tool``  the same as files; Anthropic's memory tool over them
``past``      the agent at an earlier position of its log
``parts``     its sections, passages, documents, timers and settings
``handle``    the agent's name, and the kernel while it is open
``options``   settings as keyword arguments
``checking``  wrong types of arguments as one sentence
``sync``      the synchronous faces
``blocking``  the thread with an event loop on which they block
"""

from pagefault.facade.agent import AsyncAgent
from pagefault.facade.options import AgentOptions, SectionOptions
from pagefault.facade.session import Pagefault, open
from pagefault.facade.sync import Agent

__all__ = ["Agent", "AgentOptions", "AsyncAgent", "Pagefault", "SectionOptions", "open"]
