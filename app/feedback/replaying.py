"""Asking a question again as it was asked, and saying what became of its answer."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from app.feedback.model import Impression, Shown
from app.feedback.recording import MOST_SHOWN
from indexing.errors import BadInput
from indexing.names import DEFAULT_RERANK_DEPTH, SERVING_RERANKER
from indexing.search.interleave import interleave

if TYPE_CHECKING:
    from indexing import Collection, SearchResults

__all__ = ["Difference", "Replay", "replay_impression"]

_SCORES_EQUAL = 1e-5  # relative: another processor adds up in another order


@dataclass(frozen=True)
class Difference:
    """A document that stands elsewhere than it did. Ranks count from 1; None where it is not shown. `why` is
    what happened to it since: `added`, `changed` or `deleted`, or empty.
    """

    document: str
    rank_then: int | None
    rank_now: int | None
    why: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Replay:
    """What asking again gave.

    Attributes:
        same: every document stands where it stood, in the same team.
        same_scores: and its score is what it was.
        reasons: what changed since, in sentences.
        shown: the answer now.
    """

    impression: Impression
    collection: str
    same: bool
    same_scores: bool
    reasons: tuple[str, ...]
    differences: tuple[Difference, ...]
    shown: tuple[Shown, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def replay_impression(collection: Collection, impression: Impression) -> Replay:
    """Asks the same of the same serving, or of both of a trial, leaving out what came in since.

    Raises:
        BadInput: only hashes were kept of the question.
    """
    if impression.hashed:
        raise BadInput(
            f"of {impression.id} only hashes were kept, and a hash cannot be asked: STLIB_LOG=on keeps"
            " questions from now on"
        )
    known = {serving.id: serving for serving in collection.servings()}
    reasons = _servings_since(collection, impression, set(known))
    answer = _ask(collection, impression, set(known))
    shown = tuple(
        Shown(result.id, rank, result.score, None if answer.teams is None else answer.teams[place])
        for place, (rank, result) in enumerate(
            enumerate(answer.results[:MOST_SHOWN], start=impression.offset + 1)
        )
    )
    stored = collection.get({one.document for one in (*impression.shown, *shown)})
    then, now = _ranks(impression.shown), _ranks(shown)
    differences = tuple(
        Difference(document, then.get(document), now.get(document), why)
        for document in dict.fromkeys([*then, *now])
        if (why := _since(stored.get(document), impression, document in then))
        or then.get(document) != now.get(document)
    )
    reasons += _documents_since(impression, answer.seq, differences)
    same = [(one.document, one.team) for one in impression.shown] == [
        (one.document, one.team) for one in shown
    ]
    same_scores = same and all(
        math.isclose(one.score, other.score, rel_tol=_SCORES_EQUAL, abs_tol=1e-9)
        for one, other in zip(impression.shown, shown, strict=True)
    )
    if not same_scores and not reasons:
        reasons.append(_unexplained(impression, answer))
    return Replay(impression, collection.name, same, same_scores, tuple(reasons), differences, shown)


def _places(shown: tuple[Shown, ...]) -> list[tuple[str, int | None]]:
    return [(one.document, one.team) for one in shown]


def _ranks(shown: tuple[Shown, ...]) -> dict[str, int]:
    return {one.document: one.rank for one in shown}


def _servings_since(collection: Collection, impression: Impression, known: set[int]) -> list[str]:
    live, tried = next((one.id for one in collection.servings() if one.live), None), collection.trial()
    asked = impression.trial or ((impression.serving,) if impression.serving is not None else ())
    reasons = [
        f"serving {serving} is gone: its vectors were dropped" for serving in asked if serving not in known
    ]
    if impression.trial and tried != impression.trial[1]:
        reasons.append(f"the trial of serving {impression.trial[1]} has ended")
    if asked and live != asked[0]:
        reasons.append(f"serving {asked[0]} answered then, and serving {live} is live now")
    return reasons


def _ask(collection: Collection, impression: Impression, known: set[int]) -> SearchResults:
    """The answer of what answered then; of what is live where that is gone."""
    if impression.trial is not None and set(impression.trial) <= known:
        whole = impression.offset + impression.k
        live, tried = (_search(collection, impression, serving, whole, 0) for serving in impression.trial)
        return interleave(live, tried, impression.offset, impression.k, impression.seed)
    serving = impression.serving
    if serving is None or serving not in known:
        serving = next(one.id for one in collection.servings() if one.live)
    return _search(collection, impression, serving, impression.k, impression.offset)


def _search(
    collection: Collection, impression: Impression, serving: int, k: int, offset: int
) -> SearchResults:
    rerank: Any = SERVING_RERANKER if impression.reranker is None else impression.reranker
    return collection.search(
        impression.query,
        k,
        mode=impression.mode,
        filter=impression.filter,
        offset=offset,
        seq=impression.seq,
        serving=serving,
        # One that had failed, or had no time, read nothing; one that was stopped read the first few.
        rerank=None if impression.reranked == 0 else rerank,
        rerank_depth=impression.reranked or DEFAULT_RERANK_DEPTH,
    )


def _since(document: Any, impression: Impression, was_shown: bool) -> str:
    """What happened to a document after the impression."""
    if document is None:
        return "deleted"
    if document.seq > impression.seq:
        return "changed" if was_shown else "added"
    return ""


def _documents_since(impression: Impression, seq: int, differences: tuple[Difference, ...]) -> list[str]:
    reasons = []
    for why in ("deleted", "changed", "added"):
        found = sum(one.why == why for one in differences)
        if found:
            reasons.append(f"{found} of the documents {'was' if found == 1 else 'were'} {why}")
    if seq != impression.seq:
        count = seq - impression.seq
        reasons.append(f"the collection took {count:,} {'change' if count == 1 else 'changes'}")
    return reasons


def _unexplained(impression: Impression, answer: SearchResults) -> str:
    if answer.keyword_lag:
        return "the keyword index has yet to follow some changes: ask again when it has"
    if impression.reranked != answer.reranked:
        read = "nothing" if not answer.reranked else f"{answer.reranked} documents"
        return f"the reranker read {impression.reranked or 0} documents then, and {read} now"
    return (
        "nothing that is recorded changed: an index was still catching up then, or an approximate one was"
        " built anew"
    )
