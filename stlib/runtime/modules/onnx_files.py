"""Which ONNX file of a folder to run, and which files beside it hold its weights.

Weights may lie outside an ONNX file, at places that the file itself names. They are read here from the file's
protobuf fields (onnx.proto of https://github.com/onnx/onnx), so that a place outside the model's folder is
refused before anything opens it, and so that a fingerprint covers those files too.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from stlib.errors import MissingModelFile, ModelConfigError
from stlib.runtime.files import inside, missing
from stlib.runtime.modules.protobuf import Budget, Buffer, fields
from stlib.util.plain_files import check_file

_DEFAULT_NAME = "model.onnx"
_FOLDERS = ("onnx", "")

# Message -> field number -> message of the fields in which tensors can be.
_FIELDS: dict[str, dict[int, str]] = {
    "Model": {7: "Graph", 20: "Training", 25: "Function"},
    "Training": {1: "Graph", 2: "Graph"},
    "Function": {7: "Node", 11: "Attribute"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "SparseTensor", 23: "SparseTensor"},
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Tensor": {13: "Entry"},
}
_DEEPEST = 60  # nested graphs and messages; real models have less than ten
_MOST_FIELDS = 4_000_000  # a BERT has 20,000; reading this many takes two seconds


def depends_on_batch(path: Path) -> bool:
    """Whether a graph chooses the range of its 8-bit numbers anew for each batch.

    What it gives for a text then depends on the texts beside it, unless every text runs by itself.
    """
    if path.stat().st_size == 0:
        return False  # nothing to map
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(b"DynamicQuantize") >= 0  # …Linear, or …MatMul once it is optimised


def find_onnx_file(folder: Path, file_name: str | None = None) -> Path | None:
    """The ONNX file of a transformer's folder: ``file_name``, ``onnx/model.onnx``, ``model.onnx``, or the
    only one there is in a folder without torch weights, whose place a quantised file must not take unasked;
    None if there is none.

    Args:
        folder: the transformer's folder.
        file_name: a name relative to the folder or to its ``onnx`` subfolder.

    Raises:
        MissingModelFile: there is no ``file_name``, or there are several and none has the usual name.
        ModelConfigError: ``file_name`` leaves the folder.
    """
    name = file_name or _DEFAULT_NAME
    for place in _FOLDERS:
        path = inside(folder / place, name, folder)
        if path.is_file():
            return path
    there = sorted(
        path.relative_to(folder).as_posix() for p in _FOLDERS for path in (folder / p).glob("*.onnx")
    )
    if file_name is None and (not there or has_torch_weights(folder)):
        return None
    if file_name is None and len(there) == 1:
        return folder / there[0]
    raise MissingModelFile(
        f"{folder} holds no {name}; pass one of its ONNX files as file_name=: "
        f"{', '.join(there) or 'there is none'}"
    )


def has_torch_weights(folder: Path) -> bool:
    """Whether there are weights in a folder that `transformers` loads."""
    return any(next(folder.glob(pattern), None) for pattern in ("model*.safetensors", "pytorch_model*.bin"))


def external_files(path: Path) -> list[Path]:
    """The files beside an ONNX file that hold weights of it, sorted.

    Raises:
        ModelConfigError: the file is damaged or empty, or names a place outside its folder.
        MissingModelFile: a file that it names is not there.
    """
    files = [inside(path.parent, name, path) for name in external_names(path)]
    for file_ in files:
        if not file_.exists():
            raise missing(file_)
        check_file(file_)
    return files


def external_names(path: Path) -> list[str]:
    """What an ONNX file calls the files that hold weights of it, sorted and as they stand there, unchecked.

    Raises:
        ModelConfigError: the file is damaged or empty.
    """
    if path.stat().st_size == 0:
        raise ModelConfigError(f"{path} is empty; copy or export the model again")
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return sorted(set(_locations(content, 0, len(content), "Model", Budget(_MOST_FIELDS))))
    except (IndexError, ValueError, RecursionError) as error:
        raise ModelConfigError(
            f"{path}: not an ONNX file ({error}); copy or export the model again"
        ) from error


def _locations(
    content: Buffer, start: int, end: int, message: str, budget: Budget, depth: int = 0
) -> Iterator[str]:
    """Values of all external-data entries named ``location`` in a message."""
    if depth > _DEEPEST:
        raise ValueError(f"messages are nested more than {_DEEPEST} deep")
    inner = _FIELDS[message]
    for field in fields(content, start, end, budget):
        kind = inner.get(field.number)
        if kind == "Entry":
            parts = fields(content, field.begin, field.end, budget)
            entry = {part.number: content[part.begin : part.end] for part in parts}
            if entry.get(1) == b"location":
                yield entry.get(2, b"").decode("utf-8")
        elif kind is not None:
            yield from _locations(content, field.begin, field.end, kind, budget, depth + 1)
