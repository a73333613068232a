"""Keyword search against BM25 computed here, filters, ties, and any text as a question."""

import math

import numpy as np
import pytest

from indexing.errors import BadInput
from indexing.lexical import LexicalSnapshot, LexicalWriter, analyze
from indexing.lexical.analysis import TITLE_WEIGHT
from indexing.lexical.question import FUNCTION_WORD_WEIGHT, MAX_QUERY_WORDS, query_words

WORDS = "river stone cloud engine window paper signal garden copper winter".split()


@pytest.fixture(scope="module")
def documents():
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, size=rng.integers(3, 30))) for _ in range(300)]
    titles = [str(rng.choice(WORDS)) if i % 3 else "" for i in range(300)]
    return [(10 * i, titles[i], texts[i]) for i in range(300)]


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory, documents):
    folder = tmp_path_factory.mktemp("lexical")
    with LexicalWriter(folder) as writer:
        writer.apply(documents)
        writer.publish(folder / "1", {"seq": 300})
    return LexicalSnapshot.open(folder / "1")


def field_length(terms: list[str]) -> int:
    """tantivy keeps lengths below 40 exactly; all fields here are shorter."""
    assert len(terms) < 40
    return len(terms)


def bm25(documents: list[tuple[int, str, str]], query: dict[str, float]) -> dict[int, float]:
    """Robertson's formula with k1 = 1.2, b = 0.75 and idf = ln(1 + (N - n + 0.5) / (n + 0.5))."""
    scores: dict[int, float] = {}
    body = {key: analyze(f"{title}\n{text}") for key, title, text in documents}
    titled = {key: analyze(title) for key, title, _ in documents}
    for field, boost in ((body, 1.0), (titled, TITLE_WEIGHT)):
        average = sum(map(len, field.values())) / len(field)
        for term, weight in query.items():
            having = sum(term in terms for terms in field.values())
            idf = math.log(1 + (len(field) - having + 0.5) / (having + 0.5))
            for key, terms in field.items():
                if term in terms:
                    tf, norm = terms.count(term), 0.25 + 0.75 * field_length(terms) / average
                    gain = idf * tf * 2.2 / (tf + 1.2 * norm)
                    scores[key] = scores.get(key, 0.0) + boost * weight * gain
    return scores


def query_terms(text: str) -> dict[str, float]:
    """Where all documents are in English, a word has one form."""
    words = query_words(text)
    assert all(len(word.forms) == 1 for word in words)
    return {word.forms[0]: word.weight for word in words}


def expected(documents, text, k, allowed=None):
    scores = bm25(documents, query_terms(text))
    kept = [(-score, key) for key, score in scores.items() if allowed is None or key in allowed]
    return sorted(kept)[:k]


def check(hits, wanted):
    np.testing.assert_allclose(hits.scores, [-score for score, _ in wanted], rtol=2e-4, atol=2e-4)
    for place, key in enumerate(hits.doc_keys.tolist()):
        same = {other for score, other in wanted if abs(-score - hits.scores[place]) < 1e-3}
        assert key in same or place > 0.9 * len(wanted)
    order = list(zip(-hits.scores.astype(float), hits.doc_keys.tolist(), strict=True))
    assert order == sorted(order)
    assert len(set(hits.doc_keys.tolist())) == len(wanted)


@pytest.mark.parametrize(
    "text", ["river", "cold winter stones", "engines signalling the garden", "copper " * 9]
)
@pytest.mark.parametrize("k", [1, 10, 1000])
def test_scores_are_bm25(snapshot, documents, text, k):
    check(snapshot.search(text, k), expected(documents, text, k))


@pytest.mark.parametrize("size", [0, 1, 5, 60, 299])
def test_only_allowed_documents_come_back(snapshot, documents, size):
    keys = np.random.default_rng(size).choice([key for key, _, _ in documents], size, replace=False)
    for allowed in (keys, set(keys.tolist())):
        wanted = expected(documents, "river stone", 10, set(keys.tolist()))
        check(snapshot.search("river stone", 10, allowed), wanted)


def test_unknown_and_negative_allowed_keys_match_nothing(snapshot):
    assert len(snapshot.search("river", 5, np.array([-1, 7, 10**12])).doc_keys) == 0


def test_equal_documents_come_in_the_order_of_their_keys(tmp_path):
    with LexicalWriter(tmp_path) as writer:
        writer.apply([(key, "", "same words here") for key in (50, 3, 999, 7, *range(2000, 2300))])
        writer.publish(tmp_path / "1")
    snapshot = LexicalSnapshot.open(tmp_path / "1")
    assert snapshot.search("words", 5).doc_keys.tolist() == [3, 7, 50, 999, 2000]
    assert snapshot.search("words", 400).doc_keys.tolist() == [3, 7, 50, 999, *range(2000, 2300)]


