"""Folders that are complete or absent, with a manifest that shows that they were written here and are whole.

A view's files are read by parsers that were not made for files of strangers: a forged usearch graph or
tantivy segment ends the process. So the manifest, which holds size and SHA-256 of each file, carries a
message authentication code (HMAC-SHA256) under this machine's key, see `machine`: what another machine, an
earlier version or somebody with a copy of the folder wrote is `ForeignView`, and nothing but the manifest
was parsed by then. A folder that this machine wrote for another collection is told by what its `meta` says,
which the code covers. A home that is moved keeps its views: the path is not part of it.

With the key the manifest cannot be forged, so a plain digest will do for the files. SHA-256 is the fastest
cryptographic one of the standard library where the processor helps, as nearly all of today do (1.9 GiB/s
here, keyed BLAKE2b 1.3, CRC32 6.4). Files that only this package reads (`blockfile`) cannot end the process
once their header is known to be ours: the digest covers that, and each block has a CRC32 against damage.

What this process has read and found sound is not read again as long as the file keeps its inode, size and
time of change: publishing a snapshot that shares most files with the one before reads only the new ones.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from indexing.errors import CorruptView, ForeignView, StorageError
from indexing.storage.blockfile import BlockFile, head_size
from indexing.storage.files import (
    disk_errors,
    disk_full,
    fsync_file,
    fsync_folder,
    no_space,
    open_plain,
    require_space,
    temporary_beside,
)
from indexing.storage.machine import machine_key

__all__ = [
    "MANIFEST",
    "open_block_file",
    "publish_folder",
    "read_manifest",
    "read_verified",
    "verify_file",
    "verify_folder",
]

MANIFEST = "manifest.json"

_PURPOSE = b"stlib view manifest 1\0"  # the key may one day serve for something else too
_MANIFEST_BYTES = 16 << 20
_READ_BYTES = 1 << 20

# A file that changes within one tick of the clock of its disk (2 s on FAT) keeps its time of change.
_TICK_NS = 2_000_000_000
_MOST_KNOWN = 10_000
_known: dict[tuple[int, ...], str] = {}


# --- writing -------------------------------------------------------------------------------------------


@contextmanager
def publish_folder(
    target: str | os.PathLike[str], meta: dict[str, Any] | None = None, expected_bytes: int | None = None
) -> Iterator[Path]:
    """Fill a temporary folder in the `with` block; at its end the folder appears as `target`, complete.

    The manifest with size and digest of every file, and with `meta` (JSON values), is written last. After an
    exception nothing is left behind. `expected_bytes` is what the content will need: it is checked before
    anything is written and is named by `DiskFull`. A published folder is never replaced: an existing `target`
    raises `StorageError`.
    """
    target = Path(target)
    if target.exists():
        raise StorageError(f"{target} is published already; published folders are not overwritten")
    with disk_errors(target, expected_bytes):
        target.parent.mkdir(parents=True, exist_ok=True)
        require_space(target, expected_bytes or 0)
        temporary = temporary_beside(target)
        temporary.mkdir()
        try:
            yield temporary
            _write_manifest(temporary, meta or {})
            temporary.rename(target)
        except BaseException as error:
            written = sum(path.stat().st_size for path in temporary.iterdir() if path.is_file())
            shutil.rmtree(temporary, ignore_errors=True)
            if no_space(error):
                raise disk_full(target, max(written, expected_bytes or 0)) from error
            raise
        fsync_folder(target.parent)


def _write_manifest(folder: Path, meta: dict[str, Any]) -> None:
    files = {}
    for path in sorted(folder.iterdir()):
        fsync_file(path)
        head = head_size(path)
        covered = {} if head is None else {"head": head}
        files[path.name] = {"size": path.stat().st_size, "sha256": _file_digest(path, head), **covered}
    body = json.loads(json.dumps({"files": files, "meta": meta}))  # what a reader will see: keys are strings
    key = machine_key()
    envelope = {"key": _key_name(key), "mac": _mac(key, body), "body": body}
    manifest = folder / MANIFEST
    manifest.write_text(json.dumps(envelope, sort_keys=True), encoding="ascii")
    fsync_file(manifest)
    fsync_folder(folder)


# --- reading -------------------------------------------------------------------------------------------


def read_manifest(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """The manifest of a published folder: `{"files": {name: {"size", "sha256"}}, "meta": {...}}`.

    Raises `CorruptView` when it is missing or does not match its code; `ForeignView` when it was not written
    with this machine's key.
    """
    path = Path(folder) / MANIFEST
    try:
        with open_plain(path) as file:
            envelope = json.loads(file.read(_MANIFEST_BYTES))
        body = envelope["body"]
        named, mac = envelope.get("key"), envelope.get("mac")
        key = machine_key()
        intact = isinstance(mac, str) and hmac.compare_digest(mac.encode(), _mac(key, body).encode())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CorruptView(f"{path} is missing or unreadable ({error}); rebuild the view") from error
    if intact:
        return body
    if named != _key_name(key):
        raise ForeignView(f"{path.parent} was not written on this machine by this version; rebuild the view")
    raise CorruptView(f"{path} does not match its checksum; rebuild the view")


def verify_file(folder: str | os.PathLike[str], name: str, manifest: dict[str, Any] | None = None) -> Path:
    """Compare one file with the manifest, size first, and return its path. Raises `CorruptView`."""
    return _verify(Path(folder), name, manifest or read_manifest(folder), afresh=False)


def read_verified(folder: str | os.PathLike[str], name: str, manifest: dict[str, Any] | None = None) -> bytes:
    """The bytes of one file after comparison with the manifest: what was checked is what is parsed."""
    path = Path(folder) / name
    expected = _expected(path, manifest or read_manifest(folder))
    assert "head" not in expected, "a block file is opened by open_block_file"
    with _reading(path, expected) as file:
        data = file.read()
    _compare(path, expected["sha256"], hashlib.sha256(data).hexdigest())
    return data


def open_block_file(
    folder: str | os.PathLike[str], name: str, manifest: dict[str, Any] | None = None
) -> BlockFile:
    """A block file whose header was compared with the manifest before it was parsed. Raises `CorruptView`."""
    path = Path(folder) / name
    expected = _expected(path, manifest or read_manifest(folder))
    if "head" not in expected:
        raise CorruptView(f"{path} was not written as a block file; rebuild the view")
    with _reading(path, expected) as file:
        head = file.read(expected["head"])
    _compare(path, expected["sha256"], hashlib.sha256(head).hexdigest())
    return BlockFile(path, head)


def verify_folder(folder: str | os.PathLike[str], *, afresh: bool = False) -> dict[str, Any]:
    """Compare every file named by the manifest; returns the manifest. Raises `CorruptView`.

    With `afresh` those too that this process has compared before, and has not seen changing since. Beside
    the files of the manifest there may be lock files, which readers leave behind, and nothing else.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    for name in manifest["files"]:
        _verify(folder, name, manifest, afresh)
    for path in folder.iterdir():
        lock = path.suffix == ".lock" and path.is_file() and not path.is_symlink()
        if not lock and path.name not in manifest["files"] and path.name != MANIFEST:
            raise CorruptView(f"{path} is not in the manifest of its folder; rebuild the view")
    return manifest


