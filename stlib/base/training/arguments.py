"""Objects of the wrong type passed to a trainer: refused with what came and what to pass."""

from __future__ import annotations

from typing import Any

from torch import nn

from stlib.base.losses.replaced import unwrap
from stlib.base.model import BaseModel
from stlib.errors import InvalidOption
from stlib.util.names import describe_value

# What a trainer asks of a model, which wrappers hand through.
_NEEDED = ("preprocess", "processor", "model_card_data")


def check_model(model: Any, wanted: type[BaseModel] | str, called: str = "model") -> Any:
    """The model, if a trainer can train it; wrappers around one of the type are fine.

    Args:
        model: what was passed.
        wanted: the class that the trainer is for, or its ``model_type``.
        called: what the error calls it.

    Raises:
        InvalidOption: it is something else.
    """
    if unwrap(model, wanted) is not None:
        return model
    is_module = isinstance(model, nn.Module) and unwrap(model, BaseModel) is None
    if is_module and all(hasattr(model, name) for name in _NEEDED):
        return model
    name = wanted if isinstance(wanted, str) else wanted.__name__
    if isinstance(model, str):
        raise InvalidOption(f"{called} is {describe_value(model)}; load it: {name}({model[:100]!r})")
    module = f"a {type(model).__module__}.{type(model).__qualname__}"
    came = describe_value(model) if isinstance(model, type) else module
    raise InvalidOption(f"{called} is {came}; pass a {name} of stlib, e.g. {name}(name or folder)")


def check_evaluator(evaluator: Any) -> None:
    """Refuse what cannot be called with a model.

    Raises:
        InvalidOption: an evaluator, or one of a list, is no evaluator.
    """
    for one in evaluator if isinstance(evaluator, (list, tuple)) else [evaluator]:
        if one is not None and not callable(one):
            raise InvalidOption(
                f"evaluator is {describe_value(one)}; pass an evaluator, e.g. one of stlib.evaluation, or a "
                "list of them"
            )


def check_loss(loss: Any, maker: Any) -> None:
    """Refuse what is no loss.

    Args:
        loss: what was passed, or what ``maker`` returned.
        maker: the class or function that was passed; the loss itself if there was none.

    Raises:
        InvalidOption: it is something else.
    """
    if isinstance(loss, nn.Module):
        return
    came = describe_value(loss)
    if isinstance(maker, type):
        came = f"{describe_value(maker)}, which is no torch.nn.Module"
    elif maker is not loss:
        came = f"a function that returned {'None' if loss is None else came}"
    raise InvalidOption(
        f"loss is {came}; pass a loss, e.g. MultipleNegativesRankingLoss(model), or a class or function that "
        "makes one of the model"
    )
