"""Types of columns that look at what they read: SQLite gives back whatever is stored, of any type.

A catalog that was altered is named as damaged where it is read, instead of failing somewhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import JSON, BigInteger, Integer, LargeBinary, String, TypeDecorator

from indexing.errors import StorageError

__all__ = [
    "NUMBER",
    "TEXT",
    "StoredBigInteger",
    "StoredBytes",
    "StoredInteger",
    "StoredJson",
    "StoredText",
]

NUMBER = Integer().with_variant(BigInteger(), "postgresql")
"""SQLite's integers have 64 bits by themselves, and its keys must be called so."""

TEXT = String().with_variant(String(collation="C"), "postgresql")
"""In the order of code points, as SQLite compares, whatever the language of a server is."""


class _Checked(TypeDecorator[Any]):
    """Passes on values of one Python type, and None."""

    impl: Any = String
    cache_ok = True
    kind: type = str

    def result_processor(self, dialect: Any, coltype: Any) -> Callable[[Any], Any]:
        process = self.impl_instance.result_processor(dialect, coltype)
        kind = self.kind

        def check(value: Any) -> Any:
            if value.__class__ is kind and process is None:
                return value
            if value is not None and not isinstance(value, kind):
                raise _damaged(f"a {type(value).__name__} where a {kind.__name__} belongs")
            return value if process is None else process(value)

        return check


class StoredText(_Checked):
    impl = TEXT
    kind = str
    cache_ok = True


class StoredInteger(_Checked):
    impl = NUMBER
    kind = int
    cache_ok = True


class StoredBigInteger(_Checked):
    """Of 64 bits: nanoseconds, inodes, sizes of files."""

    impl = BigInteger
    kind = int
    cache_ok = True


class StoredBytes(_Checked):
    impl = LargeBinary
    kind = bytes
    cache_ok = True


class StoredJson(TypeDecorator[Any]):
    """A JSON object."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def result_processor(self, dialect: Any, coltype: Any) -> Callable[[Any], Any]:
        process = super().result_processor(dialect, coltype)

        def check(value: Any) -> Any:
            try:
                loaded = value if process is None else process(value)
            except (ValueError, TypeError, RecursionError) as error:
                raise _damaged(f"a value that should be JSON is none ({error})") from error
            if value is not None and not isinstance(loaded, dict):  # a column without a value has no JSON
                kind = "null" if loaded is None else type(loaded).__name__
                raise _damaged(f"a JSON {kind} where an object belongs")
            return loaded

        return check


def _damaged(what: str) -> StorageError:
    return StorageError(f"the catalog is damaged: it holds {what}; restore it from a backup")
