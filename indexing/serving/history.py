"""Which servings there are, and which of them was live when."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from indexing.catalog.collections import CollectionState
from indexing.catalog.generations import GenerationInfo, generations_of
from indexing.catalog.servings import PromotionInfo, ServingInfo, promotions_of, servings_of
from indexing.session import Session

__all__ = ["Serving", "list_generations", "list_servings"]


@dataclass(frozen=True)
class Serving:
    """A serving as a person sees it. `behind` is how many changes its generation has yet to follow. `head`
    and `memory` say whether it has learned one; `beside` names the models of what passages have beside their
    vectors, by role; `gate` is the verdict on one that was learned, `trial`
    whether it answers beside the live one now.
    """

    id: int
    live: bool
    note: str
    model: str
    dimension: int
    precision: str
    engine: str
    chunking: dict[str, Any]
    beside: dict[str, str]
    ranking: dict[str, Any]
    reranker: str | None
    head: bool
    memory: bool
    gate: dict[str, Any] | None
    trial: bool
    generation: int
    behind: int
    created_at: str
    promotions: tuple[PromotionInfo, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def list_servings(session: Session) -> list[Serving]:
    """Every serving, the oldest first."""
    with session.looking() as (connection, state):
        servings = servings_of(connection, session.id)
        generations = {one.id: one for one in generations_of(connection, session.id)}
        history = promotions_of(connection, session.id)
    return [_describe(one, generations[one.generation_id], history, state) for one in servings]


def list_generations(session: Session) -> list[GenerationInfo]:
    """Every generation, the oldest first; one that is being built or dropped has no serving."""
    with session.looking() as (connection, _):
        return generations_of(connection, session.id)


def _describe(
    serving: ServingInfo,
    generation: GenerationInfo,
    history: list[PromotionInfo],
    state: CollectionState,
) -> Serving:
    return Serving(
        id=serving.id,
        live=serving.id == state.live_serving,
        note=serving.note,
        model=generation.model,
        dimension=generation.dimension,
        precision=generation.precision,
        engine=serving.engine,
        chunking=generation.chunking,
        beside={role: str(one.get("model")) for role, one in (generation.beside or {}).items()},
        ranking=serving.ranking,
        reranker=None if serving.reranker is None else str(serving.reranker.get("name")),
        generation=generation.id,
        head=serving.query_model is not None,
        memory=serving.memory is not None,
        gate=serving.gate,
        trial=serving.id == state.trial_serving,
        behind=state.last_seq - generation.followed_seq,
        created_at=serving.created_at,
        promotions=tuple(one for one in history if one.serving_id == serving.id),
    )
