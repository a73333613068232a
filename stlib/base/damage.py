"""Which file of a model's folder is damaged, asked after something failed to read one."""

from __future__ import annotations

import json
from pathlib import Path

from stlib.errors import ModelConfigError, WeightsMismatch
from stlib.util.plain_files import read_plain

# Git writes this in place of a large file that it has not fetched.
_LFS_POINTER = b"version https://git-lfs"


def find_damage(folder: Path) -> ModelConfigError | None:
    """An error that names the first damaged JSON or safetensors file of a folder, and the remedy; or None."""
    for path in sorted(folder.glob("*.json")):
        try:
            json.loads(read_plain(path).decode("utf-8"))
        except (ValueError, RecursionError) as error:
            return ModelConfigError(_message(path, f"is no valid JSON ({error})"))
    for path in sorted(folder.glob("*.safetensors")):
        if reason := _unreadable(path):
            return WeightsMismatch(_message(path, f"cannot be read ({reason}): it is cut off or damaged"))
    return None


def _unreadable(path: Path) -> str | None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy"):
            return None
    except SafetensorError as error:
        return str(error)


def _message(path: Path, problem: str) -> str:
    with path.open("rb") as file:
        if file.read(len(_LFS_POINTER)) == _LFS_POINTER:
            return f"{path} is only a pointer to a file that Git LFS has not fetched; run: git lfs pull"
    return f"{path} {problem}; copy, download or save the model again"
