"""Load a model's folder with another engine than torch; export first where there is nothing to load."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from stlib.backend.base import OUTPUTS, BackendModel
from stlib.backend.export import export_onnx
from stlib.backend.files import ONNX, OPENVINO, Format, choose_file, take
from stlib.backend.labels import check_labels, config_without_file, set_labels
from stlib.backend.onnx_model import OnnxModel
from stlib.backend.openvino_model import OpenVINOModel, convert_to_openvino
from stlib.backend.temporary import TemporaryFolder
from stlib.base.adapters import is_adapter_folder
from stlib.base.transformer import files as transformer_files
from stlib.errors import InvalidOption, MissingModelFile, UnsupportedOption
from stlib.extras import require
from stlib.util.file_io import resolve_model_folder

_ONNX_OPTIONS = ("provider", "provider_options", "session_options")
_OPENVINO_OPTIONS = ("device", "ov_config")
_HUB_OPTIONS = {"token": "token", "cache_dir": "cache_folder", "revision": "revision"}


def load_backend_model(
    folder: str | Path,
    backend: str,
    model_kwargs: dict[str, Any] | None = None,
    config_kwargs: dict[str, Any] | None = None,
    task: str = "feature-extraction",
    config: Any = None,
) -> BackendModel:
    """The model of a folder, run by ONNX Runtime or OpenVINO.

    Args:
        folder: holds ``config.json`` and an exported file or torch weights; for classifiers, an ONNX file
            alone will do, which tells its number of labels itself.
        backend: ``"onnx"`` or ``"openvino"``.
        model_kwargs: ``file_name``, ``subfolder`` and ``export`` (see :func:`choose_file`); for ONNX
            ``provider``, ``provider_options`` and ``session_options``; for OpenVINO ``device`` and
            ``ov_config``; the rest is for torch's model, in case that is exported.
        config_kwargs: for ``AutoConfig.from_pretrained``.
        task: ``"feature-extraction"``, ``"fill-mask"`` or ``"sequence-classification"``.
        config: a configuration that is loaded already.

    Raises:
        InvalidOption: unknown backend or option, or another number of labels than the ONNX file has.
        UnsupportedOption: the task or architecture cannot be exported.
        MissingModelFile, ModelConfigError: the files are missing or damaged.
        MissingDependency: the packages of the backend are not installed.
    """
    if backend not in ("onnx", "openvino"):
        raise InvalidOption(f"backend {backend!r} is unknown; use 'torch', 'onnx' or 'openvino'")
    if task not in OUTPUTS:
        raise UnsupportedOption(f"backend={backend!r} serves the tasks {', '.join(OUTPUTS)}, not {task!r}")
    require("onnxruntime" if backend == "onnx" else "openvino", backend)
    folder, options = Path(folder), dict(model_kwargs or {})
    if is_adapter_folder(folder):
        raise UnsupportedOption(
            f"{str(folder)!r} holds an adapter, which backend={backend!r} cannot apply; load it with "
            "backend='torch', call model.merge_and_unload(), save the model and load the result"
        )
    wanted = ONNX if backend == "onnx" else OPENVINO
    classifies = wanted is ONNX and task == "sequence-classification"
    bare = config is None and classifies and transformer_files.has_onnx_alone(folder)
    if bare:
        config = config_without_file(dict(config_kwargs or {}))
    elif config is None:
        config = transformer_files.load_config(folder, task, dict(config_kwargs or {}))
    engine = take(options, *(_ONNX_OPTIONS if wanted is ONNX else _OPENVINO_OPTIONS))
    place = take(options, "file_name", "subfolder", "export")
    path = choose_file(folder, wanted, **place, can_export=_has_torch_weights(folder))
    temporary = None
    if path is None:
        temporary = TemporaryFolder()
        path = temporary.path / wanted.default_file
    kind: Any = OnnxModel if wanted is ONNX else OpenVINOModel
    try:
        if temporary is not None:
            _export(folder, path, wanted, options, dict(config_kwargs or {}), task)
        model = kind(path, config, task, **engine, temporary=temporary)
        if classifies:
            (set_labels if bare else check_labels)(model, (config_kwargs or {}).get("num_labels"))
        return model
    except BaseException:
        if temporary is not None:
            temporary.remove()
        raise


def load_onnx_model(
    model_name_or_path: str, config: Any, task_name: str, **model_kwargs: Any
) -> BackendModel:
    """An ONNX model of a folder or model id; see :func:`load_backend_model`."""
    return _load_by_name(model_name_or_path, "onnx", config, task_name, model_kwargs)


def load_openvino_model(
    model_name_or_path: str, config: Any, task_name: str, **model_kwargs: Any
) -> BackendModel:
    """An OpenVINO model of a folder or model id; see :func:`load_backend_model`."""
    return _load_by_name(model_name_or_path, "openvino", config, task_name, model_kwargs)


def _load_by_name(
    name: str, backend: str, config: Any, task: str, model_kwargs: dict[str, Any]
) -> BackendModel:
    hub = {_HUB_OPTIONS[key]: value for key, value in take(model_kwargs, *_HUB_OPTIONS).items()}
    local_only = bool(model_kwargs.pop("local_files_only", False))
    folder = resolve_model_folder(name, **hub, local_files_only=local_only)
    return load_backend_model(folder, backend, model_kwargs, task=task, config=config)


def _has_torch_weights(folder: Path) -> bool:
    try:
        transformer_files.check_weights(folder)
    except MissingModelFile:
        return False
    return True


def _export(
    folder: Path,
    target: Path,
    wanted: Format,
    model_kwargs: dict[str, Any],
    config_kwargs: dict[str, Any],
    task: str,
) -> None:
    # Attention written out in single steps is what optimisers know, and every exporter can express it.
    options = {**model_kwargs, "attn_implementation": "eager", "dtype": "float32"}
    options.pop("torch_dtype", None)
    options.pop("device_map", None)
    model = transformer_files.load_transformer(folder, options, config_kwargs, task)
    if wanted is ONNX:
        export_onnx(model, target, task)
        return
    with tempfile.TemporaryDirectory() as work:
        graph = Path(work) / "model.onnx"
        export_onnx(model, graph, task)
        convert_to_openvino(graph, target)
