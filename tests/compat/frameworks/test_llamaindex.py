"""LlamaIndex publishes no tests for vector stores: here collections answer as its simple store does, and its
index, retriever and pipeline run on them.
"""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from llama_index.core import Document, MockEmbedding, StorageContext, VectorStoreIndex
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.schema import ImageNode, NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores import MetadataFilters, SimpleVectorStore, VectorStoreQuery
from llama_index.core.vector_stores.types import VectorStoreQueryMode

from indexing import Collection
from indexing.errors import BadInput
from indexing.frameworks.llamaindex import StlibEmbedding, StlibRetriever, StlibVectorStore

KINDS = ["Insect", "mammal", "Mammal", "fish"]


def make_nodes(count=40, dimension=16):
    draw = np.random.default_rng(7)
    return [
        TextNode(
            id_=f"n{number:02}",
            text=f"Animal number {number} of kind {KINDS[number % 4]}.",
            metadata={
                "kind": KINDS[number % 4],
                "legs": number % 7,
                "tags": [KINDS[number % 4], f"{number % 3}"],
            },
            embedding=draw.normal(size=dimension).tolist(),
            relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=f"doc{number % 3}")},
        )
        for number in range(count)
    ]


@pytest.fixture
def stores(tmp_path):
    """Ours and theirs, with the same nodes."""
    ours, theirs = StlibVectorStore("nodes", home=tmp_path), SimpleVectorStore()
    assert ours.add(make_nodes()) == theirs.add(make_nodes())
    return ours, theirs


def filters(*given, condition="and"):
    return MetadataFilters.from_dicts(
        [{"key": key, "operator": operator, "value": value} for key, operator, value in given],
        condition=condition,
    )


FILTERS = [
    None,
    filters(("kind", "==", "mammal")),
    filters(("kind", "!=", "mammal")),
    filters(("kind", "in", ["mammal", "insect"])),
    filters(("kind", "nin", ["mammal"])),
    filters(("legs", ">", 3), ("legs", "<=", 5)),
    filters(("legs", "==", 1)),
    filters(("tags", "contains", "fish")),
    filters(("tags", "any", ["fish", "2"])),
    filters(("tags", "all", ["fish", "2"])),
    filters(("kind", "text_match_insensitive", "MAM")),
    filters(("none", "is_empty", None)),
    filters(("legs", "==", 6), ("kind", "==", "fish"), condition="or"),
    filters(("legs", "==", 6), ("kind", "!=", "fish"), condition="or"),
    filters(("kind", "==", "Mammal"), ("legs", ">", 2), condition="not"),
    filters(("kind", "==", "no kind at all")),
    filters(("ref_doc_id", "==", "doc1")),
]


@pytest.mark.parametrize("filters", FILTERS, ids=range(len(FILTERS)))
def test_answers_are_those_of_the_simple_store(stores, filters):
    ours, theirs = stores
    draw = np.random.default_rng(1)
    for k in (1, 5, 100):
        query = VectorStoreQuery(draw.normal(size=16).tolist(), similarity_top_k=k, filters=filters)
        found, expected = ours.query(query), theirs.query(query)
        assert found.ids == expected.ids
        assert found.similarities == pytest.approx(expected.similarities, abs=1e-5)
        assert [node.node_id for node in found.nodes] == found.ids


def test_nodes_come_back_as_they_were(stores):
    ours, _ = stores
    expected = [node.model_copy(update={"embedding": None}) for node in make_nodes()]
    assert ours.get_nodes() == expected
    assert ours.get_nodes(["n03", "n01", "none"]) == [expected[1], expected[3]]
    assert [node.node_id for node in ours.get_nodes(filters=FILTERS[5])] == [
        f"n{number:02}" for number in range(40) if number % 7 in (4, 5)
    ]
    found = ours.query(VectorStoreQuery(make_nodes()[4].embedding, similarity_top_k=1)).nodes
    assert found == [expected[4]]


def test_filters_may_stand_in_filters(stores):
    ours, _ = stores
    nested = MetadataFilters(filters=[FILTERS[1], FILTERS[6]], condition="or")
    found = {node.node_id for node in ours.get_nodes(filters=nested)}
    assert found == {f"n{number:02}" for number in range(40) if number % 4 == 1 or number % 7 == 1}


def test_deleting_takes_what_is_named_and_nothing_else(stores):
    ours, _ = stores
    ours.add([make_nodes()[0].model_copy(update={"id_": "DOC", "relationships": {}})])
    ours.delete("doc1")
    assert {node.ref_doc_id for node in ours.get_nodes()} == {"doc0", "doc2", None}
    ours.delete("DOC2")
    assert {node.ref_doc_id for node in ours.get_nodes()} == {"doc0", "doc2", None}
    ours.delete_nodes(["n00", "none"])
    ours.delete_nodes(filters=FILTERS[2])
    assert {node.metadata["kind"] for node in ours.get_nodes()} == {"mammal"}
    ours.clear()
    assert ours.get_nodes() == []
    assert ours.query(VectorStoreQuery([1.0] * 16, similarity_top_k=3)).ids == []


