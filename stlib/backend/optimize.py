"""``export_optimized_onnx_model``: the levels O1 to O4."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stlib.backend.fuse import fuse_layers, rewrite_basic, to_half
from stlib.backend.onnx_model import OnnxModel
from stlib.backend.publish import save_or_push_to_hub_model
from stlib.errors import InvalidOption


@dataclass(frozen=True)
class Optimization:
    """What is done to a graph.

    Args:
        fuse: fuse the layers of transformers; else only simplify.
        fast_gelu: approximate GELU by tanh.
        half: 16-bit floats.
        for_gpu: the fused forms that GPUs run best.
    """

    fuse: bool = True
    fast_gelu: bool = False
    half: bool = False
    for_gpu: bool = False


LEVELS = {
    "O1": Optimization(fuse=False),
    "O2": Optimization(),
    "O3": Optimization(fast_gelu=True),
    "O4": Optimization(fast_gelu=True, half=True, for_gpu=True),
}


def export_optimized_onnx_model(
    model: Any,
    optimization_config: Any,
    model_name_or_path: str,
    push_to_hub: bool = False,
    create_pr: bool = False,
    file_suffix: str | None = None,
) -> None:
    """Write ``onnx/model_<suffix>.onnx``, a rewritten graph that computes the same in less time.

    Args:
        model: loaded with ``backend="onnx"``.
        optimization_config: ``"O1"`` simplifies, ``"O2"`` also fuses layers, ``"O3"`` also approximates GELU
            by tanh, ``"O4"`` is O3 in 16-bit floats and meant for GPUs; or an object or dict with Optimum's
            ``optimization_level``, ``enable_gelu_approximation``, ``fp16`` and ``optimize_for_gpu``.
        model_name_or_path: folder to write to, or repository id with ``push_to_hub``.
        push_to_hub: upload instead.
        create_pr: upload as a pull request.
        file_suffix: default: the level, or ``"optimized"``.

    Raises:
        InvalidOption: the model has another backend, or the level is unknown.
        MissingDependency: the packages of the extra ``onnx`` are missing.
    """
    source = onnx_model_of(model)
    settings = optimization_of(optimization_config)
    if file_suffix is None:
        file_suffix = optimization_config if isinstance(optimization_config, str) else "optimized"

    def write(folder: str) -> None:
        optimize_graph(source.path, Path(folder) / f"model_{file_suffix}.onnx", settings, source.config)

    save_or_push_to_hub_model(
        write,
        "export_optimized_onnx_model",
        optimization_config,
        model_name_or_path,
        push_to_hub,
        create_pr,
        file_suffix,
        "onnx",
        model,
    )


def optimize_graph(source: Path, target: Path, settings: Optimization, config: Any) -> None:
    """Write the optimised copy of a graph; the weights of a large one go into a file beside it."""
    if not settings.half:
        _rewrite(source, target, settings, config)
        return
    # Elsewhere, so that neither the graph in 32 bits nor weights beside it are left at the target.
    with tempfile.TemporaryDirectory() as work:
        single = Path(work) / target.name
        _rewrite(source, single, settings, config)
        to_half(single, target)


def _rewrite(source: Path, target: Path, settings: Optimization, config: Any) -> None:
    if settings.fuse:
        fuse_layers(source, target, config, settings.for_gpu, settings.fast_gelu)
    else:
        rewrite_basic(source, target)


def optimization_of(config: Any) -> Optimization:
    """Settings from a level's name, a dict, or an object with the attributes of Optimum's configuration.

    Raises:
        InvalidOption: the level is unknown or the object is no configuration.
    """
    if isinstance(config, Optimization):
        return config
    if isinstance(config, str):
        if config not in LEVELS:
            raise InvalidOption(f"optimization_config {config!r} is unknown; use one of: {', '.join(LEVELS)}")
        return LEVELS[config]
    values = config if isinstance(config, dict) else getattr(config, "__dict__", {})
    if "optimization_level" not in values:
        raise InvalidOption(
            "optimization_config must be one of: "
            f"{', '.join(LEVELS)}, or have an optimization_level (got {type(config).__name__})"
        )
    return Optimization(
        fuse=values["optimization_level"] > 1,
        fast_gelu=bool(values.get("enable_gelu_approximation")),
        half=bool(values.get("fp16")),
        for_gpu=bool(values.get("optimize_for_gpu")),
    )


def onnx_model_of(model: Any) -> OnnxModel:
    """The ONNX model inside a pipeline.

    Raises:
        InvalidOption: there is none.
    """
    inner = getattr(model, "transformers_model", None)
    if not isinstance(inner, OnnxModel):
        raise InvalidOption(
            "the model must be a transformer loaded with backend='onnx'; this one's backend is "
            f"{getattr(model, 'backend', None)!r}"
        )
    return inner
