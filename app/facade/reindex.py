"""Changing what decides a collection's answers while it is used: what the command line and the job share."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.settings import Location
from app.wording import format_count
from indexing.errors import BadInput

if TYPE_CHECKING:
    from indexing import Collection
    from indexing.generations.follow import Followed
    from indexing.generations.plan import Plan
    from indexing.serving.history import Serving
    from indexing.serving.reindex import ReindexReport

__all__ = [
    "Asked",
    "Outlook",
    "ReindexChoices",
    "ReindexSummary",
    "Step",
    "look_ahead",
    "reindex_collection",
]


@dataclass(frozen=True)
class ReindexChoices:
    """What shall be other than it is; None leaves a setting as it is. All of it can be kept as JSON.

    Attributes:
        reranker: a folder or a name; "" for none.
        sparse, tokens: models of what passages have beside their vectors; "" for nothing of it any more.
        weights: of the legs; a leg that is not named keeps its own.
        boosts: each with a `filter` and a `weight`; they take the place of those so far.
        promote: whether the result becomes live.
    """

    model: str | None = None
    precision: str | None = None
    engine: str | None = None
    max_tokens: int | None = None
    overlap: int | None = None
    reranker: str | None = None
    sparse: str | None = None
    tokens: str | None = None
    weights: dict[str, float] | None = None
    boosts: list[dict[str, Any]] | None = None
    promote: bool = True

    def given(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class Outlook:
    """What a reindex will do, told before it begins. `free` are bytes on the disk of the collection; None
    where that is a server's.
    """

    plan: Plan
    live: Serving
    free: int | None

    @property
    def work(self) -> str:
        """In words."""
        passages = format_count(self.plan.chunks, "passage")
        if self.plan.already:
            return "nothing: it is so already"
        if self.plan.work == "embed":
            return f"embeds about {passages}"
        if self.plan.work == "convert":
            return f"makes codes of about {passages} from the codes there are, embeds nothing"
        return f"embeds nothing: the codes of {passages} stay"

    def to_dict(self) -> dict[str, Any]:
        plan = self.plan
        return {
            "work": plan.work,
            "chunks": plan.chunks,
            "bytes_needed": plan.bytes_needed,
            "bytes_free": self.free,
        }


@dataclass(frozen=True)
class Asked:
    """What was `live` when somebody asked for a reindex, and the `note` of the serving it will make."""

    live: int
    note: str


@dataclass(frozen=True)
class Step:
    """How far a run is: the `share` of what was left for it, and how many documents it made codes of."""

    share: float
    documents: int


@dataclass(frozen=True)
class ReindexSummary:
    """What a reindex did, and what is live after it; `before` was live when it began."""

    collection: str
    report: ReindexReport | None
    serving: Serving
    live: Serving
    before: int
    documents: int
    chunks: int

    def to_dict(self) -> dict[str, Any]:
        report = self.report
        return {
            "collection": self.collection,
            "serving": self.serving.to_dict(),
            "live": self.live.id,
            "before": self.before,
            "documents": self.documents,
            "chunks": self.chunks,
            "work": None if report is None else report.work,
            "documents_made": 0 if report is None else report.documents,
            "seconds": 0.0 if report is None else report.seconds,
        }


def look_ahead(location: Location, name: str, choices: ReindexChoices) -> Outlook:
    """What a reindex with these choices would do, for those who leave the work to a job. Changes nothing.

    Raises:
        BadInput: a setting that cannot be used.
        DiskFull: less room than it needs.
    """
    from indexing import Collection
    from indexing.storage.files import require_space

    with Collection.open(name, **location.arguments()) as collection:
        plan = collection.plan_reindex(**_arguments(collection, choices))
        free = _free_bytes(collection)
        if free is not None:
            require_space(Path(collection.info().path), plan.bytes_needed)
        return Outlook(plan, _live(collection.servings()), free)


def reindex_collection(
    location: Location,
    name: str,
    choices: ReindexChoices,
    *,
    who: str = "",
    announce: Callable[[Outlook], None] | None = None,
    progress: Callable[[Step], None] | None = None,
    asked: Asked | None = None,
) -> ReindexSummary:
    """Reindexes collection `name`. `announce` is told what will be done before it begins.

    Where it was `asked` for earlier, what was finished since then is not done again: a process may be killed
    after its last word.

    Raises:
        BadInput: a setting that cannot be used.
        DiskFull: less room than it needs; nothing was begun.
        LockedError: another process makes the same.
    """
    from indexing import Collection

    with Collection.open(name, **location.arguments()) as collection:
        live = _live(collection.servings())
        if asked is not None and live.id > asked.live and live.note == asked.note:
            return _summarize(collection, None, live.id, asked.live)
        steps = _Steps(lambda plan: Outlook(plan, live, _free_bytes(collection)), announce, progress)
        report = collection.reindex(
            **_arguments(collection, choices), promote=choices.promote, who=who, progress=steps
        )
        return _summarize(collection, report, report.serving.id, live.id)


class _Steps:
    """Turns what the library tells into what is announced, and into steps."""

    def __init__(
        self,
        look: Callable[[Plan], Outlook],
        announce: Callable[[Outlook], None] | None,
        progress: Callable[[Step], None] | None,
    ) -> None:
        self._look = look
        self._announce = announce
        self._progress = progress
        self._first: int | None = None
        self._counted = self._before = 0

    def __call__(self, plan: Plan, done: Followed) -> None:
        if self._first is None:
            self._first = done.seq
            if self._announce is not None:
                self._announce(self._look(plan))
        if done.documents < self._counted:  # before it becomes live it catches up, and counts anew
            self._before += self._counted
        self._counted = done.documents
        todo = done.last_seq - self._first
        share = 1.0 if plan.work == "none" or todo <= 0 else (done.seq - self._first) / todo
        if self._progress is not None:
            self._progress(Step(share, self._before + self._counted))


def _summarize(
    collection: Collection, report: ReindexReport | None, serving: int, before: int
) -> ReindexSummary:
    servings = collection.servings()
    info = collection.info()
    made = next((one for one in servings if one.id == serving), None)
    if made is None:
        raise BadInput(f"serving {serving} of collection {collection.name!r} was dropped meanwhile")
    return ReindexSummary(collection.name, report, made, _live(servings), before, info.documents, info.chunks)


def _live(servings: list[Serving]) -> Serving:
    return next(one for one in servings if one.live)


def _arguments(collection: Collection, choices: ReindexChoices) -> dict[str, Any]:
    """Of `Collection.reindex` and `plan_reindex`."""
    arguments: dict[str, Any] = {
        "model": choices.model,
        "precision": choices.precision,
        "engine": choices.engine,
    }
    live = _live(collection.servings())
    if choices.max_tokens is not None or choices.overlap is not None:
        arguments["chunk"] = _chunking(live.chunking, choices)
    if choices.weights is not None or choices.boosts is not None:
        arguments["ranking"] = _ranking(live.ranking, choices)
    if choices.reranker is not None:
        arguments["reranker"] = choices.reranker
    for role in ("sparse", "tokens"):
        if (given := getattr(choices, role)) is not None:
            arguments[role] = given or None
    return arguments


def _chunking(before: dict[str, Any], choices: ReindexChoices) -> Any:
    from indexing import ChunkSettings

    most = before["max_tokens"] if choices.max_tokens is None else choices.max_tokens
    overlap = min(before["overlap"], most // 2) if choices.overlap is None else choices.overlap
    try:
        return ChunkSettings(most, overlap)
    except ValueError as error:
        raise BadInput(f"passages: {error}") from error


def _ranking(before: dict[str, Any], choices: ReindexChoices) -> dict[str, Any]:
    ranking = dict(before)
    if choices.weights is not None:
        ranking["weights"] = {**before.get("weights", {}), **choices.weights}
    if choices.boosts is not None:
        ranking["boosts"] = choices.boosts
    return ranking


def _free_bytes(collection: Collection) -> int | None:
    """None for a database of a server, whose disk cannot be seen from here."""
    catalog = Path(collection.info().path)
    return shutil.disk_usage(catalog.parent).free if catalog.is_file() else None
