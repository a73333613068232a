"""What both older ways to train are told, and what the trainer is told because of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from stlib.base.evaluation import BaseEvaluator
from stlib.errors import InvalidOption
from stlib.util.environment import get_device_name

if TYPE_CHECKING:
    from stlib.base.training_args import BaseTrainingArguments

_NOT_DECAYED = ("bias", "LayerNorm.bias", "LayerNorm.weight")
# Name in lower case -> transformers' name of it
_SCHEDULES = {
    "constantlr": "constant",
    "warmupconstant": "constant_with_warmup",
    "warmuplinear": "linear",
    "warmupcosine": "cosine",
    "warmupcosinewithhardrestarts": "cosine_with_restarts",
}


@dataclass
class FitOptions:
    """The arguments that ``fit`` and ``old_fit`` share; see there.

    Raises:
        InvalidOption: the scheduler is unknown, or there is no objective.
    """

    train_objectives: Iterable[tuple[Any, nn.Module]]
    evaluator: BaseEvaluator | None
    epochs: int
    scheduler: str
    warmup_steps: int
    optimizer_class: type[Optimizer]
    optimizer_params: dict[str, Any]
    weight_decay: float
    evaluation_steps: int
    output_path: str | None
    save_best_model: bool
    max_grad_norm: float
    use_amp: bool
    callback: Callable[[float, int, int], None] | None
    show_progress_bar: bool
    checkpoint_path: str | None
    checkpoint_save_steps: int
    checkpoint_save_total_limit: int

    @classmethod
    def names(cls) -> set[str]:
        """The names of the arguments."""
        return {field.name for field in fields(cls)}

    def __post_init__(self) -> None:
        objectives = list(self.train_objectives)
        if not objectives:
            raise InvalidOption("train_objectives is empty; give pairs of a data loader and a loss")
        self.loaders = [loader for loader, _ in objectives]
        names = [f"_dataset_{number}" for number in range(1, len(objectives) + 1)]
        self.losses = {name: loss for name, (_, loss) in zip(names, objectives, strict=True)}
        if self.scheduler.lower() not in _SCHEDULES:
            raise InvalidOption(f"scheduler is {self.scheduler!r}; choose one of {', '.join(_SCHEDULES)}")

    @property
    def saves_checkpoints(self) -> bool:
        """Whether checkpoints are written on the way."""
        return bool(self.checkpoint_path and self.checkpoint_save_steps and self.checkpoint_save_steps > 0)

    def optimizer(self, named_parameters: Iterable[tuple[str, nn.Parameter]]) -> Optimizer:
        """An optimizer that lets the weights decay, and not biases and layer norms."""
        decayed: list[nn.Parameter] = []
        kept: list[nn.Parameter] = []
        for name, parameter in named_parameters:
            (kept if any(part in name for part in _NOT_DECAYED) else decayed).append(parameter)
        groups: Sequence[dict[str, Any]] = [
            {"params": decayed, "weight_decay": self.weight_decay},
            {"params": kept, "weight_decay": 0.0},
        ]
        return self.optimizer_class(groups, **self.optimizer_params)

    def schedule(self, optimizer: Optimizer, total_steps: int) -> LambdaLR:
        """The schedule of learning rates, whose last step is ``total_steps``."""
        from transformers import get_scheduler

        name = _SCHEDULES[self.scheduler.lower()]
        return get_scheduler(name, optimizer, self.warmup_steps, total_steps)

    def training_arguments(self, output_dir: str, **more: Any) -> Any:
        """Arguments of the trainer, with ``more`` that the caller sets."""
        if self.use_amp:
            device = get_device_name()
            more["fp16" if device.startswith("cuda") else "bf16"] = True
            # Without this, transformers takes bfloat16 to mean that there is a GPU
            more["use_cpu"] = device == "cpu"
        return self.arguments_class()(
            output_dir=output_dir,
            num_train_epochs=self.epochs,
            disable_tqdm=not self.show_progress_bar,
            **more,
        )

    @staticmethod
    def arguments_class() -> type[BaseTrainingArguments]:
        """The class of the trainer's arguments."""
        from stlib.sentence_transformer.training_args import SentenceTransformerTrainingArguments

        return SentenceTransformerTrainingArguments
