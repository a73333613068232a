"""What a model's folder may hold: plain files of a bounded size that lie in it.

A folder comes from somebody else, who may have put a pipe there (opening one waits without end), a link to a
device or to a file of the reader, or a file that fills the memory. All of these are refused by name before
anything reads them: what is here is looked at first, opened so that it cannot wait, and looked at again.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from stlib.errors import MissingModelFile, ModelConfigError, UnsafePath

__all__ = ["TEXT_BYTES", "check_file", "check_folder", "open_plain", "read_plain"]

# Far above what there is: the largest vocabularies have 40 MB, the largest embedding models 15 GB a file.
TEXT_BYTES = 256 << 20
_WEIGHT_BYTES = 64 << 30
_ONNX_BYTES = 2 << 30  # the format's own limit; larger weights lie beside the file

_TEXTS = frozenset(".json .jsonl .txt .md .jinja .model .spm .tiktoken .codes .bpe .vocab .py .xml".split())
_WEIGHTS = frozenset(".safetensors .bin .pt .pth .onnx .onnx_data .data .msgpack .h5".split())

# A pipeline keeps its files two folders deep; what else lies there is none of its parts.
_DEPTH = 3
_MOST_FILES = 10_000

# Of a safetensors header. A tensor takes four, and the models with most tensors have some 90,000 of them.
_MOST_COLONS = 500_000
_LONGEST_HEADER = 100_000_000  # the format's own limit


def check_folder(folder: Path) -> None:
    """Refuse a model's folder that holds what must not be opened.

    Raises:
        ModelConfigError: there is a pipe, socket or device, also behind a link, or a file beyond any model's.
        UnsafePath: a link leads to a file outside of the folder, and not into its download cache.
    """
    places = _own_places(folder)
    for path in _files_below(folder):
        _check(path, places)


def check_file(path: Path) -> None:
    """Refuse one file of a model as :func:`check_folder` would; what is missing is left to the reader."""
    _check(path, _own_places(path.parent))


@contextmanager
def open_plain(path: Path) -> Iterator[BinaryIO]:
    """A plain file, open for reading.

    Raises:
        MissingModelFile: there is no such file.
        ModelConfigError: it is something else, or cannot be read.
    """
    descriptor = open_descriptor(path)
    with os.fdopen(descriptor, "rb") as file:
        yield file


def open_descriptor(path: Path) -> int:
    """The descriptor of a plain file; see :func:`open_plain`."""
    try:
        _check_kind(path, path.stat().st_mode)  # opening alone can do something to a device
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags)
    except FileNotFoundError as error:
        raise MissingModelFile(
            f"the model folder lacks {path}; copy the whole folder or save the model again"
        ) from error
    except OSError as error:
        raise ModelConfigError(f"{path} cannot be read ({error.strerror or error})") from error
    try:
        _check_kind(path, os.fstat(descriptor).st_mode)  # it may have been exchanged meanwhile
    except ModelConfigError:
        os.close(descriptor)
        raise
    return descriptor


def read_plain(path: Path, limit: int = TEXT_BYTES) -> bytes:
    """The content of a plain file of at most ``limit`` bytes.

    Raises:
        MissingModelFile, ModelConfigError: as for :func:`open_plain`; also where it is larger.
    """
    with open_plain(path) as file:
        size = os.fstat(file.fileno()).st_size
        _check_size(path, size, limit)
        content = file.read(limit + 1)
    _check_size(path, len(content), limit)
    return content


def check_safetensors(path: Path) -> None:
    """Refuse a safetensors file with more tensors than any model has, whose header would fill the memory.

    Other damage is left to the reader of the file, who tells it.

    Raises:
        ModelConfigError: there are too many.
    """
    with open_plain(path) as file:
        length = int.from_bytes(file.read(8), "little")
        if not _MOST_COLONS < length <= _LONGEST_HEADER:
            return
        colons = file.read(length).count(b":")
    if colons > _MOST_COLONS:
        raise ModelConfigError(
            f"{path} has a header of some {colons // 4:,} tensors, and a model has at most "
            f"{_MOST_COLONS // 4:,}; get the model again from where you trust it"
        )


def _check(path: Path, places: tuple[Path, ...]) -> None:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return  # a link that leads nowhere is a missing file
    except OSError as error:
        raise ModelConfigError(f"{path} cannot be looked at ({error.strerror or error})") from error
    if stat.S_ISDIR(status.st_mode):
        return
    _check_kind(path, status.st_mode)
    suffix = path.suffix.lower()
    if suffix not in _TEXTS | _WEIGHTS:
        return
    if path.is_symlink() and not any(path.resolve().is_relative_to(place) for place in places):
        raise UnsafePath(
            f"{path} is a link that leaves the model's folder, to {path.resolve()}; copy that file into the "
            "folder, or give the folder in which it lies"
        )
    limit = TEXT_BYTES if suffix in _TEXTS else _ONNX_BYTES if suffix == ".onnx" else _WEIGHT_BYTES
    _check_size(path, status.st_size, limit)
    if suffix == ".safetensors":
        check_safetensors(path)


def _check_kind(path: Path, mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    kinds = {
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
        stat.S_IFDIR: "a folder",
    }
    link = f" (by a link to {path.readlink()})" if path.is_symlink() else ""
    raise ModelConfigError(
        f"{path} is {kinds.get(stat.S_IFMT(mode), 'something')}{link}, and a model consists of plain files; "
        "remove it, or copy or save the model again"
    )


def _check_size(path: Path, size: int, limit: int) -> None:
    if size > limit:
        raise ModelConfigError(
            f"{path} has {size / 2**30:,.2f} GiB, and a model's {path.suffix or 'file'} at most "
            f"{limit / 2**30:g}; get the model again from where you trust it"
        )


def _own_places(folder: Path) -> tuple[Path, ...]:
    """The folder, and ``blobs`` not far above it, where a download cache keeps what its snapshots link to."""
    root = folder.resolve()
    return (root, *(above / "blobs" for above in list(root.parents)[:_DEPTH]))


def _files_below(folder: Path, depth: int = _DEPTH) -> Iterator[Path]:
    """All that is no folder, breadth first and sorted; folders behind links are left out."""
    waiting, seen = [(folder, depth)], 0
    while waiting:
        current, left = waiting.pop(0)
        try:
            with os.scandir(current) as entries:
                ordered = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in ordered:
            seen += 1
            if seen > _MOST_FILES:
                return
            if not entry.is_dir(follow_symlinks=False):
                yield Path(entry.path)
            elif left > 1:
                waiting.append((Path(entry.path), left - 1))
