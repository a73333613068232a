"""Searching sparse embeddings with the engines of others: make an index, or take one, and ask it.

Every function returns the results and the seconds that the search took, and with ``output_index=True`` the
index as a third value, for the next call. Results are, for each query, dicts of ``corpus_id`` (the position
in the corpus) and ``score``, best first; documents that share no active dimension with a query are not among
them.

=======================================  ====================  =============================================
Function                                 Package               Where it searches
=======================================  ====================  =============================================
:func:`semantic_search_qdrant`           ``qdrant-client``     a server, or in this process
:func:`semantic_search_seismic`          ``pyseismic-lsr``     in this process
:func:`semantic_search_elasticsearch`    ``elasticsearch``     a server
:func:`semantic_search_opensearch`       ``opensearch-py``     a server
=======================================  ====================  =============================================

For a durable collection of documents see the package ``indexing``, which needs none of them.
"""

from stlib.sparse_encoder.search_engines.elasticsearch import semantic_search_elasticsearch
from stlib.sparse_encoder.search_engines.opensearch import semantic_search_opensearch
from stlib.sparse_encoder.search_engines.qdrant import semantic_search_qdrant
from stlib.sparse_encoder.search_engines.seismic import semantic_search_seismic

__all__ = [
    "semantic_search_elasticsearch",
    "semantic_search_opensearch",
    "semantic_search_qdrant",
    "semantic_search_seismic",
]
