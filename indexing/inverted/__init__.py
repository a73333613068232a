"""Weighted terms, term by term: which passages have one, and with what weight. Answers exactly.

Compared for a million passages of 60 terms and questions of 8, see `tests/benchmarks/bench_sparse_leg.py`:
SciPy's sparse matrices multiply every list whole and make a copy of each, tantivy has no weights but counts
of words, and seismic is approximate, cannot be filtered and is built as a whole.
"""
