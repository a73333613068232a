"""Retrieval data in BEIR's layout, from a folder or from a hub."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stlib.errors import InvalidInput, MissingDependency
from stlib.util.environment import is_datasets_available

logger = logging.getLogger(__name__)

CORPUS = "corpus.jsonl"
QUERIES = "queries.jsonl"


@dataclass(frozen=True)
class RetrievalData:
    """What :class:`stlib.evaluation.InformationRetrievalEvaluator` takes first."""

    queries: dict[str, str]
    """Texts by query id."""
    corpus: dict[str, str]
    """Texts by document id."""
    relevant_docs: dict[str, Any]
    """For each query the set of relevant document ids, or their grades by id if any is above 1."""


def read_beir(folder: str | Path, split: str = "test") -> RetrievalData:
    """Read a dataset in BEIR's layout.

    ``corpus.jsonl`` has objects with ``_id``, ``text`` and perhaps ``title``, which is put in front of the
    text; ``queries.jsonl`` with ``_id`` and ``text``; ``qrels/{split}.tsv`` has a header and the columns
    ``query-id``, ``corpus-id`` and ``score``. Judgments of 0 say "not relevant" and are left out, as are
    documents and queries without any text. Source of the layout: Thakur et al., "BEIR: A Heterogeneous
    Benchmark for Zero-shot Evaluation of Information Retrieval Models", arXiv:2104.08663.

    Args:
        folder: of the dataset.
        split: which judgments. If the folder has judgments of one split only, those are taken.

    Raises:
        InvalidInput: a file is missing, or a line cannot be read; the message names file and line.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InvalidInput(f"there is no folder {folder}, for a dataset in BEIR's layout")
    corpus = {i: f"{row.get('title') or ''} {row['text']}".strip() for i, row in _objects(folder / CORPUS)}
    queries = {i: row["text"] for i, row in _objects(folder / QUERIES)}
    grades: dict[str, dict[str, int]] = {}
    for query_id, document_id, grade in _judgments(_qrels_file(folder, split)):
        if grade > 0:
            grades.setdefault(query_id, {})[document_id] = grade
    return RetrievalData(
        {i: text for i, text in queries.items() if text},
        {i: text for i, text in corpus.items() if text},
        {query_id: _binary_if_possible(judged) for query_id, judged in grades.items()},
    )


def _binary_if_possible(judged: dict[str, int]) -> set[str] | dict[str, int]:
    return set(judged) if max(judged.values()) == 1 else judged


def beir_folders(folder: str | Path) -> dict[str, Path]:
    """Datasets in a folder by name: its sub-folders that have a ``corpus.jsonl``, or the folder itself."""
    folder = Path(folder)
    if (folder / CORPUS).is_file():
        return {folder.resolve().name: folder}
    if not folder.is_dir():
        return {}
    return {path.name: path for path in sorted(folder.iterdir()) if (path / CORPUS).is_file()}


def hub_rows(dataset_id: str, subset: str, split: str, columns: list[str]) -> Any:
    """One split of a subset of a dataset on a hub (or in a folder that ``datasets`` can load).

    Raises:
        MissingDependency: the package ``datasets`` is not installed.
        InvalidInput: the dataset cannot be loaded or lacks one of the columns.
    """
    if not is_datasets_available():
        raise MissingDependency(
            "reading a dataset of the hub needs the package datasets; run: pip install datasets, or "
            "give a folder in BEIR's layout"
        )
    from datasets import load_dataset

    try:
        rows = load_dataset(dataset_id, subset, split=split)
    except Exception as error:  # network, hub and file formats have no error in common
        raise InvalidInput(_not_loaded(dataset_id, subset, split, error)) from error
    missing = sorted(set(columns) - set(rows.column_names))
    if missing:
        raise InvalidInput(
            f"subset {subset!r}, split {split!r} of the dataset {dataset_id!r} lacks the columns "
            f"{', '.join(missing)}; it has {', '.join(rows.column_names)}"
        )
    return rows


def _not_loaded(dataset_id: str, subset: str, split: str, error: Exception) -> str:
    cause = f"({type(error).__name__}: {error})"
    if not Path(dataset_id).is_dir():
        return (
            f"subset {subset!r}, split {split!r} of the dataset {dataset_id!r} could not be loaded {cause}. "
            "Check the name and the connection, or give a folder in BEIR's layout as dataset_id"
        )
    return (
        f"neither the folder {dataset_id} nor a folder in it has a {CORPUS}, the sign of a dataset in BEIR's "
        f"layout, and the package datasets cannot load the subset {subset!r}, split {split!r} from it "
        f"{cause}. Give a folder of the one kind, or of the other and name the datasets it has in "
        "dataset_names"
    )


def read_hub(dataset_id: str, split: str, keep_empty: bool = False) -> RetrievalData:
    """Subsets ``corpus``, ``queries`` and ``qrels`` of a dataset on a hub; judgments are binary. Documents
    and queries without text are left out, unless ``keep_empty``.

    Raises:
        MissingDependency, InvalidInput: as for :func:`hub_rows`.
    """
    texts = {}
    for subset in ("corpus", "queries"):
        rows = hub_rows(dataset_id, subset, split, ["_id", "text"])
        texts[subset] = {row["_id"]: row["text"] for row in rows if keep_empty or row["text"]}
    relevant: dict[str, set[str]] = {}
    for row in hub_rows(dataset_id, "qrels", split, ["query-id", "corpus-id"]):
        found = row["corpus-id"]
        relevant.setdefault(row["query-id"], set()).update(found if isinstance(found, list) else [found])
    return RetrievalData(texts["queries"], texts["corpus"], relevant)


def _objects(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Id and object of each line."""
    if not path.is_file():
        raise InvalidInput(f"{path} is missing; a dataset in BEIR's layout has {CORPUS} and {QUERIES}")
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                text = row["text"]
                identifier = str(row["_id"])
            except (ValueError, KeyError, TypeError) as error:
                raise InvalidInput(
                    f"{path}, line {number}: expected a JSON object with _id and text ({error!r})"
                ) from error
            if not isinstance(text, str):
                raise InvalidInput(f"{path}, line {number}: text is of type {type(text).__name__}")
            yield identifier, row


def _qrels_file(folder: Path, split: str) -> Path:
    found = {path.stem: path for path in sorted((folder / "qrels").glob("*.tsv"))}
    if split in found:
        return found[split]
    if len(found) == 1:
        return next(iter(found.values()))
    has = f"there are judgments of: {', '.join(found)}" if found else "there is no file in qrels"
    raise InvalidInput(f"{folder / 'qrels' / f'{split}.tsv'} is missing; {has}")


def _judgments(path: Path) -> Iterator[tuple[str, str, int]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        for number, row in enumerate(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE), 1):
            if not row or (number == 1 and row[-1] == "score"):
                continue
            try:
                query_id, document_id, grade = row
                yield query_id, document_id, int(grade)
            except ValueError as error:
                raise InvalidInput(
                    f"{path}, line {number}: expected query-id, corpus-id and a whole number as score, "
                    f"separated by tabs; found {row}"
                ) from error
