"""The SQL of every database, written once.

    dialect.py      the words in which databases differ, and the connection that statements are run on
    part.py         what the parts of a transaction share
    agents.py       agents and the sections of their working context
    shared.py       archives, shared sections and attachments
    outbox.py       effects that are on their way to them
    recall.py       the log, and the usage of requests
    archive.py      passages and documents
    media.py        bytes of images and files
    inbox.py        events and schedules
    approvals.py    calls that wait for a decision, functions that are allowed for good
    transaction.py  the parts together: ``pagefault.storage.Transaction``
    transfer.py     all that an agent owns as raw rows: ``storage.row_transfer``

Values are named (``:agent``). A database's own folder has its connections, threads and locks, its lexical
index and its vectors.
"""
