"""Benchmarks: what `pagefault bench` runs on data that is given as a file or a folder.

retrieval/     how well the ranker finds things, without a language model
tasks/         what is asked and how an answer is scored: the paper's experiments, and some of later papers
strategies/    ways of managing context, each of which answers the same items with the same model
prompts.py     every text that a model reads in a benchmark, but for an agent's own
dates.py       dates of published sets, turns with their times
pools.py       the texts of items in a store, to be searched
recording.py   models whose completions are written down, counted, and not asked for again
reference.py   a policy that follows the rules of nested key-value retrieval, in place of a model
scoring.py     measures of one answer, means with their intervals
judge.py       a model as the judge of an answer
running.py     items in parallel, results in a folder, resumed where they were left
command.py     `pagefault bench TASK`: from options to results
report/        `pagefault bench report`: a page and tables of one run or several

data/          small data of our own for every task, in the formats of the published sets
"""

__all__ = ["STRATEGIES", "TASKS"]

TASKS = {
    "dmr": "Deep memory retrieval: a question about earlier sessions (the paper's Table 2).",
    "opener": "Conversation opener: the first message of a new session (the paper's Table 3).",
    "docqa": "Questions on documents in archival storage (the paper's Figure 5).",
    "nested-kv": "Nested key-value retrieval (the paper's Figure 7).",
    "locomo": "Questions on long conversations of two people (LoCoMo).",
    "longmemeval": "Questions on long histories of a user and an assistant (LongMemEval).",
    "beam": "Questions of ten kinds on long chats (BEAM).",
    "retention": "Facts told long ago, with and without the parts of memory (an ablation of ours).",
}
"""One line on each task."""

STRATEGIES = {
    "memgpt": "an agent of pagefault with its virtual memory",
    "memgpt+prefetch": "memgpt, with what memory holds before it is asked for; @N for at most N tokens",
    "memgpt+sleep": "memgpt, which sleeps once before it is asked",
    "truncate": "the newest texts that fit",
    "full": "all texts, if they fit",
    "recursive-summary": "a summary of all texts, made piece by piece, of at most 300 tokens",
    "retriever-reader": "the K texts that are found best; @K for one K",
    "memgpt-without-warning": "memgpt, but no warning of memory pressure",
    "memgpt-without-recall": "memgpt, but no search of recall storage",
    "memgpt-without-both": "memgpt, with neither",
    "memgpt-without-working-context": "memgpt, but no sections to keep things in",
    "flare": "searches again where the draft of the answer is uncertain",
    "ircot": "reasons a step, searches with it, repeats",
    "pages": "a text browser: search, open, next page, quote, answer",
    "generative-agents": "a memory stream by recency, importance and relevance, with reflections",
    "human": "what a person wrote (openers)",
}
"""One line on each strategy."""
