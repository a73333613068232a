"""What a serving says of ranking beside its generation: weights, features, and what was learned.

A serving's row holds it as JSON, with the fingerprints of artifacts in place of their numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from indexing.errors import BadInput
from indexing.names import FEATURES, LEGS, OPTIONAL_LEGS
from indexing.search.filter_spelling import filter_text
from indexing.search.filters import parse_filter

__all__ = ["Boost", "Head", "Memory", "SearchSettings", "check_ranking"]

# A million numbers of float32 take 4 MB; more is no head of a query and no memory of questions.
MOST_NUMBERS = 64_000_000
MOST_BOOSTS = 50
_KEYS = ("weights", "features", "boosts", "threshold", "rerank_weight")


@dataclass(frozen=True)
class Boost:
    """`weight` is added to the fused score of the documents that match `filter`; negative pushes down."""

    filter: str
    weight: float


@dataclass(frozen=True, eq=False)
class Head:
    """A linear map of the vectors of questions: `q` becomes `q @ matrix.T`, or with `down` the low-rank
    `q + (q @ down.T) @ matrix.T`, scaled to length 1.

    Attributes:
        matrix: float32 [d, d], or [d, r].
        down: None, or float32 [r, d].
    """

    matrix: np.ndarray
    down: np.ndarray | None = None

    def __post_init__(self) -> None:
        dimension = self.matrix.shape[0] if self.matrix.ndim == 2 else 0
        rank = dimension if self.down is None else self.down.shape[0]
        if not dimension or self.matrix.shape != (dimension, rank):
            raise BadInput(
                f"head of shape {list(self.matrix.shape)}: give a square matrix, or [d, r] and [r, d]"
            )
        if self.down is not None and self.down.shape != (rank, dimension):
            raise BadInput(f"head of rank {rank}: down has the shape {list(self.down.shape)}")
        for numbers in (self.matrix, self.down):
            _check_numbers(numbers, "a head")

    @property
    def dimension(self) -> int:
        return int(self.matrix.shape[0])

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """`vectors` float32 [n, d] of length 1, mapped; of length 1 again."""
        if self.down is None:
            mapped = vectors @ self.matrix.T
        else:
            mapped = vectors + (vectors @ self.down.T) @ self.matrix.T
        return (mapped / np.maximum(np.linalg.norm(mapped, axis=1, keepdims=True), 1e-12)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Memory:
    """Judged answers of past questions.

    Attributes:
        vectors: of the questions by the generation's own model, float32 [n, d] of length 1.
        answers: of each question document id → what it is worth, usually from 0 to 1; below 0 for a document
            that was judged wrong.
        reach: cosine from which a past question counts; it counts (cosine - reach) / (1 - reach).
        neighbours: how many past questions count at most, the nearest.
    """

    vectors: np.ndarray
    answers: tuple[Mapping[str, float], ...]
    reach: float
    neighbours: int

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.answers):
            raise BadInput(
                f"memory of {len(self.answers)} answers with vectors of shape {list(self.vectors.shape)}:"
                " give one vector for each"
            )
        _check_numbers(self.vectors, "a memory")
        if not 0 <= self.reach < 1 or self.neighbours < 1:
            raise BadInput(
                f"memory with reach {self.reach}, {self.neighbours} neighbours: 0 <= reach < 1, 1 or more"
            )
        for worth in self.answers:
            if not all(isinstance(id_, str) and math.isfinite(value) for id_, value in worth.items()):
                raise BadInput("memory with an answer that is none: give document ids and finite numbers")

    @property
    def dimension(self) -> int:
        return int(self.vectors.shape[1])

    def recall(self, vector: np.ndarray) -> dict[str, float]:
        """What documents are worth for a question of `vector` float32 [d], by judgments of near ones."""
        near = self.vectors @ vector
        nearest = np.argsort(-near, kind="stable")[: self.neighbours]
        worth: dict[str, float] = {}
        for question in nearest[near[nearest] > self.reach].tolist():
            share = min(1.0, (float(near[question]) - self.reach) / (1 - self.reach))
            for id_, value in self.answers[question].items():
                worth[id_] = worth.get(id_, 0.0) + share * value
        return worth


@dataclass(frozen=True, eq=False)
class SearchSettings:
    """How a search orders documents. The default is what a new collection has.

    Attributes:
        weights: of legs by name, where it is not 1.
        features: of plain features of documents, where it is not 0, see `indexing.search.features`.
        boosts: set by hand.
        threshold: an answer whose best fused score is below is called weak; None calls none so.
        rerank_weight: share of the reranker, from 0 to 1; None is the reranker's own.
        reranker: as a serving records it, `{"name", "fingerprint"}`; None for none.
        head: maps the vectors of questions; None leaves them.
        memory: of judged questions; None has none.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    features: Mapping[str, float] = field(default_factory=dict)
    boosts: tuple[Boost, ...] = ()
    threshold: float | None = None
    rerank_weight: float | None = None
    reranker: Mapping[str, str] | None = None
    head: Head | None = None
    memory: Memory | None = None

    @property
    def adds(self) -> bool:
        """Whether anything but legs decides the fused score."""
        return bool(self.boosts or any(self.features.values()))

    def ranking(self) -> dict[str, Any]:
        """As a serving's row holds it: only what is not the default.

        Raises:
            BadInput: a value that cannot be used.
        """
        said = {
            "weights": dict(self.weights),
            "features": dict(self.features),
            "boosts": [vars(boost) for boost in self.boosts],
            "threshold": self.threshold,
            "rerank_weight": self.rerank_weight,
        }
        return check_ranking({name: value for name, value in said.items() if value not in ({}, [], None)})

    @classmethod
    def from_ranking(cls, ranking: Mapping[str, Any], **learned: Any) -> SearchSettings:
        """
        Raises:
            BadInput: it is no ranking.
        """
        checked = check_ranking(ranking)
        boosts = tuple(Boost(**boost) for boost in checked.pop("boosts", ()))
        return cls(boosts=boosts, **checked, **learned)


