"""What a backup says of itself, read as what it is: the word of whoever made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.backups.files import MODELS, UPLOADS, check_path
from indexing.catalog.migrate import HEAD, REMEDY_FOR_NEWER
from indexing.errors import BadInput
from indexing.storage.archive import ArchiveReader
from indexing.storage.paths import check_name

__all__ = ["CATALOG", "FEEDBACK", "FORMAT", "TUNING", "VERSION", "Held", "read_manifest"]

FORMAT, VERSION = "stlib backup", 1

CATALOG, FEEDBACK, TUNING = "catalog.sqlite", "feedback.sqlite", "tuning.sqlite"
_DATABASES = (CATALOG, FEEDBACK, TUNING)


@dataclass(frozen=True)
class Held:
    """A collection in a backup.

    Attributes:
        databases: its databases that are there, by `CATALOG`, `FEEDBACK` and `TUNING`: names in the archive.
        files: by kind, see `app.backups.files`: path → name in the archive.
        documents: how many, as the backup says.
    """

    name: str
    documents: int
    databases: Mapping[str, str]
    files: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def read_manifest(archive: ArchiveReader) -> dict[str, Held]:
    """The collections of a backup, by name. Every file of it belongs to one of them.

    Raises:
        BadInput: it is of a newer release, or names what no backup does.
    """
    about = archive.about
    if about.get("format") != FORMAT:
        raise BadInput(f"{archive.path} is an archive, but no backup of stlib; nothing was restored")
    version, schema = about.get("version"), about.get("schema")
    if type(version) is not int or not isinstance(schema, str):
        raise BadInput(f"{archive.path} does not say of which release it is; nothing was restored")
    if version > VERSION or schema > HEAD:
        raise BadInput(
            f"{archive.path} was made by a newer release (format {version}, schema {schema[:20]}; this one"
            f" knows {VERSION} and {HEAD}): {REMEDY_FOR_NEWER}"
        )
    collections = about.get("collections")
    if not isinstance(collections, dict) or not collections:
        raise BadInput(f"{archive.path} holds no collection; nothing was restored")
    held = {check_name(name): _held(archive, name, said) for name, said in collections.items()}
    named = [one for each in held.values() for one in (*each.databases.values(), *_members(each))]
    if len(named) != len(set(named)) or set(named) != set(archive.members):
        raise BadInput(
            f"{archive.path} holds files that belong to no collection, or to two; nothing was restored"
        )
    return held


def _members(held: Held) -> list[str]:
    return [member for paths in held.files.values() for member in paths.values()]


def _held(archive: ArchiveReader, name: str, said: Any) -> Held:
    said = said if isinstance(said, dict) else {}
    databases = {one: f"{name}/{one}" for one in _DATABASES if f"{name}/{one}" in archive.members}
    if CATALOG not in databases:
        raise BadInput(f"{archive.path} has no catalog of collection {name}; nothing was restored")
    files: dict[str, dict[str, str]] = {}
    for kind in (MODELS, UPLOADS):
        paths = said.get(kind, {})
        if not isinstance(paths, dict) or not all(isinstance(member, str) for member in paths.values()):
            raise BadInput(f"{archive.path} names no {kind} where they belong; nothing was restored")
        files[kind] = {check_path(path): member for path, member in paths.items()}
        if len({path.casefold() for path in paths}) != len(paths):
            raise BadInput(f"{archive.path} holds {kind} of one name; nothing was restored")
        if any(member not in archive.members for member in files[kind].values()):
            raise BadInput(f"{archive.path} lacks {kind} that it names; nothing was restored")
    documents = said.get("documents")
    return Held(name, documents if type(documents) is int else 0, databases, files)
