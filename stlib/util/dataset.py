"""Columns of training data: which are labels, and how identifiers in them become texts."""

from __future__ import annotations

import ast
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

from stlib.errors import InvalidInput, InvalidOption, MissingDependency
from stlib.util.row_index import RowIndex

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger(__name__)

# The first of these that a dataset has is its label
DEFAULT_LABEL_COLUMNS: tuple[str, ...] = ("label", "labels", "score", "scores")

_UNFORMATTED = "remove the dataset's format first: dataset.with_format(None)"


def resolve_ids(
    lookups: dict[str, Dataset | tuple[Dataset, str] | tuple[Dataset, str, str]],
    keep_columns: list[str] | tuple[str, ...] = DEFAULT_LABEL_COLUMNS,
    max_list_length: int | None = None,
    output_format: Literal["columns", "lists"] = "columns",
) -> ResolveIds:
    """A function that replaces identifiers in a batch of rows by what they stand for.

    Give it to ``dataset.set_transform`` (rows are looked up when they are read), or to ``dataset.map`` with
    ``batched=True`` and ``remove_columns=list(lookups)``.

    A column ``query_id`` becomes ``query``. A column of lists, ``document_ids``, becomes ``document_1``,
    ``document_2`` and so on, all rows having as many; or with ``output_format="lists"`` one column
    ``documents`` of lists of any length. Lists may be written out as text (``"[1, 2]"``).

    Args:
        lookups: by column of identifiers, in the order the loss wants them: a dataset whose column ``id`` or
            ``..._id`` has the identifiers and whose other column has the values; ``(dataset, id_column)``; or
            ``(dataset, id_column, value_column)``. An identifier that comes twice stands for its last row.
        keep_columns: columns to leave as they are, if present; all others are dropped.
        max_list_length: use this many items, the first ones, of each list.
        output_format: ``"columns"`` or ``"lists"``.

    Raises:
        InvalidOption: an argument is none of these, or a column cannot be told from the others.
        TypeError: a lookup is no ``Dataset``, or ``keep_columns`` is one string.
        MissingDependency: datasets is not installed.

    The function raises ``KeyError`` for an identifier that its dataset lacks, and ``InvalidInput`` for lists
    that differ in length when columns are wanted.
    """
    if isinstance(keep_columns, str):
        raise TypeError(f"keep_columns came as the text {keep_columns!r}; give a list of column names")
    if max_list_length is not None and max_list_length < 1:
        raise InvalidOption(f"max_list_length must be at least 1, or None for all, but got {max_list_length}")
    if output_format not in ("columns", "lists"):
        raise InvalidOption(f'output_format must be "columns" or "lists", but got {output_format!r}')
    # Columns that look into the same dataset share the index of its identifiers
    indexes: dict[tuple[int, str], RowIndex] = {}
    resolved = {column: _lookup(column, given, indexes) for column, given in lookups.items()}
    return ResolveIds(resolved, tuple(keep_columns), max_list_length, output_format == "lists")


@dataclass
class _Lookup:
    """Values by identifier."""

    values: Dataset
    column: str
    rows: RowIndex

    def take(self, ids: Sequence[Any], source: str) -> list[Any]:
        if not len(ids):
            return []
        try:
            rows = self.rows.find(ids)
        except TypeError:
            raise TypeError(f"identifiers of column {source!r} cannot be looked up; {_UNFORMATTED}") from None
        except KeyError as error:
            raise KeyError(
                f"{error.args[0]!r} of column {source!r} is not in its lookup dataset; check that both are "
                "of the same kind (text or number) and that the dataset is complete"
            ) from None
        return self.values[rows][self.column]


@dataclass
class ResolveIds:
    """What :func:`resolve_ids` returns: a batch of columns to a batch of columns. It can be pickled."""

    lookups: dict[str, _Lookup]
    keep_columns: tuple[str, ...]
    max_list_length: int | None
    as_lists: bool

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        if not isinstance(batch, Mapping):
            raise TypeError(f"a batch came as {type(batch).__name__}, not as a dict; {_UNFORMATTED}")
        resolved: dict[str, Any] = {}
        for name, lookup in self.lookups.items():
            for output, values in self._resolve(name, batch[name], lookup):
                _add(resolved, output, values)
        for name in self.keep_columns:
            if name in batch:
                _add(resolved, name, self._keep_first(name, batch[name]))
        return resolved

    def _resolve(self, name: str, column: Any, lookup: _Lookup) -> Iterable[tuple[str, list[Any]]]:
        if not isinstance(column, list):
            raise TypeError(f"column {name!r} is a {type(column).__name__}, not a list; {_UNFORMATTED}")
        column = _parse_lists(column, name)
        if not column or not isinstance(column[0], (list, tuple)):
            return [(_singular(name), lookup.take(column, name))]
        column = [row[: self.max_list_length] for row in column]
        values = lookup.take(list(chain.from_iterable(column)), name)
        if self.as_lists:
            rest = iter(values)
            return [(_plural(name), [[next(rest) for _ in row] for row in column])]
        width = _common_length(column, name)
        return [(f"{_singular(name)}_{place + 1}", values[place::width]) for place in range(width)]

    def _keep_first(self, name: str, values: Any) -> Any:
        if len(values):
            values = _parse_lists(values, name)
            if self.max_list_length is not None and _is_list(values[0]):
                return [row[: self.max_list_length] for row in values]
        return values


