"""Train or held-out: where a question is put when it is first judged, where it stays for ever.

A third is held out. The gate's power grows with the held-out questions and what is learned with the others,
and below 200 questions the gate is cross-fitted over all of them anyway; of three, two learn, as is usual for
a test that is used again and again. The draw is a hash of the normalised question, so that no order, no time
and no other question decides it, save one: a question that is like an earlier one goes where that one went.
A question may be like one of each side. It goes with the earlier one, and what is held out of all that are
then linked leaves: those answers would be seen while learning. It never comes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from app.feedback.judged.model import HELDOUT, OUT, TRAIN, JudgedSet, Question
from app.feedback.judged.near import near_pairs

__all__ = ["HELDOUT_SHARE", "Leak", "Placed", "draw_side", "find_leaks", "place_questions"]

HELDOUT_SHARE = 1 / 3

_DIGITS = slice(16, 32)  # not the first ones, by which judgments that come from elsewhere may have been split


@dataclass(frozen=True)
class Placed:
    """Where a question is.

    Attributes:
        drawn: `train` or `heldout`, as it was drawn or taken over from the one that it is like.
        group: id of a question of the group of those that are linked by likeness; of one alone its own.
        out: whether its group reaches over both sides.
    """

    drawn: str
    group: str
    out: bool = False

    @property
    def side(self) -> str:
        return OUT if self.out and self.drawn == HELDOUT else self.drawn


def draw_side(question: str) -> str:
    """The side of a question that is like no other, by its id, the SHA-256 of the normalised text."""
    return HELDOUT if int(question[_DIGITS], 16) / 16**16 < HELDOUT_SHARE else TRAIN


def place_questions(known: Mapping[str, Placed], texts: Mapping[str, str]) -> dict[str, Placed]:
    """Where questions are: those that were not known, and those that move out because of them.

    `texts` are id → text of all questions, in the order in which they were first judged; `known` where some
    of them are already. Those not in `known` are placed one after the other.
    """
    fresh = [one for one in texts if one not in known]
    order = [one for one in texts if one in known] + fresh  # what is placed comes before what is not
    places = dict(known)
    if not fresh:
        return {}
    rank = {one: at for at, one in enumerate(order)}
    links: dict[str, list[str]] = {one: [] for one in fresh}
    for row, column, _ in near_pairs([texts[one] for one in fresh], [texts[one] for one in order]):
        if column < rank[fresh[row]]:
            links[fresh[row]].append(order[column])
    members = _members(known)
    for one in fresh:
        near = links[one]  # the earliest first
        places[one] = Placed(places[near[0]].drawn, one) if near else Placed(draw_side(one), one)
        members[one] = [one]
        for other in near:
            _join(places, members, one, other)
    return {one: place for one, place in places.items() if known.get(one) != place}


def _members(places: Mapping[str, Placed]) -> dict[str, list[str]]:
    """Group → its questions."""
    members: dict[str, list[str]] = {}
    for one, place in places.items():
        members.setdefault(place.group, []).append(one)
    return members


def _join(places: dict[str, Placed], members: dict[str, list[str]], one: str, other: str) -> None:
    """Makes one group of two, which is out where it holds both sides or was out before."""
    gone, kept = places[one].group, places[other].group
    if gone == kept:
        return
    members[kept] += members.pop(gone)
    both = [places[each] for each in members[kept]]
    out = any(place.out for place in both) or len({place.drawn for place in both}) > 1
    for each in members[kept]:
        places[each] = replace(places[each], group=kept, out=out)


@dataclass(frozen=True)
class Leak:
    """A held-out question that is like one of the train side: what was learned from that may know it."""

    train: Question
    heldout: Question
    likeness: float


def find_leaks(judged: JudgedSet) -> list[Leak]:
    """All of a set, the likest first; where questions were placed by `place_questions` there are none.

    It looks at the texts alone, whatever was recorded when they were placed.
    """
    train, heldout = _with(judged.questions, TRAIN), _with(judged.questions, HELDOUT)
    pairs = near_pairs([one.text for one in heldout], [one.text for one in train])
    leaks = [Leak(train[column], heldout[row], likeness) for row, column, likeness in pairs]
    return sorted(leaks, key=lambda leak: (-leak.likeness, leak.heldout.id, leak.train.id))


def _with(questions: Iterable[Question], side: str) -> Sequence[Question]:
    return [one for one in questions if one.side == side]