ODD = [
    "", "   ", "!!! ??? ---", "😀", "\0", "\ud800", '"open quote', "AND OR NOT", "a:b~2^3 [x TO y] +q (",
    "*" * 1000, "x" * 1_000_000, "中文 مرحبا",
]  # fmt: skip


@pytest.mark.parametrize("text", ODD)
def test_odd_questions_find_nothing_and_raise_nothing(snapshot, text):
    assert len(snapshot.search(text, 5).doc_keys) == 0


def test_operators_are_words(snapshot, documents):
    plain = snapshot.search("river stone", 10)
    for text in ('"river stone"', "+river -stone", "river AND stone", "title:river body:stone~3"):
        np.testing.assert_array_equal(snapshot.search(text, 10).doc_keys, plain.doc_keys)


def test_a_question_of_100000_words_is_cut(snapshot, documents):
    text = "the river " + " ".join(f"unseen{i}" for i in range(100_000))
    terms = query_terms(text)
    assert len(terms) == MAX_QUERY_WORDS and terms["river"] == 1.0 and "the" not in terms
    check(snapshot.search(text, 5), expected(documents, "river", 5))


def test_words_are_stemmed_folded_and_lower_cased():
    assert analyze("The Élan of RUNNERS' naïve C++ os.path_join 中文") == [
        "the", "elan", "of", "runner", "naiv", "c", "os", "path", "join", "中", "文", "中文",
        "c++", "os.path_join", "path_join",
    ]  # fmt: skip


def test_function_words_weigh_little_and_still_find(tmp_path):
    assert query_terms("how to flatten the lists") == {
        "flatten": 1.0, "list": 1.0,
        "how": FUNCTION_WORD_WEIGHT, "to": FUNCTION_WORD_WEIGHT, "the": FUNCTION_WORD_WEIGHT,
    }  # fmt: skip
    with LexicalWriter(tmp_path) as writer:
        writer.apply([(1, "", "to be or not to be"), (2, "", "something else")])
        writer.publish(tmp_path / "1")
    assert LexicalSnapshot.open(tmp_path / "1").search("to be, or not?", 5).doc_keys.tolist() == [1]


def test_the_title_counts_more_than_the_text(tmp_path):
    with LexicalWriter(tmp_path) as writer:
        writer.apply(
            [(1, "paper", "copper river"), (2, "copper", "paper river"), (3, "river", "copper paper")]
        )
        writer.publish(tmp_path / "1")
    assert LexicalSnapshot.open(tmp_path / "1").search("copper", 5).doc_keys.tolist() == [2, 1, 3]


def test_k_must_be_positive(snapshot):
    with pytest.raises(BadInput, match="k is 0"):
        snapshot.search("river", 0)


@pytest.fixture(scope="module")
def alike(tmp_path_factory):
    """Short texts of which many score the same, in several segments and not in the order of their keys."""
    rng = np.random.default_rng(2)
    texts = ["river stone", "stone river", "river cloud", "river", "river river stone", "cloud"]
    keys = rng.permutation(2000)[:900]
    folder = tmp_path_factory.mktemp("alike")
    base = None
    for number, part in enumerate(np.array_split(keys, 3)):
        with LexicalWriter(folder, base=base) as writer:
            writer.apply([(int(key), "", texts[key % 6]) for key in part], deletes=keys[:number].tolist())
            base = folder / str(number)
            writer.publish(base, {})
    return LexicalSnapshot.open(base)


@pytest.mark.parametrize("text", ["river", "stone", "river stone cloud", "cloud"])
@pytest.mark.parametrize("which", ["all", "table", "late", "keys", "not some"])
def test_of_documents_that_score_alike_the_lowest_keys_come(alike, text, which, monkeypatch):
    """The same as when all of them are read, however many there are."""
    table = np.random.default_rng(3).random(1500) < 0.5
    allowed = {"table": table, "late": np.arange(2000) > 1200, "keys": np.arange(100, 1900, 3)}.get(which)
    excluded = np.arange(0, 300, 2) if which == "not some" else None
    fetched = []
    plain = LexicalSnapshot._fetch

    def fetch(self, query, count):
        hits = plain(self, query, count)
        fetched.append(len(hits[0]))
        return hits

    for k in (1, 7, 40, 150, 2000):
        expected = alike.search(text, k, allowed, excluded)
        with monkeypatch.context() as patch:
            patch.setattr("indexing.lexical.ties.MOST_HITS", 60)
            patch.setattr("indexing.lexical.tantivy_index.MOST_HITS", 60)
            patch.setattr(LexicalSnapshot, "_fetch", fetch)
            fetched.clear()
            found = alike.search(text, k, allowed, excluded)
        np.testing.assert_array_equal(found.doc_keys, expected.doc_keys)
        np.testing.assert_array_equal(found.scores, expected.scores)
        assert which != "all" or k > 7 or max(fetched) <= 4 * 60
