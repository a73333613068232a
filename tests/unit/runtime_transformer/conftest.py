"""Folders of transformers whose vectors can be worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "green", "car", "fast"]
# The row of [CLS] and [SEP] is 0, so sums are those of the words; [PAD] would show at once.
ROWS = np.array(
    [[9, 9, 9], [1, 1, 1], [0, 0, 0], [0, 0, 0], [4, 8, 0], [0, 4, 4], [8, 0, 4], [1, 2, 3]], np.float32
)


def graph(
    inputs: dict[str, int] | None = None,
    output: str = "last_hidden_state",
    rows: np.ndarray = ROWS,
    nodes: list[onnx.NodeProto] | None = None,
    shape: tuple[Any, ...] = ("texts", "tokens", 3),
    kind: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    """A model that looks its token embeddings up in a table."""
    given = inputs or {"input_ids": TensorProto.INT64, "attention_mask": TensorProto.INT64}
    look_up = [helper.make_node("Gather", ["rows", "input_ids"], [output])]
    made = helper.make_graph(
        nodes or look_up,
        "look-up",
        [helper.make_tensor_value_info(name, type_, ("texts", "tokens")) for name, type_ in given.items()],
        [helper.make_tensor_value_info(output, kind, shape)],
        [numpy_helper.from_array(rows, "rows")],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def save_tokenizer(folder: Path) -> None:
    tokenizer = Tokenizer(WordPiece({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(folder / "tokenizer.json"))


def save_model(
    folder: Path,
    model: onnx.ModelProto | None = None,
    *,
    file: str = "onnx/model.onnx",
    kinds: tuple[str, ...] = ("Transformer", "Pooling"),
    config: dict[str, Any] | None = None,
) -> Path:
    """A pipeline whose vectors can be worked out by hand."""
    (folder / file).parent.mkdir(parents=True)
    onnx.save(model or graph(), folder / file)
    save_tokenizer(folder)
    write(folder / "config.json", {"hidden_size": 3, "max_position_embeddings": 12, "pad_token_id": 0})
    (folder / "1_Pooling").mkdir()
    write(folder / "1_Pooling" / "config.json", {"embedding_dimension": 3, "pooling_mode": "mean"})
    write(folder / "config_sentence_transformers.json", config or {})
    modules = [
        {
            "idx": i,
            "name": str(i),
            "path": f"{i}_{kind}" if i else "",
            "type": f"sentence_transformers.models.{kind}",
        }
        for i, kind in enumerate(kinds)
    ]
    write(folder / "modules.json", modules)
    return folder


def write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value))


def save_dense(folder: Path, name: str, config: dict[str, Any]) -> None:
    (folder / name).mkdir()
    write(folder / name / "config.json", {"in_features": 3, "out_features": 2, "bias": False, **config})
    save_file(
        {"linear.weight": np.array([[1, 0, 0], [0, -1, 1]], np.float32)}, folder / name / "model.safetensors"
    )


def save_router(
    folder: Path, types: dict[str, str], structure: dict[str, list[str]], **parameters: Any
) -> Path:
    save_model(folder, kinds=("Router",))
    save_dense(folder, "dense", {"activation_function": None})
    write(folder / "router_config.json", {"types": types, "structure": structure, "parameters": parameters})
    return folder


@pytest.fixture(scope="session")
def colours() -> SimpleNamespace:
    """What tests make their folders with."""
    return SimpleNamespace(
        rows=ROWS,
        graph=graph,
        write=write,
        save_model=save_model,
        save_dense=save_dense,
        save_router=save_router,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Words and colours of three dimensions, pooled by their mean."""
    return save_model(tmp_path / "colours")
