"""Rows of tables that other libraries hold, as documents: pandas, datasets, and whatever speaks Arrow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from indexing.documents.arrow import rows_of_batch
from indexing.documents.fields import NoText, Rows, UnknownField, check_named, choose_fields, list_names
from indexing.documents.known_fields import unique_names
from indexing.documents.options import ReadOptions
from indexing.errors import BadInput

__all__ = ["documents_of"]

_ROWS_PER_BATCH = 1024
_SAMPLE = 100  # rows of an iterable that are looked at for the names that were given
_MISSING = ("NaTType", "NAType")  # what pandas has where there is no value


def documents_of(
    documents: Any,
    text_field: str | Sequence[str] | None,
    title_field: str | None,
    id_field: str | None,
    note: Callable[[str], None],
) -> Iterable[Any]:
    """`documents` as they are, or what the rows of a table say: a pandas `DataFrame`, a `datasets.Dataset`, a
    table, batch or reader of pyarrow, polars and others. With a field named, dicts are rows too. `note` is
    told, now or while they are read, what metadata cannot hold.

    Raises:
        BadInput: a table without ids, or without a field that was named.
    """
    texts = (text_field,) if isinstance(text_field, str) else tuple(text_field or ())
    if not all(isinstance(name, str) for name in (*texts, title_field or "", id_field or "")):
        raise BadInput("text_field, title_field and id_field are names of columns; text_field may be a list")
    options = ReadOptions(text_fields=texts, title_field=title_field, id_field=id_field)
    table = _rows_of(documents)
    if table is None and options == ReadOptions():
        return documents
    names, rows = table or _rows_of_stream(map(_checked_row, documents))
    _check(names, options)
    return _documents(rows, Rows(options, note, "column"))


def _documents(values: Iterable[Mapping[str, Any]], rows: Rows) -> Iterator[Any]:
    for row in values:
        try:
            yield rows.document(row, "")  # an id that is blank is refused as any other document's
        except NoText:
            key = rows.fields(tuple(row)).id
            yield {"id": str(row[key]) if key is not None else None, "text": ""}


def _check(names: Sequence[str], options: ReadOptions) -> None:
    try:
        check_named(options, names)
    except UnknownField as error:
        raise BadInput(f"the table {error}") from None
    if choose_fields(names, options).id is None:
        raise BadInput(
            "the table has no column 'id' or '_id': name the one that holds the ids, id_field=…; "
            f"the columns are {list_names(names)}"
        )


def _rows_of(table: Any) -> tuple[list[str], Iterable[Mapping[str, Any]]] | None:
    """The names of the columns, and the rows; None for what is no table."""
    library, kind = type(table).__module__.partition(".")[0], type(table).__name__
    if library == "pandas":
        if kind != "DataFrame":
            raise BadInput(f"a {kind} of pandas has no columns: give a DataFrame")
        return _rows_of_pandas(table)
    if library == "datasets":
        if kind.endswith("Dict"):
            raise BadInput(f"the data set has the splits {', '.join(table)}: give one of them, dataset['…']")
        if kind == "Dataset":
            batches = table.with_format("arrow").iter(batch_size=_ROWS_PER_BATCH)
            return unique_names(table.column_names), _rows_of_batches(
                b for t in batches for b in t.to_batches()
            )
        return _rows_of_stream(table)
    if hasattr(table, "__arrow_c_stream__") or hasattr(table, "__arrow_c_array__"):
        return _rows_of_arrow(table)
    return None


def _rows_of_pandas(frame: Any) -> tuple[list[str], Iterable[Mapping[str, Any]]]:
    if all(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    names = unique_names([str(name) for name in frame.columns])
    frame = frame.set_axis(names, axis=1)

    def rows() -> Iterator[Mapping[str, Any]]:
        for start in range(0, len(frame), _ROWS_PER_BATCH):
            for row in frame.iloc[start : start + _ROWS_PER_BATCH].to_dict("records"):
                yield {name: None if _is_missing(value) else value for name, value in row.items()}

    return names, rows()


def _is_missing(value: Any) -> bool:
    return (type(value) is float and value != value) or type(value).__name__ in _MISSING


def _rows_of_arrow(table: Any) -> tuple[list[str], Iterable[Mapping[str, Any]]]:
    try:
        import pyarrow
    except ImportError:
        raise BadInput("tables of Arrow need pyarrow: pip install pyarrow") from None
    try:
        if hasattr(table, "__arrow_c_stream__"):
            reader = pyarrow.RecordBatchReader.from_stream(table)
            return unique_names(reader.schema.names), _rows_of_batches(reader)
        batch = pyarrow.record_batch(table)
    except (pyarrow.ArrowException, TypeError, ValueError) as error:
        raise BadInput(f"a {type(table).__name__} is no table with columns: {error}") from error
    return unique_names(batch.schema.names), _rows_of_batches([batch])


def _rows_of_batches(batches: Iterable[Any]) -> Iterator[Mapping[str, Any]]:
    for batch in batches:
        for start in range(0, batch.num_rows, _ROWS_PER_BATCH):
            yield from rows_of_batch(batch.slice(start, _ROWS_PER_BATCH))


def _rows_of_stream(rows: Iterable[Mapping[str, Any]]) -> tuple[list[str], Iterable[Mapping[str, Any]]]:
    iterator = iter(rows)
    sample = list(islice(iterator, _SAMPLE))
    return list(dict.fromkeys(name for row in sample for name in row)), chain(sample, iterator)


def _checked_row(row: Any) -> Mapping[str, Any]:
    if not isinstance(row, Mapping) or not all(isinstance(name, str) for name in row):
        raise BadInput(
            f"with text_field, title_field or id_field each document is a dict, got {type(row).__name__}"
        )
    return row
