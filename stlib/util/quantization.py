"""Smaller codes for float embeddings, and exact or approximate search over them with rescoring."""

from stlib.util.quantized_codes import PRECISIONS, dequantize_scalar, quantize_embeddings
from stlib.util.quantized_search import semantic_search_faiss, semantic_search_usearch

__all__ = [
    "PRECISIONS",
    "dequantize_scalar",
    "quantize_embeddings",
    "semantic_search_faiss",
    "semantic_search_usearch",
]
