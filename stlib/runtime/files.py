"""Reading the files of a model's folder, with errors that name the file and what to do about it."""

from __future__ import annotations

import hashlib
import json
import os
import weakref
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize

from stlib.errors import MissingModelFile, ModelConfigError, ModelNotFound, NotAFolder, UnsupportedModel
from stlib.util.forks import ThreadLock
from stlib.util.panics import NamedPanics
from stlib.util.plain_files import check_safetensors, open_descriptor, read_plain

# Weights are read whole here, those of transformers excepted: two million rows of 1,024 float32.
_TENSOR_BYTES = 8 << 30

# Names of number types in a safetensors file that numpy has too.
_DTYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U8": np.uint8,
    "BOOL": np.bool_,
}


def read_json(path: Path) -> Any:
    """The JSON value in a file.

    Raises:
        MissingModelFile, ModelConfigError: there is no such file, or it holds no JSON.
    """
    content = read_plain(path)
    try:
        return json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # malformed JSON or UTF-8, or nesting without end
        raise ModelConfigError(f"{path}: not valid JSON ({error})") from error


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; ``{}`` if there is no such file.

    Raises:
        ModelConfigError: the file holds something else.
    """
    value = read_json(path) if path.exists() else {}
    if not isinstance(value, dict):
        raise ModelConfigError(f"{path}: expected a JSON object, found {type(value).__name__}")
    return value


def read_tensors(folder: Path) -> dict[str, NDArray[Any]]:
    """The tensors in a folder's ``model.safetensors``; bfloat16 comes as float32.

    Raises:
        MissingModelFile, ModelConfigError: the file is missing or damaged.
        UnsupportedModel: the weights are in torch's format, which only torch reads.
    """
    path = folder / "model.safetensors"
    if not path.is_file() and (folder / "pytorch_model.bin").is_file():
        raise UnsupportedModel(
            f"{folder / 'pytorch_model.bin'} is in torch's own format; save the model again with "
            "stlib.SentenceTransformer(folder).save(new_folder), which writes safetensors"
        )
    check_safetensors(path)
    content = read_plain(path, _TENSOR_BYTES)
    with NamedPanics(path, "reading its tensors"):
        try:
            return {name: _tensor(entry) for name, entry in deserialize(content)}
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ModelConfigError(f"{path}: not a readable safetensors file ({error})") from error


def _tensor(entry: dict[str, Any]) -> NDArray[Any]:
    if entry["dtype"] == "BF16":  # the upper half of a float32
        values = (np.frombuffer(entry["data"], dtype=np.uint16).astype(np.uint32) << 16).view(np.float32)
    else:
        values = np.frombuffer(entry["data"], dtype=_DTYPES[entry["dtype"]])
    return values.reshape(entry["shape"])


def inside(folder: Path, relative: Any, source: Path) -> Path:
    """``folder / relative``, which may not be absolute or climb out of the folder.

    Only the text of the path counts: in a download cache the files are links to elsewhere.

    Args:
        source: the file that holds ``relative``, for the message.

    Raises:
        ModelConfigError: the path is no string or leaves the folder.
    """
    if not isinstance(relative, str) or "\0" in relative:
        raise ModelConfigError(f"{source}: expected a path inside the model's folder, found {relative!r}")
    forms = PurePosixPath(relative), PureWindowsPath(relative)
    if any(form.anchor or ".." in form.parts for form in forms):
        raise ModelConfigError(f"{source}: the path {relative!r} lies outside the model's folder")
    return folder / relative


def missing(path: Path) -> MissingModelFile:
    """The error for a file that is not there."""
    return MissingModelFile(f"the model folder lacks {path}; copy the whole folder or save the model again")


def no_folder(path: Path, what: str) -> ModelNotFound:
    """The error for a path where there is no folder; ``what`` was looked for."""
    if path.is_file():
        return NotAFolder(
            f"no {what} at {str(path)!r}: it is a file; pass the folder that holds the model's files"
        )
    return ModelNotFound(f"no {what} at {str(path)!r}: there is no such folder")


class OpenFiles:
    """Files that are held open, so that what is read later is what was there at first.

    A file that is replaced by another one of its name stays as it was; one that is written to is noticed.

    Raises:
        MissingModelFile, ModelConfigError: one of them is not there, or no plain file.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = tuple(paths)
        self._descriptors: list[int] = []
        self._lock = ThreadLock()
        weakref.finalize(self, _close, self._descriptors)
        for path in paths:
            self._descriptors.append(open_descriptor(path))
        self._states = self._current()

    def check(self) -> None:
        """Raise :class:`ModelConfigError` if a file was written to since it was opened."""
        for path, before, now in zip(self._paths, self._states, self._current(), strict=True):
            if before != now:
                raise ModelConfigError(f"{path} has changed since it was loaded; load the model again")

    def digests(self) -> list[str]:
        """SHA-256 of each file's content."""
        self.check()
        with self._lock:  # a descriptor has one place of reading
            return [_digest(descriptor) for descriptor in self._descriptors]

    def are_in_place(self) -> bool:
        """Whether the paths still lead to these files."""
        try:
            pairs = zip(self._paths, self._descriptors, strict=True)
            return all(os.path.samestat(path.stat(), os.fstat(held)) for path, held in pairs)
        except FileNotFoundError:
            return False

    def _current(self) -> list[tuple[int, int]]:
        states = map(os.fstat, self._descriptors)
        return [(state.st_size, state.st_mtime_ns) for state in states]


def _digest(descriptor: int) -> str:
    digest = hashlib.sha256()
    os.lseek(descriptor, 0, os.SEEK_SET)
    while piece := os.read(descriptor, 1 << 20):
        digest.update(piece)
    return digest.hexdigest()


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
