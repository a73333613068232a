"""Writing the trained model as a folder: int8 rows, tokenizer, pipeline and configuration."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers import Tokenizer

_MODULES = [
    {
        "idx": 0,
        "name": "0",
        "path": "0_StaticEmbedding",
        "type": "stlib.sentence_transformer.modules.StaticEmbedding",
    },
    {"idx": 1, "name": "1", "path": "1_Normalize", "type": "stlib.sentence_transformer.modules.Normalize"},
]
_CONFIG = {
    "model_type": "SentenceTransformer",
    "prompts": {},
    "default_prompt_name": None,
    "similarity_fn_name": "cosine",
}


def quantize_rows(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Codes ``[V, d]`` and scales ``[V, 1]`` with ``weight ~ codes * scales``; a row's maximum is 127."""
    scale = np.abs(weight).max(axis=1, keepdims=True) / 127
    safe = np.where(scale > 0, scale, 1)
    return np.rint(weight / safe).astype(np.int8), scale.astype(np.float32)


def write_model(folder: Path, tokenizer: Tokenizer, weight: NDArray[np.float32]) -> None:
    """Write everything but the model card into ``folder``."""
    embedding = folder / "0_StaticEmbedding"
    embedding.mkdir(parents=True, exist_ok=True)
    (folder / "1_Normalize").mkdir(exist_ok=True)
    codes, scale = quantize_rows(weight)
    tensors = {"embedding.weight": codes, "embedding.scale": scale}
    save_file(tensors, embedding / "model.safetensors", metadata={"format": "np"})
    compact = json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, separators=(",", ":"))
    (embedding / "tokenizer.json").write_text(compact, encoding="utf-8")
    _write_json(folder / "modules.json", _MODULES)
    _write_json(folder / "config_sentence_transformers.json", _CONFIG)
    _write_json(folder / "1_Normalize" / "config.json", {})


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
