"""Keywords of texts by KeyBERT, which knows a model by the text of its type."""

from keybert import KeyBERT
from sentence_transformers import SentenceTransformer
from texts import ALL


def run(model_folder, reranker_folder):
    model = SentenceTransformer(model_folder, device="cpu")
    keywords = KeyBERT(model=model)
    by_path = KeyBERT(model=model_folder)
    documents = [" ".join(ALL[at : at + 4]) for at in range(0, len(ALL), 4)]
    return {
        "the model itself": keywords.model.embedding_model is model,
        "backend": type(keywords.model).__name__,
        "keywords": keywords.extract_keywords(documents, keyphrase_ngram_range=(1, 2), top_n=4),
        "diverse": keywords.extract_keywords(documents[0], use_mmr=True, diversity=0.6, top_n=5),
        "spread": keywords.extract_keywords(documents[1], use_maxsum=True, nr_candidates=8, top_n=3),
        "by path": by_path.extract_keywords(documents[2], top_n=3),
        "embeddings": [part.tolist() for part in keywords.extract_embeddings(documents[:2])],
    }
