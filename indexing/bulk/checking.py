"""Whether the files of a plan are as they were when it was made."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from indexing.bulk.addresses import Address, Stamp, look_at, naming, open_store, stamp_of
from indexing.bulk.named import Named
from indexing.bulk.pieces import ShardPlan
from indexing.bulk.specs import Entry, Reading, read_spec
from indexing.documents.source import SourceFile
from indexing.errors import BadInput
from indexing.sources.looking import origin_of

__all__ = ["check_unchanged", "difference_of", "files_in", "refuse_changed"]

_LISTED = 16  # files of one folder of a store that are asked for at once
_UNTOLD = Stamp(-1)  # of a page of links: each file is asked for then
_ANEW = "nothing was read; with --restart the load is planned anew, and what is stored already stays"


def check_unchanged(shards: Iterable[ShardPlan], named: Named | None = None) -> dict[int, str]:
    """Looks at each file of `shards` once. A plan lies in the catalog, which another may have written: its
    files have to be in what was `named`. Returns the paths of those that have a row in the catalog, by that.

    Raises:
        BadInput: one was changed or is gone since the plan was made, or was not named; the message says which
            and how. Nothing was read.
    """
    elsewhere: dict[Address, dict[str, Entry]] = {}
    rows: dict[int, str] = {}
    for reading, entry in files_in(shards):
        if named is not None and not named.covers(reading, entry.file):
            raise _not_named(entry)
        if entry.file_id is not None:
            rows[entry.file_id] = origin_of(entry.file)
        if reading.address is not None:
            elsewhere.setdefault(reading.address, {})[entry.file.name] = entry
        else:
            _refuse(entry, difference_of(entry))
            if named is not None and not named.finds(entry.file):
                raise _not_named(entry)
    for address, entries in elsewhere.items():
        now = _listed(address) if len(entries) >= _LISTED else {}
        for name, entry in entries.items():
            info = now.get(address.below(name).path)
            if info is not None and stamp_of(info) == _UNTOLD:
                info = None
            _refuse(entry, difference_of(entry, address, info))
    return rows


def _not_named(entry: Entry) -> BadInput:
    return BadInput(
        f"this load was planned with {entry.file.source}, which is not in what was named now; {_ANEW}"
    )


def _refuse(entry: Entry, difference: str) -> None:
    if difference:
        raise BadInput(f"{entry.file.source} has changed since this load was planned: {difference}; {_ANEW}")


def refuse_changed(entry: Entry, address: Address | None = None) -> None:
    """Raises `BadInput` for a file that is not the one that was planned; see `difference_of`."""
    if difference := difference_of(entry, address):
        raise BadInput(f"{entry.file.source} has changed since this load was planned: {difference}")


def files_in(shards: Iterable[ShardPlan]) -> Iterator[tuple[Reading, Entry]]:
    """The files of `shards`, one that was cut only once where its parts follow each other."""
    before = ""
    for shard in shards:
        reading = read_spec(shard.spec)
        for entry in reading.entries:
            if isinstance(entry, Entry) and (shard.kind == "files" or entry.file.path != before):
                before = entry.file.path
                yield reading, entry


def difference_of(entry: Entry, address: Address | None = None, info: Mapping[str, Any] | None = None) -> str:
    """How a file differs from what it was; "" if it does not. `address` is that of its folder, `info` what
    the store said of it just now.

    Raises:
        BadInput: the store cannot be asked.
    """
    if address is None:
        return _difference_here(entry)
    if info is None:
        try:
            info = look_at(open_store(address), address.below(entry.file.name))
        except BadInput as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return "it is gone"
            raise
    return entry.stamp.difference(stamp_of(info))


def _difference_here(entry: Entry) -> str:
    file: SourceFile = entry.file
    try:
        status = os.stat(file.path)  # noqa: PTH116 - of thousands of files, each a text already
    except FileNotFoundError:
        return "it is gone"
    except OSError:
        return ""  # its reader says what is wrong
    return Stamp(file.size, file.modified).difference(Stamp(status.st_size, status.st_mtime_ns), 1)


def _listed(address: Address) -> Mapping[str, Mapping[str, Any]]:
    """What a store says of all files of a folder, by their paths there; nothing if it cannot."""
    store = open_store(address)
    try:
        with naming(str(address), "listed"):
            store.invalidate_cache()
            found: Mapping[str, Mapping[str, Any]] = store.find(address.path, detail=True)
    except BadInput:
        return {}
    return found
