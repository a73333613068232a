"""Embeddings and a vector store of LangChain."""

from langchain_core.vectorstores import InMemoryVectorStore
from langchain_huggingface import HuggingFaceEmbeddings
from texts import ALL, QUESTIONS


def run(model_folder, reranker_folder):
    embeddings = HuggingFaceEmbeddings(
        model_name=model_folder,
        model_kwargs={"device": "cpu"},
        encode_kwargs={"batch_size": 4},
        query_encode_kwargs={"prompt": "query: "},
    )
    store = InMemoryVectorStore.from_texts(ALL, embeddings)
    found = {
        question: [
            (document.page_content, score) for document, score in store.similarity_search_with_score(question)
        ]
        for question in QUESTIONS
    }
    return {
        "found": found,
        "documents": embeddings.embed_documents([*ALL[:2], "with\nbreaks of lines"]),
        "query": embeddings.embed_query(QUESTIONS[0]),
    }
