"""Agglomerative clustering: the nearest clusters are joined until none are near enough.

    python -m stlib.recipes.agglomerative questions.txt --threshold 1.2

The number of clusters follows from the threshold. Time and memory grow with the square of the number of
texts: for more than some ten thousand use ``fast_clustering``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stlib.recipes._clusters import (
    central_first,
    clustering_parser,
    encode_texts,
    groups,
    print_clusters,
    require_sklearn,
)
from stlib.recipes._inputs import run
from stlib.recipes._numbers import positive_number


def cluster(vectors: np.ndarray, threshold: float, linkage: str = "ward") -> list[list[int]]:
    """Positions of ``vectors [n, d]`` by cluster, largest first, the most central first in each.

    Args:
        vectors: unit vectors, whose distances lie between 0 and 2.
        threshold: clusters further apart are not joined.
        linkage: how clusters are measured; ``"ward"`` joins those that widen least.

    Raises:
        MissingDependency: scikit-learn is not installed.
    """
    if len(vectors) < 2:
        return [list(range(len(vectors)))]
    method = require_sklearn("cluster").AgglomerativeClustering(
        n_clusters=None, distance_threshold=threshold, linkage=linkage
    )
    return [central_first(members, vectors) for members in groups(method.fit_predict(vectors))]


def main(argv: Sequence[str] | None = None) -> list[list[str]]:
    """Print the clusters and return their texts."""
    parser = clustering_parser("Group texts by joining the nearest clusters up to a distance.")
    parser.add_argument(
        "--threshold", type=positive_number, default=1.5, help="distance of clusters that stay apart"
    )
    parser.add_argument("--linkage", choices=("ward", "average", "complete", "single"), default="ward")
    args = parser.parse_args(argv)
    texts, vectors = encode_texts(args)
    clusters = cluster(vectors, args.threshold, args.linkage)
    print_clusters(clusters, texts, args.show)
    return [[texts[i] for i in members] for members in clusters]


if __name__ == "__main__":
    run(main)
