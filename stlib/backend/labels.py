"""How many labels an exported classifier has, and a configuration for one that comes without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from stlib.backend.onnx_model import OnnxModel
from stlib.errors import InvalidOption, ModelConfigError

# Concern how files are read, and are no part of a configuration.
_OF_LOADING = ("trust_remote_code", "num_labels")


def config_without_file(config_kwargs: dict[str, Any]) -> Any:
    """A configuration of no architecture, for a graph whose folder has none.

    Its ``model_type`` is ``""``, and :func:`set_labels` completes it.
    """
    from transformers import PretrainedConfig

    return PretrainedConfig(**{k: v for k, v in config_kwargs.items() if k not in _OF_LOADING})


def set_labels(model: OnnxModel, wanted: int | None) -> None:
    """Give the configuration of a model without ``config.json`` as many labels as its graph has scores.

    Args:
        model: a classifier.
        wanted: what the caller expects, or None.

    Raises:
        ModelConfigError: the graph gives something else than scores per pair.
        InvalidOption: it gives another number of scores than is wanted.
    """
    found = _labels_of(model.path, model.output_shape)
    if found is None:
        found = _labels_of(model.path, list(_run_once(model).shape)) or 1
    if wanted is not None and wanted != found:
        raise _labels_error(model.path, found, wanted)
    model.config.num_labels = found


def check_labels(model: OnnxModel, wanted: int | None) -> None:
    """Raise if graph and configuration of a classifier differ in the number of labels.

    Raises:
        InvalidOption: the graph gives another number of scores than the caller wants.
        ModelConfigError: the same for ``config.json``, or the graph gives something else than scores.
    """
    found, named = _labels_of(model.path, model.output_shape), model.config.num_labels
    if found is None or found == named:
        return
    if wanted is not None:
        raise _labels_error(model.path, found, wanted)
    raise ModelConfigError(
        f"{model.path} gives {found} scores per pair, but config.json names {named} labels; one of the files "
        "is of another model: export or download it again"
    )


def _labels_error(path: Path, found: int, wanted: int) -> InvalidOption:
    return InvalidOption(
        f"{path} gives {found} scores per pair, which num_labels={wanted} cannot change; leave num_labels "
        "out, or choose another file with model_kwargs={'file_name': …}"
    )


def _labels_of(path: Path, shape: list[Any]) -> int | None:
    """Scores per pair by the shape of the output, ``[n, labels]`` or ``[n]``; None if it does not tell."""
    if len(shape) > 2:
        raise ModelConfigError(
            f"{path} gives {len(shape)} dimensions, as embedding models do; a cross-encoder gives scores "
            "[pairs, labels]: load embedding models with SentenceTransformer"
        )
    if len(shape) == 1:
        return 1
    return shape[1] if shape and isinstance(shape[1], int) else None


def _run_once(model: OnnxModel) -> np.ndarray:
    """The result for two tokens, or as many as the graph insists on."""
    fixed = {value.name: value.shape for value in model.session.get_inputs()}["input_ids"]
    rows, tokens = (
        size if isinstance(size, int) else least for size, least in zip(fixed, (1, 2), strict=True)
    )
    ids = np.zeros((rows, tokens), np.int64)
    values = {"attention_mask": np.ones_like(ids), "position_ids": np.arange(tokens) + ids}
    return model.run({name: values.get(name, ids) for name in model.input_names})