def _verify(folder: Path, name: str, manifest: dict[str, Any], afresh: bool) -> Path:
    path = folder / name
    expected = _expected(path, manifest)
    if "head" in expected:
        open_block_file(folder, name, manifest).check_all()
        return path
    with _reading(path, expected) as file:
        digest = None if afresh else _known.get(_identity(file, None))
        _compare(path, expected["sha256"], digest or _digest(file, None))
    return path


def _expected(path: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    try:
        return manifest["files"][path.name]
    except KeyError:
        raise CorruptView(f"{path} is not in the manifest of its folder; rebuild the view") from None


@contextmanager
def _reading(path: Path, expected: dict[str, Any]) -> Iterator[BinaryIO]:
    """The open file, if it is a plain one of the right size."""
    try:
        with open_plain(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size != expected["size"]:
                raise CorruptView(
                    f"{path} has {size} bytes, {expected['size']} were written; rebuild the view"
                )
            yield file
    except OSError as error:
        raise CorruptView(f"{path} cannot be read ({error.strerror}); rebuild the view") from error


def _compare(path: Path, expected: str, found: str) -> None:
    if not hmac.compare_digest(found, expected):
        raise CorruptView(f"{path} does not match its checksum; rebuild the view")


# --- digests -------------------------------------------------------------------------------------------


def _file_digest(path: Path, head: int | None) -> str:
    """SHA-256 of a file, or of its first `head` bytes; a file that this process knows is not read."""
    with open_plain(path) as file:
        return _known.get(_identity(file, head)) or _digest(file, head)


def _digest(file: BinaryIO, head: int | None) -> str:
    identity = _identity(file, head)
    digest, left = hashlib.sha256(), identity[2] if head is None else head
    while left and (piece := file.read(min(left, _READ_BYTES))):
        digest.update(piece)
        left -= len(piece)
    found = digest.hexdigest()
    if identity == _identity(file, head) and time.time_ns() - identity[3] > _TICK_NS:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[identity] = found
    return found


def _identity(file: BinaryIO, head: int | None) -> tuple[int, ...]:
    """Device, inode, size, time of change, and how much of the file is meant.

    Not the time at which the inode changed: giving a file another name, as the next snapshot does, is one.
    """
    status = os.fstat(file.fileno())
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, -1 if head is None else head)


def _mac(key: bytes, body: Any) -> str:
    return hmac.new(key, _PURPOSE + _canonical(body), "sha256").hexdigest()


def _key_name(key: bytes) -> str:
    """Tells keys apart without telling them: a damaged manifest of ours is not taken for a foreign one."""
    return hmac.new(key, b"stlib name of the key", "sha256").hexdigest()[:16]


def _canonical(body: Any) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode("ascii")