def check_ranking(ranking: object) -> dict[str, Any]:
    """A ranking as it is stored. A leg that is not named has weight 1, a feature 0.

    Raises:
        BadInput: it names what is no leg or feature, a weight that is none, or a filter that cannot be read.
    """
    if not isinstance(ranking, Mapping) or set(ranking) - set(_KEYS):
        raise BadInput(
            f'ranking {ranking!r}: give weights of legs, such as {{"weights": {{"keyword": 0.5}}}}; there is'
            f" besides: {', '.join(_KEYS[1:])}"
        )
    checked: dict[str, Any] = {}
    if "weights" in ranking:
        checked["weights"] = _check_weights(ranking["weights"])
    if "features" in ranking:
        checked["features"] = _check_features(ranking["features"])
    if "boosts" in ranking:
        checked["boosts"] = _check_boosts(ranking["boosts"])
    for name in ("threshold", "rerank_weight"):
        if (value := ranking.get(name)) is not None:
            if not _is_number(value) or (name == "rerank_weight" and not 0 <= value <= 1):
                raise BadInput(
                    f"{name} {value!r}: give a number" + (" from 0 to 1" if name != "threshold" else "")
                )
            checked[name] = float(value)
    return checked


def _check_weights(weights: object) -> dict[str, float]:
    if not isinstance(weights, Mapping):
        raise BadInput(f'weights {weights!r}: give a number for each leg, such as {{"keyword": 0.5}}')
    for leg, weight in weights.items():
        if leg not in LEGS:
            raise BadInput(f"weight of {leg!r}: there is no such leg; the legs are {', '.join(LEGS)}")
        if not _is_number(weight) or weight < 0:
            raise BadInput(f"weight {weight!r} of {leg}: give a number, 0 or more")
    if all(weights.get(leg, 1.0) == 0 for leg in LEGS if leg not in OPTIONAL_LEGS):
        raise BadInput("every leg has weight 0, so that no document counts for more than another")
    return {leg: float(weight) for leg, weight in weights.items()}


def _check_features(features: object) -> dict[str, float]:
    if not isinstance(features, Mapping):
        raise BadInput(f'features {features!r}: give a number for each feature, such as {{"title": 0.5}}')
    for name, weight in features.items():
        if name not in FEATURES:
            raise BadInput(f"feature {name!r}: there is none of this name; there are: {', '.join(FEATURES)}")
        if not _is_number(weight):
            raise BadInput(f"weight {weight!r} of {name}: give a number")
    return {name: float(weight) for name, weight in features.items()}


def _check_boosts(boosts: object) -> list[dict[str, Any]]:
    if not isinstance(boosts, (list, tuple)) or len(boosts) > MOST_BOOSTS:
        raise BadInput(
            f"boosts {boosts!r}: give at most {MOST_BOOSTS}, such as"
            ' [{"filter": "year >= 2020", "weight": 1}]'
        )
    checked = []
    for boost in boosts:
        if not isinstance(boost, Mapping) or set(boost) != {"filter", "weight"}:
            raise BadInput(f"boost {boost!r}: give a filter and a weight")
        if not isinstance(boost["filter"], str | Mapping) or not _is_number(boost["weight"]):
            raise BadInput(f"boost {dict(boost)!r}: the filter is a text or a dict, the weight a number")
        written = filter_text(boost["filter"])
        if parse_filter(written) is None:
            raise BadInput("the filter of a boost is empty, and would match every document")
        checked.append({"filter": written, "weight": float(boost["weight"])})
    return checked


def _check_numbers(numbers: np.ndarray | None, what: str) -> None:
    if numbers is None:
        return
    if numbers.dtype != np.float32 or numbers.size > MOST_NUMBERS or not np.isfinite(numbers).all():
        raise BadInput(f"{what} needs finite numbers of float32, at most {MOST_NUMBERS:,}")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
