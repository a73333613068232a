"""pgvector under the suite of the engines, over tables of a real server; and what a table is on its own."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sqlalchemy import text

from indexing.catalog.database import open_database
from indexing.catalog.postgres import insert_rows
from indexing.catalog.schema import CODES
from indexing.errors import BadInput, CorruptView
from indexing.names import FILE_ENGINES, PRECISIONS
from indexing.quantization import Codec, normalize
from indexing.storage.paths import ServerDatabase
from indexing.vectors import check_engine, engine_class
from indexing.vectors.pgvector import PgvectorIndex, TableCodes
from indexing.vectors.together import search_together
from indexing.vectors.vector_table import VectorTable
from tests.conformance import test_engines as suite
from tests.conformance.test_engines import (  # noqa: F401 -- the tests of all engines, on the `case` of this file
    queries,
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
GAP = 3  # between keys, as other collections take some


@pytest.fixture(scope="module")
def database(postgres_databases):
    url = postgres_databases.create()
    engine = open_database(ServerDatabase(url))
    CODES.create(engine)
    yield engine
    engine.dispose()
    postgres_databases.drop(url)


class Case(suite.Case):
    """The rows of a precision in a table of their own, with a graph; keys have gaps."""

    tables = 0

    def __init__(self, database, precision, vectors):  # noqa: F811
        self.database = database
        self.cls = PgvectorIndex
        self.codec = Codec.fit(precision, vectors[:500])
        self.codes = self.codec.encode(vectors).codes
        self.built = self.build(self.codes)

    def build(self, codes, gap=GAP):
        Case.tables += 1
        keys = Case.tables * 100 * GAP * ROWS + gap * np.arange(len(codes))
        table = VectorTable(Case.tables, self.codec)
        with self.database.connect() as connection, connection.begin():
            rows = [(key, code.tobytes()) for key, code in zip(keys.tolist(), codes, strict=True)]
            if rows:
                insert_rows(connection, CODES, ("key", "code"), rows)
            table.create(connection)
            table.append(connection, keys, codes)
            table.build_graph(connection, len(keys))
        return PgvectorIndex.build(self.codec, TableCodes(self.database, table, self.codec, keys))

    def run(self, use):
        with self.database.connect() as connection, connection.begin():
            return use(connection)


@pytest.fixture(scope="module", params=["float32", "int8", "binary"])
def case(request, database, vectors):  # noqa: F811
    return Case(database, request.param, vectors)


@pytest.fixture(scope="module", params=["int8", "binary"])
def one_case(request, database, vectors):  # noqa: F811
    """One of each kind of column."""
    return Case(database, request.param, vectors)


@pytest.fixture(autouse=True)
def ask_the_graph(monkeypatch):
    """Small tables are scanned, and small parts of them; here the graph is to answer."""
    monkeypatch.setattr(PgvectorIndex, "scan_rows", 50)
    monkeypatch.setattr("indexing.vectors.pgvector._SCAN_FACTOR", 0.1)
    for name in FILE_ENGINES:
        monkeypatch.setattr(engine_class(name), "scan_rows", 50)


def test_it_is_approximate_and_has_no_file(case):
    assert not case.built.exact
    assert case.built.to_bytes() == b""
    assert case.cls.from_bytes(b"", case.codec, case.built._rows).search(np.ones(DIMENSION), 3)
    with pytest.raises(CorruptView, match="needs none"):
        case.cls.from_bytes(b"x", case.codec, case.built._rows)


def test_several_tables_are_searched_as_one(one_case, queries):  # noqa: F811
    """Beside each other, and beside the newest rows, which FAISS scans."""
    bounds = [0, 1700, 1700, ROWS]
    built = {}

    def build(codes):
        key = len(codes)
        built[key] = built.get(key) or one_case.build(codes)
        return built[key]

    parts = [build(one_case.codes[a:b]) for a, b in itertools.pairwise(bounds)]
    parts[-1] = engine_class("faiss").build(one_case.codec, one_case.codes[1700:])
    for share, k in itertools.product((None, 0.5, 0.02), (1, 10, 150, 5 * ROWS)):
        allowed = None if share is None else np.random.default_rng(8).random(ROWS) < share
        masks = [None if allowed is None else allowed[a:b] for a, b in itertools.pairwise(bounds)]
        for query in queries[:3]:
            found = search_together(list(zip(parts, masks, strict=True)), query, k)
            rows = np.concatenate([hits.rows + first for hits, first in zip(found, bounds, strict=False)])
            scores = np.concatenate([hits.scores for hits in found])
            expected, _ = one_case.truth(one_case.codes, query, k, allowed)
            order = np.lexsort((rows, -scores))[:k]
            assert len(np.unique(rows)) == len(rows)
            assert len(order) == len(expected)
            assert len(np.intersect1d(rows[order], expected)) >= 0.9 * len(expected) - 1


def test_an_empty_table(one_case, queries):  # noqa: F811
    index = one_case.build(one_case.codes[:0])
    rows, scores = index.search(queries[0], 5)
    assert (rows.shape, rows.dtype, scores.shape, scores.dtype) == ((0,), np.int64, (0,), np.float32)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_precision(database, vectors, queries, precision):  # noqa: F811
    """uint8 and ubinary, too, which differ from others by their codes alone."""
    case = Case(database, precision, vectors[:1000])
    case.judge(case.built, case.codes, queries, 10)
    allowed = np.random.default_rng(3).random(1000) < 0.5
    case.judge(case.built, case.codes, queries, 10, allowed)


def test_scores_are_those_of_faiss(one_case, queries):  # noqa: F811
    """Bit by bit, for all rows that both found; half precision only chooses."""
    faiss = engine_class("faiss").build(one_case.codec, one_case.codes)
    for query in queries[:10]:
        mine, theirs = one_case.built.search(query, 20), faiss.search(query, 20)
        known = dict(zip(theirs.rows.tolist(), theirs.scores.tolist(), strict=True))
        both = [row for row in mine.rows.tolist() if row in known]
        assert len(both) >= 19
        found = dict(zip(mine.rows.tolist(), mine.scores.tolist(), strict=True))
        assert [found[row] for row in both] == [known[row] for row in both]


def test_a_scan_is_exact(one_case, queries, monkeypatch):  # noqa: F811
    """The server leaves rows out by half precision, but none that could be among the best."""
    monkeypatch.setattr("indexing.vectors.pgvector._SCAN_FACTOR", 1e9)
    allowed = np.random.default_rng(5).random(ROWS) < 0.3
    for query in queries:
        for k in (1, 10, 200):
            rows, scores = one_case.truth(one_case.codes, query, k, allowed)
            hits = one_case.built.search(query, k, allowed)
            np.testing.assert_array_equal(hits.rows, rows)
            np.testing.assert_allclose(hits.scores, scores, atol=1e-6)


def test_rows_come_and_go(one_case, queries):  # noqa: F811
    index = one_case.build(one_case.codes[:2000])
    table, keys = index._rows.table, index._rows.keys
    one_case.run(lambda connection: table.remove(connection, keys[:500]))
    later = keys[-1] + 1 + np.arange(1000)
    stored = [(key, code.tobytes()) for key, code in zip(later.tolist(), one_case.codes[2000:], strict=True)]
    one_case.run(lambda connection: insert_rows(connection, CODES, ("key", "code"), stored))
    one_case.run(lambda connection: table.append(connection, later, one_case.codes[2000:]))
    keys = np.concatenate([keys[500:], later])
    assert sorted(one_case.run(table.keys).tolist()) == keys.tolist()
    grown = PgvectorIndex.build(one_case.codec, TableCodes(one_case.database, table, one_case.codec, keys))
    one_case.judge(grown, one_case.codes[500:], queries, 10)


def test_rows_that_others_removed_or_added_are_no_answers(one_case, queries):  # noqa: F811
    """An index knows the keys of one moment; the table has gone on."""
    index = one_case.build(one_case.codes)
    table, keys = index._rows.table, index._rows.keys
    best = one_case.truth(one_case.codes, queries[0], 5)[0]
    one_case.run(lambda connection: table.remove(connection, keys[best]))
    one_case.run(
        lambda connection: connection.execute(
            text("DELETE FROM code WHERE key = ANY(:keys)"), {"keys": keys[best].tolist()}
        )
    )
    one_case.run(lambda connection: table.append(connection, keys[best] + 1, one_case.codes[best]))
    allowed = np.ones(ROWS, bool)
    allowed[best] = False
    hits = index.search(queries[0], 10)
    np.testing.assert_allclose(
        hits.scores, one_case.truth(one_case.codes, queries[0], 10, allowed)[1], atol=0.02
    )
    assert not np.isin(best, hits.rows).any()
    np.testing.assert_allclose(one_case.scores(index.codes.gather(best), queries[0]), 0, atol=0.05)


def test_altered_vectors_are_found(one_case):
    index = one_case.build(one_case.codes[:300])
    table, keys = index._rows.table, index._rows.keys
    assert one_case.run(lambda connection: table.count_altered(connection, keys, one_case.codes[:300])) == 0
    other = one_case.codes[:300].copy()
    other[[7, 100]] = one_case.codes[[1000, 1001]]
    assert one_case.run(lambda connection: table.count_altered(connection, keys, other)) == 2


@pytest.mark.parametrize(
    ("precision", "dimension", "said"),
    [
        ("int8", 4_001, r"4,001 dimensions in 'int8' .*4,000.*'binary' for up to 64,000"),
        ("float32", 65_536, "65,536 dimensions in 'float32'"),
        ("binary", 64_001, "64,001 dimensions in 'binary'"),
    ],
)
def test_too_many_dimensions_are_refused(precision, dimension, said):
    with pytest.raises(BadInput, match=said):
        check_engine("pgvector", precision, dimension, on_server=True)
    check_engine("faiss", precision, dimension, on_server=True)


def test_the_most_dimensions_have_a_graph(database):
    for number, (precision, dimension) in enumerate([("int8", 4_000), ("binary", 64_000)], 9_000):
        vectors = normalize(np.random.default_rng(0).normal(size=(20, dimension)))  # noqa: F811
        codec = Codec.fit(precision, vectors)
        table = VectorTable(number, codec)
        with database.connect() as connection, connection.begin():
            table.create(connection)
            table.append(connection, np.arange(20), codec.encode(vectors).codes)
            table.build_graph(connection, 20)
            assert table.count_altered(connection, np.arange(20), codec.encode(vectors).codes) == 0


def test_keys_far_apart_cost_no_more(one_case, queries):  # noqa: F811
    """As of a small collection beside large ones; a table over their range would not fit into memory."""
    index = one_case.build(one_case.codes, gap=1 << 38)
    allowed = np.random.default_rng(0).random(ROWS) < 0.5
    for query in queries[:5]:
        hits = index.search(query, 10, allowed)
        rows, scores = one_case.truth(one_case.codes, query, 10, allowed)
        assert allowed[hits.rows].all()
        assert len(np.intersect1d(hits.rows, rows)) >= 8
        np.testing.assert_allclose(hits.scores[0], scores[0], rtol=1e-5)


def test_where_no_code_is_left_none_is_altered(one_case):
    table = one_case.built._rows.table
    nothing = np.zeros(0, np.int64)
    assert one_case.run(lambda to: table.count_altered(to, nothing, one_case.codes[:0])) == 0


def test_a_catalog_in_a_file_cannot_have_it():
    with pytest.raises(BadInput, match="db='postgresql://…', or use one of faiss, usearch"):
        check_engine("pgvector", "int8", 256, on_server=False)


def test_rows_that_are_gone_cost_no_scan(one_case, queries, monkeypatch):  # noqa: F811
    """A graph that proposed enough is not taken for one that gave up: the reader asks for more by itself."""
    index = one_case.build(one_case.codes)
    keys = index._rows.keys[one_case.truth(one_case.codes, queries[0], 60)[0]]
    gone = text("DELETE FROM code WHERE key = ANY(:keys)")
    one_case.run(lambda connection: connection.execute(gone, {"keys": keys.tolist()}))
    monkeypatch.setattr(PgvectorIndex, "_scan", None)
    hits = index.search(queries[0], 70)
    assert 10 <= len(hits.rows) <= 70
    assert not np.isin(index._rows.keys[hits.rows], keys).any()
