"""Parallel-sentence mining: translations of each other in two files, by the ratio margin.

    python -m stlib.recipes.parallel_mining german.txt english.txt --model multilingual-model

Artetxe & Schwenk 2019 (arXiv:1811.01136): the cosine of a pair is divided by the mean cosine of both
sentences to their k nearest neighbours in the other file, so that sentences which are near everything do not
win. The model must map both languages to the same place; the bundled one knows English only.
"""

# ruff: noqa: T201 - the result is what the user asked for

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from stlib.recipes._inputs import argument_parser, load_model, read_texts, run
from stlib.recipes._numbers import number, positive


def margin_pairs(
    source: np.ndarray, target: np.ndarray, neighbours: int = 4, threshold: float = 1.0
) -> list[tuple[float, int, int]]:
    """Pairs of rows ``(score, i, j)``, best first, each row in one pair at most.

    Candidates are the nearest neighbours in both directions, as each side may see a pair the other misses.

    Args:
        source: ``[n, d]``.
        target: ``[m, d]``.
        neighbours: k, for means and for candidates.
        threshold: least ratio of a pair.
    """
    forward = _nearest(source, target, neighbours)
    backward = _nearest(target, source, neighbours)
    means = forward[0].mean(axis=1), backward[0].mean(axis=1)
    ratios: dict[tuple[int, int], float] = {}
    for (scores, partners), swapped in ((forward, False), (backward, True)):
        for here, row in enumerate(partners):
            for place, there in enumerate(row):
                i, j = (int(there), here) if swapped else (here, int(there))
                ratios[i, j] = float(scores[here, place]) / float((means[0][i] + means[1][j]) / 2)
    return _one_each(ratios, threshold)


def _nearest(rows: np.ndarray, others: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and positions ``[n, k]`` of the nearest rows on the other side."""
    from stlib.util.exact_search import top_k_tensors

    scores, positions = top_k_tensors(torch.as_tensor(rows), torch.as_tensor(others), top_k=k)
    return scores.cpu().numpy(), positions.cpu().numpy()


def _one_each(ratios: dict[tuple[int, int], float], threshold: float) -> list[tuple[float, int, int]]:
    used: tuple[set[int], set[int]] = (set(), set())
    kept = []
    for (i, j), ratio in sorted(ratios.items(), key=lambda item: -item[1]):
        if ratio >= threshold and i not in used[0] and j not in used[1]:
            kept.append((ratio, i, j))
            used[0].add(i)
            used[1].add(j)
    return kept


def main(argv: Sequence[str] | None = None) -> list[tuple[float, str, str]]:
    """Print the pairs and return them as ``(ratio, source, target)``."""
    parser = argument_parser("Find sentences of two files that translate each other.")
    parser.add_argument("source", help="sentences: .txt (one a line), .csv, .tsv, .json or .jsonl, also .gz")
    parser.add_argument("target", help="sentences of the other language")
    parser.add_argument("--source-column", help="column of the text")
    parser.add_argument("--target-column", help="column of the text")
    parser.add_argument("--neighbours", type=positive, default=4, help="neighbours a pair is compared with")
    parser.add_argument("--threshold", type=number, default=1.0, help="least ratio of a pair")
    args = parser.parse_args(argv)
    # Repeated sentences would each take a place among the neighbours of their translation.
    source = list(dict.fromkeys(read_texts(args.source, args.source_column)))
    target = list(dict.fromkeys(read_texts(args.target, args.target_column)))
    model = load_model(args.model)
    vectors = [model.encode(texts, batch_size=args.batch_size) for texts in (source, target)]
    pairs = margin_pairs(vectors[0], vectors[1], args.neighbours, args.threshold)
    for ratio, i, j in pairs:
        print(f"{ratio:.4f}\t{source[i]}\t{target[j]}")
    return [(ratio, source[i], target[j]) for ratio, i, j in pairs]


if __name__ == "__main__":
    run(main)
