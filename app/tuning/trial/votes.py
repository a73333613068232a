"""From clicks on interleaved answers to votes.

A clicked document is credited to the serving that picked it (team draft interleaving: Radlinski, Kurup and
Joachims, "How Does Clickthrough Data Reflect Retrieval Quality?", CIKM 2008). Of each question in a visit
the serving with more documents wins, and of the visit the one that won more questions, so that a person who
clicks a hundred times has one vote. At most `MOST_OF_ONE` visits of a person vote: nobody decides a trial
alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from app.feedback.model import Event, Impression, Saying, latest_words

__all__ = ["IDLE_SECONDS", "MOST_OF_ONE", "Vote", "Votes", "count_votes"]

IDLE_SECONDS = 30 * 60.0
"""After so long without a search a visit is over, and has voted: a vote that could still change would be
counted before it is known. It is the usual bound of web analytics.
"""

MOST_OF_ONE = 5
"""Visits of one person that vote. A vote for each visit of whoever comes most often would be a trial of what
that person likes."""


@dataclass(frozen=True)
class Vote:
    """Of one visit: 1 for the candidate, -1 for what is live, 0 for neither; `at` is when it was over."""

    person: str
    at: float
    choice: int


@dataclass(frozen=True)
class Votes:
    """All votes in the order in which they came.

    Attributes:
        going_on: visits that are not over.
        beyond: visits that were not counted, as the same person had voted often enough.
        searches, clicks: that were looked at.
    """

    votes: tuple[Vote, ...] = ()
    going_on: int = 0
    beyond: int = 0
    searches: int = 0
    clicks: int = 0

    @property
    def people(self) -> int:
        return len({vote.person for vote in self.votes})


def count_votes(
    impressions: Iterable[Impression],
    events: Iterable[Event],
    sayings: Iterable[Saying],
    servings: tuple[int, int],
    since: float,
    now: float,
) -> Votes:
    """The votes of a trial of `servings` (what is live, the candidate), begun at `since`, as they are at
    `now`; times are seconds since 1970. A document that somebody called right counts as clicked. What is
    clicked after a visit is over changes its vote no more.
    """
    shown = sorted(
        (one for one in impressions if one.trial == servings and since <= one.at <= now),
        key=lambda one: one.at,
    )
    clicked: dict[str, dict[str, float]] = {}  # impression → document → when first
    for event in events:
        _note(clicked, event)
    for saying in latest_words(sayings).values():
        if saying.grade > 0 and saying.impression:
            _note(clicked, saying)
    votes: list[Vote] = []
    going_on = beyond = 0
    voted: Counter[str] = Counter()
    for visit in sorted(_visits(shown), key=lambda visit: visit[-1].at):
        over = visit[-1].at + IDLE_SECONDS
        person = visit[0].person or visit[0].id  # of nobody known each search is a visit
        choice = _choice(visit, clicked, servings, over)
        if over > now:
            going_on += 1
        elif choice and voted[person] >= MOST_OF_ONE:
            beyond += 1
        else:
            voted[person] += choice != 0
            votes.append(Vote(person, over, choice))
    clicks = sum(len(clicked.get(one.id, ())) for one in shown)
    return Votes(tuple(votes), going_on, beyond, len(shown), clicks)


def _note(clicked: dict[str, dict[str, float]], what: Event | Saying) -> None:
    times = clicked.setdefault(what.impression, {})
    times[what.document] = min(what.at, times.get(what.document, what.at))


def _visits(shown: Iterable[Impression]) -> Iterator[list[Impression]]:
    """Searches of one session, none of them `IDLE_SECONDS` or more after the one before."""
    open_ones: dict[str, list[Impression]] = {}
    for one in shown:
        session = one.session or one.who or one.id
        visit = open_ones.get(session)
        if visit is not None and one.at - visit[-1].at < IDLE_SECONDS:
            visit.append(one)
            continue
        if visit is not None:
            yield visit
        open_ones[session] = [one]
    yield from open_ones.values()


def _choice(
    visit: Iterable[Impression],
    clicked: dict[str, dict[str, float]],
    servings: tuple[int, int],
    over: float,
) -> int:
    credited: dict[str, dict[str, int]] = {}  # question → document → serving: pages of one answer are one
    for one in visit:
        for result in one.shown:
            if result.team in servings and clicked.get(one.id, {}).get(result.document, over) < over:
                credited.setdefault(one.query_hash, {})[result.document] = result.team
    questions = [_sign(Counter(teams.values()), servings) for teams in credited.values()]
    return (sum(questions) > 0) - (sum(questions) < 0)


def _sign(counts: Counter[int], servings: tuple[int, int]) -> int:
    live, candidate = counts[servings[0]], counts[servings[1]]
    return (candidate > live) - (candidate < live)
