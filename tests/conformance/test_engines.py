"""One suite for every engine and precision. Exact ones are judged by the rows of a brute-force scan,
approximate ones by recall; scores and their order are judged the same everywhere.
"""

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from indexing.errors import BadInput, CorruptView
from indexing.names import FILE_ENGINES, PRECISIONS
from indexing.quantization import Codec, normalize
from indexing.storage.blockfile import BlockFile, write_block_file
from indexing.vectors import VectorIndex, engine_class
from indexing.vectors.together import search_together

ROWS, DIMENSION, CLUSTERS = (
    3000,
    68,
    60,
)  # 68 is no multiple of 8: the last byte of a binary code is partly used


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(CLUSTERS, DIMENSION))
    return normalize(centres[rng.integers(0, CLUSTERS, ROWS)] + 0.6 * rng.normal(size=(ROWS, DIMENSION)))


@pytest.fixture(scope="module")
def queries(vectors) -> np.ndarray:
    rng = np.random.default_rng(1)
    return normalize(vectors[rng.integers(0, ROWS, 25)] + 0.05 * rng.normal(size=(25, DIMENSION)))


class Case:
    """An engine with a precision, the codes, and what a brute-force scan of them answers."""

    def __init__(self, engine: str, precision: str, vectors: np.ndarray) -> None:
        self.cls = engine_class(engine)
        self.codec = Codec.fit(precision, vectors[:500])
        self.codes = self.codec.encode(vectors).codes
        self.built = self.cls.build(self.codec, self.codes)

    def build(self, codes: np.ndarray) -> VectorIndex:
        return self.cls.build(self.codec, codes)

    def scores(self, codes: np.ndarray, query: np.ndarray) -> np.ndarray:
        decoded = self.codec.offset + self.codec.scale * codes.astype(np.float64)
        return (decoded * query.astype(np.float64)).sum(axis=1).astype(np.float32)

    def truth(self, codes, query, k, allowed=None) -> tuple[np.ndarray, np.ndarray]:
        scores = self.scores(codes, query)
        rows = np.arange(len(codes)) if allowed is None else np.flatnonzero(allowed)
        order = np.lexsort((rows, -scores[rows]))[:k]
        return rows[order], scores[rows[order]]

    def judge(self, index, codes, queries, k, allowed=None, least_recall=0.95) -> None:
        found = 0
        for query in queries:
            hits = index.search(query, k, allowed)
            rows, _ = self.truth(codes, query, k, allowed)
            assert hits.rows.dtype == np.int64 and hits.scores.dtype == np.float32
            assert len(hits.rows) == len(hits.scores) == len(rows)
            np.testing.assert_allclose(hits.scores, self.scores(codes, query)[hits.rows], atol=1e-6)
            assert_ordered(hits)
            if allowed is not None:
                assert allowed[hits.rows].all()
            if index.exact:
                np.testing.assert_array_equal(hits.rows, rows)
            found += len(np.intersect1d(hits.rows, rows)) / len(rows) if len(rows) else 1
        assert found / len(queries) >= (1.0 if index.exact else least_recall)


def assert_ordered(hits) -> None:
    """Descending scores, equal ones by ascending row, no row twice."""
    falls = np.diff(hits.scores)
    assert (falls <= 0).all()
    assert (np.diff(hits.rows)[falls == 0] > 0).all()
    assert len(np.unique(hits.rows)) == len(hits.rows)


@pytest.fixture(scope="module", params=[(e, p) for e in FILE_ENGINES for p in PRECISIONS], ids="-".join)
def case(request, vectors) -> Case:
    return Case(*request.param, vectors)


@pytest.fixture(autouse=True)
def ask_the_engine(monkeypatch):
    """Small indexes are scanned directly; here the engine itself is to answer."""
    for name in FILE_ENGINES:
        monkeypatch.setattr(engine_class(name), "scan_rows", 50)


def test_which_engines_are_exact(case):
    assert case.built.exact == (case.built.engine == "faiss" and not case.codec.is_binary)


@pytest.mark.parametrize("k", [1, 10, 100])
def test_rows_and_scores(case, queries, k):
    case.judge(case.built, case.codes, queries, k)


@pytest.mark.parametrize("k", [ROWS - 1, ROWS, 5 * ROWS])
def test_k_around_and_above_n(case, queries, k):
    hits = case.built.search(queries[0], k)
    rows, scores = case.truth(case.codes, queries[0], k)
    np.testing.assert_array_equal(hits.rows, rows)
    np.testing.assert_allclose(hits.scores, scores, atol=1e-6)
    assert len(rows) == min(k, ROWS)


