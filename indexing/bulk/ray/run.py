"""A bulk load by Ray, from its address to its report."""

from __future__ import annotations

import sys

from indexing.bulk.driver import run_load
from indexing.bulk.pieces import BulkSource
from indexing.bulk.ray.cluster import LOCAL, check_address
from indexing.bulk.ray.driver import RayMiddle
from indexing.bulk.ray.settings import check_models
from indexing.bulk.report import LoadProgress, LoadReport
from indexing.errors import BadInput
from indexing.models.held import Encoders
from indexing.session import Session
from indexing.storage.paths import ServerDatabase, has_password
from indexing.views.manager import Views
from stlib.extras import require

__all__ = ["load_by_ray"]


def load_by_ray(
    session: Session,
    views: Views,
    encoders: Encoders,
    source: BulkSource,
    address: str,
    *,
    workers: int | None = None,
    restart: bool = False,
    piece_documents: int | None = None,
    progress: LoadProgress | None = None,
) -> LoadReport:
    """Brings a source into a collection by the workers of a cluster: `local` for an instance of our own, else
    that of a cluster that runs. See `indexing.bulk.driver.run_load` for the rest.

    Raises:
        BadInput: the cluster cannot be used, or the collection's model not by other processes.
        MissingDependency: Ray is not installed.
    """
    check_address(address)
    if workers is not None and workers < 1:
        raise BadInput(f"--workers {workers}: give 1 or more")
    require("ray", "ray")
    check_models(session.live().generation)
    if address != LOCAL:
        _refuse_told_password(session)
    home, db = _where(session)
    with RayMiddle(session, address, workers, home, db) as middle:
        return run_load(
            session,
            views,
            encoders,
            source,
            middle,
            restart=restart,
            piece_documents=piece_documents,
            progress=progress,
        )


def _where(session: Session) -> tuple[str | None, str | None]:
    """What other processes open the collection with."""
    place = session.place
    if isinstance(place.catalog, ServerDatabase):
        return str(place.folder.absolute().parents[3]), place.catalog.url
    if place.shared_catalog:
        return None, f"sqlite:///{place.catalog.absolute()}"
    return str(place.folder.absolute().parents[1]), None


def _refuse_told_password(session: Session) -> None:
    """Ray notes the command line of a driver, and shows it to everybody who sees the cluster."""
    catalog = session.place.catalog
    words = [word for said in sys.argv for word in (said, said.partition("=")[2])]
    told = any(word.startswith("postgres") and has_password(word) for word in words)
    if told and isinstance(catalog, ServerDatabase):
        raise BadInput(
            "--db has a password, and a Ray cluster shows the command line of what runs on it: put the URL"
            " into STLIB_DB, or the password into PGPASSWORD or ~/.pgpass on every node"
        )
