"""What a plan says of files, as the JSON values of a shard's `spec`, and back.

A spec is complete: whoever reads a shard, in whatever process on whatever machine, needs nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from indexing.bulk.addresses import Address, Stamp
from indexing.documents.model import Skipped
from indexing.documents.options import ReadOptions
from indexing.documents.part import Part
from indexing.documents.source import SourceFile
from indexing.documents.walk import readable_name, real_name

__all__ = ["Entry", "Group", "Reading", "make_spec", "read_spec"]


@dataclass(frozen=True)
class Entry:
    """A file to read. `file_id` is its row in the catalog, if it is of a folder that is kept in step with;
    `fresh` says that nothing of it is in the collection yet. `tag` is what a store says of its content.
    """

    file: SourceFile
    file_id: int | None = None
    fresh: bool = True
    tag: str = ""

    @property
    def stamp(self) -> Stamp:
        return Stamp(self.file.size, self.file.modified, self.tag)


@dataclass(frozen=True)
class Group:
    """Files below one folder, and what of it will not be read. `address` is None for one of this machine."""

    entries: Sequence[Entry | Skipped]
    options: ReadOptions
    address: Address | None = None


@dataclass(frozen=True)
class Reading:
    """What a shard is: its files, of the one file of a shard that is a part of it also the `part`, and which
    bytes of it are needed to read that (all of them where none are named).
    """

    entries: tuple[Entry | Skipped, ...]
    piece_documents: int
    planned_at: int
    address: Address | None = None
    part: Part | None = None
    ranges: tuple[tuple[int, int], ...] = field(default=())

    @property
    def size(self) -> int:
        """Bytes of the part."""
        return sum(end - begin for begin, end in self.ranges)


def make_spec(
    group: Group,
    entries: Sequence[Entry | Skipped],
    piece_documents: int,
    planned_at: int,
    part: Part | None = None,
    ranges: Sequence[tuple[int, int]] = (),
) -> dict[str, Any]:
    """The spec of a shard of some `entries` of a group; `planned_at` in nanoseconds since 1970."""
    first = next((entry.file for entry in entries if isinstance(entry, Entry)), None)
    spec: dict[str, Any] = {"piece_documents": piece_documents, "planned_at": planned_at}
    folder = given = ""
    if first is not None:
        folder, given = _prefix(first.path, first.name), _prefix(first.source, first.name)
        spec |= {"root": first.root, "folder": folder, "given": given}
    if options := group.options.to_json():
        spec["options"] = options
    if group.address is not None:
        spec["address"] = group.address.to_json()
    spec["files"] = [_entry_to_json(entry, given) for entry in entries]
    if part is not None:
        spec["part"] = {name: value for name, value in vars(part).items() if value not in (0, (0, 0))}
    if ranges:
        spec["ranges"] = [list(pair) for pair in ranges]
    return spec


def read_spec(spec: dict[str, Any]) -> Reading:
    """What `make_spec` wrote down."""
    address = spec.get("address")
    part = spec.get("part")
    return Reading(
        tuple(_entry_from_json(entry, spec) for entry in spec["files"]),
        spec["piece_documents"],
        spec["planned_at"],
        None if address is None else Address.from_json(address),
        None if part is None else Part(**{**part, "groups": tuple(part.get("groups", (0, 0)))}),
        tuple((begin, end) for begin, end in spec.get("ranges", ())),
    )


_SHORT = {"modified": 0, "changed": 0, "inode": 0}


def _entry_to_json(entry: Entry | Skipped, given: str) -> dict[str, Any]:
    if isinstance(entry, Skipped):
        return {"skipped": entry.source, "reason": entry.reason}
    file = entry.file
    told: dict[str, Any] = {"name": file.name, "format": file.format, "size": file.size}
    told |= {name: getattr(file, name) for name in _SHORT if getattr(file, name)}
    if file.source != given + file.name:
        told["source"] = file.source
    if entry.tag:
        told["tag"] = entry.tag
    if entry.file_id is not None:
        told |= {"file": entry.file_id, "fresh": entry.fresh}
    return told


def _entry_from_json(told: dict[str, Any], spec: dict[str, Any]) -> Entry | Skipped:
    if "skipped" in told:
        return Skipped(told["skipped"], None, told["reason"])
    name = told["name"]
    path = spec["folder"] + name
    file = SourceFile(
        path if "address" in spec else real_name(path),
        told.get("source", spec["given"] + name),
        name,
        told["format"],
        told["size"],
        spec["root"],
        options=ReadOptions.from_json(spec.get("options", {})),
        **{field: told.get(field, value) for field, value in _SHORT.items()},
    )
    return Entry(file, told.get("file"), told.get("fresh", True), told.get("tag", ""))


def _prefix(path: str, name: str) -> str:
    """What stands before `name` in a path that ends with it, readable."""
    return readable_name(path).removesuffix(name)
