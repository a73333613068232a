"""A search pipeline of Haystack: documents and questions embedded, found, reranked and compared."""

from haystack import Document, Pipeline
from haystack.components.evaluators import SASEvaluator
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.utils import ComponentDevice
from haystack_integrations.components.embedders.sentence_transformers import (
    SentenceTransformersDocumentEmbedder,
    SentenceTransformersTextEmbedder,
)
from haystack_integrations.components.rankers.sentence_transformers import (
    SentenceTransformersSimilarityRanker,
)
from texts import ALL, QUESTIONS


def run(model_folder, reranker_folder):
    cpu = ComponentDevice.from_str("cpu")
    shared = {"device": cpu, "progress_bar": False}
    embedder = SentenceTransformersDocumentEmbedder(model=model_folder, **shared)
    embedder.warm_up()
    store = InMemoryDocumentStore(embedding_similarity_function="cosine")
    store.write_documents(embedder.run([Document(content=text) for text in ALL])["documents"])
    pipeline = Pipeline()
    pipeline.add_component(
        "embedder", SentenceTransformersTextEmbedder(model=model_folder, prefix="q: ", **shared)
    )
    pipeline.add_component("retriever", InMemoryEmbeddingRetriever(store, top_k=5))
    pipeline.add_component("ranker", SentenceTransformersSimilarityRanker(model=reranker_folder, device=cpu))
    pipeline.connect("embedder.embedding", "retriever.query_embedding")
    pipeline.connect("retriever.documents", "ranker.documents")
    answers = {}
    for question in QUESTIONS:
        data = {"embedder": {"text": question}, "ranker": {"query": question}}
        out = pipeline.run(data, include_outputs_from={"retriever", "embedder"})
        answers[question] = {
            "found": [[document.content, document.score] for document in out["retriever"]["documents"]],
            "ranked": [[document.content, document.score] for document in out["ranker"]["documents"]],
            "embedding": out["embedder"]["embedding"],
        }
    evaluator = SASEvaluator(model=model_folder, device=cpu)
    evaluator.warm_up()
    by_reranker = SASEvaluator(model=reranker_folder, device=cpu)
    by_reranker.warm_up()
    pairs = {"ground_truth_answers": QUESTIONS, "predicted_answers": ALL[:3]}
    return {"answers": answers, "similarity": evaluator.run(**pairs), "read": by_reranker.run(**pairs)}
