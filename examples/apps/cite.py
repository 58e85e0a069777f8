"""Answers from a folder of documents, each with the titles and pages that it comes from.

    python examples/apps/cite.py papers/ "When did the barrage open?"

It needs `pip install 'pagefault[documents]'`. A file that changed is loaded again.
For answers in a model's own words set PAGEFAULT_MODEL, for instance to openai:gpt-4o-mini.
"""

import sys

from pagefault import Agent

folder, *questions = sys.argv[1:]
with Agent("librarian") as librarian:
    for item in librarian.documents.load(folder).items:
        if item.state != "unchanged":
            print(item.state, item.source, item.why)
    for question in questions:
        reply = librarian.send(question)
        print(f"\n{question}\n{reply.text}")
        for source in reply.sources:
            if source.page:
                print(f"  {source.title}, p. {source.page} ({source.id})")
