"""The trained model as a folder: documents by the network, queries by the table, matrices as int8."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

# Below the logit of any state: a word with this bias never fires, and the runtime leaves its row out.
NEVER = -10_000.0
DOCUMENT, QUERY = "document_0_MLMTransformer", "query_0_SparseStaticEmbedding"


def silence(model: Any, live: NDArray[np.int64]) -> None:
    """Words outside of ``live`` never fire."""
    dead = np.setdiff1d(np.arange(model.config.vocab_size), live)
    with torch.no_grad():
        model.cls.predictions.bias[torch.from_numpy(dead)] = NEVER


def go_half_way(model: Any, start: Any) -> None:
    """Each weight of ``model`` becomes the mean of it and that of ``start``, as of Wortsman et al., "Robust
    fine-tuning of zero-shot models" (arXiv:2109.01903).
    """
    with torch.no_grad():
        for own, other in zip(model.parameters(), start.parameters(), strict=True):
            own.lerp_(other, 0.5)


def write_model(model: Any, tokenizer_folder: Path, table: NDArray[np.float32], output: Path) -> None:
    """Write everything but the model card into ``output``.

    Args:
        model: ``BertForMaskedLM``.
        tokenizer_folder: holds ``tokenizer.json`` and ``tokenizer_config.json``.
        table: weights of queries, float32 ``[vocabulary]``.
    """
    from stlib import SparseEncoder
    from stlib.base.modules import Router, Transformer
    from stlib.sparse_encoder.modules import SparseStaticEmbedding, SpladePooling

    with tempfile.TemporaryDirectory() as scratch:
        plain, saved = Path(scratch) / "plain", Path(scratch) / "saved"
        model.save_pretrained(plain)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(tokenizer_folder / name, plain / name)
        network = Transformer(str(plain), transformer_task="fill-mask")
        queries = SparseStaticEmbedding(network.tokenizer, weight=torch.from_numpy(table), frozen=True)
        router = Router.for_query_document([queries], [network, SpladePooling()])
        SparseEncoder(modules=[router], device="cpu").save(str(saved))
        for path in saved.rglob("*.safetensors"):
            save_file(quantise(load_file(path)), path, metadata={"format": "pt"})
            path.chmod(0o644)
        for path in saved.rglob("tokenizer.json"):  # half of it is white space
            path.write_text(json.dumps(json.loads(path.read_text("utf-8")), ensure_ascii=False), "utf-8")
        card = output / "README.md"
        text = card.read_text("utf-8") if card.is_file() else None
        shutil.rmtree(output, ignore_errors=True)
        shutil.copytree(saved, output)
        if text is not None:
            card.write_text(text, "utf-8")


def quantise(tensors: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Matrices as int8 with a scale for each row, everything else as it is."""
    coded = {}
    for name, values in tensors.items():
        if values.ndim == 2 and name.endswith(".weight"):
            scale = np.abs(values).max(axis=1, keepdims=True).clip(1e-8) / 127
            coded[name] = np.rint(values / scale).astype(np.int8)
            coded[f"{name.removesuffix('.weight')}.scale"] = scale.astype(np.float32)
        else:
            coded[name] = values
    return coded
