"""What losses of all model families share."""

from stlib.base.losses.gradcache import (
    CachedLossMixin,
    RandContext,
    has_static_embedding_input,
    uses_gradient_cache,
)
from stlib.base.losses.merged_forward import column_merging_disabled

__all__ = [
    "CachedLossMixin",
    "RandContext",
    "column_merging_disabled",
    "has_static_embedding_input",
    "uses_gradient_cache",
]
