"""Judgments as other programs keep them: BEIR folders, CSV files with a header, TREC qrels with topics.

A line that cannot be read is named with its number, and the rest is read.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from app.feedback.model import grade_of
from app.feedback.questions import normalise_question
from indexing.documents.model import storable_text
from indexing.errors import BadInput, BadLine, IndexingError
from indexing.evaluation import beir_files
from indexing.search.request import MAX_QUERY_CHARACTERS

__all__ = ["FORMATS", "Judged", "JudgmentFile", "read_judgments"]

FORMATS = ("beir", "csv", "trec")

_COLUMNS = {
    "question": ("question", "query"),
    "document": ("document", "document_id", "doc", "docid", "corpus-id", "id"),
    "grade": ("grade", "score", "relevance"),
}
_TOPIC = re.compile(r"<top>(.*?)</top>", re.DOTALL | re.IGNORECASE)
_NUMBER = re.compile(r"<num>\s*(?:Number:)?\s*([^\s<]+)", re.IGNORECASE)
_TITLE = re.compile(r"<title>\s*(?:Topic:)?\s*([^<]*)", re.IGNORECASE)


@dataclass(frozen=True)
class Judged:
    """A document, graded for a question by somebody elsewhere."""

    question: str
    document: str
    grade: int


@dataclass
class JudgmentFile:
    """What stood in a file. `source` names it in a few words; `lost` are ids of questions that are judged and
    whose text is nowhere.
    """

    source: str
    judged: list[Judged] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def add(self, path: Path, line: int, question: str, document: str, grade: str | int) -> None:
        """Takes a judgment, or names the line."""
        try:
            self.judged.append(_check(question, document, grade))
        except IndexingError as error:
            self.bad.append(BadLine(str(path), line, str(error)))


def read_judgments(
    path: Path, format: str | None = None, *, split: str = "train", topics: Path | None = None
) -> JudgmentFile:
    """The judgments of a BEIR folder (`qrels/SPLIT.tsv`), a CSV file (question, document, grade) or TREC
    qrels, whose questions stand in `topics`: lines of id, tab, question, or `<top>` entries. What `path`
    looks like decides the format unless it is given.

    Raises:
        BadInput: a file is missing, or its beginning tells that it is of another kind.
    """
    format = format or _guess(path)
    if format not in FORMATS:
        raise BadInput(f"format {format!r}: use one of {', '.join(FORMATS)}")
    if format == "beir":
        return _read_beir(path, split)
    if format == "csv":
        return _read_csv(path / "feedback.csv" if path.is_dir() else path)
    if path.is_dir():
        path, topics = path / "qrels.txt", topics or path / "topics.tsv"
    if topics is None:
        raise BadInput(f"{path}: TREC qrels have no questions: name the file that has with --topics")
    return _read_trec(path, topics)


def _guess(path: Path) -> str:
    if not path.exists():
        raise BadInput(f"{path}: no such file or folder")
    if path.is_dir():
        for name, format in (("feedback.csv", "csv"), ("qrels.txt", "trec")):
            if (path / name).is_file() and not (path / "queries.jsonl").is_file():
                return format
        return "beir"
    return "csv" if path.suffix.lower() == ".csv" else "trec"


def _check(question: str, document: str, grade: str | int) -> Judged:
    """
    Raises:
        BadInput: a part that cannot be kept.
    """
    if not normalise_question(question):
        raise BadInput("the question is empty")
    if not document:
        raise BadInput("the document has no id")
    if storable_text(question + document) != question + document:
        raise BadInput("not UTF-8, or holds NUL: convert the file")
    try:
        number = int(grade)
    except ValueError as error:
        raise BadInput(f"grade {grade!r}: give a whole number") from error
    return Judged(question[:MAX_QUERY_CHARACTERS], document, grade_of("import", number))


def _read_beir(folder: Path, split: str) -> JudgmentFile:
    path, qrels = beir_files(folder, split)
    found = JudgmentFile(f"{folder.resolve().name}/{split}")
    questions = {}
    for number, line in _lines(path):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            questions[str(row["_id"])] = str(row["text"])
        except (ValueError, KeyError, TypeError, RecursionError):
            found.bad.append(BadLine(str(path), number, "expected an object with _id and text"))
    _take(found, questions, qrels, "\t", ("query-id", "corpus-id", "score"))
    return found


def _take(
    found: JudgmentFile, questions: Mapping[str, str], qrels: Path, mark: str | None, columns: Sequence[str]
) -> None:
    """Adds what stands in `qrels`, whose `columns` are parted by `mark` (None: by white space)."""
    lost: dict[str, None] = {}
    for number, line in _lines(qrels):
        parts = line.split(mark)
        if not line.strip() or (number == 1 and parts[0] == columns[0]):
            continue
        if len(parts) != len(columns):
            found.bad.append(BadLine(str(qrels), number, f"expected {', '.join(columns)}"))
        elif parts[0] not in questions:
            lost[parts[0]] = None
        else:
            found.add(qrels, number, questions[parts[0]], parts[-2], parts[-1])
    found.lost += lost


def _read_csv(path: Path) -> JudgmentFile:
    found = JudgmentFile(path.name)
    with _open(path) as file:
        rows = csv.reader(file)
        header = [cell.strip().lower() for cell in next(rows, [])]
        places = [_column(header, name, path) for name in _COLUMNS]
        while True:
            line = rows.line_num + 1
            try:
                row = next(rows)
            except StopIteration:
                return found
            except csv.Error as error:
                found.bad.append(BadLine(str(path), line, str(error)))
                continue
            if len(row) > max(places):
                found.add(path, line, *(row[place] for place in places))
            elif row:
                found.bad.append(BadLine(str(path), line, f"{len(row)} cells, fewer than the header names"))


def _column(header: Sequence[str], name: str, path: Path) -> int:
    for known in _COLUMNS[name]:
        if known in header:
            return header.index(known)
    names = ", ".join(_COLUMNS)
    raise BadInput(f"{path}: the first line has no column {name!r}: begin the file with {names}")


def _read_trec(path: Path, topics: Path) -> JudgmentFile:
    found = JudgmentFile(path.name)
    questions = _read_topics(topics, found)
    _take(found, questions, path, None, ("question", "iteration", "document", "grade"))
    return found


def _read_topics(path: Path, found: JudgmentFile) -> dict[str, str]:
    """Question id → text."""
    with _open(path) as file:
        text = file.read()
    if "<top>" in text.lower():
        return _read_entries(text)
    questions = {}
    for number, line in _lines(path):
        id_, tab, question = line.partition("\t")
        if tab:
            questions[id_.strip()] = question
        elif line.strip():
            found.bad.append(BadLine(str(path), number, "expected: id, tab, question"))
    return questions


def _read_entries(text: str) -> dict[str, str]:
    questions = {}
    for entry in _TOPIC.findall(text):
        number, title = _NUMBER.search(entry), _TITLE.search(entry)
        if number and title:
            questions[number[1]] = " ".join(title[1].split())
    return questions


def _open(path: Path) -> TextIO:
    """Bytes that are no UTF-8 become lone surrogates, which `_check` refuses with their line."""
    if not path.is_file():
        raise BadInput(f"{path}: no such file")
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with _open(path) as file:
        text: str = file.read()
    for number, line in enumerate(text.split("\n"), start=1):
        yield number, line.rstrip("\r")
