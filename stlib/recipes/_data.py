"""Reads what the recipes are given: tables, plain texts, collections in BEIR layout, datasets of the hub."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from datasets import Dataset, load_dataset

from stlib.base.evaluation.beir import CORPUS, QUERIES, RetrievalData, read_beir
from stlib.errors import InvalidInput, InvalidOption
from stlib.evaluation import EmbeddingSimilarityEvaluator, InformationRetrievalEvaluator
from stlib.paths import is_mistyped
from stlib.recipes import _inputs

__all__ = [
    "Collection",
    "read_collection",
    "read_pairs",
    "read_rows",
    "read_scored_or_pairs",
    "read_similarities",
    "read_texts",
    "read_titles",
    "retrieval_evaluator",
    "similarity_evaluator",
]

# Columns of the files of the STS benchmark, which have no header
STS_BENCHMARK = ("genre", "file", "year", "id", "score", "sentence1", "sentence2")

# Names that other datasets give to the columns the recipes ask for
OTHER_NAMES = {
    "anchor": ("query", "question", "premise", "sentence1"),
    "positive": ("answer", "passage", "document", "context", "entailment", "sentence2"),
    "negative": ("contradiction",),
    "score": ("label", "similarity_score", "similarity"),
    "sentence1": ("question1", "premise", "sentence_A"),
    "sentence2": ("question2", "hypothesis", "sentence_B"),
    "premise": ("sentence1",),
    "hypothesis": ("sentence2",),
    "label": ("is_duplicate", "gold_label"),
    "sentence": ("text",),
    "english": ("source",),
    "non_english": ("target", "translation"),
}

# What a column ``split`` calls them, and how they are called here
SPLITS = {
    "train": "train",
    "training": "train",
    "dev": "dev",
    "val": "dev",
    "valid": "dev",
    "validation": "dev",
    "test": "test",
}


# -- tables


class _MissingColumn(InvalidOption):
    """A table lacks a column that was asked for."""


def read_rows(
    source: str,
    columns: Mapping[str, Callable[[Any], Any]],
    *,
    optional: Sequence[str] = (),
    without_header: Sequence[str] = (),
    split: str | None = "train",
    limit: int | None = None,
) -> Dataset:
    """The named columns of a table, in this order, each value converted to the column's type.

    Args:
        source: a CSV, TSV, JSONL or JSON file (see :mod:`stlib.recipes._inputs`), or the id of a dataset on
            the hub, ``id`` or ``id:configuration``.
        columns: name to type, or to a function that makes the value; see ``OTHER_NAMES`` for names taken in
            their place.
        optional: columns that may be missing; they are left out then.
        without_header: the columns of a file whose first line names none.
        split: which split of a dataset on the hub, or of a file whose column ``split`` names several. None:
            all rows of a file.
        limit: how many rows at most.

    Raises:
        InvalidOption: a column stands under none of its names.
        InvalidOption: no such file, or a value that cannot be converted, with its row.
    """
    rows = islice(iter(_rows(source, columns, without_header, split)), limit)
    first = next(rows, None)
    if first is None:
        raise InvalidOption(f"{source} has no rows; give a file with a header line and rows, or JSONL")
    found = {name: _find(name, first) for name in columns}
    missing = [name for name, at in found.items() if at is None and name not in optional]
    if missing:
        wanted = ", ".join("/".join([name, *OTHER_NAMES.get(name, ())]) for name in missing)
        raise _MissingColumn(f"{source} has the columns {', '.join(map(str, first))}; it also needs {wanted}")
    kept = {name: at for name, at in found.items() if at is not None}
    table: dict[str, list[Any]] = {name: [] for name in kept}
    for number, row in enumerate(chain([first], rows), start=1):
        for name, at in kept.items():
            table[name].append(_convert(row.get(at), columns[name], f"{source}, row {number}, column {at}"))
    return Dataset.from_dict(table)


def _find(name: str, row: Mapping[str, Any]) -> str | None:
    return next((at for at in (name, *OTHER_NAMES.get(name, ())) if at in row), None)


def _convert(value: Any, kind: Callable[[Any], Any], where: str) -> Any:
    name = getattr(kind, "__name__", "value").strip("_").replace("_", " ")
    if value is None or (kind is str and not isinstance(value, str)):
        raise InvalidOption(f"{where}: {value!r} is no {name}; complete the row or remove it")
    try:
        return kind(value)
    except ValueError as error:
        raise InvalidOption(f"{where}: {value!r} is no {name}; correct it") from error


def _rows(
    source: str, columns: Iterable[str], without_header: Sequence[str], split: str | None
) -> Iterable[dict[str, Any]]:
    path = Path(source).expanduser()
    if not path.is_file():
        return _hub_rows(source, split or "train")
    if without_header:
        lines = _inputs.read_rows(path, numbered=True)
        known = {name for column in columns for name in (column, *OTHER_NAMES.get(column, ()))}
        is_wide = bool(lines) and len(lines[0]) >= len(without_header)
        if is_wide and "0" in lines[0] and not known & set(lines[0].values()):
            numbers = {name: str(i) for i, name in enumerate(without_header)}
            return [{name: line[at] for name, at in numbers.items() if at in line} for line in lines]
    return _of_split(_inputs.read_rows(path), split, source)


def _of_split(rows: list[dict[str, Any]], split: str | None, source: str) -> list[dict[str, Any]]:
    """The rows of a split, if a column ``split`` says that the table has several."""
    found = {SPLITS.get(str(row.get("split")).lower()) for row in rows}
    if split is None or None in found or len(found) < 2:
        return rows
    kept = [row for row in rows if SPLITS[row["split"].lower()] == SPLITS.get(split, split)]
    if not kept:
        has = ", ".join(sorted(dict.fromkeys(row["split"] for row in rows)))
        raise InvalidOption(f"{source} has no row of the split {split!r}; its column split has: {has}")
    return kept


def _hub_rows(source: str, split: str) -> Iterable[dict[str, Any]]:
    path = Path(source).expanduser()
    if path.is_dir():
        raise InvalidOption(
            f"{source} is a folder; only the recipes of questions and documents take one, in BEIR layout. "
            "Give a CSV, TSV or JSONL file or the id of a hub dataset"
        )
    if is_mistyped(source):
        raise InvalidOption(f"{source} is no file; give a CSV, TSV or JSONL file or the id of a hub dataset")
    name, _, configuration = source.partition(":")
    try:
        return load_dataset(name, configuration or None, split=split)
    except Exception as error:  # network, hub and file formats have no error in common
        raise InvalidInput(
            f"{source} is no file here, and split {split!r} of a dataset of this name could not be loaded "
            f"from the hub ({type(error).__name__}: {error}); check the name and the connection"
        ) from error


# -- texts, scored pairs, pairs


def read_texts(source: str, *, limit: int | None = None) -> list[str]:
    """The lines of a ``.txt`` file, or the column of a table that holds texts; empty ones left out."""
    if Path(source).expanduser().is_file():
        return _inputs.read_texts(source, limit=limit)
    return [text for text in read_rows(source, {"sentence": str}, limit=limit)["sentence"] if text.strip()]


def read_similarities(source: str, *, split: str = "train", limit: int | None = None) -> Dataset:
    """Columns sentence1, sentence2, score. If a score of the file, in any split, is above 1, they are taken
    to go from 0 to 5 and divided by 5.

    Files of the STS benchmark are read as they come, with a header or without.

    Raises:
        InvalidOption: as for :func:`read_rows`, or a score is not finite, above 5, or below 0 (below -1 if
            none is above 1).
    """
    columns: dict[str, Callable[[Any], Any]] = {
        "sentence1": str,
        "sentence2": str,
        "score": _finite_number,
    }
    rows = read_rows(source, columns, without_header=STS_BENCHMARK, split=split)
    scores = rows["score"][:]
    every = scores
    if Path(source).expanduser().is_file():
        only = {"score": _finite_number}
        every = read_rows(source, only, without_header=STS_BENCHMARK, split=None)["score"][:]
    least, scale = (0, 5) if max(every) > 1 else (-1, 1)
    if wrong := [score for score in every if not least <= score <= scale]:
        raise InvalidOption(
            f"{source} has the score {wrong[0]}, but expected are scores from 0 to 5, or from -1 to 1; "
            "divide all by the highest that there can be"
        )
    texts = {name: rows[name][:limit] for name in ("sentence1", "sentence2")}
    return Dataset.from_dict({**texts, "score": [score / scale for score in scores[:limit]]})


def _finite_number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("not finite")
    return number


def read_scored_or_pairs(source: str, *, limit: int | None = None) -> Dataset:
    """Scored pairs (:func:`read_similarities`) where the table has scores, else pairs
    (:func:`read_pairs`)."""
    if not Path(source).expanduser().is_dir():
        with contextlib.suppress(_MissingColumn):
            return read_similarities(source, limit=limit)
    return read_pairs(source, limit=limit)


def similarity_evaluator(
    source: str | None, *, name: str = "sts", **options: Any
) -> EmbeddingSimilarityEvaluator | None:
    """Spearman between the model's similarities and the scores of :func:`read_similarities`."""
    if source is None:
        return None
    rows = read_similarities(source, split="test")
    return EmbeddingSimilarityEvaluator(
        rows["sentence1"][:], rows["sentence2"][:], rows["score"][:], name=name, write_csv=False, **options
    )


