"""The weights of the legs, of a ranking that a serving has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from indexing.errors import BadInput, StorageError
from indexing.search.settings import check_ranking

__all__ = ["weights_of"]


def weights_of(ranking: Mapping[str, Any]) -> dict[str, float]:
    """Weights by the names of the legs, of a ranking that was stored.

    Raises:
        StorageError: what is stored is no ranking.
    """
    try:
        return dict(check_ranking(ranking).get("weights", {}))
    except BadInput as error:
        raise StorageError(f"the catalog is damaged: {error}; restore it from a backup") from error
