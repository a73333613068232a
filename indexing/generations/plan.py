"""What a change of settings needs: another generation or none, by embedding or from the codes there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from indexing.beside.models import BesideModel, read_beside, same_models, write_beside
from indexing.catalog.generations import BUILDING, GenerationInfo, generations_of
from indexing.catalog.reads import count_chunks, estimate_chunks
from indexing.catalog.servings import servings_of
from indexing.documents import ChunkSettings
from indexing.errors import BadInput
from indexing.models.held import NO_MODEL
from indexing.models.rerankers import by_tokens
from indexing.quantization import PRECISIONS
from indexing.session import Live, Session
from indexing.vectors import check_engine, engine_class
from indexing.vectors.table_state import has_tables
from indexing.views.milvus_leftovers import require_far

__all__ = ["KEEP", "Change", "Plan", "choose_work", "make_plan"]

KEEP: Any = object()
"""Leave a setting as it is, where None means something else."""

# What a passage costs beside its code: rows and index entries of the catalog, keys of the vector view.
ROW_BYTES = 150
# What one has on average beside its vector, by role.
_BESIDE_BYTES = {"sparse": 250, "tokens": 12_000}
# In English prose a token has four to five; passages of another size are estimated by it.
CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True)
class Change:
    """What is wanted other than it is; None leaves a setting as it is, and `KEEP` the reranker.

    Attributes:
        model: name that the catalog records, with `fingerprint` and `dimension` of the encoder.
        ranking: weights of the legs, `{"weights": {"semantic": 1.0, "keyword": 0.5}}`.
        reranker: as the serving records it, `{"name", "fingerprint"}`; None for none.
        beside: role → model of what passages are to have beside their vectors; None for nothing of it any
            more. A role that is not named stays as it is.
        gate: what the serving says of the gate where it was learned; None where a person asked for it.
    """

    model: str | None = None
    fingerprint: str | None = None
    dimension: int | None = None
    precision: str | None = None
    engine: str | None = None
    chunk: ChunkSettings | None = None
    ranking: dict[str, Any] | None = None
    reranker: Any = KEEP
    beside: Mapping[str, BesideModel | None] = field(default_factory=dict)
    gate: dict[str, Any] | None = None

    @property
    def keeps_codes(self) -> bool:
        """Whether the generation can stay. A change of nothing at all means: make it anew."""
        of_serving = self.engine or self.ranking is not None or self.reranker is not KEEP
        of_generation = (self.model, self.precision, self.chunk, self.beside or None)
        return bool(of_serving) and all(value is None for value in of_generation)

    @property
    def asks_for_nothing(self) -> bool:
        """Whether everything stays as it is, but for being made anew."""
        return self == Change()

    def note(self) -> str:
        """In a few words, for the history."""
        said = [
            f"{name} {value}"
            for name, value in (
                ("model", self.model),
                ("precision", self.precision),
                ("engine", self.engine),
                (
                    "passages of",
                    self.chunk and f"{self.chunk.max_tokens} tokens, overlap {self.chunk.overlap}",
                ),
                ("weights", self.ranking and _describe_weights(self.ranking)),
            )
            if value is not None
        ]
        if self.reranker is not KEEP:
            said.append("no reranker" if self.reranker is None else f"reranker {self.reranker['name']}")
        said += [
            f"no {_ROLE_WORDS[role]}" if model is None else f"{_ROLE_WORDS[role]} by {model.model}"
            for role, model in self.beside.items()
        ]
        return ", ".join(said) or "made anew"


_ROLE_WORDS = {"sparse": "weighted terms", "tokens": "vectors of tokens"}


def _describe_weights(ranking: dict[str, Any]) -> str:
    weights = [f"{leg} {weight:g}" for leg, weight in ranking.get("weights", {}).items()]
    boosts = [f"{boost['weight']:+g} where {boost['filter']}" for boost in ranking.get("boosts", [])]
    return ", ".join([*weights, *boosts]) or "as usual"


@dataclass(frozen=True)
class Plan:
    """How a change is made.

    Attributes:
        work: `none` (the generation stays), `convert` (codes from codes), or `embed`.
        target: settings of the generation to make; its id is 0 unless a build of them was begun before.
        serving: fields of the serving to make, without its generation.
        chunks: about how many passages are to be made.
        bytes_needed: about what they need on disk, in catalog and views.
        already: what is wanted is what is served; nothing is made.
    """

    work: Literal["none", "convert", "embed"]
    target: GenerationInfo
    serving: dict[str, Any]
    chunks: int
    bytes_needed: int
    already: bool = False


def make_plan(session: Session, change: Change) -> Plan:
    """What is to be done for `change` of what is live now.

    Raises:
        BadInput: an unknown precision or engine, or a change that a collection without a model cannot have.
    """
    _check(change)
    live = session.live()
    with session.looking() as (connection, _):
        if change.chunk is None:
            chunks = count_chunks(connection, live.generation.id)
        else:
            step = change.chunk.max_tokens - change.chunk.overlap
            chunks = estimate_chunks(connection, session.id, CHARACTERS_PER_TOKEN * step)
        # A candidate that was made of the same change is it; "anew" is another one each time.
        served = {serving.generation_id for serving in servings_of(connection, session.id)}
        begun_before = [
            one
            for one in generations_of(connection, session.id)
            if one.id not in served or not change.asks_for_nothing
        ]
    target = _target(live, change)
    serving = _serving_values(live, change, target)
    on_server = has_tables(session.database)
    check_engine(serving["engine"], target.precision, target.dimension, on_server=on_server)
    engine_changes = serving["engine"] != live.serving.engine
    if engine_changes:
        require_far(serving["engine"])
    if not change.asks_for_nothing and _is_served(live, target, serving):
        return Plan("none", live.generation, serving, 0, 0, already=True)
    if change.keeps_codes:
        needed = chunks * live.generation.dimension * 2 if engine_changes else 0
        return Plan("none", live.generation, serving, chunks, needed)
    work = choose_work(live, target)
    if work == "embed" and target.fingerprint == NO_MODEL:
        raise BadInput(
            f"collection {session.name!r} has vectors of somebody's own and no model, so they cannot be made "
            f"anew in {target.precision} from {live.generation.precision}: give a model, or add them again"
        )
    codec_bytes = target.dimension * (4 if target.precision == "float32" else 1)
    codec_bytes += sum(_BESIDE_BYTES[role] for role in target.beside or {})
    begun = next((one for one in reversed(begun_before) if _is_begun(one, target)), None)
    if begun is not None:
        with session.looking() as (connection, _):
            chunks = max(0, chunks - count_chunks(connection, begun.id))
    return Plan(
        work,
        begun or target,
        serving,
        chunks,
        chunks * (2 * codec_bytes + ROW_BYTES),
    )


def _check(change: Change) -> None:
    if change.precision is not None and change.precision not in PRECISIONS:
        raise BadInput(f"precision {change.precision!r}: use one of {', '.join(PRECISIONS)}")
    if change.engine is not None:
        engine_class(change.engine)


def _serving_values(live: Live, change: Change, target: GenerationInfo) -> dict[str, Any]:
    before = live.serving
    return {
        "engine": change.engine or before.engine,
        "analysis": before.analysis,
        "query_model": before.query_model if change.model is None else None,
        "memory": before.memory if change.model is None else None,
        "ranking": before.ranking if change.ranking is None else change.ranking,
        "reranker": _reranker_of(live, change, target),
        "made_from": before.id,
        "note": change.note(),
        "gate": change.gate,
    }


def _reranker_of(live: Live, change: Change, target: GenerationInfo) -> Any:
    """The reranker to record; that of vectors of tokens is of the model that the generation has them by, and
    goes with them.

    Raises:
        BadInput: they are wanted as reranker, and the generation has none.
    """
    reranker = live.serving.reranker if change.reranker is KEEP else change.reranker
    if not reranker or not by_tokens(reranker["name"]):
        return reranker
    model = read_beside(target.beside).get("tokens")
    if model is not None:
        return {**reranker, "fingerprint": model.fingerprint}
    if change.reranker is KEEP:
        return None
    raise BadInput(
        "there are no vectors of tokens to rerank by: give their model too, with tokens= or --tokens"
    )


def _is_served(live: Live, target: GenerationInfo, serving: dict[str, Any]) -> bool:
    """Whether everything that is wanted is so already."""
    settings = ("engine", "ranking", "reranker", "query_model", "memory")
    return _makes_same_codes(target, live.generation) and all(
        serving[name] == getattr(live.serving, name) for name in settings
    )


def _target(live: Live, change: Change) -> GenerationInfo:
    """The generation that is wanted."""
    before = live.generation
    chunking = before.chunking
    beside: dict[str, Any] = {**read_beside(before.beside), **change.beside}
    if change.chunk is not None:
        chunking = change.chunk.to_json(opening=chunking.get("opening", False))
    return replace(
        before,
        id=0,
        model=change.model or before.model,
        fingerprint=change.fingerprint or before.fingerprint,
        dimension=change.dimension or before.dimension,
        precision=change.precision or before.precision,
        chunking=dict(chunking),
        codec=None,
        beside=write_beside({role: model for role, model in beside.items() if model is not None}),
        state=BUILDING,
        followed_seq=0,
    )


def choose_work(live: Live, target: GenerationInfo) -> Literal["convert", "embed"]:
    """Codes can be made of those there are where these are as fine: whole numbers, or bytes with their
    ranges.
    """
    before = live.generation
    same_texts = (target.fingerprint, target.chunking) == (before.fingerprint, before.chunking)
    as_fine = before.precision == "float32" or target.precision != "float32"
    other_codes = target.precision != before.precision or not same_models(target.beside, before.beside)
    if same_texts and live.codec is not None and as_fine and other_codes:
        return "convert"
    return "embed"


def _is_begun(generation: GenerationInfo, target: GenerationInfo) -> bool:
    """Whether a killed run had begun to make just this."""
    return generation.state == BUILDING and _makes_same_codes(generation, target)


def _makes_same_codes(one: GenerationInfo, other: GenerationInfo) -> bool:
    names = ("fingerprint", "precision", "dimension", "chunking")
    same = all(getattr(one, name) == getattr(other, name) for name in names)
    return same and same_models(one.beside, other.beside)
