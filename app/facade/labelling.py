"""What a person should judge next."""

from __future__ import annotations

from app.facade.caller import Caller, require
from app.feedback.judged.queue import ToJudge, make_queue
from app.feedback.log import feedback_log
from app.feedback.place import feedback_place
from app.feedback.recording import names_of
from app.settings import Location
from app.tuning.gate.model import GateReport
from app.tuning.runs import read_runs
from indexing import Collection

__all__ = ["ToJudge", "labelling_queue"]

_FLUSH_SECONDS = 2.0


def labelling_queue(
    caller: Caller, location: Location, collection: Collection, *, most: int = 20
) -> list[ToJudge]:
    """Questions and documents whose judgment teaches most, with the reasons, those first that the last
    verdict of the gate waits for; none that this person has judged.

    Raises:
        NotAllowed: the caller may not judge.
        StorageError: the database of feedback is damaged.
    """
    require(caller, "judge", collection)
    place = feedback_place(location)
    feedback_log(place).flush(_FLUSH_SECONDS)
    waiting = []
    for run in read_runs(location, collection.uuid)[-1:]:
        if run.gate:
            waiting = [(text, document) for _, text, document in GateReport.from_dict(run.gate).to_judge]
    return make_queue(place, collection, names_of(caller), waiting, most=most)
