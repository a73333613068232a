"""Files of evaluations, such as CSV files of results, and the words that say when they were measured."""

from __future__ import annotations

import csv
import logging
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

logger = logging.getLogger(__name__)


def file_name(name: str) -> str:
    """``name`` as the name of one file: an evaluator's name such as ``BeIR/nf`` leads into no other folder.

    Separators of folders (of any system) and control characters become ``_``; other names stay as they are.
    """
    return re.sub(r"[/\\\x00-\x1f]", "_", name)


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """A file to write in place of ``path``, which changes only once all is written."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with unfinished.open("w", encoding="utf-8") as file:
            yield file
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def append_row(
    output_path: str | os.PathLike[str] | None, name: str, headers: Sequence[str], values: Sequence[Any]
) -> None:
    """Add one row to ``output_path/name``; a new file gets the headers first.

    The folder is made if it is missing. A file that starts with other headers is warned about and still gets
    the row, so that results of a long training are never lost.

    Args:
        output_path: folder of the file; None writes nothing.
        name: of the file inside that folder; made by :func:`file_name`.
        headers: one per value, usually beginning with ``epoch`` and ``steps``.
        values: the row.
    """
    if output_path is None:
        return
    path = Path(output_path) / file_name(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    written = _first_row(path)
    if written and written != list(headers):
        logger.warning(
            "%s has the columns %s; the added row has %s. Move the file away to get matching columns.",
            path,
            ", ".join(written),
            ", ".join(headers),
        )
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if not written:
            writer.writerow(headers)
        writer.writerow(values)


def _first_row(path: Path) -> list[str]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file), [])


def moment(epoch: int, steps: int, truncate_dim: int | None = None) -> str:
    """`` after epoch 2``, `` in epoch 2 after 100 steps`` or nothing outside of training, and the truncation:
    the end of a sentence in the log.
    """
    text = ""
    if epoch != -1:
        text = f" after epoch {epoch}" if steps == -1 else f" in epoch {epoch} after {steps} steps"
    return text if truncate_dim is None else f"{text} (truncated to {truncate_dim})"
