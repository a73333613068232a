"""k-means: texts in a given number of clusters.

    python -m stlib.recipes.kmeans questions.txt --clusters 8

Each text belongs to the cluster whose mean is nearest. The number of clusters must be known; try
``fast_clustering`` or ``agglomerative`` where it is not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stlib.errors import InvalidOption
from stlib.recipes._clusters import (
    central_first,
    clustering_parser,
    encode_texts,
    groups,
    print_clusters,
    require_sklearn,
)
from stlib.recipes._inputs import run
from stlib.recipes._numbers import positive, seed


def cluster(vectors: np.ndarray, n_clusters: int, seed: int = 0) -> list[list[int]]:
    """Positions of ``vectors [n, d]`` by cluster, largest first, the most central first in each.

    Raises:
        InvalidOption: there are fewer vectors than clusters.
        MissingDependency: scikit-learn is not installed.
    """
    if not 1 <= n_clusters <= len(vectors):
        raise InvalidOption(f"--clusters is {n_clusters}; use 1 to {len(vectors)}, the number of texts")
    means = require_sklearn("cluster").KMeans(n_clusters, n_init=4, random_state=seed)
    return [central_first(members, vectors) for members in groups(means.fit_predict(vectors))]


def main(argv: Sequence[str] | None = None) -> list[list[str]]:
    """Print the clusters and return their texts."""
    parser = clustering_parser("Group texts into a given number of clusters by k-means.")
    parser.add_argument("--clusters", type=positive, default=8, help="number of clusters")
    parser.add_argument("--seed", type=seed, default=0, help="of the first means")
    args = parser.parse_args(argv)
    texts, vectors = encode_texts(args)
    clusters = cluster(vectors, args.clusters, args.seed)
    print_clusters(clusters, texts, args.show)
    return [[texts[i] for i in members] for members in clusters]


if __name__ == "__main__":
    run(main)
