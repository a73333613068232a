"""Evaluators of dense models."""

from stlib.base.evaluation.evaluator import BaseEvaluator, SentenceEvaluator
from stlib.base.evaluation.sequential import SequentialEvaluator
from stlib.sentence_transformer.evaluation.binary_classification import BinaryClassificationEvaluator
from stlib.sentence_transformer.evaluation.embedding_similarity import EmbeddingSimilarityEvaluator
from stlib.sentence_transformer.evaluation.information_retrieval import InformationRetrievalEvaluator
from stlib.sentence_transformer.evaluation.label_accuracy import LabelAccuracyEvaluator
from stlib.sentence_transformer.evaluation.mse import MSEEvaluator
from stlib.sentence_transformer.evaluation.mse_from_dataframe import MSEEvaluatorFromDataFrame
from stlib.sentence_transformer.evaluation.nano_beir import NanoBEIREvaluator
from stlib.sentence_transformer.evaluation.paraphrase_mining import ParaphraseMiningEvaluator
from stlib.sentence_transformer.evaluation.reranking import RerankingEvaluator
from stlib.sentence_transformer.evaluation.translation import TranslationEvaluator
from stlib.sentence_transformer.evaluation.triplet import TripletEvaluator
from stlib.util.similarity_function import SimilarityFunction

__all__ = [
    "BaseEvaluator",
    "BinaryClassificationEvaluator",
    "EmbeddingSimilarityEvaluator",
    "InformationRetrievalEvaluator",
    "LabelAccuracyEvaluator",
    "MSEEvaluator",
    "MSEEvaluatorFromDataFrame",
    "NanoBEIREvaluator",
    "ParaphraseMiningEvaluator",
    "RerankingEvaluator",
    "SentenceEvaluator",
    "SequentialEvaluator",
    "SimilarityFunction",
    "TranslationEvaluator",
    "TripletEvaluator",
]
