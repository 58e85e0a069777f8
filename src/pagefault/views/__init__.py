"""Read models: an agent's state as frozen values, the same for every edge (CLI, library, server, MCP).

    agents.py       the agents of a home, one agent, its main context and timers; vectors of each embedder
    history.py      the log as a person reads it, page by page
    trace.py        one event's turn step by step: what was in the context, what was done, what it cost
    usage.py        tokens and money: totals by agent, turn, day or model
    memory.py       sections with their versions; search of recall and archival storage; passages
    differences.py  the difference of two texts, by lines and words
    highlights.py   the words of a query in a text
    hits.py         rows and passages as they are found
    documents.py    loaded documents, their pages, and where in one a text stands
    stored.py       stored values by their numbers, for protocols whose ids are made of these
    offered.py      tools of the program, models that can be used
    asking.py       arguments as people write them: times, ids, roles, tags, pages

Each is an async function of a kernel and an agent's name. The kernel need not be entered. Values hold only
what ``pydantic_core.to_jsonable_python`` and ``json`` can write; times are aware datetimes in the agent's
zone, sizes are tokens, money is US dollars. Wrong arguments raise ``UsageError``, a name or id that does not
exist ``NotFoundError``. Left out: changes (``kernel.edits``) and how anything is printed.
"""
