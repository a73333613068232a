"""Judgments in and out: files of other programs become sayings of `import`, sayings become such files."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.feedback.formats import FORMATS, Judged, JudgmentFile
from app.feedback.model import IMPORTED, Saying, latest_words
from app.feedback.place import FeedbackPlace
from app.feedback.questions import question_hash
from app.feedback.table import SAYINGS, add_rows, read_rows, write_feedback
from indexing.catalog.log import slices
from indexing.errors import BadInput
from indexing.storage.files import write_atomic

__all__ = [
    "Exported",
    "Imported",
    "export_judgments",
    "find_unknown",
    "import_judgments",
    "settle",
]


@dataclass(frozen=True)
class Imported:
    """What an import did.

    Attributes:
        questions: in the file.
        added, changed, unchanged: judgments that are new, have another grade than before, and were there.
        unknown: ids of documents that the collection has not; their judgments are kept all the same.
        bad: lines that could not be read; lost: ids of judged questions without a text.
    """

    source: str
    questions: int
    added: int
    changed: int
    unchanged: int
    unknown: tuple[str, ...]
    bad: tuple[str, ...]
    lost: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Exported:
    """How many questions and judgments were written, and those that the format cannot hold."""

    questions: int
    judgments: int
    left_out: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def import_judgments(
    place: FeedbackPlace, collection: str, file: JudgmentFile, unknown: Sequence[str] = ()
) -> Imported:
    """Adds what `file` holds to a collection (its uuid), in one transaction. What is there already from an
    import stays as it is, so that a second time adds nothing. Where one file grades a document twice for one
    question, the higher grade counts.

    Raises:
        StorageError, LockedError: nothing was added.
    """
    best: dict[tuple[str, str], Judged] = {}
    for judged in file.judged:
        key = (question_hash(judged.question), judged.document)
        if key not in best or judged.grade > best[key].grade:
            best[key] = judged
    with write_feedback(place) as connection:
        conditions = [SAYINGS.c.collection == collection, SAYINGS.c.who == IMPORTED]
        known = {
            (word.query_hash, document): word.grade
            for (_, _, document), word in latest_words(
                read_rows(place, Saying, conditions, SAYINGS.c.id)
            ).items()
        }
        fresh = {key: one for key, one in best.items() if known.get(key) != one.grade}
        now = time.time()
        add_rows(connection, [_imported(collection, file.source, now, *one) for one in fresh.items()])
    changed = sum(key in known for key in fresh)
    return Imported(
        file.source,
        len({hashed for hashed, _ in best}),
        len(fresh) - changed,
        changed,
        len(best) - len(fresh),
        tuple(unknown),
        tuple(map(str, file.bad)),
        tuple(file.lost),
    )


def _imported(collection: str, source: str, at: float, key: tuple[str, str], judged: Judged) -> Saying:
    return Saying(
        id=0,
        collection=collection,
        at=at,
        who=IMPORTED,
        session="",
        query=judged.question,
        query_hash=key[0],
        document=judged.document,
        kind=IMPORTED,
        grade=judged.grade,
        impression="",
        source=source,
    )


def settle(sayings: Iterable[Saying]) -> dict[str, tuple[str, dict[str, int]]]:
    """Question hash → its text as it was first asked, and document → grade: of the last words of all people
    the middle one, the lower of two.
    """
    sayings = list(sayings)
    texts: dict[str, str] = {}
    for saying in sayings:
        texts.setdefault(saying.query_hash, saying.query)
    grades: dict[tuple[str, str], list[int]] = {}
    for (_, hashed, document), word in latest_words(sayings).items():
        grades.setdefault((hashed, document), []).append(word.grade)
    settled: dict[str, tuple[str, dict[str, int]]] = {}
    for (hashed, document), said in grades.items():
        _, judged = settled.setdefault(hashed, (texts[hashed], {}))
        judged[document] = sorted(said)[(len(said) - 1) // 2]
    return settled


def export_judgments(
    sayings: Iterable[Saying], folder: Path, format: str = "beir", *, split: str = "train"
) -> Exported:
    """Writes what was said, settled, into `folder` in a format that `read_judgments` reads:

        beir   queries.jsonl, qrels/SPLIT.tsv
        csv    feedback.csv
        trec   topics.tsv, qrels.txt

    Raises:
        BadInput: there is no such format, or one of the files exists already.
    """
    settled = settle(sayings)
    if format == "csv":
        files = {"feedback.csv": _to_csv(settled)}
        left_out: list[str] = []
    elif format == "beir":
        rows, left_out = _rows(settled, "\t\n", "{question}\t{document}\t{grade}")
        queries = [
            json.dumps({"_id": _id(h), "text": text}, ensure_ascii=False) for h, (text, _) in settled.items()
        ]
        files = {
            "queries.jsonl": "".join(f"{line}\n" for line in queries),
            f"qrels/{split}.tsv": "query-id\tcorpus-id\tscore\n" + rows,
        }
    elif format == "trec":
        rows, left_out = _rows(settled, None, "{question} 0 {document} {grade}")
        topics = "".join(f"{_id(h)}\t{' '.join(text.split())}\n" for h, (text, _) in settled.items())
        files = {"topics.tsv": topics, "qrels.txt": rows}
    else:
        raise BadInput(f"format {format!r}: use one of {', '.join(FORMATS)}")
    _write(folder, files)
    judgments = sum(len(grades) for _, grades in settled.values())
    return Exported(len(settled), judgments - len(left_out), tuple(left_out))


def _id(hashed: str) -> str:
    """Of a question in a file: short, and the same each time."""
    return hashed[:16]


def _rows(
    settled: Mapping[str, tuple[str, dict[str, int]]], marks: str | None, form: str
) -> tuple[str, list[str]]:
    """A line per judgment, and the ids that hold one of `marks` (None: white space) and cannot be in one."""
    rows, left_out = [], []
    for hashed, (_, grades) in settled.items():
        for document, grade in grades.items():
            broken = len(document.split()) != 1 or document.strip() != document
            if broken if marks is None else any(mark in document for mark in marks):
                left_out.append(document)
            else:
                rows.append(form.format(question=_id(hashed), document=document, grade=grade) + "\n")
    return "".join(rows), left_out


def _to_csv(settled: Mapping[str, tuple[str, dict[str, int]]]) -> str:
    """A header, and a row of question, document and grade for each judgment."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["question", "document", "grade"])
    for question, grades in settled.values():
        writer.writerows([question, document, grade] for document, grade in grades.items())
    return text.getvalue()


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name in files:
        if (folder / name).exists():
            raise BadInput(f"{folder / name} exists already: give another folder")
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / name, text.encode("utf-8"))


def find_unknown(collection: Any, documents: Iterable[str]) -> list[str]:
    """Those of `documents` that a collection has not."""
    wanted = list(dict.fromkeys(documents))
    known: set[str] = set()
    for part in slices(wanted):
        known.update(collection.get(part))
    return [one for one in wanted if one not in known]