def test_modes_of_queries(stores):
    ours, theirs = stores
    vector = make_nodes()[9].embedding

    def ask(mode, **given):
        return ours.query(
            VectorStoreQuery(vector, similarity_top_k=3, mode=VectorStoreQueryMode(mode), **given)
        )

    assert ask("text_search", query_str="number 31").ids[0] == "n31"
    hybrid = ours.client.search("number 31", 3, vector=vector)
    assert ask("hybrid", query_str="number 31").ids == [one.id for one in hybrid]
    expected = theirs.query(
        VectorStoreQuery(vector, similarity_top_k=3, mode=VectorStoreQueryMode.MMR), mmr_threshold=0.9
    )
    found = ours.query(
        VectorStoreQuery(vector, similarity_top_k=3, mode=VectorStoreQueryMode.MMR), mmr_threshold=0.9
    )
    assert found.ids[0] == expected.ids[0] == "n09"
    assert len(set(found.ids)) == 3
    with pytest.raises(BadInput, match="query mode 'svm': use one of default, mmr"):
        ask("svm")
    with pytest.raises(BadInput, match="needs query_str"):
        ask("text_search")
    assert ask("default", node_ids=["n01", "n02"]).ids in (["n01", "n02"], ["n02", "n01"])
    assert set(ask("default", doc_ids=["doc1"]).ids) <= {f"n{number:02}" for number in range(1, 40, 3)}


def test_an_index_runs_on_a_collection(tmp_path):
    documents = [
        Document(text="Bees make honey from flowers.", id_="bee"),
        Document(text="Cats purr.", id_="cat"),
    ]
    store = StlibVectorStore("index", home=tmp_path)
    storage = StorageContext.from_defaults(vector_store=store)
    VectorStoreIndex.from_documents(documents, storage_context=storage, embed_model=StlibEmbedding())
    # another program
    index = VectorStoreIndex.from_vector_store(
        StlibVectorStore("index", home=tmp_path), embed_model=StlibEmbedding()
    )
    [best] = index.as_retriever(similarity_top_k=1).retrieve("which animal makes honey")
    assert (best.node.ref_doc_id, best.text) == ("bee", documents[0].text)
    [other] = asyncio.run(index.as_retriever(similarity_top_k=1).aretrieve("which animal makes honey"))
    assert (other.node_id, other.score) == (best.node_id, pytest.approx(best.score))
    index.delete_ref_doc("bee")
    assert [one.node.ref_doc_id for one in index.as_retriever().retrieve("honey")] == ["cat"]


def test_the_collection_makes_vectors_where_it_is_told_to(tmp_path):
    documents = [
        Document(text="Bees make honey from flowers.", id_="bee"),
        Document(text="Cats purr.", id_="cat"),
    ]
    store = StlibVectorStore("own", own_vectors=True, home=tmp_path)
    index = VectorStoreIndex.from_documents(
        documents,
        storage_context=StorageContext.from_defaults(vector_store=store),
        embed_model=MockEmbedding(embed_dim=3),
    )
    found = index.as_retriever(similarity_top_k=2).retrieve("which animal makes honey")
    expected = store.client.search("which animal makes honey", 2, mode="semantic")
    assert [one.node_id for one in found] == [one.id for one in expected]
    assert [one.score for one in found] == pytest.approx([one.parts["semantic"] for one in expected])
    retriever = StlibRetriever(store.client, 1)
    assert retriever.retrieve("which animal makes honey")[0].node.ref_doc_id == "bee"
    with pytest.raises(BadInput, match="makes its vectors itself"):
        StlibVectorStore("own", home=tmp_path).add(make_nodes())


def test_a_pipeline_fills_a_store(tmp_path):
    store = StlibVectorStore("pipeline", home=tmp_path)
    pipeline = IngestionPipeline(transformations=[StlibEmbedding()], vector_store=store)
    pipeline.run(documents=[Document(text="Bees make honey.", id_="bee")])
    assert [node.text for node in store.get_nodes()] == ["Bees make honey."]


def test_any_collection_has_a_retriever(tmp_path):
    long = "Nothing of interest stands here. " * 200 + "Bees make honey from flowers. " + "Or here. " * 200
    with Collection.create("docs", home=tmp_path) as collection:
        collection.add([{"id": "long", "title": "On animals", "text": long, "metadata": {"lang": "en"}}])
        retriever = StlibRetriever(collection, filter="lang = 'en'", mode="semantic")
        [found] = retriever.retrieve("bees and honey")
        assert "Bees make honey" in found.text and len(found.text) < len(long) / 2
        assert found.text == long[found.node.start_char_idx : found.node.end_char_idx]
        assert found.metadata == {"title": "On animals", "lang": "en"}
        assert StlibRetriever(collection, filter="lang = 'de'").retrieve("bees and honey") == []


def test_nodes_without_a_text_are_kept(tmp_path):
    store = StlibVectorStore("images", home=tmp_path)
    image = ImageNode(id_="image", image_url="https://example.org/a.png", embedding=[1.0, 0.0])
    store.add([image])
    [found] = store.query(VectorStoreQuery([1.0, 0.0])).nodes
    assert (found.image_url, found.text, type(found)) == (image.image_url, "", ImageNode)
