"""Reading the folder of a model: JSON objects, and the error for a file that is not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stlib.errors import MissingModelFile, ModelConfigError
from stlib.util.plain_files import read_plain


def read_json_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        ModelConfigError: the file holds something else.
    """
    content = read_plain(path)
    try:
        value = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # also of bytes, endless numbers and nesting without end
        raise ModelConfigError(
            f"{path} is no valid JSON ({error}); download or save the model again"
        ) from error
    if not isinstance(value, dict):
        raise ModelConfigError(f"{path} holds a {type(value).__name__}, not a JSON object; download it again")
    return value


def missing_file(model_name_or_path: str, subfolder: str, filename: str) -> MissingModelFile:
    """The error for a file that a model lacks."""
    inner = f"{subfolder}/{filename}" if subfolder else filename
    return MissingModelFile(
        f"the model {str(model_name_or_path)!r} lacks the file {inner!r}; the folder is incomplete or "
        "no model: copy or download it again, or save it again with model.save(path)"
    )


def revision_of(folder: Path, asked: str | None = None) -> str | None:
    """What a model in the hub's cache is a state of: the revision that was asked for, unless that is none or
    the moving ``main``; then the commit, by which the cache names its folders. None for other folders.
    """
    if asked is not None and asked != "main":
        return asked
    return folder.name if folder.parent.name == "snapshots" else None
