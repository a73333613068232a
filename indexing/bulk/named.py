"""What a person named for a load: a plan from a catalog, perhaps a stranger's, is held against it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from indexing.bulk.addresses import Address
from indexing.bulk.listing import has_pattern, root_of
from indexing.bulk.specs import Reading
from indexing.documents.options import ReadOptions
from indexing.documents.source import SourceFile
from indexing.documents.walk import plan_files, readable_name, real_name
from indexing.sources.looking import origin_of
from stlib.extras import require

__all__ = ["Named"]


class Named:
    """Paths of this machine and addresses that were named. Files are read with `options` (None: with those
    that the plan tells), and none that does not lie `within` these folders.
    """

    def __init__(
        self,
        paths: Iterable[Path] = (),
        addresses: Sequence[Address] = (),
        options: ReadOptions | None = None,
        within: Sequence[Any] | None = None,
    ) -> None:
        self._paths = list(paths)
        self._addresses = addresses
        self._options = options
        self._within = within
        folders = (path if path.is_dir() else path.parent for path in self._paths)
        self._folders = frozenset(os.path.realpath(folder) for folder in folders)
        self._real = lru_cache(maxsize=64)(os.path.realpath)  # thousands of files lie in one folder
        self._walks: dict[str, set[str]] = {}

    def covers(self, reading: Reading, file: SourceFile) -> bool:
        """Whether a file of a plan is said to lie in what was named. Asks no other machine."""
        if file.name.startswith("/") or ".." in unquote(file.name).split("/"):
            return False
        if reading.address is not None:
            return any(_leads_to(address, reading.address, file.name) for address in self._addresses)
        if not file.path.endswith(real_name(file.name)):
            return False
        folder = self._real(file.path.removesuffix(real_name(file.name)))
        return folder in self._folders and readable_name(folder).rstrip("/") == file.root

    def finds(self, file: SourceFile) -> bool:
        """Whether who looks through the paths that were named meets a file that they cover: not one beside a
        file that was named, a hidden one, or one that a link out of `within` leads to.
        """
        options = self._options or file.options
        key = repr(options)
        if key not in self._walks:
            # Each alone: what lies in two of them may have been planned as of either.
            plans = (plan_files([path], self._within, options) for path in self._paths)
            self._walks[key] = {origin_of(found) for plan in plans for found in plan.files}
        return origin_of(file) in self._walks[key]


def _leads_to(address: Address, root: Address, name: str) -> bool:
    """Whether who lists `address` may meet `name` below `root`."""
    if root == address:  # a folder
        return not has_pattern(address)
    if root != root_of(address):
        return False
    path = root.below(name).path
    if not has_pattern(address):
        return path == address.path
    require("fsspec", "remote")
    from fsspec.utils import glob_translate

    return re.fullmatch(glob_translate(address.path), path) is not None
