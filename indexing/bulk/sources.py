"""What a person named for a load: folders and files of this machine, and addresses of others."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from indexing.bulk.addresses import Address, parse_address
from indexing.bulk.checking import check_unchanged
from indexing.bulk.folders import check_rows, finish_files, prepare_folders
from indexing.bulk.listing import list_address
from indexing.bulk.named import Named
from indexing.bulk.pieces import Done, Piece, ShardPlan
from indexing.bulk.plan import plan_shards
from indexing.bulk.shards import NOTHING_DONE, ShardReader
from indexing.bulk.specs import Entry, Group
from indexing.documents import ReadReport
from indexing.documents.options import ReadOptions
from indexing.documents.walk import check_paths
from indexing.errors import BadInput
from indexing.models.held import Encoders
from indexing.session import Session
from indexing.sources.report import SyncReport
from indexing.sources.run import run_sync
from indexing.sources.targets import named_targets
from indexing.views.manager import Views
from indexing.writing.report import Progress

__all__ = ["NamedSource"]


class NamedSource:
    """The source of a load (`BulkSource`): local paths, which the collection is kept in step with from then
    on, and addresses, whose documents are kept as they are found. Close it, or use it in a `with`.

    `options` say how files are read; None keeps those that the collection has of a folder. What does not lie
    `within` these folders is not read. `report` is told what there is to read, and what has no reader.

    Raises:
        BadInput: an address cannot be used, or there is nothing named.
    """

    def __init__(
        self,
        session: Session,
        addresses: Iterable[str | os.PathLike[str]] | str | os.PathLike[str],
        options: ReadOptions | None = None,
        *,
        within: Iterable[str | os.PathLike[str]] | None = None,
        report: ReadReport | None = None,
    ) -> None:
        named = [addresses] if isinstance(addresses, str | os.PathLike) else list(addresses)
        parsed = [parse_address(os.fspath(one)) for one in named]
        if not parsed:
            raise BadInput("nothing was named: give folders, files or addresses such as s3://bucket/folder")
        if within is not None and any(isinstance(one, Address) for one in parsed):
            raise BadInput("addresses of other machines may not be read here: only folders that were allowed")
        self._session = session
        self._paths: Sequence[Path] = [one for one in parsed if isinstance(one, Path)]
        self._addresses = [one for one in parsed if isinstance(one, Address)]
        self._options = options
        self._within = None if within is None else list(within)
        self._report = report if report is not None else ReadReport()
        self._reader = ShardReader()

    def __enter__(self) -> NamedSource:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._reader.close()

    @property
    def identity(self) -> dict[str, Any]:
        """Addresses and options as JSON values."""
        names = [os.path.realpath(path) for path in self._paths] + [str(one) for one in self._addresses]
        options = None if self._options is None else self._options.to_json()
        return {"addresses": sorted(names), "options": options}

    def plan(self, piece_documents: int) -> Iterator[ShardPlan]:
        """The shards of all that is new; local folders become sources of the collection now.

        Raises:
            BadInput: a path or an address has nothing, or may not be read.
        """
        check_paths(self._paths)
        options = self._options or ReadOptions()
        listings = [list_address(address, options) for address in self._addresses]
        groups: list[Group] = []
        if self._paths:
            groups, targets = prepare_folders(self._session, self._paths, self._options, self._within)
            plans = [target.plan for target in targets if target.plan is not None]
        else:
            plans = []
        groups += [listing.group(options) for listing in listings]
        self._tell(groups, [*plans, *(listing.plan for listing in listings)])
        return plan_shards(groups, piece_documents=piece_documents, parser=self._reader.parser)

    def check(self, shards: Iterable[ShardPlan]) -> None:
        """Raises `BadInput`, which names what changed since `shards` were planned. Nothing was read then."""
        check_paths(self._paths)
        named = Named(self._paths, self._addresses, self._options, self._within)
        check_rows(self._session, check_unchanged(shards, named))

    def read(self, shard: ShardPlan, done: Done = NOTHING_DONE) -> Iterator[Piece]:
        """The pieces of a shard; see `ShardReader.read`."""
        return self._reader.read(shard, done)

    def finish(self, shards: Iterable[ShardPlan], bad: Collection[int], denied: Iterable[int]) -> None:
        """After the last piece: `bad` are numbers of shards that could not be read, `denied` rows of files of
        which something was kept out.
        """
        finish_files(self._session, shards, bad, set(denied))

    def sync_rest(
        self, views: Views, encoders: Encoders, progress: Progress | None = None
    ) -> SyncReport | None:
        """The plain sync of the folders that were named, for what was changed, renamed or is gone; None where
        none was named. The caller holds the lock of the documents.
        """
        if not self._paths:
            return None
        targets = named_targets(self._session, self._paths, self._options, self._within)
        return run_sync(self._session, views, encoders, targets, ReadReport(), progress=progress)

    def _tell(self, groups: Sequence[Group], plans: Sequence[Any]) -> None:
        report = self._report
        files = [entry.file for group in groups for entry in group.entries if isinstance(entry, Entry)]
        report.files += len(files)
        report.bytes_total += sum(max(0, file.size) for file in files)
        for plan in plans:
            report.unsupported.update(plan.unsupported)
