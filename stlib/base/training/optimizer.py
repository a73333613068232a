"""Which parameters a trainer's optimizer learns, and how fast."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from transformers import Trainer, TrainerCallback

from stlib.base.model import BaseModel
from stlib.errors import InvalidOption

# Where transformers leaves parameter groups of optimizers that need more than a list of them.
_GROUP_KEYS = ("params", "model", "optimizer_dict")


class ParameterGroups(Trainer):
    """The part of a trainer that chooses parameters: those of the losses, in which the model is one part."""

    loss: Any
    args: Any

    def get_optimizer_cls_and_kwargs(  # type: ignore[override]
        self, args: Any, model: Any = None
    ) -> tuple[Any, dict[str, Any]]:
        """The optimizer's class and arguments, the parameter groups among them.

        Args:
            args: the training arguments.
            model: for transformers; without effect, as the losses' parameters learn.

        Raises:
            InvalidOption: a pattern of ``learning_rate_mapping`` fits no parameter, or is no pattern.
        """
        learner: Any = self._learner()
        optimizer_class, keywords = super().get_optimizer_cls_and_kwargs(args, learner)
        key = next((key for key in _GROUP_KEYS if key in keywords), "optimizer_dict")
        decayed = set(self.get_decay_parameter_names(learner))
        if key not in keywords:
            trained = [(name, p) for name, p in learner.named_parameters() if p.requires_grad]
            keywords[key] = _groups(trained, decayed, args.weight_decay, keep_empty=True)
        for pattern, rate in args.learning_rate_mapping.items():
            found = _matching(pattern, learner)
            _take_out({id(p) for _, p in found}, keywords[key])
            keywords[key] += _groups(found, decayed, args.weight_decay, lr=rate)
        return optimizer_class, keywords

    def _learner(self) -> nn.Module:
        """One module with all losses, whose names of parameters are those that patterns are matched with."""
        if not isinstance(self.loss, dict):
            return self.loss
        all_losses = nn.Sequential()
        for name, loss in self.loss.items():
            all_losses.add_module(name.replace(".", "_"), loss)  # a module's name has no dots
        return all_losses


class LossOwnGradients(TrainerCallback):
    """Look after the parameters that only losses have, as transformers and DDP do after the model's.

    Their gradients are cleared after each step, and averaged over processes before it.
    """

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        kwargs["optimizer"].zero_grad()

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if args.world_size == 1:
            return
        for _, parameter in own_parameters(self.trainer.loss):
            if parameter.grad is not None:
                torch.distributed.all_reduce(parameter.grad)
                parameter.grad /= args.world_size

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        kwargs["optimizer"].zero_grad()


def own_parameters(loss: Any) -> Iterator[tuple[str, nn.Parameter]]:
    """What losses learn beside the model: trainable parameters outside of every model in them."""
    named = loss.items() if isinstance(loss, dict) else [("loss", loss)]
    for name, one in named:
        models = [module for module in one.modules() if isinstance(module, BaseModel)]
        of_models = {id(p) for model in models for p in model.parameters()}
        for inner, parameter in one.named_parameters():
            if parameter.requires_grad and id(parameter) not in of_models:
                yield f"{name}.{inner}", parameter


def _matching(pattern: str, learner: nn.Module) -> list[tuple[str, nn.Parameter]]:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise InvalidOption(
            f"learning_rate_mapping has {pattern!r}, no regular expression: {error}"
        ) from None
    named = list(learner.named_parameters())
    found = [(name, p) for name, p in named if expression.search(name)]
    if not found:  # the documents name classes of modules, too
        kinds = {path: type(module).__name__ for path, module in learner.named_modules()}
        found = [(name, p) for name, p in named if any(map(expression.search, _names_by_class(name, kinds)))]
    if not found:
        names = [name for name, _ in named]
        raise InvalidOption(
            f"learning_rate_mapping has {pattern!r}, which fits no parameter and no class of a module; "
            f"parameters are called {', '.join(names[:5])}{', …' if len(names) > 5 else ''}"
        )
    return [(name, p) for name, p in found if p.requires_grad]


def _names_by_class(name: str, kinds: dict[str, str]) -> Iterator[str]:
    """``Class.rest`` of a parameter for every module that it is in."""
    parts = name.split(".")
    for i in range(1, len(parts)):
        yield ".".join([kinds[".".join(parts[:i])], *parts[i:]])


def _groups(
    parameters: list[tuple[str, nn.Parameter]],
    decayed: set[str],
    weight_decay: float,
    keep_empty: bool = False,
    **settings: Any,
) -> list[dict[str, Any]]:
    """Parameters with and without weight decay, as groups for an optimizer."""
    split = (
        ([p for name, p in parameters if name in decayed], weight_decay),
        ([p for name, p in parameters if name not in decayed], 0.0),
    )
    return [
        {"params": chosen, "weight_decay": decay, **settings}
        for chosen, decay in split
        if chosen or keep_empty
    ]


def _take_out(ids: set[int], groups: list[dict[str, Any]]) -> None:
    for group in groups:
        group["params"] = [p for p in group["params"] if id(p) not in ids]
