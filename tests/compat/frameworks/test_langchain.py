"""LangChain's own tests of vector stores and embeddings, on collections."""

from __future__ import annotations

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_tests.integration_tests import (
    EmbeddingsIntegrationTests,
    RetrieversIntegrationTests,
    VectorStoreIntegrationTests,
)

from indexing import Collection
from indexing.errors import BadInput
from indexing.frameworks.langchain import StlibEmbeddings, StlibRetriever, StlibVectorStore


class TestBroughtVectors(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, tmp_path):
        return StlibVectorStore("brought", self.get_embeddings(), home=tmp_path)


class TestOwnVectors(VectorStoreIntegrationTests):
    """The same where the collection's model makes the vectors."""

    @pytest.fixture
    def vectorstore(self, tmp_path):
        return StlibVectorStore("own", home=tmp_path)


class TestHybrid(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, tmp_path):
        return StlibVectorStore("hybrid", home=tmp_path, mode="hybrid")


class TestEmbeddings(EmbeddingsIntegrationTests):
    @property
    def embeddings_class(self):
        return StlibEmbeddings

    @property
    def embedding_model_params(self):
        return {}


class TestRetriever(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def filled(self, tmp_path):
        with Collection.create("animals", home=tmp_path) as self.animals:
            self.animals.add(
                [{"id": one.id, "text": one.page_content, "metadata": one.metadata} for one in ANIMALS]
            )
            yield

    @property
    def retriever_constructor(self):
        return StlibRetriever

    @property
    def retriever_constructor_params(self):
        return {"collection": self.animals}

    @property
    def retriever_query_example(self):
        return "which animal makes honey"


ANIMALS = [
    Document(id="bee", page_content="Bees make honey from flowers.", metadata={"legs": 6}),
    Document(id="cat", page_content="Cats purr when content.", metadata={"legs": 4}),
    Document(id="dog", page_content="Dogs bark at strangers.", metadata={"legs": 4}),
]


def test_a_collection_by_its_own_model_is_searched_as_ever(tmp_path):
    store = StlibVectorStore("animals", home=tmp_path)
    store.add_documents(ANIMALS)
    found = store.similarity_search_with_score("which animal makes honey", k=3)
    assert found[0][0] == ANIMALS[0]
    expected = store.collection.search("which animal makes honey", 3, mode="semantic")
    assert [one.id for one, _ in found] == [one.id for one in expected]
    assert [score for _, score in found] == pytest.approx([one.parts["semantic"] for one in expected])
    found = store.similarity_search("honey", filter={"legs": {"<": 6}})
    assert {one.id for one in found} == {"cat", "dog"}
    assert [one.id for one in store.similarity_search("purr", mode="keyword")] == ["cat"]
    retriever = store.as_retriever(search_type="mmr", search_kwargs={"k": 2, "fetch_k": 3})
    assert retriever.invoke("which animal makes honey")[0].id == "bee"
    relevant = store.similarity_search_with_relevance_scores("which animal makes honey", k=3)
    assert all(0 <= score <= 1 for _, score in relevant)


def test_any_collection_has_a_retriever(tmp_path):
    long = "Nothing of interest stands here. " * 200 + "Bees make honey from flowers. " + "Or here. " * 200
    with Collection.create("docs", home=tmp_path) as collection:
        collection.add([{"id": "long", "title": "On animals", "text": long, "metadata": {"lang": "en"}}])
        [found] = StlibRetriever(collection=collection, filter="lang = 'en'").invoke("bees and honey")
        assert found.id == "long" and found.metadata == {"title": "On animals", "lang": "en"}
        assert "Bees make honey" in found.page_content and found.page_content in long
        assert len(found.page_content) < len(long) / 2
        assert StlibRetriever(collection=collection, filter={"lang": "de"}).invoke("bees and honey") == []


def test_scores_of_brought_vectors_are_cosines(tmp_path):
    embedding = DeterministicFakeEmbedding(size=8)
    store = StlibVectorStore("brought", embedding, home=tmp_path)
    store.add_documents(ANIMALS)
    query = np.array(embedding.embed_query("bark"))
    vectors = np.array(embedding.embed_documents([one.page_content for one in ANIMALS]))
    cosines = vectors @ query / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)
    found = store.similarity_search_with_score("bark", k=3)
    order = np.argsort(-cosines)
    assert [one.id for one, _ in found] == [ANIMALS[place].id for place in order]
    assert [score for _, score in found] == pytest.approx(cosines[order], abs=1e-5)
    # Words count too where that is asked for
    assert store.similarity_search("purr", k=1, mode="keyword")[0].id == "cat"


def test_vectors_of_two_kinds_do_not_mix(tmp_path):
    StlibVectorStore("own", home=tmp_path).add_documents(ANIMALS)
    store = StlibVectorStore("own", DeterministicFakeEmbedding(size=8), home=tmp_path)
    with pytest.raises(BadInput, match="makes its vectors itself"):
        store.add_documents(ANIMALS)


def test_a_store_is_there_for_the_next_program(tmp_path):
    StlibVectorStore.from_texts(["Bees make honey."], ids=["bee"], collection_name="kept", home=tmp_path)
    again = StlibVectorStore("kept", home=tmp_path)
    assert [one.id for one in again.similarity_search("honey")] == ["bee"]
    again.delete()
    assert again.similarity_search("honey") == []


def test_embeddings_are_those_of_collections(tmp_path):
    embeddings = StlibEmbeddings()
    query, [document] = embeddings.embed_query("honey"), embeddings.embed_documents(["Bees make honey."])
    store = StlibVectorStore("brought", embeddings, home=tmp_path)
    store.add_texts(["Bees make honey."], ids=["bee"])
    [(_, score)] = store.similarity_search_with_score("honey")
    assert score == pytest.approx(np.dot(query, document), abs=1e-5)
    assert np.linalg.norm(query) == pytest.approx(1, abs=1e-5)
