"""Helpers of the backends under their documented names."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stlib.backend.files import Format, choose_file
from stlib.backend.publish import save_or_push_to_hub_model

__all__ = [
    "_save_pretrained_wrapper",
    "backend_should_export",
    "backend_warn_to_save",
    "save_or_push_to_hub_model",
]

logger = logging.getLogger(__name__)


def _save_pretrained_wrapper(_save_pretrained_fn: Callable[..., Any], subfolder: str) -> Callable[..., Any]:
    """A function like the given one that saves into a folder inside the one it is called with."""

    def save_inside(save_directory: str | Path, **kwargs: Any) -> Any:
        inner = Path(save_directory) / subfolder
        inner.mkdir(parents=True, exist_ok=True)
        return _save_pretrained_fn(inner, **kwargs)

    return save_inside


def backend_should_export(
    load_path: Path,
    is_local: bool,
    model_kwargs: dict[str, Any],
    target_file_name: str,
    target_file_glob: str,
    backend_name: str,
) -> tuple[bool, dict[str, Any]]:
    """Whether a local folder lacks the exported file, and ``model_kwargs`` with the place where it is.

    Args:
        load_path: the model's folder.
        is_local: must be True; models of the hub are local by the time a backend sees them.
        model_kwargs: may hold ``export``, ``file_name`` and ``subfolder``.
        target_file_name: default name of the file.
        target_file_glob: pattern of such files.
        backend_name: ``"ONNX"`` or ``"OpenVINO"``.
    """
    options = dict(model_kwargs)
    export = options.pop("export", None)
    wanted = Format(backend_name, backend_name.lower(), target_file_name, target_file_glob)
    if export or not is_local:
        return bool(export), options
    place = {name: options[name] for name in ("file_name", "subfolder") if name in options}
    found = choose_file(Path(load_path), wanted, **place)
    if found is None:
        return export is None, options
    relative = found.relative_to(load_path)
    options["file_name"] = relative.name
    if relative.parent != Path():
        options["subfolder"] = relative.parent.as_posix()
    return False, options


def backend_warn_to_save(model_name_or_path: str, is_local: bool, backend_name: str) -> None:
    """Log how to keep an export, so that the next start need not repeat it."""
    call = "save_pretrained" if is_local else "push_to_hub"
    logger.warning(
        "the model was exported to %s; keep it with model.%s(%r)", backend_name, call, model_name_or_path
    )
