"""The middle of a load, as workers of Ray bring it in; the frame around it is `indexing.bulk.driver`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

from indexing.bulk.driver import Tell
from indexing.bulk.loads import Load
from indexing.bulk.pieces import Done
from indexing.bulk.ray.cluster import Cluster
from indexing.bulk.ray.dataset import outcomes
from indexing.bulk.ray.foreman import Foreman
from indexing.bulk.ray.settings import MakerSettings, WorkSettings
from indexing.bulk.report import STALE, PieceReport
from indexing.errors import StorageError
from indexing.session import Session
from indexing.storage.paths import ServerDatabase

__all__ = ["RayMiddle"]

_LOOKED_EVERY = 5.0
_STARTS = 10
"""How often each worker may begin without any of them storing a piece."""

_NOTHING_YET = PieceReport("waiting")


class RayMiddle:
    """A `Middle`: brings in pieces by a cluster. The caller holds the lock of the documents."""

    def __init__(self, session: Session, cluster: Cluster, home: str | None, db: str | None) -> None:
        """`home` and `db` are as `Collection.open` takes them, absolute."""
        self._session = session
        self._cluster = cluster
        self._home = home
        self._db = db
        self._looked = time.monotonic()

    def __call__(self, load: Load, todo: Iterator[tuple[int, Done]], tell: Tell) -> bool:
        """Until every shard is stored or bad; true where another generation became live meanwhile.

        Raises:
            IndexingError: what a worker met that ends the load.
            StorageError: workers die faster than they store.
        """
        numbers = [number for number, _ in todo]
        if not numbers:
            return False
        with self._foreman(load) as foreman:
            return self._run(numbers, foreman, tell)

    def _run(self, numbers: Sequence[int], foreman: Any, tell: Tell) -> bool:
        with contextlib.closing(outcomes(numbers, foreman, self._cluster)) as found:
            for outcome in found:
                if outcome is not None and outcome.outcome == STALE:
                    return True
                tell(_NOTHING_YET if outcome is None else PieceReport(outcome.outcome, outcome.said))
                self._look_at(foreman)
        return False

    @contextlib.contextmanager
    def _foreman(self, load: Load) -> Iterator[Any]:
        """An actor on this node, for what is live now."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        place = NodeAffinitySchedulingStrategy(self._cluster.node, soft=False)
        actor = (
            ray.remote(Foreman)
            .options(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=place)
            .remote(self._settings(load).to_text())
        )
        try:
            yield actor
        finally:
            with contextlib.suppress(Exception):  # with the cluster it goes too
                ray.kill(actor)

    def _settings(self, load: Load) -> WorkSettings:
        return WorkSettings(
            self._session.name,
            self._session.uuid,
            self._home,
            self._db,
            load.to_row(),
            MakerSettings.of(self._session.live()),
            self._cluster.threads,
            isinstance(self._session.place.catalog, ServerDatabase),
        )

    def _look_at(self, foreman: Any) -> None:
        """Workers that die again and again would be started for ever."""
        import ray

        if time.monotonic() - self._looked < _LOOKED_EVERY:
            return
        self._looked = time.monotonic()
        starts = 0
        with contextlib.suppress(ray.exceptions.GetTimeoutError, ray.exceptions.RayActorError):
            starts = ray.get(foreman.starts.remote(), timeout=_LOOKED_EVERY)
        if starts > _STARTS * self._cluster.workers:
            raise StorageError(
                f"workers died {starts} times and stored nothing meanwhile, for lack of memory perhaps: take"
                " fewer --workers. What is stored is kept, and the same command goes on"
            )
