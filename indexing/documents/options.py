"""How the files of a folder are chosen and read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

__all__ = ["ReadOptions"]


@dataclass(frozen=True)
class ReadOptions:
    """What a person may say of reading; kept with a source, so that it is read the same way again.

    `text_fields`, `title_field` and `id_field` name columns of tables and fields of JSON records, where the
    known names do not do. `archives` opens zip and tar files, one level deep. `hidden` and `vendored` read
    names that begin with a dot and folders of other people's code (`node_modules`, `.venv`), `ignore_files`
    obeys `.gitignore` and `.stlibignore`. `include` and `exclude` are patterns in the language of
    `.gitignore`, matched below the root: with `include` only what matches one of them is read.
    """

    text_fields: tuple[str, ...] = ()
    title_field: str | None = None
    id_field: str | None = None
    archives: bool = False
    hidden: bool = False
    vendored: bool = False
    ignore_files: bool = True
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """What differs from the defaults."""
        return {name: value for name, value in vars(self).items() if value != getattr(ReadOptions, name)}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> ReadOptions:
        """What is unknown here, or is of another type than it should be, is passed over."""
        values: dict[str, Any] = {}
        for field in fields(cls):
            value = raw.get(field.name)
            if isinstance(value, list | tuple) and isinstance(field.default, tuple):
                values[field.name] = tuple(str(one) for one in value)
            elif isinstance(value, bool if isinstance(field.default, bool) else str):
                values[field.name] = value
        return cls(**values)
