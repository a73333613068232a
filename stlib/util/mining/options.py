"""What the caller asks of the mining, checked."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

from stlib.errors import InvalidOption

logger = logging.getLogger(__name__)

OUTPUT_FORMATS = ("triplet", "n-tuple", "labeled-pair", "labeled-list")
SAMPLING_STRATEGIES = ("random", "top")

# Candidates looked at for each negative wanted, if some of them may be disqualified by their score.
_CANDIDATES_PER_NEGATIVE = 10


@dataclass(frozen=True)
class MiningOptions:
    """Which candidates become negatives, and how the result is written."""

    range_min: int = 0
    range_max: int | None = None
    max_score: float | None = None
    min_score: float | None = None
    absolute_margin: float | None = None
    relative_margin: float | None = None
    num_negatives: int = 3
    sampling_strategy: str = "top"
    include_positives: bool = False
    output_format: str = "triplet"
    output_scores: bool = False

    @property
    def filters_by_score(self) -> bool:
        """Whether a score may disqualify a candidate; only then is a cross-encoder asked."""
        limits = (self.max_score, self.min_score, self.absolute_margin, self.relative_margin)
        return any(limit is not None for limit in limits)

    def check(self) -> MiningOptions:
        """These options, if they have a meaning.

        Raises:
            InvalidOption: a value is outside what is allowed.
        """
        if self.output_format not in OUTPUT_FORMATS:
            raise _unknown("output_format", self.output_format, OUTPUT_FORMATS)
        if self.sampling_strategy not in SAMPLING_STRATEGIES:
            raise _unknown("sampling_strategy", self.sampling_strategy, SAMPLING_STRATEGIES)
        if self.num_negatives < 1:
            raise InvalidOption(f"num_negatives must be at least 1, but is {self.num_negatives}")
        if self.range_min < 0:
            raise InvalidOption(f"range_min must be non-negative, but is {self.range_min}")
        if self.range_max is not None:
            self._check_window(self.range_max)
        return self

    def with_range(self, most_positives: int, has_cross_encoder: bool) -> MiningOptions:
        """These options with a ``range_max``: the one given, or what ``num_negatives`` needs.

        Args:
            most_positives: rows of the anchor that has most of them; so many candidates may be positives.
            has_cross_encoder: with one, ``min_score`` disqualifies candidates of any rank.
        """
        if self.range_max is not None:
            return self
        limits = [self.absolute_margin, self.relative_margin, self.max_score]
        if has_cross_encoder:
            limits.append(self.min_score)
        spare = _CANDIDATES_PER_NEGATIVE if any(limit is not None for limit in limits) else 1
        return replace(self, range_max=self.range_min + spare * self.num_negatives + most_positives)

    def _check_window(self, range_max: int) -> None:
        if self.range_min >= range_max:
            raise InvalidOption(
                f"range_min must be smaller than range_max, but range_min is {self.range_min} and range_max "
                f"{range_max}; lower the one or raise the other"
            )
        if self.num_negatives > range_max - self.range_min:
            raise InvalidOption(
                f"num_negatives is {self.num_negatives}, but between range_min={self.range_min} and "
                f"range_max={range_max} lie {range_max - self.range_min} candidates; raise range_max, or "
                "lower range_min or num_negatives"
            )


def options_from(as_triplets: bool | None, margin: float | None, **given: Any) -> MiningOptions:
    """Options of keywords, older names among them.

    Args:
        as_triplets: older way to choose ``"triplet"`` or ``"n-tuple"``.
        margin: older name of ``absolute_margin``.
        given: fields of :class:`MiningOptions`.

    Raises:
        InvalidOption: a value is outside what is allowed.
    """
    if as_triplets is not None:
        given["output_format"] = "triplet" if as_triplets else "n-tuple"
        logger.warning("as_triplets is deprecated; write output_format=%r", given["output_format"])
    if margin is not None:
        given["absolute_margin"] = margin
        logger.warning("margin is deprecated; write absolute_margin=%r", margin)
    if given["output_format"] == "n-tuple-scores":
        given["output_format"], given["output_scores"] = "n-tuple", True
        logger.warning(
            "output_format='n-tuple-scores' is deprecated; write output_format='n-tuple', output_scores=True"
        )
    options = MiningOptions(**given).check()
    return _ranking(options) if options.include_positives else options


def _ranking(options: MiningOptions) -> MiningOptions:
    """Options that keep the positives among the candidates, in the order of the ranking."""
    if options.filters_by_score or (options.range_min, options.range_max, options.sampling_strategy) != (
        0,
        None,
        "top",
    ):
        logger.warning(
            "include_positives keeps positives among the candidates, but ranges, score limits, margins and "
            "random sampling may still drop them"
        )
    if options.output_format != "n-tuple":
        logger.warning("include_positives writes rankings: output_format becomes 'n-tuple'")
    return replace(options, output_format="n-tuple")


def _unknown(name: str, value: object, allowed: tuple[str, ...]) -> InvalidOption:
    return InvalidOption(f"{name} is {value!r}; use one of: {', '.join(map(repr, allowed))}")
