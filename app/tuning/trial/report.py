"""What the votes of a trial say, and whether they decide it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from app.statistics.anytime import anytime_interval, anytime_p
from app.statistics.multiple import ALPHA
from app.tuning.trial.votes import Votes
from app.wording import format_count

__all__ = ["BOUND", "CANDIDATE", "GOES_ON", "LIVE", "MOST_DAYS", "MOST_VOTES", "TrialReport", "judge_votes"]

GOES_ON, CANDIDATE, LIVE, BOUND = "goes on", "candidate", "live", "bound"

MOST_DAYS = 28
MOST_VOTES = 2_000
"""A trial ends after so many days, or so many votes that are no tie, whichever comes first. So many votes
show a preference of 55 % in most cases; what is smaller is not worth longer doubt.
"""

_DAY = 86_400.0


@dataclass(frozen=True)
class TrialReport:
    """A trial as it stands.

    Attributes:
        state: "goes on"; or what decided it: "candidate" or "live" was preferred, or the "bound" was reached.
        outcome: "promoted", "ended" or "stopped" once it is over, else None; `note` says why, where it is not
            plain.
        wins, losses, ties: votes for the candidate, for what is live, for neither.
        preference: share of the votes for the candidate, without ties; None without any.
        low, high: what holds the true share with 95 %, however often one looks.
        going_on: visits that have yet to vote; people: who voted; beyond: visits of people who had voted as
            often as one may.
    """

    collection: str
    live: int
    candidate: int
    state: str
    sentences: tuple[str, ...]
    wins: int
    losses: int
    ties: int
    preference: float | None
    low: float
    high: float
    going_on: int
    people: int
    beyond: int
    searches: int
    clicks: int
    started: float
    days_left: float
    who: str = ""
    outcome: str | None = None
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def decide(choices: Iterable[int], alpha: float = ALPHA) -> tuple[str, int, int, int]:
    """(state, wins, losses, ties) of votes 1, -1 and 0 in the order in which they came.

    Counting stops at the vote that decides, whenever somebody looks: votes that come later change nothing.
    """
    wins = losses = ties = 0
    for choice in choices:
        wins, losses, ties = wins + (choice > 0), losses + (choice < 0), ties + (choice == 0)
        if choice == 0:
            continue
        if anytime_p(wins, losses) <= alpha:  # the interval leaves a half out
            return (CANDIDATE if wins > losses else LIVE), wins, losses, ties
        if wins + losses >= MOST_VOTES:
            return BOUND, wins, losses, ties
    return GOES_ON, wins, losses, ties


def judge_votes(
    votes: Votes, *, collection: str, servings: tuple[int, int], started: float, now: float, who: str = ""
) -> TrialReport:
    """The report on a trial of `servings` (what is live, the candidate)."""
    in_time = [vote.choice for vote in votes.votes if vote.at <= started + MOST_DAYS * _DAY]
    state, wins, losses, ties = decide(in_time)
    days_left = MOST_DAYS - (now - started) / _DAY
    if state == GOES_ON and days_left <= 0:
        state = BOUND
    low, high = anytime_interval(wins, losses)
    preference = wins / (wins + losses) if wins + losses else None
    report = TrialReport(
        collection,
        *servings,
        state=state,
        sentences=(),
        wins=wins,
        losses=losses,
        ties=ties,
        preference=preference,
        low=low,
        high=high,
        going_on=votes.going_on,
        people=votes.people,
        beyond=votes.beyond,
        searches=votes.searches,
        clicks=votes.clicks,
        started=started,
        days_left=max(0.0, days_left),
        who=who,
    )
    return TrialReport(**{**vars(report), "sentences": write_sentences(report)})


def write_sentences(report: TrialReport) -> tuple[str, ...]:
    """In plain words: what was preferred, how sure that is, and what happens next."""
    verdicts = {
        CANDIDATE: f"People prefer the answers of serving {report.candidate}, by more than chance explains.",
        LIVE: f"People prefer what is live, serving {report.live}, by more than chance explains.",
        BOUND: "The trial reached its bound without showing a preference; what is live stays.",
        GOES_ON: "Not decided yet.",
    }
    sentences = [verdicts[report.state]]
    if report.preference is None:
        sentences.append(
            "No visit has voted yet: a visit votes half an hour after its last search, if it clicked more on"
            " one side."
        )
    else:
        sentences.append(
            f"Of {format_count(report.wins + report.losses, 'visit')} that chose, {report.wins} chose the"
            f" candidate ({report.preference:.0%}); the true share lies between {report.low:.0%} and"
            f" {report.high:.0%}, with 95 % certainty however often one looks."
        )
    if report.people == 1 and report.state == GOES_ON:
        sentences.append("All votes come from one person, whose visits count five times at most.")
    if report.state == GOES_ON:
        sentences.append(
            f"It ends when half is outside of these bounds, after {MOST_VOTES:,} votes, or in"
            f" {report.days_left:.0f} days."
        )
    return tuple(sentences)