# -- retrieval


# Ids of relevant documents, or their grades
Judged = set[str] | dict[str, int]


class Collection(NamedTuple):
    """Questions, documents and which document answers which question; texts by their ids."""

    queries: dict[str, str]
    corpus: dict[str, str]
    relevant: Mapping[str, Judged]
    """For each question the relevant documents, with their grades if any is above 1."""

    def pairs(self) -> Dataset:
        """A row (anchor, positive) for every judged pair."""
        pairs = [(q, d) for q, documents in self.relevant.items() for d in sorted(documents)]
        return Dataset.from_dict(
            {"anchor": [self.queries[q] for q, _ in pairs], "positive": [self.corpus[d] for _, d in pairs]}
        )


def read_collection(source: str, split: str) -> Collection:
    """A folder in BEIR layout, or pairs (anchor, positive) where every positive is a document.

    A document's text is its title, if it has one, and its text. Judgments of 0 or less say nothing here, and
    neither do those of documents or questions that are not there.

    Raises:
        InvalidInput: a file of the folder is missing, or a line of it cannot be read.
        InvalidOption: the split has no judgments, or none that is relevant.
    """
    folder = Path(source).expanduser()
    if not folder.is_dir():
        return _collection_of_pairs(read_pairs(source, split))
    judgments = folder / "qrels" / f"{split}.tsv"
    # read_beir would take those of another split, which is no way to train and to test.
    if not judgments.is_file():
        has = ", ".join(sorted(path.stem for path in judgments.parent.glob("*.tsv"))) or "none"
        raise InvalidOption(f"{judgments} is missing; the folder has judgments of: {has}")
    data = read_beir(folder, split)
    relevant = {
        query: kept
        for query, judged in data.relevant_docs.items()
        if query in data.queries and (kept := _within(judged, data.corpus))
    }
    if not relevant:
        raise InvalidOption(f"{judgments} judges no document as relevant: {_what_is_lacking(data)}")
    return Collection({query: data.queries[query] for query in relevant}, data.corpus, relevant)


