"""What a search of a collection answers: the right documents, scores, snippets and bad requests."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from indexing import ChunkSettings, Collection
from indexing.errors import BadInput
from indexing.models.encoders import load_encoder, normalise


@pytest.mark.parametrize("mode", ["hybrid", "semantic", "keyword"])
def test_right_answer_first_in_every_mode(animals, mode, documents, ids):
    found = animals.search("which animal makes honey", mode=mode)
    assert ids(found)[0] == "bee"
    best = found.results[0]
    assert (best.title, best.text, best.metadata) == ("Bee", documents[1]["text"], documents[1]["metadata"])
    marked = {best.snippet.text[a:b] for a, b in best.snippet.highlights}
    assert "honey" in marked


def test_semantic_scores_are_cosines_of_decoded_codes(animals, documents, ids):
    encoder = load_encoder(None)
    query = normalise(encoder.encode_query(["honey"]))[0]
    texts = [f"{d['title']}\n{d['text']}" for d in documents]
    exact = normalise(encoder.encode_document(texts)) @ query
    found = animals.search("honey", mode="semantic")
    scores = {r.id: r.score for r in found.results}
    np.testing.assert_allclose([scores[d["id"]] for d in documents], exact, atol=0.02)
    assert ids(found) == [documents[i]["id"] for i in np.argsort(-exact)]


def test_k_beyond_the_collection_returns_everything_once(animals, ids):
    assert sorted(ids(animals.search("animal", 50, mode="semantic"))) == ["bee", "cat", "dog", "whale"]
    assert ids(animals.search("purr", 50, mode="keyword")) == ["cat"]


@pytest.mark.parametrize(
    ("arguments", "message"), [(("x", 0), "k = 0"), (("x", 2.5), "k = 2.5"), ((3,), "query of type int")]
)
def test_bad_requests(animals, arguments, message):
    with pytest.raises(BadInput, match=message):
        animals.search(*arguments)
    with pytest.raises(BadInput, match="mode 'fuzzy': use one of hybrid, semantic, keyword"):
        animals.search("x", mode="fuzzy")


@pytest.mark.parametrize("query", ["", "  "])
def test_an_empty_query_finds_nothing(animals, query, ids):
    for mode in ("hybrid", "semantic", "keyword"):
        assert ids(animals.search(query, 3, mode=mode)) == []


@pytest.mark.parametrize(
    ("query", "keyword"),
    [
        ("?!", []),
        ("🙂", []),
        ("a" * 100_000, []),
        ("the of and", ["dog", "bee"]),
        ("\x00", []),
        ("\ud800", []),
        ("AND OR NOT (((", ["dog", "bee"]),  # words, not operators
        ('"', []),
    ],
)
def test_odd_queries_are_answered(animals, query, keyword, ids):
    assert ids(animals.search(query, 3, mode="keyword")) == keyword
    for mode in ("hybrid", "semantic"):  # by meaning something is always nearest
        found = ids(animals.search(query, 4, mode=mode))
        assert sorted(found) == ["bee", "cat", "dog", "whale"]


def test_views_change_nothing_but_speed(animals):
    """Rows in the exactly scanned tail and rows in the snapshot score alike."""
    before = [
        [(r.id, r.score) for r in animals.search("who barks", mode=m).results] for m in ("semantic", "hybrid")
    ]
    assert animals.refresh()
    after = [
        [(r.id, r.score) for r in animals.search("who barks", mode=m).results] for m in ("semantic", "hybrid")
    ]
    assert after == before


def test_long_document_is_found_by_its_passage(home, ids):
    filler = "The weather was ordinary that day and nobody wrote about it. " * 400
    text = filler + "The password for the vault is written under the blue vase. " + filler
    collection = Collection.create("c", home=home, chunk=ChunkSettings(max_tokens=64, overlap=8))
    collection.add([{"id": "diary", "text": text}, {"id": "other", "text": filler}])
    found = collection.search("where is the vault password", mode="semantic")
    assert ids(found)[0] == "diary"
    assert "under the blue vase" in found.results[0].snippet.text


@pytest.mark.parametrize("engine", ["faiss", "usearch"])
@pytest.mark.parametrize("precision", ["float32", "int8", "uint8", "binary", "ubinary"])
def test_every_engine_and_precision_answers(home, engine, precision, documents, ids):
    with Collection.create("c", home=home, engine=engine, precision=precision) as collection:
        collection.add(documents)
        collection.refresh()
        assert ids(collection.search("honey flowers", mode="semantic"))[0] == "bee"
    with Collection.open("c", home=home) as again:
        assert ids(again.search("honey flowers", mode="semantic"))[0] == "bee"


def test_evaluate_runs_through_the_index(animals):
    queries = {"q1": "honey", "q2": "barking at strangers", "q3": "not judged"}
    qrels = {"q1": {"bee": 1}, "q2": {"dog": 2, "gone": 1}}
    report = animals.evaluate(queries, qrels, mode="semantic")
    assert (report.queries, report.missing_documents, report.metrics["MRR@10"]) == (2, 1, 1.0)
    restricted = animals.evaluate(queries, {"q1": {"bee": 1}}, mode="semantic", corpus_ids=["dog", "cat"])
    assert restricted.metrics["Recall@100"] == 0.0


def test_shares_add_up_to_the_score_of_a_hybrid_result(animals):
    found = animals.search("guard the house", 10).results
    assert len(found) == 4
    for r in found:
        assert r.parts["semantic_share"] + r.parts["keyword_share"] == pytest.approx(r.score, abs=1e-5)
    assert (found[0].id, found[0].parts["keyword_rank"], found[1].parts["keyword_rank"]) == ("dog", 1, None)
    assert found[0].parts["keyword_share"] > 0 == found[1].parts["keyword_share"]


def test_results_are_json(animals):
    found = animals.search("honey", 1).to_dict()
    assert set(found) == {"id", "query", "mode", "serving", "seq", "offset", "took_ms", "results"}
    assert set(found["results"][0]) == {
        *("id", "score", "title", "text", "snippet", "metadata", "parts", "span"),
        *("origin", "page", "line", "headings"),
    }
    assert json.loads(json.dumps(found)) == found


def test_search_imports_neither_torch_nor_alembic(animals, home):
    code = (
        "import sys; from indexing import Collection;"
        f"c = Collection.open('animals', home={str(home)!r}); r = c.search('honey');"
        "assert r.results[0].id == 'bee';"
        "print([m for m in ('torch', 'transformers', 'alembic', 'streamlit', 'usearch') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True)
    assert out.stdout == "[]\n"


def test_evaluate_refuses_an_unknown_mode(animals):
    with pytest.raises(BadInput, match="mode 'keywrod': use one of hybrid, semantic, keyword"):
        animals.evaluate({"q": "honey"}, {"q": {"bee": 1}}, mode="keywrod")


@pytest.mark.parametrize("digits", [4, 1])
def test_a_word_that_all_documents_have_needs_no_model(tmp_path, monkeypatch, digits):
    """Of 10,000 documents its score is 0.0000; so it is here with one digit."""
    for module in ("tail", "tantivy_index"):
        monkeypatch.setattr(f"indexing.lexical.{module}.SCORE_DIGITS", digits)
    with Collection.create("words", home=tmp_path, dimension=2) as collection:
        documents = [{"id": str(i), "text": f"note {i}"} for i in range(12)]
        collection.add(documents, vectors=np.ones((12, 2)))
        for _ in range(2):
            found = collection.search("note", 3, mode="keyword")
            assert [result.id for result in found.results] == ["0", "1", "2"] and not found.notes
            assert {result.score > 0 for result in found.results} == {digits == 4}
            collection.refresh()
