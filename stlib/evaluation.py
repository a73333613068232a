"""Documented short path of :mod:`stlib.sentence_transformer.evaluation`."""

from typing import TYPE_CHECKING, Any

from stlib.older_paths import add_older_path
from stlib.sentence_transformer import evaluation

if TYPE_CHECKING:
    from stlib.sentence_transformer.evaluation import *  # noqa: F403 - the names of __all__, for type checkers

__all__ = evaluation.__all__

add_older_path(
    "stlib.evaluation.BinaryClassificationEvaluator",
    "stlib.sentence_transformer.evaluation.binary_classification",
)
add_older_path(
    "stlib.evaluation.EmbeddingSimilarityEvaluator",
    "stlib.sentence_transformer.evaluation.embedding_similarity",
)
add_older_path(
    "stlib.evaluation.InformationRetrievalEvaluator",
    "stlib.sentence_transformer.evaluation.information_retrieval",
)
add_older_path(
    "stlib.evaluation.LabelAccuracyEvaluator", "stlib.sentence_transformer.evaluation.label_accuracy"
)
add_older_path("stlib.evaluation.MSEEvaluator", "stlib.sentence_transformer.evaluation.mse")
add_older_path("stlib.evaluation.NanoBEIREvaluator", "stlib.sentence_transformer.evaluation.nano_beir")
add_older_path(
    "stlib.evaluation.ParaphraseMiningEvaluator", "stlib.sentence_transformer.evaluation.paraphrase_mining"
)
add_older_path("stlib.evaluation.RerankingEvaluator", "stlib.sentence_transformer.evaluation.reranking")
add_older_path("stlib.evaluation.SentenceEvaluator", "stlib.base.evaluation.evaluator")
add_older_path("stlib.evaluation.SequentialEvaluator", "stlib.base.evaluation.sequential")
add_older_path("stlib.evaluation.SimilarityFunction", "stlib.util.similarity_function")
add_older_path("stlib.evaluation.TranslationEvaluator", "stlib.sentence_transformer.evaluation.translation")
add_older_path("stlib.evaluation.TripletEvaluator", "stlib.sentence_transformer.evaluation.triplet")


def __getattr__(name: str) -> Any:
    return getattr(evaluation, name)
