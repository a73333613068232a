"""Weighted terms as bytes and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexing.beside.sparse_codes import LEVELS, SparseCodes, decode_sparse, encode_sparse
from indexing.errors import StorageError
from stlib.runtime import SparseRows

WEIGHTS = st.floats(2.0**-20, 2.0**20, width=32)


def rows_of(texts: list[dict[int, float]]) -> SparseRows:
    terms = [sorted(text) for text in texts]
    return SparseRows(
        np.cumsum([0, *map(len, terms)]).astype(np.int64),
        np.asarray([term for text in terms for term in text], np.int32),
        np.asarray([text[term] for text in texts for term in sorted(text)], np.float32),
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.integers(0, 69_999), WEIGHTS, max_size=12), max_size=6))
@pytest.mark.parametrize("dimension", [70_000, 1 << 20])
def test_a_weight_is_off_by_half_a_step_at_most(dimension, texts):
    decoded = decode_sparse(encode_sparse(rows_of(texts), dimension), dimension)
    assert len(decoded) == len(texts)
    for at, text in enumerate(texts):
        here = slice(decoded.starts[at], decoded.starts[at + 1])
        found = dict(zip(decoded.terms[here].tolist(), decoded.weights[here].tolist(), strict=True))
        step = max(text.values(), default=0.0) / LEVELS
        assert decoded.steps[at] == pytest.approx(step, rel=1e-6)
        for term, weight in text.items():
            assert found.get(term, 0) * step == pytest.approx(weight, abs=0.5001 * step)
        assert set(found) <= set(text)


def test_bytes_of_a_passage():
    """A float32, and three bytes a term; five where a vocabulary is larger than 65,536."""
    text = {term: 1.0 + term for term in range(60)}
    assert [len(encode_sparse(rows_of([text]), size)[0]) for size in (30_522, 1 << 16, 70_000)] == [
        184,
        184,
        304,
    ]


def test_joined_and_taken_apart():
    texts = [{1: 1.0, 5: 2.0}, {}, {0: 3.0}]
    codes = decode_sparse(encode_sparse(rows_of(texts), 10), 10)
    together = SparseCodes.joined([codes, codes])
    assert together.starts.tolist() == [0, 2, 2, 3, 5, 5, 6]
    assert together.terms.tolist() == [1, 5, 0, 1, 5, 0]
    assert together.rows.tolist() == [0, 0, 2, 3, 3, 5]
    taken = together.take(np.asarray([False, True, True, True, False, False]))
    assert (taken.starts.tolist(), taken.terms.tolist()) == ([0, 0, 1, 3], [0, 1, 5])
    assert len(SparseCodes.none()) == 0


@pytest.mark.parametrize(
    "rows",
    [
        SparseRows(np.array([0, 1]), np.array([10], np.int32), np.array([1.0], np.float32)),
        SparseRows(np.array([0, 1]), np.array([-1], np.int32), np.array([1.0], np.float32)),
        SparseRows(np.array([0, 2]), np.array([3, 3], np.int32), np.array([1.0, 1.0], np.float32)),
        SparseRows(np.array([0, 2]), np.array([4, 3], np.int32), np.array([1.0, 1.0], np.float32)),
        SparseRows(np.array([0, 1]), np.array([3], np.int32), np.array([0.0], np.float32)),
        SparseRows(np.array([0, 1]), np.array([3], np.int32), np.array([np.nan], np.float32)),
        SparseRows(np.array([0, 2]), np.array([3], np.int32), np.array([1.0], np.float32)),
    ],
    ids=["beyond", "below", "twice", "descending", "zero", "nan", "short"],
)
def test_what_is_no_row_is_refused(rows):
    with pytest.raises(ValueError, match=r"terms|weights"):
        encode_sparse(rows, 10)


@pytest.mark.parametrize(
    "code",
    [
        b"",
        b"abc",
        bytes(4) + b"\x01",
        np.float32(np.nan).tobytes() + b"\x01\x00\x01",
        bytes(4) + b"\xff\xff\x01",
    ],
    ids=["empty", "no step", "half a term", "no number", "beyond"],
)
def test_altered_codes_are_told(code):
    sound = encode_sparse(rows_of([{3: 1.0}]), 10)
    with pytest.raises(StorageError, match="damaged"):
        decode_sparse([*sound, code], 10)
