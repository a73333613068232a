"""Documents newer than a snapshot: found at once, scored as a snapshot would, not by old words."""

from __future__ import annotations

import numpy as np
import pytest

from indexing.lexical import LexicalReader, LexicalSnapshot, LexicalTail, LexicalWriter, TailChange
from indexing.lexical.bm25 import _stored_length
from indexing.lexical.question import query_words
from indexing.lexical.tail import OwnStatistics

RNG = np.random.default_rng(0)
WORDS = [f"w{i}" for i in range(60)]
WEIGHTS = 1 / np.arange(1, 61)
WEIGHTS /= WEIGHTS.sum()


def some_text(longest: int) -> str:
    return " ".join(RNG.choice(WORDS, RNG.integers(1, longest), p=WEIGHTS))


DOCUMENTS = [
    (key, some_text(6) if key % 3 else "", some_text(400 if key % 7 == 0 else 30)) for key in range(300)
]
QUERIES = ["w1", "w3 w50", "w0 w7 w59 the", "nothing known", " ".join(WORDS)]


def publish(folder, documents, base=None, deletes=()):
    with LexicalWriter(folder.parent, base=base) as writer:
        writer.apply(documents, deletes)
        writer.publish(folder, {})
    return LexicalSnapshot.open(folder)


def changes(documents, first=1):
    return [
        TailChange(seq, key, False, title, text) for seq, (key, title, text) in enumerate(documents, first)
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return publish(tmp_path_factory.mktemp("lexical") / "words-1", DOCUMENTS)


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    return publish(tmp_path_factory.mktemp("lexical") / "words-1", DOCUMENTS[:150])


@pytest.mark.parametrize("text", QUERIES)
def test_a_tail_is_scored_as_the_snapshot_would(whole, text):
    tail = LexicalTail(0, 0).follow(changes(DOCUMENTS))
    keys, scores = tail.search(query_words(text), whole)
    hits = whole.search(text, 1000)
    assert sorted(keys.tolist()) == sorted(hits.doc_keys.tolist())
    by_key = dict(zip(keys.tolist(), scores.tolist(), strict=True))
    np.testing.assert_allclose([by_key[key] for key in hits.doc_keys.tolist()], hits.scores, atol=2e-4)


@pytest.mark.parametrize("text", QUERIES)
def test_its_own_statistics_are_those_of_a_snapshot_of_it(whole, text):
    tail = LexicalTail(0, 0).follow(changes(DOCUMENTS))
    own = OwnStatistics(tail)
    assert own.stored_count == whole.stored_count == 300
    for field in ("body", "title"):
        assert own.average_length(field) == pytest.approx(whole.average_length(field), rel=1e-6)
        for term in WORDS:
            assert own.frequency(field, term) == whole.frequency(field, term)
    alone = LexicalReader(None, tail)
    hits = whole.search(text, 20)
    mine = alone.search(text, 20)
    np.testing.assert_allclose(mine.scores, hits.scores, atol=2e-4)
    assert alone.spread(text) == pytest.approx(whole.spread(text))


def test_lengths_are_kept_as_the_index_keeps_them():
    known = [*range(41), 40, 42, 42, 44, 44, 46, 46, 48, 48]
    assert [_stored_length(n) for n in range(50)] == known
    assert [_stored_length(n) for n in (54, 55, 56, 59, 60, 63, 64, 88, 95, 96)] == [
        54,
        54,
        56,
        56,
        60,
        60,
        64,
        88,
        88,
        88 + 8,
    ]


def test_both_together_answer_like_the_documents_as_they_are_now(half):
    """Half of them in the snapshot; then some are changed, some deleted, some new, some changed twice."""
    log = changes(DOCUMENTS[150:], 151)
    seq = 301
    now = {key: (title, text) for key, title, text in DOCUMENTS}
    for key in RNG.choice(300, 60, replace=False).tolist():
        if key % 2:
            log.append(TailChange(seq, key, True, "", ""))
            now.pop(key)
        else:
            now[key] = "fresh", f"quokka {some_text(20)}"
            log.append(TailChange(seq, key, False, *now[key]))
        seq += 1
    tail = LexicalTail(150, 150)
    for first in range(0, len(log), 37):
        tail = tail.follow(log[first : first + 37])
    assert (tail.seq, set(tail.documents)) == (seq - 1, {k for k in now if k >= 150 or now[k][0] == "fresh"})
    reader = LexicalReader(half, tail)
    expected = {
        key: dict(zip(*map(np.ndarray.tolist, score_all(now, text, reader._statistics)), strict=True))
        for key, text in enumerate(QUERIES)
    }
    allowed = np.asarray(sorted(RNG.choice(300, 90, replace=False)))
    table = np.zeros(280, dtype=bool)
    table[allowed[allowed < 280]] = True
    for number, text in enumerate(QUERIES):
        for k in (1, 7, 400):
            for only, keys in (
                (None, set(range(300))),
                (allowed, set(allowed.tolist())),
                (table, set(np.flatnonzero(table).tolist())),
            ):
                hits = reader.search(text, k, only)
                scores = {key: score for key, score in expected[number].items() if key in keys}
                best = sorted(scores.values(), reverse=True)[:k]
                np.testing.assert_allclose(hits.scores, best, atol=2e-4)
                assert set(hits.doc_keys.tolist()) <= scores.keys()
    assert {k for k in now if now[k][0] == "fresh"} == set(reader.search("quokka", 400).doc_keys.tolist())


def score_all(now, text, statistics):
    """By a tail of everything, whose formula another test compares with tantivy's."""
    every = [(key, title, body) for key, (title, body) in now.items()]
    return LexicalTail(0, 0).follow(changes(every)).search(query_words(text), statistics)


def test_many_excluded_hits_leave_enough(whole):
    best = whole.search("w0", 300).doc_keys
    excluded = np.sort(best[:120])
    hits = whole.search("w0", 10, excluded=excluded)
    np.testing.assert_array_equal(hits.doc_keys, best[120:130])
    only = np.sort(best[100:140])
    np.testing.assert_array_equal(whole.search("w0", 5, only, excluded).doc_keys, best[120:125])
    table = np.zeros(int(best.max()) + 1, dtype=bool)
    table[only] = True
    np.testing.assert_array_equal(whole.search("w0", 5, table, excluded).doc_keys, best[120:125])


def test_a_field_that_no_document_has(tmp_path):
    snapshot = publish(tmp_path / "words-1", [(1, "", "big whale"), (2, "", "bread")])
    assert snapshot.average_length("title") == 0.0
    tail = LexicalTail(2, 2).follow([TailChange(3, 3, False, "Owl", "owls hunt")])
    hits = LexicalReader(snapshot, tail).search("owl", 3)
    assert hits.doc_keys.tolist() == [3] and np.isfinite(hits.scores).all()


def test_average_lengths_of_documents_without_frequent_letters(tmp_path):
    snapshot = publish(tmp_path / "words-1", [(1, "9", "x y z"), (2, "", "x")])
    assert (snapshot.average_length("body"), snapshot.average_length("title")) == (pytest.approx(5 / 2), 0.5)
    gone = publish(tmp_path / "words-2", [], base=tmp_path / "words-1", deletes=[1, 2])
    assert gone.average_length("body") == 0.0
