"""Milvus under the suite of the engines, over collections of Milvus Lite: the rows of FAISS, to the last."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from indexing.catalog.database import open_database, writing
from indexing.catalog.dialect import dialect_of
from indexing.catalog.schema import CODES
from indexing.errors import CorruptView
from indexing.milvus.client import connect
from indexing.milvus.schema import Layout
from indexing.milvus.settings import read_settings
from indexing.names import FILE_ENGINES, PRECISIONS
from indexing.quantization import Codec
from indexing.vectors import engine_class
from indexing.vectors.milvus import MilvusCodes, MilvusIndex, RowsInMilvus
from indexing.vectors.together import search_together
from tests.conformance import test_engines as suite
from tests.conformance.test_engines import (  # noqa: F401 -- the tests of all engines, on the `case` of this file
    test_a_handful_of_allowed_rows,
    test_a_zero_query_still_gets_k_rows,
    test_allowed_rows_far_from_the_query,
    test_bad_queries_masks_and_codes_are_refused,
    test_deleting_the_best_rows_brings_the_next,
    test_equal_rows_come_in_ascending_order,
    test_k_around_and_above_n,
    test_only_allowed_rows_and_always_enough,
    test_rows_and_scores,
    test_several_threads_get_the_same_answers,
    test_small_indexes_are_scanned_exactly,
    vectors,
)

ROWS, DIMENSION = suite.ROWS, suite.DIMENSION
QUERIES = 4
GAP = 3  # between keys, as other collections take some


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    environ = {"STLIB_MILVUS": str(tmp_path_factory.mktemp("milvus") / "suite.db")}
    made = connect(read_settings(environ))
    yield made
    for name in made.names("suite_"):
        made.drop(name)


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    engine = open_database(tmp_path_factory.mktemp("codes") / "codes.sqlite", create=True)
    CODES.create(engine)
    yield engine
    engine.dispose()


class Case(suite.Case):
    """The rows of a precision in a collection of their own; keys have gaps."""

    made = 0

    def __init__(self, client, database, precision, vectors):  # noqa: F811
        self.client, self.database = client, database
        self.cls = MilvusIndex
        self.codec = Codec.fit(precision, vectors[:500])
        self.layout = Layout.of(self.codec, client.settings)
        self.codes = self.codec.encode(vectors).codes
        self.built = self.build(self.codes)

    def build(self, codes, gap=GAP):
        Case.made += 1
        name = f"suite_{Case.made}"
        keys = Case.made * 100 * GAP * ROWS + gap * np.arange(len(codes))
        with writing(self.database) as connection:
            rows = [(key, code.tobytes()) for key, code in zip(keys.tolist(), codes, strict=True)]
            if rows:
                dialect_of(connection).insert_rows(connection, CODES, ("key", "code"), rows)
        self.client.create(name, self.layout)
        self.client.upsert(name, self.layout, keys, codes)
        self.client.settle(name)
        return self.index(name, keys)

    def index(self, name, keys):
        """Over those rows of a collection."""
        where = RowsInMilvus(self.client, name, self.layout)
        codes = MilvusCodes(self.database, where, self.codec, keys)
        return MilvusIndex.build(self.codec, codes)


@pytest.fixture(scope="module")
def queries(vectors):  # noqa: F811
    """Fewer than others are asked: Milvus Lite is written in Python."""
    return suite.queries.__wrapped__(vectors)[:QUERIES]


@pytest.fixture(scope="module")
def case(client, database, vectors):  # noqa: F811
    return Case(client, database, "float32", vectors)


@pytest.fixture(scope="module")
def first_part(case):
    return case.build(case.codes[:2500])


@pytest.fixture(autouse=True)
def ask_milvus(monkeypatch):
    """Small collections are scanned; here Milvus is to answer."""
    monkeypatch.setattr(MilvusIndex, "scan_rows", 50)
    for name in FILE_ENGINES:
        monkeypatch.setattr(engine_class(name), "scan_rows", 50)


def test_lite_is_exact_and_has_no_file(case):
    assert case.built.exact
    assert case.built.to_bytes() == b""
    assert len(case.cls.from_bytes(b"", case.codec, case.built._rows)) == ROWS
    with pytest.raises(CorruptView, match="needs none"):
        case.cls.from_bytes(b"x", case.codec, case.built._rows)


def test_the_rows_and_scores_of_faiss(case, queries):
    """Bit by bit, with filters of every kind and beyond what is there."""
    faiss = engine_class("faiss").build(case.codec, case.codes)
    rng = np.random.default_rng(4)
    masks = [None, *(rng.random(ROWS) < share for share in (0.99, 0.5, 0.1, 0.01))]
    for query, allowed, k in itertools.product(queries[:2], masks, (1, 300)):
        mine, theirs = case.built.search(query, k, allowed), faiss.search(query, k, allowed)
        np.testing.assert_array_equal(mine.rows, theirs.rows)
        np.testing.assert_array_equal(mine.scores, theirs.scores)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_precision(client, database, vectors, queries, precision):  # noqa: F811
    """Codes of every kind are decoded for Lite, which takes nothing but floats."""
    case = Case(client, database, precision, vectors[:1000])
    case.judge(case.built, case.codes, queries, 10)
    allowed = np.random.default_rng(3).random(1000) < 0.5
    case.judge(case.built, case.codes, queries, 10, allowed)


def test_an_empty_collection(case, queries):
    index = case.build(case.codes[:0])
    rows, scores = index.search(queries[0], 5)
    assert (rows.shape, rows.dtype, scores.shape, scores.dtype) == ((0,), np.int64, (0,), np.float32)


@pytest.mark.parametrize("share", [None, 0.5, 0.02])
@pytest.mark.parametrize("k", [1, 10, 150, 5 * ROWS])
def test_rows_in_milvus_and_the_newest_are_searched_as_one(case, first_part, queries, k, share):
    """Those that FAISS scans beside it, some of which equal rows of Milvus."""
    codes = case.codes.copy()
    codes[2500:2600] = codes[:100]
    parts = [first_part, engine_class("faiss").build(case.codec, codes[2500:])]
    allowed = None if share is None else np.random.default_rng(8).random(ROWS) < share
    masks = [None, None] if allowed is None else [allowed[:2500], allowed[2500:]]
    for query in queries[:2]:
        found = search_together(list(zip(parts, masks, strict=True)), query, k)
        rows = np.concatenate([found[0].rows, found[1].rows + 2500])
        scores = np.concatenate([hits.scores for hits in found])
        expected, _ = case.truth(codes, query, k, allowed)
        np.testing.assert_array_equal(rows[np.lexsort((rows, -scores))[:k]], expected)


def test_rows_come_and_go(case, queries):
    index = case.build(case.codes[:2000])
    name, keys = index._rows.where.name, index._rows.keys
    case.client.delete(name, keys[:500])
    assert case.client.all_keys(name).tolist() == keys[500:].tolist()
    case.judge(case.index(name, keys[500:]), case.codes[500:2000], queries, 10)
    case.client.upsert(name, case.layout, keys[:500], case.codes[:500])
    case.judge(index, case.codes[:2000], queries, 10)


def test_rows_that_others_removed_or_added_are_no_answers(case, queries):
    """An index knows the keys of one moment; the collection has gone on, and so has the catalog."""
    index = case.build(case.codes)
    name, keys = index._rows.where.name, index._rows.keys
    best = case.truth(case.codes, queries[0], 5)[0]
    case.client.delete(name, keys[best])
    case.client.upsert(name, case.layout, keys[best] + 1, case.codes[best])
    allowed = np.ones(ROWS, bool)
    allowed[best] = False
    np.testing.assert_array_equal(
        index.search(queries[0], 10, allowed).rows, case.truth(case.codes, queries[0], 10, allowed)[0]
    )
    assert not np.isin(best, index.search(queries[0], 10).rows).any()


def test_a_marker_is_no_row(case, queries):
    index = case.build(case.codes[:60])
    name = index._rows.where.name
    case.client.write_marker(name, case.layout, '{"change": 7}')
    assert case.client.read_marker(name).text == '{"change": 7}'
    assert case.client.all_keys(name).tolist() == index._rows.keys.tolist()
    assert len(index.search(-queries[0], 60).rows) == 60


def test_rows_fewer_than_promised_are_made_up_for(case, queries, monkeypatch):
    """Milvus has lost nearly all of them: what it does not have is scanned, so nothing is missing."""
    index = case.build(case.codes)
    case.client.delete(index._rows.where.name, index._rows.keys[20:])
    hits = index.search(queries[0], 30)
    np.testing.assert_array_equal(hits.rows, case.truth(case.codes, queries[0], 30)[0])


@pytest.mark.parametrize("share", [0.6, 0.04])
def test_conditions_go_along(case, queries, monkeypatch, share):
    """Where asking for more rows would take longer, the keys of those that are allowed are named."""
    monkeypatch.setattr("indexing.vectors.milvus._FEW", 10)
    allowed = np.random.default_rng(6).random(ROWS) < share
    assert case.built._rows.condition(allowed) is not None
    for query in queries[:2]:
        hits = case.built.search(query, 10, allowed)
        np.testing.assert_array_equal(hits.rows, case.truth(case.codes, query, 10, allowed)[0])


def test_too_many_keys_do_not_go_along(case, monkeypatch):
    monkeypatch.setattr(type(case.client), "most_numbers", 1_000)
    allowed = np.arange(ROWS) < 1_001
    assert case.built._rows.condition(allowed) is None
    allowed[0] = False
    assert case.built._rows.condition(allowed).numbers.tolist() == case.built._rows.keys[1:1001].tolist()
