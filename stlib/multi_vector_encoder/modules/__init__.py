"""Modules that only late-interaction models use."""

from stlib.multi_vector_encoder.modules.multi_vector_mask import MultiVectorMask
from stlib.multi_vector_encoder.modules.token_pooling import (
    BaseTokenPooling,
    HierarchicalTokenPooling,
    LambdaTokenPooling,
)

__all__ = ["BaseTokenPooling", "HierarchicalTokenPooling", "LambdaTokenPooling", "MultiVectorMask"]
