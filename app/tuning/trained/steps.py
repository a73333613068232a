"""What training of models of all kinds shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.tuning.trained.reading import TellLoss

__all__ = ["copy_weights", "mix_weights", "train_quietly"]


def train_quietly(trainer: Any, tell: TellLoss) -> None:
    """Runs a trainer of stlib, which prints nothing and hands each loss that it logs to `tell`."""
    from transformers import PrinterCallback, TrainerCallback

    class Losses(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **more: Any) -> None:
            if logs and "loss" in logs:
                tell(float(logs["loss"]))

    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Losses())
    trainer.train()


def mix_weights(start: Mapping[str, Any], learned: Mapping[str, Any], share: float) -> dict[str, Any]:
    """Weights on the straight line between two models: what was learned is kept, and what was known before is
    forgotten less (WiSE-FT; Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022). Whole
    numbers, such as positions, are those of `learned`.
    """
    return {
        name: start[name] + share * (tensor - start[name]) if tensor.is_floating_point() else tensor
        for name, tensor in learned.items()
    }


def copy_weights(model: Any) -> dict[str, Any]:
    """The weights of a model as they are now."""
    return {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