def test_small_indexes_are_scanned_exactly(case, queries, monkeypatch):
    monkeypatch.setattr(case.cls, "scan_rows", ROWS)
    for query in queries:
        hits = case.built.search(query, 10)
        np.testing.assert_array_equal(hits.rows, case.truth(case.codes, query, 10)[0])


@pytest.mark.parametrize("copies", [20, 800])
def test_equal_rows_come_in_ascending_order(case, copies):
    rng = np.random.default_rng(2)
    codes = case.codes.copy()
    same = np.sort(rng.choice(ROWS, copies, replace=False))
    codes[same] = codes[same[0]]
    index = case.build(codes)
    query = normalize(case.codec.decode(codes[same[:1]]))[0]
    hits = index.search(query, 15)
    assert len(np.unique(hits.scores)) == 1 and np.isin(hits.rows, same).all()
    assert_ordered(hits)
    if index.exact:
        np.testing.assert_array_equal(hits.rows, same[:15])


def test_a_zero_query_still_gets_k_rows(case):
    hits = case.built.search(np.zeros(DIMENSION, np.float32), 7)
    assert hits.scores.tolist() == [0] * 7
    if case.built.exact:
        assert hits.rows.tolist() == list(range(7))


def test_an_empty_index(case, queries):
    index = case.build(case.codes[:0])
    assert len(index) == 0
    rows, scores = index.search(queries[0], 5)
    assert (rows.shape, rows.dtype, scores.shape, scores.dtype) == ((0,), np.int64, (0,), np.float32)
    again = case.cls.from_bytes(index.to_bytes(), case.codec, case.codes[:0])
    again.add(case.codes)
    case.judge(again, case.codes, queries, 10)


@pytest.mark.parametrize("share", [0.9, 0.5, 0.1, 0.01])
@pytest.mark.parametrize("k", [3, 50])
def test_only_allowed_rows_and_always_enough(case, queries, share, k):
    allowed = np.random.default_rng(3).random(ROWS) < share
    case.judge(case.built, case.codes, queries, k, allowed)


@pytest.mark.parametrize("count", [0, 1, 49])
def test_a_handful_of_allowed_rows(case, queries, count):
    allowed = np.zeros(ROWS, dtype=bool)
    allowed[np.random.default_rng(count).choice(ROWS, count, replace=False)] = True
    case.judge(case.built, case.codes, queries[:5], 100, allowed)


def test_deleting_the_best_rows_brings_the_next(case, queries):
    """Rows removed since the snapshot are masked: the answer is that of an index without them."""
    allowed = np.ones(ROWS, dtype=bool)
    for query in queries[:5]:
        allowed[case.truth(case.codes, query, 20)[0]] = False
    case.judge(case.built, case.codes, queries[:5], 10, allowed)


def test_allowed_rows_far_from_the_query(case, queries):
    """The filter may allow just those rows an engine would visit last."""
    scores = case.scores(case.codes, queries[0])
    allowed = scores < np.quantile(scores, 0.3)
    hits = case.built.search(queries[0], 10, allowed)
    assert len(hits.rows) == 10 and allowed[hits.rows].all()
    if case.built.exact:
        np.testing.assert_array_equal(hits.rows, case.truth(case.codes, queries[0], 10, allowed)[0])


def test_appended_rows_follow(case, queries):
    index = case.build(case.codes[:2000])
    for start, stop in ((2000, 2001), (2001, 2001), (2001, 2600), (2600, ROWS)):
        index.add(case.codes[start:stop])
        assert len(index) == stop
    case.judge(index, case.codes, queries, 10)
    allowed = np.arange(ROWS) >= 1900
    case.judge(index, case.codes, queries, 10, allowed)


def test_saved_and_loaded_over_mapped_codes(case, queries, tmp_path):
    write_block_file(tmp_path / "rows.bin", {"codes": case.codes[:2500]})
    case.build(case.codes[:2500]).save(tmp_path / "engine.bin")
    mapped = BlockFile(tmp_path / "rows.bin")["codes"]
    index = case.cls.load(tmp_path / "engine.bin", case.codec, mapped)
    case.judge(index, case.codes[:2500], queries, 10)
    index.add(case.codes[2500:])
    case.judge(index, case.codes, queries, 10)


