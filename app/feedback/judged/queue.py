"""What to judge next: the pairs of question and document of which a word would teach most."""

from __future__ import annotations

from collections.abc import Collection as Group
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from app.feedback.judged.judgments import settle_sayings
from app.feedback.model import Impression, latest_words
from app.feedback.place import FeedbackPlace
from app.feedback.questions import question_hash
from app.feedback.table import IMPRESSIONS, read_events, read_rows, read_sayings
from indexing import Collection

__all__ = ["ToJudge", "make_queue"]

_IMPRESSIONS = 500  # the newest are looked at
_QUESTIONS = 30  # of them, each asked by meaning and by words: some tenths of a second together
_BEST = 3  # what stands there in one list and nowhere in another is where these differ
_DEPTH = 10
_OF_ONE_QUESTION = 3
_NEAR = 0.1  # of the threshold

# What a word teaches, most first: it decides a verdict, settles a quarrel, tells which of two ways is right,
# confirms a click, and shows where answers begin to be weak.
_GATE, _QUARREL, _SERVINGS, _LEGS, _CLICKED, _THRESHOLD = 32.0, 16.0, 8.0, 4.0, 2.0, 1.0


@dataclass(frozen=True)
class ToJudge:
    """A question, by its id and text, a document, and why a word on them teaches something, in sentences; the
    higher `weight` is, the more it does.
    """

    question: str
    text: str
    document: str
    reasons: tuple[str, ...]
    weight: float


class _Queue:
    """Pairs, each with all that speaks for it; of those that are `judged` a quarrel alone does."""

    def __init__(self, judged: set[tuple[str, str]]) -> None:
        self.judged = judged
        self.pairs: dict[tuple[str, str], ToJudge] = {}

    def add(self, text: str, document: str, reason: str, weight: float) -> None:
        key = (question_hash(text), document)
        if key in self.judged and weight != _QUARREL:
            return
        known = self.pairs.get(key, ToJudge(key[0], text, document, (), 0.0))
        if reason not in known.reasons:
            self.pairs[key] = replace(known, reasons=(*known.reasons, reason), weight=known.weight + weight)


def make_queue(
    place: FeedbackPlace,
    collection: Collection,
    people: Group[str],
    to_judge: Iterable[tuple[str, str]] = (),
    *,
    most: int = 20,
) -> list[ToJudge]:
    """At most `most` pairs, what teaches most first, and of one question no more than three.

    `people` are the names under which the words of the person who asks are kept: what this person judged is
    left out, and what others judged too unless they do not agree. `to_judge` are the (text, document) of
    which the gate says that they could turn its verdict. The rest comes from the newest searches.

    Raises:
        StorageError: the database of feedback is damaged.
    """
    sayings = read_sayings(place, collection.uuid)
    newest = read_rows(
        place,
        Impression,
        [IMPRESSIONS.c.collection == collection.uuid, IMPRESSIONS.c.hashed == 0],
        IMPRESSIONS.c.at.desc(),
        most=_IMPRESSIONS,
    )
    words = latest_words(sayings)
    judged = {(question, document) for _, question, document in words}
    mine = {(question, document) for person, question, document in words if person in people}
    queue = _Queue(judged)
    for at, (text, document) in enumerate(to_judge):
        queue.add(text, document, "The gate cannot decide without it.", _GATE - at / 1000)
    for question in settle_sayings(sayings).values():
        for document in question.conflicts:
            queue.add(question.text, document, "People do not agree on it.", _QUARREL)
    _add_clicked(queue, newest, place, collection)
    _add_servings(queue, newest)
    _add_legs(queue, newest, collection)
    _add_weak(queue, newest, collection)
    left = [one for key, one in queue.pairs.items() if key not in mine]
    return _choose(left, collection, most)


def _add_clicked(
    queue: _Queue, newest: Sequence[Impression], place: FeedbackPlace, collection: Collection
) -> None:
    asked = {one.id: one for one in newest}
    people: dict[tuple[str, str], set[str]] = {}
    texts = {one.query_hash: one.query for one in newest}
    for event in read_events(place, collection.uuid):
        if event.impression in asked:
            impression = asked[event.impression]
            key = (impression.query_hash, event.document)
            people.setdefault(key, set()).add(event.who or event.session)
    for (question, document), who in people.items():
        count = "One person" if len(who) == 1 else f"{len(who)} people"
        reason = f"{count} opened it, and nobody has judged it."
        queue.add(texts[question], document, reason, _CLICKED + min(len(who), 10) / 100)


def _add_servings(queue: _Queue, newest: Sequence[Impression]) -> None:
    """What one serving showed among its best, and another one for the same question not at all."""
    lists: dict[str, dict[int, Impression]] = {}
    for one in newest:
        if one.trial is None and one.serving is not None and one.offset == 0 and one.filter is None:
            lists.setdefault(one.query_hash + one.mode, {}).setdefault(one.serving, one)
    for by_serving in lists.values():
        for serving, one in by_serving.items():
            for other, another in by_serving.items():
                there = {shown.document for shown in another.shown}
                for shown in one.shown[:_BEST]:
                    if shown.document not in there and len(another.shown) >= len(one.shown):
                        reason = f"Serving {serving} has it at {shown.rank}, serving {other} did not show it."
                        queue.add(one.query, shown.document, reason, _SERVINGS - shown.rank / 100)


def _add_legs(queue: _Queue, newest: Sequence[Impression], collection: Collection) -> None:
    """What is among the best by meaning and not found by words, and the other way round."""
    texts: dict[str, str] = {}
    for one in newest:
        if len(texts) < _QUESTIONS:
            texts.setdefault(one.query_hash, one.query)
    if not texts:
        return
    lists = {
        mode: collection.rankings(texts, mode=mode, depth=_DEPTH, rerank=None)
        for mode in ("semantic", "keyword")
    }
    for question, text in texts.items():
        meaning, words = lists["semantic"][question], lists["keyword"][question]
        for ranked, others, this, that in (
            (meaning, words, "meaning", "words"),
            (words, meaning, "words", "meaning"),
        ):
            for rank, document in enumerate(ranked[:_BEST], 1):
                if document not in others:
                    reason = f"By {this} it is number {rank}, by {that} not among the best {_DEPTH}."
                    queue.add(text, document, reason, _LEGS - rank / 100)


def _add_weak(queue: _Queue, newest: Sequence[Impression], collection: Collection) -> None:
    """The best of answers whose score is near the threshold of weak ones."""
    with collection.probe() as probe:
        threshold, live = probe.settings.threshold, probe.serving_id
    if threshold is None:
        return
    for one in newest:
        best = one.shown[0] if one.shown and one.offset == 0 else None
        if best is None or one.mode != "hybrid" or one.serving != live or one.reranked:
            continue
        if abs(best.score - threshold) <= _NEAR * abs(threshold):
            queue.add(one.query, best.document, "It is as good as answers just called weak.", _THRESHOLD)


def _choose(left: Iterable[ToJudge], collection: Collection, most: int) -> list[ToJudge]:
    """The best `most` of documents that are there, and few of each question."""
    ordered = sorted(left, key=lambda one: (-one.weight, one.question, one.document))
    chosen: list[ToJudge] = []
    counts: dict[str, int] = {}
    there = collection.get({one.document for one in ordered[: 20 * most]})
    for one in ordered:
        count = counts.get(one.question, 0)
        if len(chosen) < most and count < _OF_ONE_QUESTION and one.document in there:
            chosen.append(one)
            counts[one.question] = count + 1
    return chosen
