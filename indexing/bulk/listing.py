"""Which files there are at an address, in the order and by the rules by which a folder of this machine is
read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from indexing.bulk.addresses import WEB, Address, look_at, naming, open_store, stamp_of
from indexing.bulk.specs import Entry, Group
from indexing.documents.formats import format_of
from indexing.documents.ignoring import LARGEST_IGNORE_FILE, Rules
from indexing.documents.model import Skipped
from indexing.documents.options import ReadOptions
from indexing.documents.source import SourceFile
from indexing.documents.walk import UNSUPPORTED, Plan, is_beir
from indexing.errors import BadInput

__all__ = ["Listing", "has_pattern", "list_address", "root_of"]

_MAGIC = frozenset("*?[")


@dataclass
class Listing:
    """What is at an address: the folder that names are below, the files as a walk would give them (their
    `path` is an address too), and what the store says of the content of each, by name ("" for nothing).
    """

    root: Address
    plan: Plan = field(default_factory=Plan)
    tags: dict[str, str] = field(default_factory=dict)

    def group(self, options: ReadOptions) -> Group:
        """What of it is to be planned."""
        entries = [
            one if isinstance(one, Skipped) else Entry(one, tag=self.tags[one.name])
            for one in self.plan.entries
        ]
        return Group(entries, options, self.root)


def list_address(address: Address, options: ReadOptions) -> Listing:
    """The files at an address: the one that it names, those that it is a pattern for, or those of the folder.

    Raises:
        BadInput: there is nothing, or it may not be looked at.
    """
    store = open_store(address)
    if has_pattern(address):
        return _matching(store, address, options)
    info = look_at(store, address)
    if info.get("type") == "directory" or (address.protocol in WEB and format_of(address.name) == "unnamed"):
        return _Folder(store, address, options).look_through()
    listing = Listing(root_of(address))
    kind = format_of(address.name)
    if kind is None:
        listing.plan.entries.append(Skipped(str(address), None, UNSUPPORTED))
    else:
        _add(listing, address.name, kind, info, options)
    return listing


def has_pattern(address: Address) -> bool:
    """Whether an address stands for all that are like it."""
    return bool(_MAGIC & set(address.path))


def root_of(address: Address) -> Address:
    """The folder that names are below, of a file or a pattern."""
    parts = address.path.split("/")
    fixed = next((at for at, part in enumerate(parts) if _MAGIC & set(part)), len(parts) - 1)
    top = "/" if address.path.startswith("/") else ""
    return replace(address, path="/".join(parts[:fixed]) or top)


def _matching(store: Any, address: Address, options: ReadOptions) -> Listing:
    listing = Listing(root_of(address))
    rules = Rules.of(options)
    with naming(str(address)):
        store.invalidate_cache()
        found: Mapping[str, Mapping[str, Any]] = store.glob(address.path, detail=True)
    files = {
        _below(listing.root, path): info for path, info in found.items() if info.get("type") != "directory"
    }
    if not files:
        raise BadInput(f"no file matches {address}; nothing was read")
    for name, info in sorted(files.items()):
        _take(listing, name, info, rules, options)
    return listing


class _Folder:
    """Lists a folder and what is below it, one request for each folder that is looked into."""

    def __init__(self, store: Any, root: Address, options: ReadOptions) -> None:
        self._store = store
        self._options = options
        self._found: list[tuple[str, Mapping[str, Any] | Skipped]] = []
        self._listing = Listing(root)

    def look_through(self) -> Listing:
        plan = self._listing.plan
        folders = [("", Rules.of(self._options))]
        while folders:
            below, rules = folders.pop()
            try:
                entries = self._entries(below)
            except BadInput as error:
                if not below:
                    raise
                plan.unknown.append(below)
                self._found.append((below, Skipped(str(self._listing.root.below(below)), None, str(error))))
                continue
            folders += self._open(below, rules, entries)
        for name, found in sorted(self._found, key=lambda pair: pair[0]):
            if isinstance(found, Skipped):
                plan.entries.append(found)
            elif (kind := self._kind(name)) is not None:
                _add(self._listing, name, kind, self._sized(name, found), self._options)
        return self._listing

    def _entries(self, below: str) -> dict[str, Mapping[str, Any]]:
        """What a folder holds, by its path below the root."""
        address = self._listing.root.below(below) if below else self._listing.root
        with naming(str(address), "listed"):
            found = self._store.ls(address.path, detail=True)
        named = {_below(self._listing.root, str(info["name"])): info for info in found}
        # Some stores list a folder in itself, as an empty file that keeps its place.
        return {name: info for name, info in sorted(named.items()) if name and name != below}

    def _open(
        self, below: str, rules: Rules, entries: dict[str, Mapping[str, Any]]
    ) -> list[tuple[str, Rules]]:
        """Notes the files of a folder; returns the folders in it."""
        names = {name.rpartition("/")[2] for name in entries}
        plan = self._listing.plan
        if below and rules.is_vendored(below.rpartition("/")[2], names):
            plan.left_out["vendored"] += 1
            return []
        rules = rules.inside(partial(self._read, below), below, names)
        folders = []
        for name, info in entries.items():
            is_folder = info.get("type") == "directory"
            if is_beir(names) and name.rpartition("/")[2] != "corpus.jsonl":
                continue
            if reason := rules.reason_against(name, folder=is_folder):
                plan.left_out[reason] += 1
            elif is_folder:
                folders.append((name, rules))
            else:
                self._found.append((name, info))
        return folders

    def _sized(self, name: str, info: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a store says of a file, with its bytes where a listing does not tell them."""
        if info.get("size") is not None:
            return info
        return look_at(self._store, self._listing.root.below(name))

    def _read(self, below: str, name: str) -> bytes | None:
        address = self._listing.root.below(f"{below}/{name}" if below else name)
        try:
            with naming(str(address)):
                data: bytes = self._store.cat_file(address.path, start=0, end=LARGEST_IGNORE_FILE + 1)
        except BadInput:
            return None
        return data if len(data) <= LARGEST_IGNORE_FILE else None

    def _kind(self, name: str) -> str | None:
        return _kind_of(self._listing, name, self._options)


def _take(listing: Listing, name: str, info: Mapping[str, Any], rules: Rules, options: ReadOptions) -> None:
    if reason := rules.reason_against(name, folder=False):
        listing.plan.left_out[reason] += 1
    elif (kind := _kind_of(listing, name, options)) is not None:
        _add(listing, name, kind, info, options)


def _kind_of(listing: Listing, name: str, options: ReadOptions) -> str | None:
    """The reader of a file that was met; None, and it is counted, where there is none."""
    kind = format_of(name.rpartition("/")[2])
    if kind is None or (kind == "archive" and not options.archives):
        listing.plan.unsupported[PurePosixPath(name).suffix.lower()] += 1
        return None
    return kind


def _add(listing: Listing, name: str, kind: str, info: Mapping[str, Any], options: ReadOptions) -> None:
    address = str(listing.root.below(name))
    stamp = stamp_of(info)
    listing.tags[name] = stamp.tag
    listing.plan.entries.append(
        SourceFile(
            address,
            address,
            name,
            kind,
            stamp.size,
            str(listing.root),
            modified=stamp.modified,
            options=options,
        )
    )


def _below(root: Address, path: str) -> str:
    """The path of what a store calls `path`, below the root."""
    path = path.rstrip("/")
    return path[len(root.path) :].lstrip("/") if path.startswith(root.path) else path
