"""What training of models of all kinds shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.tuning.trained.reading import TellLoss

__all__ = ["loss_callback", "mix_weights"]


def loss_callback(tell: TellLoss) -> Any:
    """A callback for the trainer that hands on each loss that it logs."""
    from transformers import TrainerCallback

    class Losses(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **more: Any) -> None:
            if logs and "loss" in logs:
                tell(float(logs["loss"]))

    return Losses()


def mix_weights(start: Mapping[str, Any], learned: Mapping[str, Any], share: float) -> dict[str, Any]:
    """Weights on the straight line between two models: what was learned is kept, and what was known before is
    forgotten less (WiSE-FT; Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022). Whole
    numbers, such as positions, are those of `learned`.
    """
    return {
        name: start[name] + share * (tensor - start[name]) if tensor.is_floating_point() else tensor
        for name, tensor in learned.items()
    }