def _what_is_lacking(data: RetrievalData) -> str:
    """Why no judgment of a collection is left."""
    if not data.relevant_docs:
        return "it has no line with a score of 1 or more; give lines of query-id, corpus-id and score"
    known = [query for query in data.relevant_docs if query in data.queries]
    if not known:
        query = next(iter(data.relevant_docs))
        return f"none of its questions, such as {query!r}, is in {QUERIES}; take files of one collection"
    document = min(data.relevant_docs[known[0]])
    return f"none of its documents, such as {document!r}, is in {CORPUS}; take files of one collection"


def _within(judged: Judged, corpus: Mapping[str, str]) -> Judged:
    """The judgments of documents that are there."""
    if isinstance(judged, dict):
        return {document: grade for document, grade in judged.items() if document in corpus}
    return {document for document in judged if document in corpus}


def _collection_of_pairs(pairs: Dataset) -> Collection:
    queries, corpus = _number(pairs["anchor"][:], "q"), _number(pairs["positive"][:], "d")
    relevant: dict[str, set[str]] = {}
    for anchor, positive in zip(pairs["anchor"], pairs["positive"], strict=True):
        relevant.setdefault(queries[anchor], set()).add(corpus[positive])
    return Collection({i: t for t, i in queries.items()}, {i: t for t, i in corpus.items()}, relevant)


def read_titles(source: str) -> Dataset:
    """Columns anchor (title) and positive (text without it) of a BEIR folder's documents that have both."""
    pairs = []
    for number, row in enumerate(_inputs.read_rows(Path(source).expanduser() / CORPUS), start=1):
        title, text = row.get("title") or "", row.get("text")
        if not (isinstance(title, str) and isinstance(text, str)):
            raise InvalidOption(f"{source}/{CORPUS}, document {number} has no text; complete or remove it")
        text = text.removeprefix(title)
        if title.strip() and text.strip():
            pairs.append((title, text))
    if not pairs:
        raise InvalidOption(f"no document of {source} has a title and a text")
    return Dataset.from_dict({"anchor": [t for t, _ in pairs], "positive": [t.strip() for _, t in pairs]})


def _number(texts: list[str], letter: str) -> dict[str, str]:
    return {text: f"{letter}{i}" for i, text in enumerate(dict.fromkeys(texts))}


def read_pairs(source: str, split: str = "train", *, limit: int | None = None) -> Dataset:
    """Columns anchor, positive and, where the table has one, negative; judged pairs of a BEIR folder."""
    if Path(source).expanduser().is_dir():
        pairs = read_collection(source, split).pairs()
        return pairs.select(range(min(limit, len(pairs)))) if limit else pairs
    columns = {"anchor": str, "positive": str, "negative": str}
    return read_rows(source, columns, optional=["negative"], split=split, limit=limit)


def retrieval_evaluator(
    source: str | None, *, split: str = "test", name: str = "retrieval", **options: Any
) -> InformationRetrievalEvaluator | None:
    """NDCG@10 and its kin on a BEIR folder or on pairs, see :func:`read_collection`."""
    if source is None:
        return None
    return InformationRetrievalEvaluator(
        *read_collection(source, split), name=name, write_csv=False, **options
    )
