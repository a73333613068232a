"""Documented short path of :mod:`stlib.util.quantization`."""

from stlib.util.quantization import quantize_embeddings
from stlib.util.quantized_search import semantic_search_faiss, semantic_search_usearch

__all__ = ["quantize_embeddings", "semantic_search_faiss", "semantic_search_usearch"]
