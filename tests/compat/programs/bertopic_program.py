"""Topics of texts by BERTopic, which knows a model by the text of its type; saved and loaded again."""

import tempfile

from bertopic import BERTopic
from sentence_transformers import SentenceTransformer
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from texts import ALL, QUESTIONS


def run(model_folder, reranker_folder):
    model = SentenceTransformer(model_folder, device="cpu")
    topics = BERTopic(
        embedding_model=model,
        umap_model=PCA(5, random_state=0),
        hdbscan_model=KMeans(3, n_init=10, random_state=0),
        min_topic_size=2,
    )
    found, _ = topics.fit_transform(ALL)
    searched, scores = topics.find_topics("music and singing", top_n=3)
    with tempfile.TemporaryDirectory() as folder:
        topics.save(folder, serialization="safetensors", save_embedding_model=False)
        loaded = BERTopic.load(folder, embedding_model=model)
        again, _ = loaded.transform(QUESTIONS)
    return {
        "the model itself": topics.embedding_model.embedding_model is model,
        "backend": type(topics.embedding_model).__name__,
        "topics": [int(topic) for topic in found],
        "words": {str(topic): topics.get_topic(topic)[:5] for topic in sorted(set(found))},
        "new texts": [int(topic) for topic in topics.transform(QUESTIONS)[0]],
        "searched": [int(topic) for topic in searched],
        "scores": [float(score) for score in scores],
        "after loading": [int(topic) for topic in again],
        "topic embeddings": topics.topic_embeddings_.tolist(),
    }
