"""Vectors and a better order, asked by the clients that people have: OpenAI's and Cohere's."""

from __future__ import annotations

import base64
import json
import shutil

import cohere
import httpx
import numpy as np
import openai
import pytest

from app.api.routes.models import _text_of
from app.facade.models import LONGEST_DOCUMENT
from indexing import Collection
from stlib.runtime import Encoder, InteractionReranker
from stlib.runtime.bundled import default_model_path
from tests.services.api import bearer, new_key, running_service

TEXTS = ["Who audits us?", "The auditors come in May.", "Tea is at four o'clock."]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("models") / "home"
    # Half as wide, so that it is another model, and in a folder that somebody names by hand here.
    folder = tmp_path_factory.mktemp("shelf") / "half-model"
    save_half(folder)
    for name, model in (
        ("notes", None),
        ("halves", folder),
        ("mine", lambda texts: np.ones((len(texts), 2))),
    ):
        with Collection.create(name, model, home=home) as collection:
            collection.add([{"id": "a", "text": "abc"}])
    return home


def embed_in_memory(texts):
    """A model that lies nowhere, so that no other process can load it."""
    return np.ones((len(texts), 2))


def save_half(folder):
    """The bundled model with its first 128 dimensions."""
    shutil.copytree(default_model_path(), folder)
    path = folder / "config_sentence_transformers.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "truncate_dim": 128}))


@pytest.fixture(scope="module")
def service(home):
    with running_service(home, workers=1, keys="required") as service:
        yield service


@pytest.fixture(scope="module")
def key(home):
    return new_key(home, scope="read")


@pytest.fixture(scope="module")
def client(service, key):
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key=key, max_retries=0) as client:
        yield client


def vectors(answer):
    return np.array([one.embedding for one in answer.data], np.float32)


def test_openai_gets_the_vectors_of_the_library_in_both_encodings(client):
    expected = Encoder.load().encode_document(TEXTS, normalize_embeddings=True)
    # Unasked it asks for base64.
    packed = client.embeddings.create(model="stlib-static-en", input=TEXTS)
    plain = client.embeddings.create(model="stlib-static-en", input=TEXTS, encoding_format="float")
    np.testing.assert_array_equal(vectors(packed), expected)
    np.testing.assert_allclose(vectors(plain), expected, rtol=1e-6)
    assert [one.index for one in packed.data] == [0, 1, 2]
    tokens = int(Encoder.load().token_counts(TEXTS).sum())
    assert (packed.model, packed.usage.prompt_tokens, packed.usage.total_tokens) == (
        "stlib-static-en",
        tokens,
        tokens,
    )


def test_fewer_dimensions_are_the_first_ones_made_length_one_again(client):
    whole = Encoder.load().encode_document(TEXTS)
    expected = whole[:, :64] / np.linalg.norm(whole[:, :64], axis=1, keepdims=True)
    for encoding in ("base64", "float"):
        answer = client.embeddings.create(
            model="stlib-static-en", input=TEXTS, dimensions=64, encoding_format=encoding
        )
        if encoding == "base64":
            got = np.array([np.frombuffer(base64.b64decode(one.embedding), "<f4") for one in answer.data])
        else:
            got = vectors(answer)
        np.testing.assert_allclose(got, expected, atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, atol=1e-6)


def test_a_question_is_embedded_as_one_where_that_is_asked_for(client):
    answer = client.embeddings.create(
        model="stlib-static-en", input=TEXTS[0], extra_body={"input_type": "query"}
    )
    expected = Encoder.load().encode_query(TEXTS[:1], normalize_embeddings=True)
    np.testing.assert_array_equal(vectors(answer), expected)


@pytest.mark.parametrize(
    ("asked", "status", "message"),
    [
        (
            {"model": "text-embedding-3-small", "input": "a"},
            404,
            "there are: stlib-static-en",
        ),
        ({"model": "stlib-static-en", "input": [1, 2, 3]}, 422, "send the texts"),
        (
            {"model": "stlib-static-en", "input": [[1], [2]]},
            422,
            "send the texts",
        ),
        ({"model": "stlib-static-en", "input": []}, 422, "0 texts"),
        ({"model": "stlib-static-en", "input": ["a", ""]}, 400, "text 1 is empty"),
        (
            {"model": "stlib-static-en", "input": "a", "dimensions": 257},
            400,
            "give 1 to 256",
        ),
        (
            {"model": "stlib-static-en", "input": "a", "dimensions": 0},
            422,
            "dimen",
        ),
        ({"model": "stlib-static-en", "input": ["a"] * 2049}, 422, "2,049 texts"),
    ],
)
def test_what_cannot_be_embedded_is_told_as_that_client_tells_it(client, asked, status, message):
    with pytest.raises(openai.APIStatusError, match=message) as told:
        client.embeddings.create(**asked)
    assert told.value.status_code == status


