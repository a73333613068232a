"""The middle of a load, as workers of Ray bring it in; the frame around it is `indexing.bulk.driver`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

from indexing.bulk.driver import Tell, nothing_stored
from indexing.bulk.loads import Load, shards_to_do
from indexing.bulk.pieces import Done
from indexing.bulk.ray.cluster import LOCAL, Cluster, ray_cluster
from indexing.bulk.ray.dataset import ToDo, outcomes
from indexing.bulk.ray.foreman import Foreman
from indexing.bulk.ray.nodes import check_nodes
from indexing.bulk.ray.settings import MakerSettings, WorkSettings
from indexing.bulk.report import STALE, PieceReport
from indexing.bulk.writer import Writer
from indexing.errors import StorageError
from indexing.session import Session
from indexing.storage.paths import ServerDatabase

__all__ = ["RayMiddle"]

_LOOKED_EVERY = 2.0
_STARTS = 10
"""How often each worker may begin without any of them storing a piece."""

_NOTHING_YET = PieceReport("waiting")


class RayMiddle:
    """A `Middle`: brings in pieces by a cluster. The caller holds the lock of the documents."""

    def __init__(
        self, session: Session, address: str, workers: int | None, home: str | None, db: str | None
    ) -> None:
        """`home` and `db` are as `Collection.open` takes them, absolute."""
        self._session = session
        self._address = address
        self._workers = workers
        self._home = home
        self._db = db
        self._stack = contextlib.ExitStack()
        self._cluster: Cluster | None = None
        self._looked = time.monotonic()

    def __enter__(self) -> RayMiddle:
        """Joins a cluster, if it is to be one: whether it is there is told before anything is planned."""
        if self._address != LOCAL:
            self._join()
        return self

    def __exit__(self, *error: object) -> None:
        self._leave()

    def _join(self) -> Cluster:
        if self._cluster is None:
            self._cluster = self._stack.enter_context(ray_cluster(self._address, self._workers))
        return self._cluster

    def _leave(self) -> None:
        self._cluster = None
        self._stack.close()

    def __call__(self, load: Load, todo: Iterator[tuple[int, Done]], tell: Tell) -> bool:
        """Until every shard is stored or bad; true where another generation became live meanwhile.

        Raises:
            IndexingError: what a worker met that ends the load.
            StorageError: workers die faster than they store.
        """
        left = list(todo)
        while left:
            if self._bring(load, left, tell):
                return True
            before, left = left, [(plan.number, done) for plan, done in shards_to_do(self._session, load)]
            if left == before:
                raise nothing_stored(self._session, load)
        self._leave()  # what follows is done by this process, on all of its cores
        return False

    def _bring(self, load: Load, todo: Sequence[ToDo], tell: Tell) -> bool:
        """Runs the stages once; true where another generation is live."""
        cluster = self._join()
        with self._foreman(load, cluster) as foreman:
            check_nodes(cluster, foreman, Writer(self._session, load).shard(todo[0][0])[0])
            with contextlib.closing(outcomes(todo, foreman, cluster)) as found:
                for outcome in found:
                    if outcome is not None and outcome.outcome == STALE:
                        return True
                    tell(_NOTHING_YET if outcome is None else PieceReport(outcome.outcome, outcome.said))
                    self._look_at(foreman, cluster)
        return False

    @contextlib.contextmanager
    def _foreman(self, load: Load, cluster: Cluster) -> Iterator[Any]:
        """An actor on this node, for what is live now."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        place = NodeAffinitySchedulingStrategy(cluster.node, soft=False)
        actor: Any = (
            ray.remote(Foreman)
            .options(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=place)
            .remote(self._settings(load, cluster).to_text())
        )
        try:
            yield actor
        finally:
            with contextlib.suppress(Exception):  # with the cluster it goes too
                ray.kill(actor)

    def _settings(self, load: Load, cluster: Cluster) -> WorkSettings:
        return WorkSettings(
            self._session.name,
            self._session.uuid,
            self._home,
            self._db,
            load.to_row(),
            MakerSettings.of(self._session.live()),
            cluster.threads,
            direct=isinstance(self._session.place.catalog, ServerDatabase),
            alone=cluster.is_local,
        )

    def _look_at(self, foreman: Any, cluster: Cluster) -> None:
        """Workers that die again and again would be started for ever; and without its node this process would
        be ended by Ray, which says nothing.
        """
        import ray

        if time.monotonic() - self._looked < _LOOKED_EVERY:
            return
        self._looked = time.monotonic()
        if not cluster.is_alive():
            raise StorageError(
                "Ray's process on this machine ended, for lack of memory perhaps. What is stored is kept, and"
                " the same command goes on"
            )
        starts = 0
        with contextlib.suppress(ray.exceptions.GetTimeoutError, ray.exceptions.RayActorError):
            starts = ray.get(foreman.starts.remote(), timeout=_LOOKED_EVERY)
        if starts > _STARTS * cluster.workers:
            raise StorageError(
                f"workers died {starts} times and stored nothing meanwhile, for lack of memory perhaps: take"
                " fewer --workers. What is stored is kept, and the same command goes on"
            )
