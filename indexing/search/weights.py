"""The weights of the legs, as a serving holds them in its ranking: `{"weights": {"keyword": 0.5}}`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from indexing.errors import BadInput, StorageError
from indexing.names import LEGS

__all__ = ["check_ranking", "weights_of"]


def check_ranking(ranking: object) -> dict[str, Any]:
    """A ranking as it is stored. A leg that is not named has weight 1.

    Raises:
        BadInput: it names what is no leg, or a weight that is none.
    """
    if not isinstance(ranking, Mapping) or set(ranking) - {"weights"}:
        raise BadInput(
            f'ranking {ranking!r}: give weights of legs, such as {{"weights": {{"keyword": 0.5}}}}'
        )
    weights = ranking.get("weights", {})
    if not isinstance(weights, Mapping):
        raise BadInput(f'weights {weights!r}: give a number for each leg, such as {{"keyword": 0.5}}')
    for leg, weight in weights.items():
        if leg not in LEGS:
            raise BadInput(f"weight of {leg!r}: there is no such leg; the legs are {', '.join(LEGS)}")
        if not _is_weight(weight):
            raise BadInput(f"weight {weight!r} of {leg}: give a number, 0 or more")
    if all(weights.get(leg, 1.0) == 0 for leg in LEGS):
        raise BadInput("every leg has weight 0, so that no document counts for more than another")
    return {"weights": {leg: float(weight) for leg, weight in weights.items()}}


def weights_of(ranking: Mapping[str, Any]) -> dict[str, float]:
    """Weights by the names of the legs, of a ranking that was stored.

    Raises:
        StorageError: what is stored is no ranking.
    """
    try:
        return dict(check_ranking(ranking)["weights"])
    except BadInput as error:
        raise StorageError(f"the catalog is damaged: {error}; restore it from a backup") from error


def _is_weight(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf
