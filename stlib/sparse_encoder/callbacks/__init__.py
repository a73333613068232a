"""Callbacks of the trainer of sparse models."""

from stlib.sparse_encoder.callbacks.splade_callbacks import (
    SchedulerType,
    SpladeRegularizerWeightSchedulerCallback,
)

__all__ = ["SchedulerType", "SpladeRegularizerWeightSchedulerCallback"]
