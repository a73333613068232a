"""Numbers that are looked up when somebody asks for them: jobs, and how far indexes lag behind."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from app.facade.health import Lag, count_jobs, lags, milvus_is_away
from app.settings import Location
from indexing.errors import IndexingError
from indexing.milvus.settings import is_configured
from stlib.util.forks import ThreadLock

__all__ = ["StateOfThings"]

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 5.0


class StateOfThings(Collector):
    """Of one home. What cannot be read is left out, and the log says why."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._lock = ThreadLock()
        self._until = 0.0
        self._found: list[Any] = []

    def collect(self) -> Iterable[Any]:
        """As it was some seconds ago at most, however many ask."""
        with self._lock:
            if time.monotonic() >= self._until:
                self._found = self._look()
                self._until = time.monotonic() + _LOOK_SECONDS
            return self._found

    def _look(self) -> list[Any]:
        try:
            found = [*_jobs(count_jobs(self._location)), *_collections(lags(self._location))]
        except IndexingError as error:
            logger.warning("numbers of jobs or collections cannot be read: %s", error)
            return []
        return [*found, *_milvus()]


def _milvus() -> Iterator[GaugeMetricFamily]:
    """Of this process; nothing where Milvus is not used."""
    if is_configured():
        said = "Whether this worker does without Milvus, which failed to answer."
        yield GaugeMetricFamily("stlib_milvus_away", said, value=float(milvus_is_away()))


def _jobs(counts: Counter[tuple[str, str]]) -> Iterator[GaugeMetricFamily]:
    family = GaugeMetricFamily("stlib_jobs", "Jobs by kind and state.", labels=("kind", "state"))
    for (kind, state), count in sorted(counts.items()):
        family.add_metric((kind, state), count)
    yield family


def _collections(found: list[Lag]) -> Iterator[GaugeMetricFamily]:
    yield GaugeMetricFamily("stlib_collections", "Collections that can be read.", value=len(found))
    documents = GaugeMetricFamily(
        "stlib_collection_documents", "Documents of a collection.", labels=("collection",)
    )
    lag = GaugeMetricFamily(
        "stlib_index_lag_changes",
        "Committed changes that the files of an index have yet to follow; searches read them beside it.",
        labels=("collection", "index"),
    )
    for one in found:
        documents.add_metric((one.collection,), one.documents)
        lag.add_metric((one.collection, "keyword"), one.keyword)
        lag.add_metric((one.collection, "generation"), one.generation)
    yield documents
    yield lag