def test_loading_gives_the_same_answers(case, queries):
    index = case.cls.from_bytes(case.built.to_bytes(), case.codec, case.codes)
    for query in queries:
        for one, other in zip(index.search(query, 20), case.built.search(query, 20), strict=True):
            np.testing.assert_array_equal(one, other)


def test_the_same_rows_make_the_same_file(case):
    assert case.build(case.codes).to_bytes() == case.build(case.codes).to_bytes()


def test_a_file_of_another_shape_is_corrupt(case):
    data = case.build(case.codes[:100]).to_bytes()
    if case.built.exact:  # it scans the codes where they lie: any file is somebody else's
        assert data == b""
        with pytest.raises(CorruptView, match="needs none; rebuild"):
            case.cls.from_bytes(b"x", case.codec, case.codes[:100])
        return
    with pytest.raises(CorruptView, match="100 rows"):
        case.cls.from_bytes(data, case.codec, case.codes[:99])
    narrow = Codec.fit(case.codec.precision, case.codec.decode(case.codes[:100])[:, :40])
    with pytest.raises(CorruptView, match="rebuild"):
        case.cls.from_bytes(data, narrow, case.codes[:100, :40])


def test_a_file_of_another_precision_is_corrupt(case):
    other = "ubinary" if case.codec.precision in ("float32", "int8", "uint8") else "int8"
    codec = Codec.fit(other, case.codec.decode(case.codes[:100]))
    data = case.build(case.codes[:100]).to_bytes()
    with pytest.raises(CorruptView, match="rebuild"):
        case.cls.from_bytes(data, codec, codec.encode(case.codec.decode(case.codes[:100])).codes)


def test_bad_queries_masks_and_codes_are_refused(case, queries):
    index = case.built
    with pytest.raises(BadInput, match=r"\[67\], expected \[68\]"):
        index.search(queries[0][:-1], 5)
    with pytest.raises(BadInput, match="NaN"):
        index.search(np.full(DIMENSION, np.nan, np.float32), 5)
    with pytest.raises(BadInput, match="k is 0"):
        index.search(queries[0], 0)
    for mask in (np.ones(ROWS - 1, bool), np.ones(ROWS, np.int8)):
        with pytest.raises(BadInput, match="mask"):
            index.search(queries[0], 5, mask)
    for codes in (case.codes[:3, :-1], case.codes[:3].astype(np.int32), case.codes[0]):
        with pytest.raises(BadInput, match="codes are"):
            index.add(codes)
    assert len(index) == ROWS


def test_several_threads_get_the_same_answers(case, queries):
    alone = [case.built.search(query, 10).rows.tolist() for query in queries]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda query: case.built.search(query, 10).rows.tolist(), queries))
    assert together == alone


@pytest.mark.parametrize("share", [None, 0.5, 0.02])
@pytest.mark.parametrize("k", [1, 10, 150, 5 * ROWS])
def test_several_indexes_are_searched_as_one(case, queries, k, share):
    """Of different sizes, one of them empty, with rows that are equal to rows of another."""
    codes = case.codes.copy()
    codes[2500:2600] = codes[:100]
    bounds = [0, 1700, 1700, 2500, 2540, ROWS]
    parts = [case.build(codes[a:b]) for a, b in itertools.pairwise(bounds)]
    allowed = None if share is None else np.random.default_rng(8).random(ROWS) < share
    masks = [None if allowed is None else allowed[a:b] for a, b in itertools.pairwise(bounds)]
    for query in queries[:6]:
        found = search_together(list(zip(parts, masks, strict=True)), query, k)
        rows = np.concatenate([hits.rows + first for hits, first in zip(found, bounds, strict=False)])
        scores = np.concatenate([hits.scores for hits in found])
        assert len(np.unique(rows)) == len(rows)
        assert allowed is None or allowed[rows].all()
        np.testing.assert_allclose(scores, case.scores(codes, query)[rows], atol=1e-6)
        order = np.lexsort((rows, -scores))[:k]
        expected, _ = case.truth(codes, query, k, allowed)
        if parts[0].exact:
            np.testing.assert_array_equal(rows[order], expected)
        assert len(order) == len(expected)
        assert len(np.intersect1d(rows[order], expected)) >= 0.9 * len(expected) - 1


def test_unknown_engine_names_the_known():
    with pytest.raises(BadInput, match="faiss, usearch, pgvector"):
        engine_class("annoy")