def test_models_are_listed_and_none_is_loaded_because_it_is_named(client, service, tmp_path, key):
    (tmp_path / "modules.json").write_text("[]")  # of a model, for whoever would open it
    listed = {one.id: one.owned_by for one in client.models.list()}
    assert list(listed) == ["stlib-static-en", "half-model", "stlib-rerank-en"]
    assert client.models.retrieve("stlib-rerank-en").object == "model"
    assert client.models.retrieve("half-model").dimension == 128
    for name in (str(tmp_path), "../" + tmp_path.name, "sentence-transformers/all-MiniLM-L6-v2"):
        with pytest.raises(openai.NotFoundError, match="none is loaded because a request names it"):
            client.embeddings.create(model=name, input="a")
        with service.client(key) as plain:
            answer = plain.post("/v1/rerank", json={"model": name, "query": "a", "documents": ["a"]})
        assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found")


def test_the_model_of_a_collection_is_lent_to_who_may_use_that(client, home, service):
    name = "half-model"
    answer = client.embeddings.create(model=name, input=TEXTS)
    whole = Encoder.load().encode_document(TEXTS)[:, :128]
    expected = whole / np.linalg.norm(whole, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors(answer), expected, atol=1e-6)
    other = new_key(home, scope="read", collections=["notes"])
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key=other, max_retries=0) as narrow:
        assert name not in [one.id for one in narrow.models.list()]
        with pytest.raises(openai.NotFoundError):
            narrow.embeddings.create(model=name, input="a")


def expected_order(query, documents):
    scores = InteractionReranker.load().scores(query, documents).astype(np.float64)
    order = np.argsort(-scores, kind="stable")
    return [(int(at), float(1 / (1 + np.exp(-scores[at])))) for at in order]


def test_cohere_gets_the_order_of_the_bundled_reranker(service, key):
    asked = {"model": "stlib-rerank-en", "query": TEXTS[0], "documents": TEXTS[::-1]}
    with httpx.Client() as lines:
        client = cohere.ClientV2(api_key=key, base_url=service.url, httpx_client=lines)
        answer, best = client.rerank(**asked), client.rerank(**asked, top_n=1)
    got = [(one.index, one.relevance_score) for one in answer.results]
    expected = expected_order(TEXTS[0], TEXTS[::-1])
    assert [at for at, _ in got] == [at for at, _ in expected]
    np.testing.assert_allclose([score for _, score in got], [score for _, score in expected], rtol=1e-6)
    assert [(one.index, one.relevance_score) for one in best.results] == got[:1]
    assert best.meta.api_version.version == "2"


def test_jina_and_older_clients_of_cohere_get_documents_back(service, key):
    documents = [{"text": "Tea is at four.", "title": "Tea"}, {"text": "none", "title": "The auditors come."}]
    asked = {
        "query": "who audits us",
        "documents": documents,
        "return_documents": True,
        "rank_fields": ["title"],
    }
    with service.client(key) as client:
        answer = client.post("/v1/rerank", json=asked).json()
    assert answer["model"] == "stlib-rerank-en"
    assert [one["document"] for one in answer["results"]] == documents[::-1]
    expected = expected_order("who audits us", ["Tea", "The auditors come."])
    assert [one["index"] for one in answer["results"]] == [at for at, _ in expected]


def test_an_answer_far_down_in_a_long_document_is_found(service, key):
    filler = "Lunch is served on the terrace. " * 200  # some 6,400 characters
    documents = [filler, filler + "The auditors come in May."]
    with service.client(key) as client:
        asked = {"query": "when do the auditors come", "documents": documents}
        answer = client.post("/v1/rerank", json=asked).json()
        cut = client.post("/v1/rerank", json={**asked, "max_tokens_per_doc": 100}).json()
    assert [one["index"] for one in answer["results"]] == [1, 0]
    assert len({one["relevance_score"] for one in cut["results"]}) == 1  # the same beginning was read of both


def test_a_stranger_gets_nothing(service):
    with service.client() as client:
        for path in ("/v1/models", "/v1/embeddings", "/v1/rerank", "/metrics"):
            assert client.get(path).status_code == 401
        assert client.get("/v1/models", headers=bearer("stlib-none")).status_code == 401


def test_fields_of_documents_are_read_once_and_as_far_as_the_reranker_reads(service, key):
    long = {"text": "x" * 3_000_000 + "\U0001f600", "title": "tea"}
    with service.client(key) as http:
        asked = {"query": "tea", "documents": [long, "tea"], "rank_fields": ["title", "text", "title"]}
        answer = http.post("/v1/rerank", json=asked)
        assert answer.status_code == 200 and answer.json()["usage"]["total_tokens"] == 10  # parts
        refused = http.post("/v1/rerank", json={**asked, "rank_fields": ["text"] * 100})
    assert refused.status_code == 422
    assert _text_of(long, ["title", "text", "title"]).startswith("tea\nxxx")
    assert len(_text_of(long, ["text"] * 10)) == LONGEST_DOCUMENT
