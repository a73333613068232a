"""Fast clustering: groups of texts that are all near a common centre; most texts may belong to none.

    python -m stlib.recipes.fast_clustering questions.txt --threshold 0.75 --min-size 10

Needs no number of clusters and no scikit-learn; see :func:`stlib.util.community_detection`.
"""

# ruff: noqa: T201 - the result is what the user asked for

from __future__ import annotations

from collections.abc import Sequence

from stlib.recipes._clusters import clustering_parser, encode_texts, print_clusters
from stlib.recipes._inputs import run
from stlib.recipes._numbers import number, positive


def main(argv: Sequence[str] | None = None) -> list[list[str]]:
    """Print the groups, each with its centre first, and return their texts."""
    from stlib.util import community_detection

    parser = clustering_parser("Find groups of texts that lie near a common centre.")
    parser.add_argument("--threshold", type=number, default=0.75, help="least cosine to the centre")
    parser.add_argument("--min-size", type=positive, default=10, help="texts in a group at least")
    args = parser.parse_args(argv)
    texts, vectors = encode_texts(args)
    found = community_detection(vectors, threshold=args.threshold, min_community_size=args.min_size)
    print_clusters(found, texts, args.show)
    print(f"{sum(map(len, found))} of {len(texts)} texts are in {len(found)} groups")
    return [[texts[i] for i in members] for members in found]


if __name__ == "__main__":
    run(main)