def _lookup(name: str, given: Any, indexes: dict[tuple[int, str], RowIndex]) -> _Lookup:
    dataset, id_column, value_column = _parts(name, given)
    # Plain values, even when the caller has set a format
    plain = dataset.with_format(None)
    id_column = _existing(id_column or _only_id(plain, name), plain, name)
    value_column = _existing(value_column or _only_other(plain, id_column, name), plain, name)
    key = (id(dataset), id_column)
    if key not in indexes:
        ids = chain.from_iterable(rows[id_column] for rows in plain.select_columns([id_column]).iter(50_000))
        indexes[key] = RowIndex(list(ids))
        if len(indexes[key]) < len(plain):
            logger.warning(
                "lookups[%r]: %d rows have a %r that comes again; the last row of each counts",
                name,
                len(plain) - len(indexes[key]),
                id_column,
            )
    return _Lookup(plain.select_columns([value_column]), value_column, indexes[key])


def _parts(name: str, given: Any) -> tuple[Any, str | None, str | None]:
    try:
        from datasets import Dataset
    except ImportError as error:
        raise MissingDependency(
            "resolve_ids needs the package 'datasets', which is missing; run: pip install datasets"
        ) from error
    dataset, *columns = given if isinstance(given, tuple) else (given,)
    if not isinstance(dataset, Dataset):
        raise TypeError(
            f"lookups[{name!r}] is a {type(dataset).__name__}; give a Dataset (of a DatasetDict, one split)"
        )
    if isinstance(given, tuple) and len(columns) not in (1, 2):
        raise InvalidOption(
            f"lookups[{name!r}] has {len(given)} parts; give a dataset, (dataset, id_column) or (dataset, "
            "id_column, value_column)"
        )
    id_column, value_column = (*columns, None, None)[:2]
    return dataset, id_column, value_column


def _existing(column: str, dataset: Dataset, name: str) -> str:
    if column not in dataset.column_names:
        raise InvalidOption(
            f"lookups[{name!r}]: the dataset has no column {column!r}; it has {dataset.column_names}"
        )
    return column


def _only_id(dataset: Dataset, name: str) -> str:
    found = [column for column in dataset.column_names if column == "id" or column.endswith("_id")]
    if len(found) != 1:
        raise InvalidOption(
            f"lookups[{name!r}]: which of {dataset.column_names} has the identifiers is not clear, "
            f"{len(found)} are called 'id' or end in '_id'; give (dataset, id_column)"
        )
    return found[0]


def _only_other(dataset: Dataset, id_column: str, name: str) -> str:
    others = [column for column in dataset.column_names if column != id_column]
    if len(others) != 1:
        raise InvalidOption(
            f"lookups[{name!r}]: which of {others} has the values is not clear; give (dataset, "
            f"{id_column!r}, value_column)"
        )
    return others[0]


def _singular(name: str) -> str:
    return next((name.removesuffix(end) for end in ("_ids", "_id", "_idx") if name.endswith(end)), name)


def _plural(name: str) -> str:
    endings = {"y_ids": "ies", "_ids": "s", "_id": "", "_idx": ""}
    return next((name.removesuffix(old) + new for old, new in endings.items() if name.endswith(old)), name)


def _add(resolved: dict[str, Any], name: str, values: Any) -> None:
    if name in resolved:
        raise InvalidInput(f"two columns would be called {name!r} once resolved; rename one of them")
    resolved[name] = values


def _common_length(column: list[Any], name: str) -> int:
    lengths = {len(row) for row in column}
    if len(lengths) > 1 or 0 in lengths:
        raise InvalidInput(
            f"the lists of column {name!r} have {sorted(lengths)} items, but to become columns all need the "
            "same number, at least one; cut them with max_list_length, keep them with output_format='lists', "
            "or filter rows"
        )
    return lengths.pop()


def _is_list(value: Any) -> bool:
    return hasattr(value, "__len__") and not isinstance(value, (str, bytes))


def _parse_lists(column: Any, name: str) -> Any:
    """Lists that are written out as text, as lists; other columns as they are."""
    if not len(column) or not isinstance(column[0], str) or not column[0].lstrip().startswith("["):
        return column
    return [_parse_list(text, name) for text in column]


def _parse_list(text: str, name: str) -> list[Any]:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        value = None
    if not isinstance(value, (list, tuple)):
        raise InvalidInput(
            f"column {name!r} seems to hold lists written as text, but {text[:100]!r} is no list; convert it"
        )
    return list(value)
