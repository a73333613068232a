"""The trainer of a reranker's ``old_fit``."""

from __future__ import annotations

from typing import Any

from stlib.base.trainer import BaseTrainer
from stlib.cross_encoder.trainer import CrossEncoderTrainer
from stlib.sentence_transformer.fit_rounds_trainer import OnRounds


class PairRoundsTrainer(OnRounds, CrossEncoderTrainer):
    """A trainer on the batches of a data loader, which are tokens already."""

    def collect_features(self, inputs: dict[str, Any]) -> tuple[list[Any], Any]:
        """Split a batch into features, of which there is one, and labels."""
        return BaseTrainer.collect_features(self, inputs)
