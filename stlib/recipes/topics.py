"""Topics: clusters of texts, each described by the words that set it apart.

    python -m stlib.recipes.topics articles.jsonl --column text --clusters 10

A cluster's words are those with the highest class-based TF-IDF (Grootendorst 2022, BERTopic,
arXiv:2203.05794): all texts of a cluster count as one document, a word weighs ``tf * log(1 + A / f)`` with
its count ``tf`` in the cluster, its count ``f`` in all clusters and the mean number of words ``A`` of a
cluster.
"""

# ruff: noqa: T201 - the result is what the user asked for

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from stlib.recipes._clusters import clustering_parser, encode_texts
from stlib.recipes._inputs import run
from stlib.recipes._numbers import positive, seed
from stlib.recipes.kmeans import cluster

_WORD = re.compile(r"[^\W\d_]{3,}")


def topic_words(texts: Sequence[str], clusters: Sequence[Sequence[int]], n_words: int = 6) -> list[list[str]]:
    """The words that describe each cluster, heaviest first.

    Args:
        texts: all texts.
        clusters: positions of the texts of each cluster.
        n_words: words per cluster at most.
    """
    counts = [Counter(w for i in members for w in _words(texts[i])) for members in clusters]
    everywhere = sum(counts, Counter())
    mean = everywhere.total() / max(1, len(counts))
    weights = {word: math.log(1 + mean / f) for word, f in everywhere.items()}

    def heaviest(words: Counter[str]) -> list[str]:
        return sorted(words, key=lambda word: (-words[word] * weights[word], word))[:n_words]

    return [heaviest(words) for words in counts]


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def main(argv: Sequence[str] | None = None) -> list[tuple[list[str], list[str]]]:
    """Print each topic with its words and some texts; return words and texts of each."""
    parser = clustering_parser("Find topics: clusters of texts and the words that set them apart.")
    parser.add_argument("--clusters", type=positive, default=8, help="number of topics")
    parser.add_argument("--words", type=positive, default=6, help="words per topic")
    parser.add_argument("--seed", type=seed, default=0, help="of the first means")
    args = parser.parse_args(argv)
    texts, vectors = encode_texts(args)
    clusters = cluster(vectors, args.clusters, args.seed)
    words = topic_words(texts, clusters, args.words)
    for members, described in zip(clusters, words, strict=True):
        print(f"{', '.join(described)} ({len(members)} texts)")
        for i in members[: args.show]:
            print(f"  {texts[i]}")
    return [(described, [texts[i] for i in m]) for m, described in zip(clusters, words, strict=True)]


if __name__ == "__main__":
    run(main)
