"""Which exported file of a model's folder is loaded, and what else that file would read."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stlib.errors import MissingModelFile, ModelConfigError
from stlib.util.file_io import check_relative_path

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Format:
    """Names of one backend's files, the same as in folders of Sentence Transformers."""

    name: str
    folder: str
    default_file: str
    pattern: str


ONNX = Format("ONNX", "onnx", "model.onnx", "*.onnx")
OPENVINO = Format("OpenVINO", "openvino", "openvino_model.xml", "openvino*.xml")


def choose_file(
    folder: Path,
    wanted: Format,
    file_name: str | None = None,
    subfolder: str | None = None,
    export: bool | None = None,
    can_export: bool = True,
) -> Path | None:
    """The exported file to load, or None if the model must be exported first.

    Looked for in the folder itself, then in its ``onnx`` or ``openvino``. Without ``file_name`` that is
    ``model.onnx`` or ``openvino_model.xml``; a folder that has neither this nor torch weights but other
    exported files gives the first of those by name. Several candidates are named in a warning.

    Args:
        file_name: file or relative path, e.g. ``"model_O3.onnx"`` or ``"onnx/model_O3.onnx"``.
        export: True always exports; False never does; None exports if there is no such file.
        can_export: the folder has torch weights.

    Raises:
        MissingModelFile: there is nothing to load and nothing to export from, or ``export`` is False.
        UnsafePath: ``file_name`` or ``subfolder`` leaves the folder.
    """
    if export:
        return None
    root = folder / check_relative_path(subfolder or "")
    name = check_relative_path(file_name or wanted.default_file)
    found = sorted(path for path in root.rglob(wanted.pattern) if path.is_file())
    for candidate in (root / name, root / wanted.folder / name):
        if candidate.is_file():
            if len(found) > 1 and file_name is None:
                _tell_choice(candidate, found, root)
            return candidate
    if file_name is None and found and not can_export:
        if len(found) > 1:
            _tell_choice(found[0], found, root)
        return found[0]
    others = ", ".join(path.relative_to(root).as_posix() for path in found) or "none"
    if export is False or not can_export:
        raise MissingModelFile(
            f"{str(root)!r} has no {name.as_posix()!r} (its {wanted.name} files: {others}); choose one with "
            "model_kwargs={'file_name': …}, or export from a folder with torch weights"
        )
    logger.warning(
        "%s has no %s (its %s files: %s); the torch model is exported. Save the result with "
        "model.save_pretrained(path), so that the next start is quick",
        root,
        name.as_posix(),
        wanted.name,
        others,
    )
    return None


def _tell_choice(chosen: Path, found: list[Path], root: Path) -> None:
    names = ", ".join(path.relative_to(root).as_posix() for path in found)
    logger.warning(
        "%s has several files: %s; %s is loaded. Choose with model_kwargs={'file_name': …}",
        root,
        names,
        chosen.relative_to(root).as_posix(),
    )


def external_data(path: Path) -> list[str]:
    """Files beside an ONNX file that hold its weights, relative to its folder.

    Raises:
        UnsafePath: a graph names a file outside of its folder.
        MissingModelFile: such a file is missing.
        ModelConfigError: the file is no ONNX graph.
    """
    # Here, since the runtime brings tokenizers, which nobody needs who only imports the backends.
    from stlib.runtime.modules.onnx_files import external_names

    if path.stat().st_size == 0:
        raise ModelConfigError(f"{path} is empty; the download stopped half-way, get the model again")
    try:
        names = external_names(path)
    except ModelConfigError as error:
        raise damage_error(path, error.__cause__ or error) from error
    for name in names:
        target = path.parent / check_relative_path(name)
        if not target.is_file():
            raise MissingModelFile(
                f"{path} keeps weights in {name!r}, which is missing; the download stopped half-way, get the "
                "model again"
            )
    return names


def damage_error(path: Path, error: BaseException) -> ModelConfigError:
    """The error for a file that cannot be read."""
    reason = str(error).strip().splitlines()
    return ModelConfigError(
        f"{path} cannot be loaded ({type(error).__name__}: {reason[0] if reason else 'no reason given'}); "
        "the file is damaged or needs another version: export or download it again"
    )


def take(options: dict[str, Any], *names: str) -> dict[str, Any]:
    """Move some options out of a dict."""
    return {name: options.pop(name) for name in names if name in options}
