"""`pagefault bench retrieval`: how well the ranker finds things, on data that is given as a folder.

    datasets.py    a folder to documents, queries and gold
    measures.py    recall, reciprocal rank, NDCG of one ranking
    baselines.py   what others do: dense, BM25, reciprocal-rank fusion
    corpora.py     documents of one pool in a store, as an agent would have them
    scores.py      scores of all methods on a set, and of the ranker without each of its parts
    report.py      scores as JSON and as tables

No language model is asked. Two small sets of our own are shipped; real data is given as a folder.
"""
