"""A collection that exists, as a workload: its settings, and how long its texts are."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection, func, select

from indexing.beside.models import BesideModel, read_beside
from indexing.catalog.generations import GenerationInfo
from indexing.catalog.schema import DocumentRow
from indexing.describe import CollectionInfo
from indexing.errors import BadInput
from indexing.models.trust import recorded_source
from indexing.names import FAR_ENGINES, NO_MODEL
from indexing.sizing.models import ModelFacts, find_model, known_model
from indexing.sizing.plan import Plan
from indexing.sizing.setups import Limits, Machines, Sums, add_up
from indexing.sizing.workload import Workload

__all__ = ["Existing", "Lengths", "measure_lengths", "workload_of"]

# Documents whose lengths stand for those of all.
_SAMPLED = 1_000
# Below, what an empty catalog takes is much of a small one: the sums alone say how it grows.
_FEW_DOCUMENTS = 1_000
# A smaller share of what the sums say: views that are not made yet.
_PUBLISHED = 0.5
_OF_CATALOG = ("documents", "passages", "codes", "tokens")


@dataclass(frozen=True)
class Lengths:
    """Of a document on average: characters of its text, bytes of its metadata as JSON, and its fields."""

    characters: float
    metadata: float
    fields: int


@dataclass(frozen=True)
class Existing:
    """A collection beside the sums for it.

    Attributes:
        workload, sums: as it is now; `sums` of the way in which it is kept.
        catalog_bytes, view_bytes: as measured.
    """

    workload: Workload
    sums: Sums
    catalog_bytes: int
    view_bytes: int

    @property
    def shares(self) -> tuple[float, float]:
        """What was measured by what the sums say, of the catalog and of views; 1 for a small collection, and
        for a server, whose database may hold others.
        """
        if self.workload.documents < _FEW_DOCUMENTS or self.sums.database != "sqlite":
            return 1.0, 1.0
        views = self.view_bytes / self.view_sum
        return self.catalog_bytes / self.catalog_sum, views if views > _PUBLISHED else 1.0

    @property
    def catalog_sum(self) -> float:
        """Bytes that the sums say of the catalog."""
        return sum(size for part, size in self.sums.disk.items() if part in self._of_catalog)

    @property
    def _of_catalog(self) -> tuple[str, ...]:
        """Parts that lie in the database; pgvector's table does too."""
        return (*_OF_CATALOG, "vectors") if self.sums.engine == "pgvector" else _OF_CATALOG

    @property
    def view_sum(self) -> float:
        """Bytes that the sums say of views on this machine."""
        elsewhere = self.sums.disk["vectors"] if self.sums.engine in FAR_ENGINES else 0.0
        return self.sums.disk_bytes - self.catalog_sum - elsewhere

    def corrected(self, plan: Plan) -> Plan:
        """`plan` with the bytes of the way in which this collection is kept in the measured proportion."""
        return replace(plan, sums=tuple(self._corrected(one) for one in plan.sums))

    def _corrected(self, sums: Sums) -> Sums:
        if (sums.setup, sums.engine) != (self.sums.setup, self.sums.engine):
            return sums
        catalog, views = self.shares
        shares = {part: catalog if part in self._of_catalog else views for part in sums.disk}
        if sums.engine in FAR_ENGINES:
            shares["vectors"] = 1.0  # which lie elsewhere
        disk = {part: size * shares[part] for part, size in sums.disk.items()}
        return replace(sums, disk=disk)


def measure_lengths(connection: Connection, collection_id: int) -> Lengths:
    """Of some documents that lie evenly among all."""
    live = (DocumentRow.collection_id == collection_id, ~DocumentRow.deleted)
    count, last = connection.execute(select(func.count(), func.max(DocumentRow.key)).where(*live)).one()
    if not count:
        raise BadInput("the collection holds no document to go by; give --documents and --length instead")
    step = max(1, count // _SAMPLED)
    statement = select(func.length(DocumentRow.text), DocumentRow.meta).where(*live)
    rows = connection.execute(statement.where(DocumentRow.key % step == last % step)).all()
    fields = [len(json.loads(meta)) for _, meta in rows]
    return Lengths(
        max(1.0, sum(length for length, _ in rows) / len(rows)),
        sum(len(meta.encode()) for _, meta in rows) / len(rows),
        round(sum(fields) / len(rows)),
    )


def workload_of(
    info: CollectionInfo,
    generation: GenerationInfo,
    lengths: Lengths,
    machines: Machines,
    limits: Limits,
    speed: float | None,
) -> Existing:
    """The collection that `info` describes, and the sums for it; see `Collection.sums`."""
    beside = read_beside(generation.beside)
    workload = Workload(
        documents=info.documents,
        length=lengths.characters,
        model=_facts(info.model, generation.fingerprint, info.dimension),
        precision=info.precision,
        max_tokens=int(generation.chunking.get("max_tokens", 256)),
        overlap=int(generation.chunking.get("overlap", 32)),
        metadata=lengths.metadata,
        fields=lengths.fields,
        sparse=_beside(beside.get("sparse")),
        late=_beside(beside.get("tokens")),
        passages_each=info.chunks / info.documents,
    )
    workload = workload.at_speed(speed) if speed else workload
    if unknown := [one.name for one in workload.models if one.how == "unknown"]:
        names = " and ".join(unknown)
        raise BadInput(
            f"nobody has measured how fast {names} embeds: give --speed, the passages that one core embeds"
            " in a second"
        )
    setup = "postgres" if "://" in info.path else "sqlite"
    sums = add_up(workload, setup, machines, limits, info.engine)
    return Existing(workload, sums, info.catalog_bytes, info.view_bytes)


def _beside(model: BesideModel | None) -> ModelFacts | None:
    return None if model is None else _facts(model.model, model.fingerprint, model.dimension)


def _facts(name: str, fingerprint: str, dimension: int) -> ModelFacts:
    """Of a model that a catalog names. Others may have written that name: a folder is opened only if this
    machine used it for this model.
    """
    if fingerprint == NO_MODEL:
        return ModelFacts("", dimension, how="given")  # vectors are brought
    known = known_model(name)
    source = recorded_source(fingerprint)
    if known is None and source is not None and Path(source).exists():
        known = find_model(source)
    return replace(known or ModelFacts(name, dimension), dimension=dimension)
