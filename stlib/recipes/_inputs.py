"""What the recipes share: reading a user's file of texts, the model to use, and one-line errors.

Files may be compressed with gzip (``.gz``). ``.jsonl`` holds an object on each line, ``.json`` a list of
objects or texts, ``.csv`` and ``.tsv`` a table whose first line names the columns, anything else one text on
each line. Cells of ``.tsv`` are separated by tabs; those of ``.csv`` by commas, or by tabs if the first line
shows it. Columns are asked for by name, or by number from 0 on if the table has no line of names.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from stlib.errors import InvalidInput, StlibError
from stlib.paths import is_mistyped
from stlib.recipes._numbers import positive
from stlib.recipes._tables import read_table

DEFAULT_MODEL = "stlib-static-en"

# Columns that hold the text when none is named, best guess first.
TEXT_COLUMNS = ("text", "sentence", "sentence1", "query", "question", "title")


def read_texts(path: str | Path, column: str | None = None, limit: int | None = None) -> list[str]:
    """The non-empty texts of one column, in the order of the file.

    Args:
        path: a file as the module describes.
        column: its column; default: the first of ``text, sentence, …`` that the file has, or its only column.
        limit: read so many texts at most.

    Raises:
        InvalidInput: no such file or column, a line that cannot be read, or no text in it.
    """
    rows = read_rows(path, numbered=column is not None and column.isdigit())
    name = column if column is not None else _text_column(rows, path)
    (values,) = _columns(rows, [name], path)
    texts = [text for text in (str(v).strip() for v in values if v is not None) if text]
    if not texts:
        raise InvalidInput(f"{path} holds no text in column {name!r}; give a file with at least one")
    return texts[:limit]


def read_rows(path: str | Path, numbered: bool = False) -> list[dict[str, Any]]:
    """Each row of a file by column; plain lines are rows with the one column ``text``.

    Args:
        path: a file as the module describes.
        numbered: a table has no line of names; its columns are called ``"0"``, ``"1"`` and so on.

    Raises:
        InvalidInput: no such file, or a line that cannot be read.
    """
    path = Path(path)
    kind = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    lines = _text_of(path)
    if kind == ".jsonl":
        return _json_lines(lines, path)
    if kind == ".json":
        return _json_list(lines, path)
    if kind in (".csv", ".tsv"):
        return read_table(lines, path, kind, numbered)
    # Not splitlines(): texts may hold U+2028 and its like.
    return [{"text": line.rstrip("\r")} for line in lines.split("\n") if line.strip()]


def _text_of(path: Path) -> str:
    try:
        raw = path.read_bytes()
        return (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8-sig")
    except FileNotFoundError as error:
        raise InvalidInput(f"there is no file {path}") from error
    except (OSError, EOFError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not UTF-8 text (byte {error.start}); convert it first") from error


def _json_lines(text: str, path: Path) -> list[dict[str, Any]]:
    rows = []
    # Not splitlines(): JSON texts may hold U+2028 and its like as they are.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            rows.append(_row(_parse(line, f"line {number} of {path}"), f"line {number} of {path}"))
    return rows


def _json_list(text: str, path: Path) -> list[dict[str, Any]]:
    values = _parse(text, str(path))
    if not isinstance(values, list):
        raise InvalidInput(f"{path} holds a {type(values).__name__}; expected a list of objects or texts")
    return [_row(value, f"entry {i} of {path}") for i, value in enumerate(values)]


def _parse(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidInput(f"{where} is not JSON: {error}") from error


def _row(value: Any, where: str) -> dict[str, Any]:
    if isinstance(value, str):
        return {"text": value}
    if not isinstance(value, dict):
        raise InvalidInput(f"{where} is a {type(value).__name__}; expected an object or a text")
    return value


def _text_column(rows: list[dict[str, Any]], path: str | Path) -> str:
    names = list(rows[0]) if rows else ["text"]
    found = [name for name in TEXT_COLUMNS if name in names] or (names if len(names) == 1 else [])
    if not found:
        raise InvalidInput(f"{path} has the columns {', '.join(names)}; say which one holds the text")
    return found[0]


def _columns(rows: list[dict[str, Any]], names: Sequence[str], path: str | Path) -> list[list[Any]]:
    for number, row in enumerate(rows, 1):
        for name in names:
            if name not in row:
                has = ", ".join(row) or "none"
                raise InvalidInput(f"row {number} of {path} has no column {name!r}; its columns: {has}")
    return [[row[name] for row in rows] for name in names]


def place(text: str) -> str:
    """A folder or file that is there, or a name of the hub, as a ``type`` of argparse; ``NAME=FILE`` too.

    A mistyped path is refused here, before anything is loaded or asked of the hub.
    """
    if is_mistyped(text) and is_mistyped(text.partition("=")[2] or text):
        raise argparse.ArgumentTypeError(
            f"there is no file or folder {text!r}; give one that is there, or a hub id like 'owner/name'"
        )
    return text


def argument_parser(description: str, model: str | None = DEFAULT_MODEL) -> argparse.ArgumentParser:
    """A parser with what every recipe takes: ``--model`` (required if there is no default) and
    ``--batch-size``.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    where = "folder or name of the model"
    if model is None:
        parser.add_argument("--model", type=place, required=True, help=where)
    else:
        parser.add_argument("--model", type=place, default=model, help=where)
    parser.add_argument("--batch-size", type=positive, default=32, help="texts for the model at a time")
    return parser


def add_text_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments ``file``, ``--column`` and ``--limit`` of :func:`read_texts`."""
    parser.add_argument("file", help="texts: .txt (one a line), .csv, .tsv, .json or .jsonl, also .gz")
    parser.add_argument("--column", help="column of the text, by name or by number from 0 on")
    parser.add_argument("--limit", type=positive, help="read so many texts at most")


def load_model(name: str, **kwargs: Any) -> Any:
    """A :class:`stlib.SentenceTransformer` of a folder or name."""
    from stlib import SentenceTransformer

    return SentenceTransformer(name, **kwargs)


def run(main: Callable[[Sequence[str] | None], Any]) -> None:
    """Call a recipe's ``main`` from the command line; an expected error becomes one line and status 1."""
    try:
        main(None)
    except StlibError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        sys.exit(130)
