"""All modules a dense model is built from, resolved on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from stlib.older_paths import add_older_path

if TYPE_CHECKING:
    from stlib.base.modules.dense import Dense
    from stlib.base.modules.input_module import InputModule
    from stlib.base.modules.module import Module
    from stlib.base.modules.normalize import Normalize
    from stlib.base.modules.router import Asym, Router
    from stlib.base.modules.transformer import Transformer
    from stlib.sentence_transformer.modules.bow import BoW
    from stlib.sentence_transformer.modules.clip_model import CLIPModel
    from stlib.sentence_transformer.modules.cnn import CNN
    from stlib.sentence_transformer.modules.dropout import Dropout
    from stlib.sentence_transformer.modules.layer_norm import LayerNorm
    from stlib.sentence_transformer.modules.lstm import LSTM
    from stlib.sentence_transformer.modules.pooling import Pooling
    from stlib.sentence_transformer.modules.static_embedding import StaticEmbedding
    from stlib.sentence_transformer.modules.weighted_layer_pooling import WeightedLayerPooling
    from stlib.sentence_transformer.modules.word_embeddings import WordEmbeddings
    from stlib.sentence_transformer.modules.word_weights import WordWeights

_EXPORTS = {
    "Asym": "stlib.base.modules.router",
    "BoW": "stlib.sentence_transformer.modules.bow",
    "CLIPModel": "stlib.sentence_transformer.modules.clip_model",
    "CNN": "stlib.sentence_transformer.modules.cnn",
    "Dense": "stlib.base.modules.dense",
    "Dropout": "stlib.sentence_transformer.modules.dropout",
    "InputModule": "stlib.base.modules.input_module",
    "LSTM": "stlib.sentence_transformer.modules.lstm",
    "LayerNorm": "stlib.sentence_transformer.modules.layer_norm",
    "Module": "stlib.base.modules.module",
    "Normalize": "stlib.base.modules.normalize",
    "Pooling": "stlib.sentence_transformer.modules.pooling",
    "Router": "stlib.base.modules.router",
    "StaticEmbedding": "stlib.sentence_transformer.modules.static_embedding",
    "Transformer": "stlib.base.modules.transformer",
    "WeightedLayerPooling": "stlib.sentence_transformer.modules.weighted_layer_pooling",
    "WordEmbeddings": "stlib.sentence_transformer.modules.word_embeddings",
    "WordWeights": "stlib.sentence_transformer.modules.word_weights",
}

__all__ = [
    "CNN",
    "LSTM",
    "Asym",
    "BoW",
    "CLIPModel",
    "Dense",
    "Dropout",
    "InputModule",
    "LayerNorm",
    "Module",
    "Normalize",
    "Pooling",
    "Router",
    "StaticEmbedding",
    "Transformer",
    "WeightedLayerPooling",
    "WordEmbeddings",
    "WordWeights",
]

add_older_path(f"{__name__}.normalize", "stlib.base.modules.normalize")


def __getattr__(name: str) -> Any:
    if name == "tokenizer":
        return importlib.import_module(f"{__name__}.tokenizer")
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_EXPORTS[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "tokenizer"})
