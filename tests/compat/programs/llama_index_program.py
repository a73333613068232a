"""An index of LlamaIndex: nodes are embedded, found and reranked."""

from llama_index.core import Document, VectorStoreIndex
from llama_index.core.postprocessor import SentenceTransformerRerank
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from texts import ALL, QUESTIONS


def run(model_folder, reranker_folder):
    model = HuggingFaceEmbedding(
        model_name=model_folder, device="cpu", query_instruction="query: ", embed_batch_size=4
    )
    index = VectorStoreIndex.from_documents([Document(text=text) for text in ALL], embed_model=model)
    retriever = index.as_retriever(similarity_top_k=5)
    reranker = SentenceTransformerRerank(model=reranker_folder, top_n=3, device="cpu")
    answers = {}
    for question in QUESTIONS:
        nodes = retriever.retrieve(question)
        found = [(node.text, node.score) for node in nodes]
        ranked = reranker.postprocess_nodes(nodes, query_str=question)
        answers[question] = {"found": found, "ranked": [(node.text, float(node.score)) for node in ranked]}
    return {
        "answers": answers,
        "query": model.get_query_embedding(QUESTIONS[0]),
        "texts": model.get_text_embedding_batch(ALL[:3]),
    }
