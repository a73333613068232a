"""Files in one file, as any `tar` reads it, of which every byte is accounted for.

A writer makes plain files one after the other, uncompressed, in the order in which they are added, then a
manifest with their sizes and SHA-256, then the SHA-256 of that. A reader takes nothing else: no links,
devices, folders, long names or holes, no name twice and none that leads elsewhere, no byte between or behind
that a writer would not have put there. So a bit that flips anywhere is noticed, and what a stranger made is
refused before anything of it is used. Nothing expands: a file is as long as it says, or the archive is
refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from indexing.errors import BadInput, StorageError
from indexing.storage.files import disk_errors, no_space, open_plain

__all__ = ["ArchiveReader", "ArchiveWriter", "Member"]

MANIFEST = "manifest.json"
CHECKSUM = "manifest.json.sha256"

_BLOCK = tarfile.BLOCKSIZE
_RECORD = tarfile.RECORDSIZE  # an archive is a whole number of these
_COPY = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*){0,3}")
_LONGEST = 100  # characters of a name that needs no header of its own
_MOST_MEMBERS = 200_000
_MANIFEST_BYTES = 64 << 20

CopyProgress = Callable[[int], None]
"""Called with the bytes that were copied since the last call."""


@dataclass(frozen=True)
class Member:
    """A file in an archive; `start` is where its first byte lies."""

    name: str
    start: int
    size: int


class ArchiveWriter:
    """Writes an archive into an open file, from where that stands.

    >>> with path.open("xb") as file:
    ...     archive = ArchiveWriter(file)
    ...     archive.add("notes/catalog.sqlite", catalog)
    ...     archive.finish({"made": "today"})
    """

    def __init__(self, file: BinaryIO, modified: int = 0) -> None:
        """`modified` is the time that each file gets, in seconds since 1970."""
        self._file = file
        self._modified = modified
        self._files: dict[str, dict[str, Any]] = {}

    def add(self, name: str, path: Path, progress: CopyProgress | None = None) -> None:
        """Adds a plain file, which must not change meanwhile.

        Raises:
            StorageError: it is none, cannot be read, or changed.
        """
        try:
            with open_plain(path) as source:
                size = os.fstat(source.fileno()).st_size
                self._begin(name, size)
                digest = hashlib.sha256()
                left = size
                while left and (block := source.read(min(_COPY, left))):
                    digest.update(block)
                    self._file.write(block)
                    left -= len(block)
                    if progress:
                        progress(len(block))
                if left or source.read(1):
                    raise StorageError(f"{path} changed while it was read: run it again")
        except OSError as error:
            if no_space(error):
                raise  # of the archive, which the caller knows the name of
            raise StorageError(f"{path} cannot be read: {error.strerror or error}") from error
        self._end(name, size, digest.hexdigest())

    def finish(self, about: Mapping[str, Any]) -> None:
        """Adds the manifest: what there is to say `about` the archive (JSON values), and of each file."""
        data = json.dumps({**about, "files": self._files}, indent=1, ensure_ascii=False).encode() + b"\n"
        for name, content in ((MANIFEST, data), (CHECKSUM, _checksum(data))):
            self._begin(name, len(content))
            self._file.write(content)
            self._pad(len(content), _BLOCK)
        self._file.write(bytes(2 * _BLOCK))
        self._pad(self._file.tell(), _RECORD)

    def _begin(self, name: str, size: int) -> None:
        if name in self._files or not _fits(name):
            raise ValueError(f"{name!r} cannot be the name of a file in an archive, or is there already")
        self._file.write(_header(name, size, self._modified))

    def _end(self, name: str, size: int, sha256: str) -> None:
        self._pad(size, _BLOCK)
        self._files[name] = {"size": size, "sha256": sha256}

    def _pad(self, size: int, whole: int) -> None:
        self._file.write(bytes(-size % whole))


class ArchiveReader:
    """Reads an archive. What it holds is known when it is made, and checked by `check`.

    Attributes:
        members: by name, but for the manifest and its checksum.
        about: what stands in the manifest beside the files.
    """

    def __init__(self, path: Path) -> None:
        """
        Raises:
            BadInput: there is none, or it is no archive of this kind, or a damaged one.
        """
        self.path = path
        try:
            self._file = open_plain(path)
        except OSError as error:
            raise BadInput(f"{path} cannot be read as a backup: {error.strerror or error}") from error
        try:
            self.members = self._scan()
            manifest = self._read_manifest()
            files = manifest.pop("files", None)
            self._expected = self._check_files(files)
            self.about: dict[str, Any] = manifest
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> ArchiveReader:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(member.size for member in self.members.values())

    def check(self, progress: CopyProgress | None = None) -> None:
        """Reads every file and compares it with its checksum.

        Raises:
            BadInput: one differs.
        """
        for name in self.members:
            self._copy(name, None, progress)

    def extract(self, name: str, target: Path, progress: CopyProgress | None = None) -> None:
        """Writes a file to `target`, a new one that its owner alone reads, and waits for the disk.

        Raises:
            BadInput: it is not what the manifest says: `target` is not to be used.
            DiskFull: no room.
        """
        with disk_errors(target, self.members[name].size), _make_file(target) as file:
            self._copy(name, file, progress)
            file.flush()
            os.fsync(file.fileno())

    def _copy(self, name: str, target: BinaryIO | None, progress: CopyProgress | None) -> None:
        member = self.members[name]
        digest = hashlib.sha256()
        self._file.seek(member.start)
        left = member.size
        while left and (block := self._file.read(min(_COPY, left))):
            digest.update(block)
            if target is not None:
                target.write(block)
            left -= len(block)
            if progress:
                progress(len(block))
        if left or digest.hexdigest() != self._expected[name]:
            raise self._damaged(f"{name} is not what was written")

    # --- what it is made of ----------------------------------------------------------------------------

    def _scan(self) -> dict[str, Member]:
        """Every file, of an archive that is nothing but files. The headers are read, and no more."""
        whole = os.fstat(self._file.fileno()).st_size
        members: dict[str, Member] = {}
        at = 0
        while (header := self._read(at, _BLOCK)) != bytes(_BLOCK):
            member = self._member(header, at + _BLOCK, whole)
            if member.name in members or len(members) > _MOST_MEMBERS:
                raise self._damaged(f"{member.name} is in it twice")
            members[member.name] = member
            padding = -member.size % _BLOCK
            at = member.start + member.size
            if self._read(at, padding) != bytes(padding):
                raise self._damaged(f"something stands behind {member.name}")
            at += padding
        end = at + 2 * _BLOCK
        if whole != end + -end % _RECORD or self._read(at, whole - at) != bytes(whole - at):
            raise self._damaged("it does not end where it should")
        return members

    def _member(self, header: bytes, start: int, whole: int) -> Member:
        try:
            info = tarfile.TarInfo.frombuf(header, "ascii", "strict")
        except (tarfile.TarError, ValueError) as error:
            raise self._damaged(f"no file begins at byte {start - _BLOCK:,}") from error
        name = info.name if _fits(info.name) else None
        if name is None or header != _header(name, info.size, int(info.mtime)):
            raise self._damaged(
                f"{info.name[:60]!r} is a link, a device, or a file with a name or size that no backup has"
            )
        if not 0 <= info.size <= whole - start:
            raise self._damaged(f"{name} would be {info.size:,} bytes long, more than there are")
        return Member(name, start, info.size)

    def _read_manifest(self) -> dict[str, Any]:
        names = list(self.members)
        if names[-2:] != [MANIFEST, CHECKSUM]:
            raise self._damaged("it has no manifest at its end")
        manifest, checksum = self.members.pop(MANIFEST), self.members.pop(CHECKSUM)
        if manifest.size > _MANIFEST_BYTES or checksum.size != len(_checksum(b"")):
            raise self._damaged("its manifest has a size that no backup has")
        data = self._read(manifest.start, manifest.size)
        if self._read(checksum.start, checksum.size) != _checksum(data):
            raise self._damaged("its manifest does not match its checksum")
        try:
            found = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise self._damaged("its manifest is no JSON") from error
        if not isinstance(found, dict):
            raise self._damaged("its manifest is no JSON object")
        return found

    def _check_files(self, files: Any) -> dict[str, str]:
        """The checksum of each file, where manifest and archive name the same ones."""
        if not isinstance(files, dict) or files.keys() != self.members.keys():
            raise self._damaged("its manifest names other files than are in it")
        expected = {}
        for name, member in self.members.items():
            said = files[name] if isinstance(files[name], dict) else {}
            if said.get("size") != member.size or not isinstance(said.get("sha256"), str):
                raise self._damaged(f"its manifest says something else of {name}")
            expected[name] = said["sha256"]
        return expected

    def _read(self, at: int, size: int) -> bytes:
        self._file.seek(at)
        data = self._file.read(size)
        if len(data) != size:
            raise self._damaged("it is cut off")
        return data

    def _damaged(self, why: str) -> BadInput:
        return BadInput(f"{self.path} is no backup of stlib, or a damaged one: {why}; nothing was restored")


def _make_file(path: Path) -> BinaryIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(path, flags, 0o600), "wb")


def _fits(name: str) -> bool:
    return len(name) <= _LONGEST and _NAME.fullmatch(name) is not None


def _header(name: str, size: int, modified: int) -> bytes:
    """The one header that a file may have."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size, modified, 0o600
    return info.tobuf(tarfile.GNU_FORMAT, "ascii", "strict")


def _checksum(data: bytes) -> bytes:
    """As `sha256sum` writes it."""
    return f"{hashlib.sha256(data).hexdigest()}  {MANIFEST}\n".encode("ascii")
