"""Haystack's own tests of document stores, on collections."""

from __future__ import annotations

import pytest
from haystack import Document, Pipeline
from haystack.components.writers import DocumentWriter
from haystack.dataclasses import ByteStream, SparseEmbedding
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.testing import document_store as published
from haystack.testing import document_store_async as published_async

from indexing.errors import BadInput
from indexing.frameworks.haystack import StlibDocumentStore, StlibEmbeddingRetriever, StlibTextRetriever


class Whole(
    published.DocumentStoreBaseExtendedTests,
    published.CountDocumentsByFilterTest,
    published.CountUniqueMetadataByFilterTest,
    published.GetMetadataFieldsInfoTest,
    published.GetMetadataFieldMinMaxTest,
    published.GetMetadataFieldUniqueValuesTest,
    published_async.CountDocumentsAsyncTest,
    published_async.CountDocumentsByFilterAsyncTest,
    published_async.CountUniqueMetadataByFilterAsyncTest,
    published_async.DeleteAllAsyncTest,
    published_async.DeleteByFilterAsyncTest,
    published_async.UpdateByFilterAsyncTest,
    published_async.WriteDocumentsAsyncTest,
    published_async.DeleteDocumentsAsyncTest,
    published_async.GetMetadataFieldsInfoAsyncTest,
    published_async.GetMetadataFieldMinMaxAsyncTest,
    published_async.GetMetadataFieldUniqueValuesAsyncTest,
    published_async.FilterDocumentsAsyncTest,
):
    """All that is published for stores; the two tests below it leaves to each store."""

    def test_write_documents(self, document_store):
        document = Document(content="test doc")
        assert document_store.write_documents([document]) == 1
        with pytest.raises(DuplicateDocumentError):
            document_store.write_documents([document])
        assert document_store.filter_documents() == [document]

    @pytest.mark.asyncio
    async def test_write_documents_async(self, document_store):
        document = Document(content="test doc")
        assert await document_store.write_documents_async([document]) == 1
        with pytest.raises(DuplicateDocumentError):
            await document_store.write_documents_async([document])
        assert await document_store.filter_documents_async() == [document]


class TestBroughtVectors(Whole):
    @pytest.fixture
    def document_store(self, tmp_path):
        return StlibDocumentStore("brought", embedding_dim=768, home=str(tmp_path))


class TestOwnVectors(Whole):
    """The same where the collection's model makes the vectors."""

    @pytest.fixture
    def document_store(self, tmp_path):
        return StlibDocumentStore("own", home=str(tmp_path))


ANIMALS = [
    Document(id="bee", content="Bees make honey.", meta={"legs": 6, "kind": "Insect"}, embedding=[1.0, 0.0]),
    Document(id="cat", content="Cats purr.", meta={"legs": 4, "kind": "mammal"}, embedding=[0.6, 0.8]),
    Document(id="dog", content="Dogs bark.", meta={"legs": 4, "kind": "Mammal"}, embedding=[-1.0, 0.0]),
    Document(id="eel", content="Eels swim.", meta={"legs": 0, "draft": True}),
]


def test_embeddings_find_what_is_nearest(tmp_path):
    store = StlibDocumentStore("animals", embedding_dim=2, home=str(tmp_path))
    store.write_documents(ANIMALS)
    retriever = StlibEmbeddingRetriever(store)
    found = retriever.run([0.0, 2.0])["documents"]
    assert [one.id for one in found] == ["cat", "bee", "dog"]  # what has no embedding is not among them
    assert [one.score for one in found] == pytest.approx([0.8, 0.0, 0.0], abs=1e-6)
    assert all(one.embedding is None for one in found)
    four = {"field": "meta.legs", "operator": "==", "value": 4}
    found = StlibEmbeddingRetriever(store, filters=four, return_embedding=True).run([1.0, 0.0], top_k=1)[
        "documents"
    ]
    assert [(one.id, one.embedding) for one in found] == [("cat", [0.6, 0.8])]
    assert [one.id for one in StlibTextRetriever(store).run("swim")["documents"]] == ["eel"]
    with pytest.raises(BadInput, match="made for 2"):
        store.write_documents([Document(content="x", embedding=[1.0])])


@pytest.mark.parametrize(
    "filters",
    [
        {"field": "meta.kind", "operator": "==", "value": "mammal"},
        {"field": "meta.kind", "operator": "!=", "value": "mammal"},
        {"field": "meta.kind", "operator": "in", "value": ["mammal", "insect"]},
        {"field": "meta.kind", "operator": "not in", "value": ["mammal"]},
        {"field": "meta.legs", "operator": ">=", "value": 4},
        {"field": "meta.legs", "operator": "==", "value": 0},
        {"field": "meta.draft", "operator": "==", "value": 1},
        {"field": "id", "operator": "==", "value": "cat"},
        {"operator": "OR", "conditions": [
            {"field": "meta.legs", "operator": "==", "value": 6},
            {"field": "meta.kind", "operator": "!=", "value": "Mammal"},
        ]},
        {"operator": "NOT", "conditions": [
            {"field": "meta.legs", "operator": "==", "value": 4},
            {"field": "meta.kind", "operator": "==", "value": "Mammal"},
        ]},
    ],
)  # fmt: skip
def test_filters_mean_what_they_mean_to_the_store_in_memory(tmp_path, filters):
    store, other = StlibDocumentStore("animals", home=str(tmp_path)), InMemoryDocumentStore()
    store.write_documents(ANIMALS)
    other.write_documents(ANIMALS)
    assert store.filter_documents(filters) == other.filter_documents(filters)
    expected = {one.id for one in other.filter_documents(filters)}
    found = StlibTextRetriever(store, mode="semantic").run("animals", filters=filters)["documents"]
    assert {one.id for one in found} == expected


def test_a_pipeline_writes_retrieves_and_is_loaded_again(tmp_path):
    store = StlibDocumentStore("animals", home=str(tmp_path))
    writing = Pipeline()
    writing.add_component("writer", DocumentWriter(store))
    assert writing.run({"writer": {"documents": ANIMALS}})["writer"]["documents_written"] == 4
    asking = Pipeline()
    asking.add_component("retriever", StlibTextRetriever(store, top_k=2))
    asking.add_component("nearest", StlibEmbeddingRetriever(store))
    trusted = ["indexing.frameworks.haystack.document_store", "indexing.frameworks.haystack.retrievers"]
    loaded = Pipeline.loads(asking.dumps(), allowed_modules=trusted)
    found = loaded.run(
        {
            "retriever": {"query": "which animal makes honey"},
            "nearest": {"query_embedding": [0.0] * 255 + [1]},
        }
    )
    assert [one.id for one in found["retriever"]["documents"]][:1] == ["bee"]
    assert len(found["nearest"]["documents"]) == 4


def test_what_a_collection_has_no_place_for_comes_back(tmp_path):
    store = StlibDocumentStore("odd", home=str(tmp_path))
    documents = [
        Document(id="1", content=None, blob=ByteStream(b"\x00\xff", meta={"a": 1}, mime_type="image/png")),
        Document(id="2", content="", sparse_embedding=SparseEmbedding([1, 7], [0.5, 0.25])),
        Document(id="3", content="text", meta={"nested": {"list": [1, None, "x"]}}, embedding=[0.1, 0.2]),
    ]
    store.write_documents(documents)
    assert StlibDocumentStore("odd", home=str(tmp_path)).filter_documents() == documents
    with pytest.raises(BadInput, match="'_haystack' in its meta is taken"):
        store.write_documents([Document(content="x", meta={"_haystack": 1})])
