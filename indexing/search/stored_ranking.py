"""The ranking of a serving as it was stored, without what was learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from indexing.errors import BadInput, FilterError, StorageError
from indexing.search.settings import SearchSettings

__all__ = ["read_ranking"]


def read_ranking(ranking: Mapping[str, Any]) -> SearchSettings:
    """
    Raises:
        StorageError: what is stored is no ranking.
    """
    try:
        return SearchSettings.from_ranking(ranking)
    except (BadInput, FilterError) as error:
        raise StorageError(f"the catalog is damaged: {error}; restore it from a backup") from error
