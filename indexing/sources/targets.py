"""What a run looks at: sources that a person names now, or those that there are."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from indexing.catalog.database import reading, writing
from indexing.catalog.sources import (
    SourceInfo,
    adopt_documents,
    files_of,
    keep_source,
    origins_below,
    sources_of,
)
from indexing.documents import Skipped
from indexing.documents.options import ReadOptions
from indexing.documents.walk import check_paths, plan_files, readable_name, real_name
from indexing.session import Session
from indexing.sources.looking import Target, origin_of
from indexing.writing.identity import file_of_origin

__all__ = ["FILES", "FOLDER", "known_targets", "named_targets"]

FOLDER, FILES = "folder", "files"


def named_targets(
    session: Session, paths: Sequence[Path], options: ReadOptions | None, within: Iterable[Any] | None
) -> list[Target]:
    """The sources that `paths` are, made or with other `options` from now on: each folder is one, and the
    single files of a folder together are one.

    Raises:
        BadInput: one is not there; nothing was changed.
    """
    check_paths(paths)
    wanted: dict[tuple[str, str], list[Path]] = {}
    for path in paths:
        kind = FOLDER if path.is_dir() else FILES
        folder = path if path.is_dir() else path.parent
        wanted.setdefault((os.path.realpath(folder), kind), []).append(path)
    targets: list[Target] = []
    met: set[str] = set()
    # Outer folders first: what lies in one that is read is no source of its own.
    for (real, kind), named in sorted(wanted.items(), key=lambda item: len(Path(item[0][0]).parts)):
        plan = plan_files(named, within, options)
        if met and plan.files and all(origin_of(file) in met for file in plan.files):
            continue
        met.update(origin_of(file) for file in plan.files)
        source = _keep(session, real, kind, options)
        targets.append(_target(session, source, named, within))
    return targets


def known_targets(session: Session, within: Iterable[Any] | None) -> list[Target]:
    """All sources of the collection."""
    with reading(session.database) as connection:
        sources = sources_of(connection, session.id)
    return [_target(session, source, [Path(real_name(source.root))], within) for source in sources]


def _target(session: Session, source: SourceInfo, named: list[Path], within: Iterable[Any] | None) -> Target:
    options = ReadOptions.from_json(source.options)
    if source.kind == FOLDER:
        # Under the name that was given this time, which is what messages say.
        there = os.path.isdir(named[0])  # noqa: PTH112 - one that may not be looked at is none
        return Target(source, plan_files([named[0]], within, options) if there else None)
    root = Path(real_name(source.root))
    if not os.path.isdir(root):  # noqa: PTH112
        return Target(source, None)
    with reading(session.database) as connection:
        # Files of this very folder: a catalog that was altered may name others.
        names = [name for name in files_of(connection, source.id) if "/" not in name]
    given = [path for path in named if not path.is_dir()]
    given_real = {os.path.realpath(path) for path in given}
    others, hidden = _still_there(root, names)
    plan = plan_files(
        [*given, *(p for p in others if os.path.realpath(p) not in given_real)], within, options
    )
    plan.entries += hidden.values()
    plan.unknown += hidden
    return Target(source, plan)


def _still_there(root: Path, names: Iterable[str]) -> tuple[list[Path], dict[str, Skipped]]:
    """Those of the files `names` of a folder that are there, and those that may not be looked at."""
    there: list[Path] = []
    hidden: dict[str, Skipped] = {}
    for name in names:
        path = root / real_name(name)
        try:
            if path.is_file():
                there.append(path)
        except OSError as error:
            hidden[name] = Skipped(readable_name(str(path)), None, f"cannot be read: {error.strerror}")
    return there, hidden


def _keep(session: Session, real: str, kind: str, options: ReadOptions | None) -> SourceInfo:
    """The source of a real folder; documents that were read from it before it was one are given to it."""
    root = readable_name(real).rstrip("/")
    with writing(session.database) as connection:
        stored = _stored_options(connection, session.id, root, kind) if options is None else options.to_json()
        id_, new = keep_source(connection, session.id, root, kind, stored)
        if new and kind == FOLDER:
            origins = origins_below(connection, session.id, root)
            names = {origin: readable_name(file_of_origin(origin))[len(root) + 1 :] for origin in origins}
            adopt_documents(connection, session.id, id_, names)
    return SourceInfo(id_, root, kind, dict(stored), None)


def _stored_options(connection: Any, collection_id: int, root: str, kind: str) -> Mapping[str, Any]:
    for source in sources_of(connection, collection_id):
        if (source.root, source.kind) == (root, kind):
            return source.options
    return {}
