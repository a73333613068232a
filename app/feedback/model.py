"""What is kept of a search, of what was done with its answer, and of what a person said of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from indexing.errors import BadInput

__all__ = [
    "EVENTS",
    "GRADES",
    "IMPORTED",
    "KINDS",
    "MOST_GRADE",
    "Event",
    "Impression",
    "Saying",
    "Shown",
    "grade_of",
    "latest_words",
]

EVENTS = ("click", "open")

MOST_GRADE = 3
"""Grades go from 0, no answer, over 1, it helps, and 2, it answers, to 3: nothing answers better."""

GRADES = {"up": 1, "down": 0, "answer": MOST_GRADE, "pasted": MOST_GRADE, "none": 0, "undo": 0}
"""Grades of the kinds of saying that have one.

`up` is 1: a thumb says that a document was of use, not that it answers. `answer` ("this is the right one")
and `pasted` (somebody brought the answer) are the highest grade: who says so has stopped looking. `down` and
`none` ("none of these", said of all that was shown) are 0, as judged and no answer, which is more than not
judged. `undo` takes back what the same person said of the document, and is never read as a grade.
"""
KINDS = (*GRADES, "grade", "import")
"""`grade` carries a grade from 0 to 3 of its own; `import` the one of the file it came from."""

IMPORTED = "import"
"""Who said what came from files."""

_IMPORTED_GRADES = 1000  # either way; TREC has graded from -2 to 6


@dataclass(frozen=True)
class Shown:
    """A document of an answer; `rank` counts from 1, over earlier pages too. `team` is the serving that is
    credited with it while another one is tried, else None. One that is `folded` was not seen at first: it
    stood behind another one, which says nearly the same or is of the same file.
    """

    document: str
    rank: int
    score: float
    team: int | None = None
    folded: bool = False


@dataclass(frozen=True)
class Impression:
    """One answer that somebody was shown.

    Attributes:
        id: that of the `SearchResults`.
        collection: the uuid of the collection.
        at: seconds since 1970.
        who: the name of the person, empty where nobody is known; session: one visit.
        surface: `cli`, `page`, `python` or `api`.
        query: as it was asked; empty where only hashes are kept.
        query_hash: see `app.feedback.questions`; where only hashes are kept, a keyed one of it.
        filter: None where everything was allowed; a keyed hash where only hashes are kept.
        serving: that answered; trial: (the live one, the tried one) where two did.
        seq: where the log of the collection stood.
        reranker: a name; None where what is served decided, empty where none was wanted.
        reranked: how many documents it read; None where there was none.
        seed: of the draw of a trial.
        took_ms: the whole search, in milliseconds.
        hashed: only hashes were kept.
    """

    id: str
    collection: str
    at: float
    who: str
    session: str
    surface: str
    query: str
    query_hash: str
    filter: str | None
    mode: str
    serving: int | None
    trial: tuple[int, int] | None
    seq: int
    k: int
    offset: int
    reranker: str | None
    reranked: int | None
    seed: str
    took_ms: float
    hashed: bool
    shown: tuple[Shown, ...]

    @property
    def person(self) -> str:
        """Who asked: the name, else the visit."""
        return self.who or self.session

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Event:
    """A document of an answer was clicked or opened."""

    id: int
    collection: str
    impression: str
    document: str
    kind: str
    at: float
    who: str
    session: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Saying:
    """What a person said of a document as an answer to a question.

    Attributes:
        query: the question, which no setting leaves out: without it nothing can be learned from the rest.
        document: an id; empty for `none`, and where it is taken back: that is of all that was `shown`.
        grade: from 0 to `MOST_GRADE`; of `import` as it stands in the file.
        impression: id of the answer it was said of; empty where it was said of none. It may be gone.
        source: the surface it was said on, or the file it came from.
    """

    id: int
    collection: str
    at: float
    who: str
    session: str
    query: str
    query_hash: str
    document: str
    kind: str
    grade: int
    impression: str
    source: str
    shown: tuple[str, ...] = ()

    @property
    def person(self) -> str:
        """Who said it: the name, else the visit."""
        return self.who or self.session

    @property
    def documents(self) -> tuple[str, ...]:
        """All that it was said of."""
        return (self.document,) if self.document else self.shown

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def grade_of(kind: str, grade: int | None = None) -> int:
    """The grade of a saying.

    Raises:
        BadInput: there is no such kind, or it needs another grade or none.
    """
    if kind in GRADES:
        if grade not in (None, GRADES[kind]):
            raise BadInput(f"{kind!r} has grade {GRADES[kind]}, not {grade!r}: say 'grade' for another")
        return GRADES[kind]
    if kind not in KINDS:
        raise BadInput(f"kind of saying {kind!r}: use one of {', '.join(KINDS)}")
    least, most = (0, MOST_GRADE) if kind == "grade" else (-_IMPORTED_GRADES, _IMPORTED_GRADES)
    if isinstance(grade, bool) or not isinstance(grade, int) or not least <= grade <= most:
        raise BadInput(f"grade {grade!r}: give a whole number from {least} to {most}")
    return grade


def latest_words(sayings: Iterable[Saying]) -> dict[tuple[str, str, str], Saying]:
    """(person, question hash, document) → the last that this person said of it, for one collection.

    `sayings` are in the order in which they were said. "None of these" counts for each document that was
    shown, until something is said of it by itself; what was taken back is not there.
    """
    words: dict[tuple[str, str, str], Saying] = {}
    for saying, document in _each(sayings):
        key = (saying.person, saying.query_hash, document)
        words.pop(key, None)  # so that the order is that of the last words
        if saying.kind != "undo":
            words[key] = saying
    return words


def _each(sayings: Iterable[Saying]) -> Iterator[tuple[Saying, str]]:
    for saying in sayings:
        for document in saying.documents:
            yield saying, document
