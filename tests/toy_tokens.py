"""Models of late interaction of which scores can be computed by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

__all__ = ["ToyTokens", "maxsim", "save_letters", "vectors_of"]

DIMENSION = 16


class ToyTokens:
    """`TokenEncoderProtocol` in which each word has a vector of its own, the same wherever it stands.

    `encoded` are the passages it was given.
    """

    name = "toy-tokens"
    dimension = DIMENSION

    def __init__(self, fingerprint: str = "f1") -> None:
        self.fingerprint = fingerprint
        self.encoded: list[str] = []

    def encode_query(self, texts: Sequence[str]) -> list[np.ndarray]:
        return [vectors_of(text) for text in texts]

    def encode_document(self, texts: Sequence[str]) -> list[np.ndarray]:
        self.encoded += texts
        return [vectors_of(text) for text in texts]


def vectors_of(text: str) -> np.ndarray:
    """float32 [words, d] of length 1."""
    words = [word.strip(".;,").lower() for word in text.split()]
    rows = [np.random.default_rng([ord(letter) for letter in word]).normal(size=DIMENSION) for word in words]
    vectors = np.asarray(rows, np.float32).reshape(-1, DIMENSION)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def maxsim(question: str, text: str) -> float:
    """How well a text answers by their vectors as they are."""
    return float((vectors_of(question) @ vectors_of(text).T).max(axis=1).sum())


def save_letters(folder: Path, seed: int = 0) -> Path:
    """A folder that `TokenRuntimeEncoder` loads, of a token a letter, each with a vector of its own."""
    letters = [chr(ord("a") + place) for place in range(26)]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{letter}" for letter in letters)]
    (folder / "onnx").mkdir(parents=True)
    onnx.save(_look_up(np.random.default_rng(seed).normal(size=(len(words), 8))), folder / "onnx/model.onnx")
    tokenizer = Tokenizer(WordPiece({word: at for at, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"hidden_size": 8, "max_position_embeddings": 512, "pad_token_id": 0}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def _look_up(rows: np.ndarray) -> onnx.ModelProto:
    names = ("input_ids", "attention_mask")
    made = helper.make_graph(
        [helper.make_node("Gather", ["rows", "input_ids"], ["last_hidden_state"])],
        "look-up",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ("texts", "tokens")) for name in names],
        [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ("texts", "tokens", 8))],
        [numpy_helper.from_array(rows.astype(np.float32), "rows")],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
