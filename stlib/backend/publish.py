"""Put an exported file where it belongs: into a local folder, or into a repository on the hub."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stlib.backend.files import ONNX, OPENVINO, Format
from stlib.errors import InvalidOption

logger = logging.getLogger(__name__)


def format_of(backend: str) -> Format:
    """The file names of ``"onnx"`` or ``"openvino"``.

    Raises:
        InvalidOption: another backend.
    """
    for known in (ONNX, OPENVINO):
        if known.folder == backend:
            return known
    raise InvalidOption(f"backend {backend!r} has no exported files; use 'onnx' or 'openvino'")


def save_or_push_to_hub_model(
    export_function: Callable[[str], Any],
    export_function_name: str,
    config: Any,
    model_name_or_path: str,
    push_to_hub: bool = False,
    create_pr: bool = False,
    file_suffix: str | None = None,
    backend: str = "onnx",
    model: Any = None,
) -> None:
    """Run an export and store its files under ``onnx/`` or ``openvino/`` of a folder or repository.

    Args:
        export_function: called with a temporary folder, into which it writes ``model_<suffix>.onnx``, or
            ``openvino/openvino_model.xml`` and ``.bin``.
        export_function_name: named in the commit.
        config: settings of the export, described in a pull request.
        model_name_or_path: local folder, or repository id when pushing.
        push_to_hub: upload instead of writing locally.
        create_pr: upload as a pull request.
        file_suffix: end of the file's name.
        backend: ``"onnx"`` or ``"openvino"``.
        model: named in the pull request by its class.
    """
    known = format_of(backend)
    stem, suffix = known.default_file.split(".")
    file_name = f"{stem}_{file_suffix}.{suffix}"
    with tempfile.TemporaryDirectory() as work:
        export_function(work)
        staged = Path(work) / "staged" / known.folder
        staged.mkdir(parents=True)
        if known is OPENVINO:
            source = Path(work) / known.folder / known.default_file
            shutil.move(source, staged / file_name)
            shutil.move(source.with_suffix(".bin"), (staged / file_name).with_suffix(".bin"))
        else:
            for path in Path(work).glob(f"{file_name}*"):  # with weights beside a large graph
                shutil.move(path, staged / path.name)
        if push_to_hub:
            description = _description(
                export_function_name, config, model_name_or_path, file_name, known, model
            )
            _upload(staged, model_name_or_path, file_name, create_pr, description, known)
        else:
            target = Path(model_name_or_path) / known.folder
            target.mkdir(parents=True, exist_ok=True)
            for path in staged.iterdir():
                shutil.move(path, target / path.name)


def _upload(
    staged: Path, repository: str, file_name: str, create_pr: bool, description: str, known: Format
) -> None:
    from huggingface_hub import HfApi

    HfApi().upload_folder(
        folder_path=staged,
        path_in_repo=known.folder,
        repo_id=repository,
        repo_type="model",
        create_pr=create_pr,
        commit_message=f"Add exported {known.folder} model {file_name!r}",
        commit_description=description if create_pr else "",
    )


def _description(
    function: str, config: Any, repository: str, file_name: str, known: Format, model: Any
) -> str:
    """What a pull request adds, and how to try it before it is merged."""
    name = type(model).__name__ if model is not None else "SentenceTransformer"
    return f"""\
Adds `{known.folder}/{file_name}`, written by `stlib.backend.{function}` with these settings:

```python
{config!r}
```

Try it before merging, with the number of this pull request:

```python
from stlib import {name}

model = {name}(
    "{repository}",
    revision="refs/pr/1",
    backend="{known.folder}",
    model_kwargs={{"file_name": "{file_name}"}},
)
```
"""
