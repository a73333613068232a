"""Erasing documents for good, from the collection and from all that is kept of them beside it.

    receipt = erase_documents(caller, location, "notes", ["letter.txt"])
    receipt.state, receipt.pending, receipt.out_of_reach

The collection's own part is `Collection.erase`; here is what reaches searches, judgments, jobs, uploads,
reports and what was tuned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.facade.caller import Caller, require
from app.feedback.erasing import Wanted as WantedFeedback
from app.feedback.erasing import erase_feedback
from app.feedback.log import feedback_log
from app.feedback.place import feedback_place
from app.feedback.table import stream_documents
from app.jobs.erasing import forget_in_jobs
from app.report.history import forget_reports_with
from app.report.judged_sets import forget_judged_documents
from app.settings import Location
from app.tuning.forgetting import Records
from app.tuning.trained.candidates import models_folder
from app.uploads.store import Uploads
from indexing import Collection
from indexing.catalog.erasing import Wanted
from indexing.documents.walk import real_name
from indexing.errors import IndexingError, LockedError
from indexing.search.filter_spelling import Given
from indexing.storage.files import remove_temporary
from indexing.storage.paths import ServerDatabase
from indexing.upkeep.erased import ErasedReport
from indexing.upkeep.receipt import Reached, Receipt

__all__ = [
    "ErasedReport",
    "Receipt",
    "allow_again",
    "check_erased",
    "erase_documents",
    "finish_erasures",
    "list_erasures",
]

_FLUSH_SECONDS = 2.0
_OUT_OF_REACH = (
    "words of it in questions that people asked: `stlib feedback erase NAME --question` erases those",
    "searches of the last second that other processes have yet to write: `stlib verify NAME --erased` looks",
    "reports, judgments and models that were written to folders of somebody's own",
)

_OTHER_HOSTS = (
    "uploads, reports, judged questions and models in the homes of other hosts that share the database: erase"
    " the same ids there too"
)


def erase_documents(
    caller: Caller,
    location: Location,
    name: str | Collection,
    ids: Iterable[str] | None = None,
    *,
    filter: Given | None = None,
) -> Receipt:
    """Erases documents by id or filter, see `Collection.erase`, and what is kept of them beside the
    collection.

    Raises:
        NotAllowed: the caller may not manage this collection.
        UnknownCollection: there is none of this name.
        BadInput, FilterError: nothing or both are given, or cannot be used; nothing was changed.
        LockedError: another process adds or deletes documents; nothing was changed.
        DiskFull, StorageError: it could not go on; `finish_erasures` does.
    """
    with _managed(caller, location, name) as collection:
        traces = _Traces(location, collection)
        return collection.erase(ids, filter=filter, who=caller.name, beyond=traces)


def finish_erasures(caller: Caller, location: Location, name: str | Collection) -> list[Receipt]:
    """Goes on with erasures that were killed or are pending; returns their receipts. Raises as
    `erase_documents`.
    """
    with _managed(caller, location, name) as collection:
        return collection.finish_erasures(beyond=_Traces(location, collection))


def list_erasures(caller: Caller, location: Location, name: str | Collection) -> list[Receipt]:
    """The receipts of all erasures, the oldest first.

    Raises:
        NotAllowed: the caller may not manage this collection.
        UnknownCollection: there is none of this name.
    """
    with _managed(caller, location, name) as collection:
        return collection.erasures()


def allow_again(
    caller: Caller,
    location: Location,
    name: str | Collection,
    ids: Iterable[str] = (),
    *,
    erasure: int | None = None,
) -> int:
    """Lets documents in again that were erased, see `Collection.allow_again`. Raises as that, and
    `NotAllowed`.
    """
    with _managed(caller, location, name) as collection:
        return collection.allow_again(ids, erasure=erasure)


def check_erased(caller: Caller, location: Location, name: str | Collection) -> ErasedReport:
    """Finishes what is pending, as far as that is possible now, then looks for anything of what was erased:
    in the collection, and in searches and judgments that name it, which are erased again.

    Raises:
        NotAllowed: the caller may not manage this collection.
        UnknownCollection: there is none of this name.
    """
    with _managed(caller, location, name) as collection:
        traces = _Traces(location, collection)
        busy = None
        try:
            collection.finish_erasures(beyond=traces)
        except LockedError as error:
            busy = str(error)
        report = collection.check_erased()
        if busy is not None and report.pending:
            report.problems.append(f"what is pending could not be finished: {busy}")
        if late := collection.erased_among(_named_in_feedback(location, collection)):
            erased = traces.forget_feedback(late)
            report.repaired.append(f"{sum(erased.erased.values())} searches and judgments that came later")
            report.problems += erased.pending
        return report


@contextmanager
def _managed(caller: Caller, location: Location, name: str | Collection) -> Iterator[Collection]:
    """The collection that a caller may manage: by its name, or the one that is held."""
    require(caller, "manage", name.name if isinstance(name, Collection) else name)
    if isinstance(name, Collection):
        yield name
        return
    with Collection.open(name, **location.arguments()) as collection:
        yield collection


def _named_in_feedback(location: Location, collection: Collection) -> set[str]:
    """Every document that searches, clicks and judgments name."""
    place = feedback_place(location)
    feedback_log(place).flush(_FLUSH_SECONDS)
    return set(stream_documents(place, collection.uuid))


@dataclass(frozen=True)
class _Traces:
    """What is kept of documents beside their collection, see `indexing.upkeep.receipt.Beyond`."""

    location: Location
    collection: Collection

    def forget(self, wanted: Wanted) -> Reached:
        total = Reached(out_of_reach=list(_OUT_OF_REACH))
        if isinstance(feedback_place(self.location).database, ServerDatabase):
            total.out_of_reach.append(_OTHER_HOSTS)
        for what, forget in self._steps(wanted):
            try:
                _add(total, forget())
            except (IndexingError, OSError) as error:
                total.pending.append(f"{what} could not be erased: {_reason(error)}")
                total.names_needed = True
        return total

    def _steps(self, wanted: Wanted) -> list[tuple[str, Callable[[], Reached]]]:
        names = wanted.names
        return [
            ("uploaded files", lambda: self._forget_uploads(wanted)),
            ("searches and judgments", lambda: self.forget_feedback(names)),
            ("records of tuning", lambda: self._forget_tuning(wanted)),
            ("models that were trained here", self._look_at_models),
            ("jobs", lambda: self._forget_jobs(wanted)),
            ("reports and judged questions", lambda: self._forget_reports(wanted)),
        ]

    def _forget_uploads(self, wanted: Wanted) -> Reached:
        uploads = Uploads(self.location)
        reached = Reached()
        if not uploads.of(self.collection.name).is_dir():
            return reached
        known = {Path(real_name(path)): path for path in wanted.paths}
        with uploads.locked():
            gone = uploads.forget_files(self.collection.name, known)
        reached.erased["uploads"] = len(gone)
        reached.gone_files = [known[path] for path in gone]
        return reached

    def forget_feedback(self, names: frozenset[str]) -> Reached:
        """Searches, clicks and judgments that name documents; what was tuned with those is told."""
        place, uuid = feedback_place(self.location), self.collection.uuid
        feedback_log(place).flush(_FLUSH_SECONDS)
        records = Records(self.location, uuid)
        gone = erase_feedback(place, uuid, WantedFeedback(documents=names), records)
        reached = Reached(pending=_listed(gone.pending))
        reached.erased.update(answers=gone.shortened, clicks=gone.events, judgments=gone.sayings)
        notes = {one.id: one.note for one in self.collection.servings()}
        reached.seen_by = [
            f"serving {one} ({notes[one]}): it was tuned with judgments of them"
            for one in gone.servings
            if one in notes
        ]
        return reached

    def _forget_tuning(self, wanted: Wanted) -> Reached:
        records = Records(self.location, self.collection.uuid)
        records.forget_documents({*wanted.names, *wanted.titles})
        return Reached(pending=_listed(records.write_anew()))

    def _look_at_models(self) -> Reached:
        """Names what was trained while they were there; nothing tells which wrong answers it was shown."""
        folder = models_folder(self.location, self.collection.name)
        if folder.is_dir():
            remove_temporary(folder)  # of a training that was killed
        reached = Reached()
        for serving in self.collection.servings():
            models = [Path(serving.model), Path(serving.reranker or "")]
            trained = [f"model {model.name}" for model in models if model.parent == folder]
            if serving.head:
                trained.append("query side")
            if trained:
                reached.seen_by.append(
                    f"serving {serving.id} ({', '.join(trained)}): it was trained on documents of the"
                    " collection, maybe on them as wrong answers"
                )
        return reached

    def _forget_jobs(self, wanted: Wanted) -> Reached:
        names = {*wanted.names, *wanted.titles}
        found = forget_in_jobs(self.location, self.collection.name, names, wanted.paths)
        reached = Reached(pending=_listed(found.why))
        reached.erased["jobs"] = found.changed
        reached.out_of_reach = [
            f"logs of {count} jobs that ran on {host}: erase the same ids there too"
            for host, count in found.elsewhere.items()
        ]
        for job in found.unended:
            reached.pending.append(
                f"job {job.id} ({job.kind}) is {job.state} and may write about them: wait for its end, or"
                " cancel it"
            )
            reached.names_needed = True
        return reached

    def _forget_reports(self, wanted: Wanted) -> Reached:
        texts = [*wanted.names, *wanted.titles]
        reached = Reached()
        uuid = self.collection.uuid
        reached.erased["reports"] = forget_reports_with(self.location, uuid, texts, whole=True)
        reached.erased["judged lines"] = forget_judged_documents(self.location, uuid, wanted.names)
        return reached


def _add(total: Reached, found: Reached) -> None:
    total.erased.update(found.erased)
    total.pending += found.pending
    total.seen_by += found.seen_by
    total.out_of_reach += found.out_of_reach
    total.gone_files += found.gone_files
    total.names_needed |= found.names_needed


def _listed(why: str | None) -> list[str]:
    return [] if why is None else [why]


def _reason(error: Exception) -> str:
    """Without a path, which may be the name of an upload."""
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else str(error)
