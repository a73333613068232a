"""Weighted terms, term by term: which passages have one, and with what weight. Answers exactly.

Compared for a million passages of 60 terms and questions of 8, see `tests/benchmarks/bench_sparse_leg.py`
(p50): 1.7 ms. SciPy's matrices take 40 ms by rows and 1.6 ms by the question's columns, with four bytes for
a weight, without filters, and built anew whenever a passage comes or goes. Seismic is approximate (of 50,000
passages it found 0.978 of the right ones), cannot be filtered, and is built as a whole; tantivy has counts of
words in place of weights.
"""
