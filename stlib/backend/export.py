"""From a transformers model in torch to an ONNX file, checked against torch before anybody sees it."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stlib.backend.base import OUTPUTS
from stlib.errors import UnsupportedOption
from stlib.extras import require

logger = logging.getLogger(__name__)

OPSET = 17

# Largest difference between torch and the exported file, relative to the largest value.
_TOLERANCE = 1e-3

_AXES = {0: "batch_size", 1: "sequence_length"}


class _PlainModel(nn.Module):
    """Tensors in, one tensor out: what a graph can express."""

    def __init__(self, model: nn.Module, names: list[str]) -> None:
        super().__init__()
        self.model = model
        self.names = names

    def forward(self, *tensors: Tensor) -> Tensor:
        return self.model(**dict(zip(self.names, tensors, strict=True)))[0]


def export_onnx(model: Any, target: Path, task: str = "feature-extraction") -> None:
    """Write a text encoder as ONNX with free batch size and length.

    torch has two exporters. The one by tracing writes graphs that ONNX Runtime's optimiser knows; the one by
    ``torch.export`` is tried where tracing fails or gives wrong results.

    Args:
        model: a transformers model that takes token ids.
        target: the file to write; graphs beyond 2 GB keep their weights in files beside it.
        task: a key of :data:`stlib.backend.base.OUTPUTS`.

    Raises:
        UnsupportedOption: neither exporter writes a file that gives what torch gives.
        MissingDependency: the packages of the extra ``onnx`` are missing.
    """
    for package in ("onnx", "onnxruntime"):
        require(package, "onnx")
    names = input_names(model)
    plain = _PlainModel(model.eval(), names).eval()
    reasons = []
    for write in (_by_tracing, _by_torch_export):
        reason = _try(write, plain, target, OUTPUTS[task])
        if reason is None:
            return
        logger.info("%s did not export %s: %s", write.__name__, type(model).__name__, reason)
        reasons.append(reason)
    raise UnsupportedOption(
        f"{type(model).__name__} cannot be exported to ONNX ({'; '.join(reasons)}); use backend='torch'"
    )


def input_names(model: Any) -> list[str]:
    """Inputs that the exported graph takes: ids, mask, and segments if the model tells segments apart."""
    parameters = inspect.signature(model.forward).parameters
    names = [name for name in ("input_ids", "attention_mask") if name in parameters]
    if "token_type_ids" in parameters and (getattr(model.config, "type_vocab_size", 0) or 0) > 1:
        names.append("token_type_ids")
    if "input_ids" not in names:
        raise UnsupportedOption(
            f"{type(model).__name__} takes no token ids; only text encoders are exported, use backend='torch'"
        )
    return names


def example(names: list[str], config: Any, rows: int, length: int, seed: int = 0) -> dict[str, Tensor]:
    """Random inputs; the rows are of different lengths, padded at the end."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(5, _vocabulary(config), (rows, length), generator=generator)
    lengths = torch.linspace(length, max(1, length // 3), rows).long()
    mask = (torch.arange(length) < lengths[:, None]).long()
    padding = getattr(config, "pad_token_id", None) or 0
    values = {
        "input_ids": torch.where(mask.bool(), ids, padding),
        "attention_mask": mask,
        "token_type_ids": torch.zeros_like(ids),
    }
    return {name: values[name] for name in names}


def difference(expected: np.ndarray, values: np.ndarray, mask: np.ndarray) -> float:
    """Largest difference at tokens, relative to the largest expected value."""
    if expected.shape != values.shape:
        return float("inf")
    if expected.ndim == 3:
        expected, values = expected[mask != 0], values[mask != 0]
    return float(np.abs(expected - values).max() / max(np.abs(expected).max(), 1e-9))


def _vocabulary(config: Any) -> int:
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    return max(6, min(getattr(text, "vocab_size", 1000) or 1000, 1000))


def _try(write: Callable[..., None], plain: _PlainModel, target: Path, output: str) -> str | None:
    """Why an exporter did not do, or None if it did."""
    config = plain.model.config
    sample = tuple(example(plain.names, config, 2, 9).values())
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of the exporters, about their own workings
            write(plain, sample, target, output)
        worst = max(_error_of(plain, target, rows, length) for rows, length in ((1, 7), (3, 16)))
    except Exception as error:  # noqa: BLE001 - exporters and runtime raise types of their own in many places
        lines = str(error).strip().splitlines()
        return f"{type(error).__name__}: {lines[0] if lines else ''}"
    return None if worst <= _TOLERANCE else f"results differ from torch by {worst:.1e}"


def _error_of(plain: _PlainModel, target: Path, rows: int, length: int) -> float:
    ort = require("onnxruntime", "onnx")
    sample = example(plain.names, plain.model.config, rows, length, seed=length)
    session = ort.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    values = session.run(None, {name: value.numpy() for name, value in sample.items()})[0]
    with torch.no_grad():
        expected = plain(*sample.values()).numpy()
    return difference(expected, values, sample["attention_mask"].numpy())


def _by_tracing(plain: _PlainModel, sample: tuple[Tensor, ...], target: Path, output: str) -> None:
    axes = dict.fromkeys(plain.names, _AXES)
    axes[output] = _AXES if output == "last_hidden_state" or _is_per_token(plain, sample) else {0: _AXES[0]}
    torch.onnx.export(
        plain,
        sample,
        str(target),
        input_names=plain.names,
        output_names=[output],
        dynamic_axes=axes,
        opset_version=OPSET,
        dynamo=False,
    )


def _by_torch_export(plain: _PlainModel, sample: tuple[Tensor, ...], target: Path, output: str) -> None:
    require("onnxscript", "onnx")
    dimensions = {axis: torch.export.Dim(name) for axis, name in _AXES.items()}
    program: Any = torch.onnx.export(
        plain,
        sample,
        None,
        input_names=plain.names,
        output_names=[output],
        dynamic_shapes=(tuple(dimensions for _ in plain.names),),
        dynamo=True,
        verbose=False,
    )
    program.save(str(target))


def _is_per_token(plain: _PlainModel, sample: tuple[Tensor, ...]) -> bool:
    return plain(*sample).ndim == 3
