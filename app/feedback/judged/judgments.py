"""From what people said to one grade for each document, and how far they agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from app.feedback.judged.model import Agreement
from app.feedback.model import Saying, latest_words

__all__ = ["Judged", "combine", "measure_agreement", "settle_sayings"]


@dataclass
class Judged:
    """What people said of one question.

    Attributes:
        text: as it was first asked; first: when, in seconds since 1970.
        words: document → grade of each person's last word, in no order.
        people: who said them.
    """

    id: str
    text: str
    first: float
    words: dict[str, list[int]] = field(default_factory=dict)
    people: set[str] = field(default_factory=set)

    @property
    def grades(self) -> dict[str, int]:
        return {document: combine(grades) for document, grades in self.words.items()}

    @property
    def conflicts(self) -> frozenset[str]:
        """Documents that some called an answer and others none."""
        return frozenset(one for one, grades in self.words.items() if min(grades) <= 0 < max(grades))


def combine(grades: Iterable[int]) -> int:
    """The grade of a document after several people: the middle one, the lower of two, never below 0.

    A middle is not moved by one person however far off, and where opinions are halved the document is not
    taken for more than either half says. TREC's grades below 0 are no answer either.
    """
    ordered = sorted(grades)
    return max(0, ordered[(len(ordered) - 1) // 2])


def settle_sayings(sayings: Iterable[Saying]) -> dict[str, Judged]:
    """Question hash → what was said of it, for one collection. `sayings` are in the order in which they were
    said.

    The last word of each person on a document counts. A question of which all was taken back has no words;
    it is still there, as it keeps its side.
    """
    sayings = list(sayings)
    judged: dict[str, Judged] = {}
    for saying in sayings:
        if saying.query_hash not in judged:
            judged[saying.query_hash] = Judged(saying.query_hash, saying.query, saying.at)
    for (person, hashed, document), word in latest_words(sayings).items():
        judged[hashed].words.setdefault(document, []).append(word.grade)
        judged[hashed].people.add(person)
    return judged


def measure_agreement(judged: Mapping[str, Judged]) -> Agreement:
    """How far people agree on answer or no answer.

    Alpha is 1 - D_o / D_e, observed over expected disagreement, for nominal data with missing values:
    Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), section C. It is not defined where all
    that was said is the same, as nothing could have been told apart.
    """
    units = [
        Counter(grade > 0 for grade in grades)
        for question in judged.values()
        for grades in question.words.values()
        if len(grades) > 1
    ]
    if not units:
        return Agreement()
    apart = sum(len(unit) > 1 for unit in units)
    totals = sum(units, Counter[bool]())
    said = sum(totals.values())
    observed = sum(2 * unit[True] * unit[False] / (sum(unit.values()) - 1) for unit in units)
    expected = 2 * totals[True] * totals[False] / (said - 1)
    alpha = 1 - observed / expected if expected else None
    return Agreement(len(units), 1 - apart / len(units), alpha, apart)
