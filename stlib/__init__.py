"""Text to vectors: a drop-in for the documented Sentence Transformers API.

Importing this package loads no torch, no transformers and no numpy. Every public name is resolved on first
use, so ``import stlib`` costs milliseconds and a program pays only for the parts it calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stlib.needs import import_for
from stlib.older_paths import add_older_path

if TYPE_CHECKING:
    from stlib.backend import (
        export_dynamic_quantized_onnx_model,
        export_optimized_onnx_model,
        export_static_quantized_openvino_model,
    )
    from stlib.base.sampler import DefaultBatchSampler, MultiDatasetDefaultBatchSampler
    from stlib.cross_encoder.model import CrossEncoder
    from stlib.cross_encoder.model_card import CrossEncoderModelCardData
    from stlib.cross_encoder.trainer import CrossEncoderTrainer
    from stlib.cross_encoder.training_args import CrossEncoderTrainingArguments
    from stlib.multi_vector_encoder.model import MultiVectorEncoder
    from stlib.multi_vector_encoder.model_card import MultiVectorEncoderModelCardData
    from stlib.multi_vector_encoder.trainer import MultiVectorEncoderTrainer
    from stlib.multi_vector_encoder.training_args import MultiVectorEncoderTrainingArguments
    from stlib.sentence_transformer.datasets.parallel_sentences import ParallelSentencesDataset
    from stlib.sentence_transformer.datasets.sentences import SentencesDataset
    from stlib.sentence_transformer.model import SentenceTransformer
    from stlib.sentence_transformer.model_card import SentenceTransformerModelCardData
    from stlib.sentence_transformer.readers.input_example import InputExample
    from stlib.sentence_transformer.trainer import SentenceTransformerTrainer
    from stlib.sentence_transformer.training_args import SentenceTransformerTrainingArguments
    from stlib.sparse_encoder.model import SparseEncoder
    from stlib.sparse_encoder.model_card import SparseEncoderModelCardData
    from stlib.sparse_encoder.trainer import SparseEncoderTrainer
    from stlib.sparse_encoder.training_args import SparseEncoderTrainingArguments
    from stlib.util.dataset import resolve_ids
    from stlib.util.hard_negatives import mine_hard_negatives
    from stlib.util.logging import LoggingHandler
    from stlib.util.quantization import quantize_embeddings
    from stlib.util.similarity_function import SimilarityFunction

__version__ = "0.1.0"

__all__ = [
    "CrossEncoder",
    "CrossEncoderModelCardData",
    "CrossEncoderTrainer",
    "CrossEncoderTrainingArguments",
    "DefaultBatchSampler",
    "InputExample",
    "LoggingHandler",
    "MultiDatasetDefaultBatchSampler",
    "MultiVectorEncoder",
    "MultiVectorEncoderModelCardData",
    "MultiVectorEncoderTrainer",
    "MultiVectorEncoderTrainingArguments",
    "ParallelSentencesDataset",
    "SentenceTransformer",
    "SentenceTransformerModelCardData",
    "SentenceTransformerTrainer",
    "SentenceTransformerTrainingArguments",
    "SentencesDataset",
    "SimilarityFunction",
    "SparseEncoder",
    "SparseEncoderModelCardData",
    "SparseEncoderTrainer",
    "SparseEncoderTrainingArguments",
    "__version__",
    "export_dynamic_quantized_onnx_model",
    "export_optimized_onnx_model",
    "export_static_quantized_openvino_model",
    "mine_hard_negatives",
    "quantize_embeddings",
    "resolve_ids",
]

# Public name -> module that defines it.
_EXPORTS = {
    "CrossEncoderTrainer": "stlib.cross_encoder.trainer",
    "CrossEncoderTrainingArguments": "stlib.cross_encoder.training_args",
    "CrossEncoder": "stlib.cross_encoder.model",
    "CrossEncoderModelCardData": "stlib.cross_encoder.model_card",
    "DefaultBatchSampler": "stlib.base.sampler",
    "MultiDatasetDefaultBatchSampler": "stlib.base.sampler",
    "MultiVectorEncoder": "stlib.multi_vector_encoder.model",
    "MultiVectorEncoderModelCardData": "stlib.multi_vector_encoder.model_card",
    "MultiVectorEncoderTrainer": "stlib.multi_vector_encoder.trainer",
    "MultiVectorEncoderTrainingArguments": "stlib.multi_vector_encoder.training_args",
    "InputExample": "stlib.sentence_transformer.readers.input_example",
    "ParallelSentencesDataset": "stlib.sentence_transformer.datasets.parallel_sentences",
    "SentencesDataset": "stlib.sentence_transformer.datasets.sentences",
    "SentenceTransformerTrainer": "stlib.sentence_transformer.trainer",
    "SentenceTransformerTrainingArguments": "stlib.sentence_transformer.training_args",
    "mine_hard_negatives": "stlib.util.hard_negatives",
    "resolve_ids": "stlib.util.dataset",
    "LoggingHandler": "stlib.util.logging",
    "SentenceTransformer": "stlib.sentence_transformer.model",
    "SentenceTransformerModelCardData": "stlib.sentence_transformer.model_card",
    "SimilarityFunction": "stlib.util.similarity_function",
    "SparseEncoder": "stlib.sparse_encoder.model",
    "SparseEncoderModelCardData": "stlib.sparse_encoder.model_card",
    "SparseEncoderTrainer": "stlib.sparse_encoder.trainer",
    "SparseEncoderTrainingArguments": "stlib.sparse_encoder.training_args",
    "export_dynamic_quantized_onnx_model": "stlib.backend",
    "export_optimized_onnx_model": "stlib.backend",
    "export_static_quantized_openvino_model": "stlib.backend",
    "quantize_embeddings": "stlib.util.quantization",
}

# Submodules that scripts reach as attributes (``stlib.util.cos_sim``) after a plain ``import stlib``.
_SUBMODULES = frozenset(
    {
        "backend",
        "data_collator",
        "datasets",
        "losses",
        "readers",
        "recipes",
        "sampler",
        "trainer",
        "training_args",
        "base",
        "compat",
        "cross_encoder",
        "errors",
        "evaluation",
        "model_card",
        "models",
        "multi_vector_encoder",
        "peft_mixin",
        "quantization",
        "runtime",
        "sentence_transformer",
        "similarity_functions",
        "sparse_encoder",
        "util",
    }
)

add_older_path("stlib.SentenceTransformer", "stlib.sentence_transformer.model")
add_older_path("stlib.LoggingHandler", "stlib.util.logging")
add_older_path("stlib.data_collator", "stlib.sentence_transformer.data_collator")
add_older_path("stlib.sampler", "stlib.base.sampler")
add_older_path("stlib.trainer", "stlib.sentence_transformer.trainer")
add_older_path("stlib.training_args", "stlib.sentence_transformer.training_args")
add_older_path("stlib.model_card", "stlib.sentence_transformer.model_card")
add_older_path("stlib.peft_mixin", "stlib.base.peft_mixin")


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        value = getattr(import_for(name, _EXPORTS[name]), name)
    elif name in _SUBMODULES:
        value = import_for(f"stlib.{name}", f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES})
