"""What is printed about a run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stlib.util.mining.filters import Filters
from stlib.util.mining.mined import Mined
from stlib.util.mining.options import MiningOptions
from stlib.util.mining.pairs import Pairs

Say = Callable[[str], None]

_ROW = "{:<6} {:>14} {:>14} {:>14}"
_MEASURES: dict[str, Callable[[np.ndarray], float]] = {
    "Mean": lambda x: float(x.mean()),
    "Median": lambda x: float(np.median(x)),
    "Std": lambda x: float(x.std(ddof=1)) if len(x) > 1 else 0.0,
    "Min": lambda x: float(x.min()),
    "25%": lambda x: float(np.quantile(x, 0.25)),
    "50%": lambda x: float(np.quantile(x, 0.5)),
    "75%": lambda x: float(np.quantile(x, 0.75)),
    "Max": lambda x: float(x.max()),
}


def speaker(verbose: bool) -> Say:
    """A function that prints a line, or nothing unless ``verbose``."""
    if not verbose:
        return lambda line: None
    return lambda line: print(line)  # noqa: T201 - what verbose asks for


def describe_pairs(pairs: Pairs, say: Say) -> None:
    """How often anchors are repeated."""
    n_queries, n_positives = len(pairs.queries), len(pairs.positives)
    if pairs.most_positives > 1:
        mean = n_positives / n_queries
        say(f"{n_queries:,} different anchors with {n_positives:,} positives, {mean:.3f} each.")


def describe_result(mined: Mined, filters: Filters, options: MiningOptions, say: Say) -> None:
    """Scores of positives and negatives, how many candidates each option skipped, and what is missing."""
    complete = options.output_format == "n-tuple"
    kept = mined.find_kept(complete)
    queries = mined.pairs.query_of
    negatives = mined.scores[queries][kept]
    differences = (mined.positive_scores[:, None] - mined.scores[queries])[kept]
    say(_ROW.format("Metric", "Positive", "Negative", "Difference"))
    say(_ROW.format("Count", f"{len(mined.positive_scores):,}", f"{len(negatives):,}", ""))
    for name, measure in _MEASURES.items():
        columns = (mined.positive_scores, negatives, differences)
        say(_ROW.format(name, *(f"{measure(x):.4f}" if len(x) else "-" for x in columns)))
    for option, n in filters.skipped.items():
        if n:
            share = n / filters.candidates
            say(f"{option}={getattr(options, option)} skipped {n:,} candidates ({share:.2%}).")
    _describe_missing(kept, options, say)


def _describe_missing(kept: np.ndarray, options: MiningOptions, say: Say) -> None:
    by_row = options.output_format in ("n-tuple", "labeled-list")
    wanted, found = (len(kept), kept.any(axis=1).sum()) if by_row else (kept.size, kept.sum())
    missing = int(wanted - found)
    if missing:
        limits = ("range_min", "absolute_margin", "relative_margin", "max_score", "min_score")
        used = [name for name in limits if getattr(options, name)]
        what = "rows" if by_row else "negatives"
        advice = f"a higher range_max{' or other values of ' if used else ''}{', '.join(used)} may help"
        say(f"{missing:,} of {wanted:,} {what} ({missing / wanted:.2%}) could not be found; {advice}.")
