"""One model from several fine-tunes of the same ancestor, by arithmetic on their weights.

Methods, each with its parameters (a number for all models, a list of one per model, or a dict by position):

- ``linear``: weighted mean (Wortsman et al. 2022, "Model soups"). ``weight``, ``normalize`` (True).
- ``slerp``: from the first model to the second along the arc between them (Shoemake 1985). ``t`` (0.5).
- ``task_arithmetic``: the base and a weighted sum of the differences from it (Ilharco et al. 2023, "Editing
  models with task arithmetic"). ``weight``, ``normalize`` (False), ``lambda`` (1).
- ``ties``: as before, but of each difference only the largest entries, and of each entry only the models that
  agree with the sign of the sum (Yadav et al. 2023, "TIES-merging"). ``weight``, ``density`` (1),
  ``normalize`` (True), ``lambda`` (1).
"""

from __future__ import annotations

import copy
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from stlib.base.adapters import has_adapter
from stlib.base.modules.module import Module
from stlib.errors import InvalidOption

if TYPE_CHECKING:
    from typing_extensions import Self

    from stlib.base.model import BaseModel

# Above this cosine two tensors are as good as parallel, and the arc between them a straight line.
_PARALLEL = 0.9995

_DTYPES = ("float16", "bfloat16", "float32", "float64")


@dataclass(frozen=True)
class Method:
    """A way to merge one tensor: ``merge(tensors, base, options)``, all of one shape.

    Attributes:
        merge: the function; ``base`` is None unless ``needs_base``.
        needs_base: the tensors are compared with those of a base model.
        defaults: its parameters and their values.
    """

    merge: Callable[[list[Tensor], Tensor | None, dict[str, Any]], Tensor]
    needs_base: bool
    defaults: dict[str, Any]


class MergeMixin:
    """``merge`` of every model."""

    @classmethod
    def merge(
        cls,
        models: Sequence[str | os.PathLike[str] | Self],
        method: str = "linear",
        *,
        base_model: str | os.PathLike[str] | Self | None = None,
        parameters: dict[str, Any] | None = None,
        dtype: str | torch.dtype | None = torch.float32,
        out_dtype: str | torch.dtype | None = None,
        device: str | torch.device = "cpu",
        batch_options: None = None,
        **load_kwargs: Any,
    ) -> Self:
        """A new model from several fine-tunes of one ancestor, by a method of :mod:`stlib.base.merging`.

        Args:
            models: paths, ids or models, all of the same build. Settings, prompts and tokenizer come from the
                first; the models stay as they are.
            method: ``"linear"``, ``"slerp"``, ``"task_arithmetic"`` or ``"ties"``.
            base_model: the ancestor, for the last two; if it is among the models, it has no part of its own.
                For slerp, the one of the two to start from; default: the first.
            parameters: of the method, e.g. ``{"weight": [0.6, 0.4]}``.
            dtype: the arithmetic's; None: the models' own.
            out_dtype: the result's; None: that of the first model.
            device: where the result is made.
            batch_options: None, as weights are merged one by one.
            load_kwargs: for loading paths and ids.

        Raises:
            InvalidOption: the models differ in build, or an argument has no meaning.
        """
        if batch_options is not None:
            raise InvalidOption("batch_options has no use, as weights are merged one by one; leave it out")
        if isinstance(models, (str, os.PathLike)) or len(models) < 2:
            raise InvalidOption("merge takes a list of two or more models; pass paths, ids or loaded models")
        chosen = _method(method, base_model)
        if method == "slerp" and base_model is not None:
            parameters, base_model = _from_base(models, base_model, parameters), None
        base = None if base_model is None else _load(cls, base_model, load_kwargs)
        # The base has no difference from itself.
        places = [index for index, model in enumerate(models) if not _is_same(model, base_model)]
        loaded: list[Any] = [_load(cls, models[index], load_kwargs) for index in places]
        options = _options(chosen, method, parameters or {}, places)
        used, result = _dtype(dtype, "dtype"), _dtype(out_dtype, "out_dtype")
        for index, model in zip(places, loaded, strict=True):
            check_same_build(base or loaded[0], model, index)
        merged = copy.deepcopy(loaded[0]).to(device)
        _merge_into(merged, loaded, base, lambda tensors, start: chosen.merge(tensors, start, options), used)
        if result is not None:
            merged.to(result)
        # History and metrics of a parent say nothing about its child.
        merged.model_card_text = None
        merged.model_card_data = merged.model_card_data_class()
        merged.model_card_data.register_model(merged)
        return merged.eval()


@torch.no_grad()
def _merge_into(
    merged: BaseModel,
    models: list[BaseModel],
    base: BaseModel | None,
    merge: Callable[[list[Tensor], Tensor | None], Tensor],
    dtype: torch.dtype | None,
) -> None:
    """Overwrite the weights of ``merged``, each by those of the same name; integers must be equal anyway."""
    states = [model.state_dict() for model in models]
    origin = {} if base is None else base.state_dict()
    for name, target in merged.state_dict().items():
        tensors = [state[name].to(target.device) for state in states]
        if not target.is_floating_point():
            if any(not torch.equal(tensors[0], other) for other in tensors[1:]):
                raise InvalidOption(f"{name!r} holds integers that differ, so these models cannot be merged")
            continue
        used = dtype or functools.reduce(torch.promote_types, (tensor.dtype for tensor in tensors))
        start = origin[name].to(target.device, used) if name in origin else None
        target.copy_(merge([tensor.to(used) for tensor in tensors], start))


def check_same_build(first: BaseModel, other: BaseModel, index: int) -> None:
    """Refuse models whose weights do not mean the same: other modules, settings, vocabularies or shapes.

    Raises:
        InvalidOption: what differs, and in which model.
    """

    def differs(what: str) -> InvalidOption:
        return InvalidOption(f"model {index} has {what}; only fine-tunes of one model can be merged")

    for model in (first, other):
        if model.backend != "torch":
            raise InvalidOption(
                f"a model with backend={model.backend!r} cannot be merged; load it with 'torch'"
            )
        if any(has_adapter(module) for module in model.modules()):
            raise InvalidOption("a model with adapters cannot be merged; call model.merge_and_unload() first")
    mine, theirs = dict(first.named_modules()), dict(other.named_modules())
    if {name: type(module) for name, module in mine.items()} != {n: type(m) for n, m in theirs.items()}:
        raise differs("other modules")
    for name, module in mine.items():
        if isinstance(module, Module) and module.get_config_dict() != theirs[name].get_config_dict():
            raise differs(f"other settings of its {type(module).__name__}")
        if getattr(module, "is_quantized", False) or getattr(theirs[name], "is_quantized", False):
            raise InvalidOption("a quantised model cannot be merged; load it without quantisation")
        if module.extra_repr() != theirs[name].extra_repr():
            raise differs(f"other settings of its {type(module).__name__} ({name})")
        if _architecture(module) != _architecture(theirs[name]):
            raise differs(f"another configuration of its {type(module).__name__}")
    shapes, other_shapes = ({n: t.shape for n, t in m.state_dict().items()} for m in (first, other))
    if shapes != other_shapes:
        wrong = sorted(n for n in shapes if shapes[n] != other_shapes.get(n))
        raise differs(f"weights of another shape ({', '.join(wrong[:3]) or 'more of them'})")
    vocabularies: list[Any] = [getattr(model.tokenizer, "get_vocab", dict)() for model in (first, other)]
    if vocabularies[0] != vocabularies[1]:
        raise differs("another vocabulary")
    special: list[Any] = [getattr(model.tokenizer, "special_tokens_map", None) for model in (first, other)]
    if special[0] != special[1]:
        raise differs("other special tokens")


def _architecture(module: Any) -> dict[str, Any]:
    """What the configuration of a transformers model says of how it computes, not of where it is from."""
    config: Any = getattr(module, "config", None)
    if not hasattr(config, "to_dict"):
        return {}
    aside = ("architectures", "transformers_version", "torch_dtype", "dtype")
    facts = config.to_dict()
    return {key: value for key, value in facts.items() if key not in aside and not key.startswith("_")}


def linear(tensors: list[Tensor], base: Tensor | None, options: dict[str, Any]) -> Tensor:
    """``Σ wᵢ·θᵢ``, divided by ``Σ wᵢ`` with ``normalize``."""
    weights = options["weight"]
    total = sum((weight * tensor for weight, tensor in zip(weights, tensors, strict=True)), _zero(tensors))
    return total / sum(weights) if options["normalize"] else total


def slerp(tensors: list[Tensor], base: Tensor | None, options: dict[str, Any]) -> Tensor:
    """``sin((1-t)φ)/sin φ · a + sin(tφ)/sin φ · b``, φ being the angle between the two as vectors."""
    (a, b), t = tensors, options["t"]
    norms = a.norm() * b.norm()
    cosine = float((a * b).sum() / norms) if norms > 0 else 1.0
    if abs(cosine) > _PARALLEL:
        return (1 - t) * a + t * b
    angle = torch.arccos(torch.tensor(cosine, dtype=torch.float64))
    parts = torch.sin(torch.stack([(1 - t) * angle, t * angle])) / torch.sin(angle)
    return float(parts[0]) * a + float(parts[1]) * b


def task_arithmetic(tensors: list[Tensor], base: Tensor | None, options: dict[str, Any]) -> Tensor:
    """``base + λ · Σ wᵢ·(θᵢ - base)``, the sum divided by ``Σ wᵢ`` with ``normalize``."""
    assert base is not None
    return base + options["lambda"] * linear([tensor - base for tensor in tensors], None, options)


def ties(tensors: list[Tensor], base: Tensor | None, options: dict[str, Any]) -> Tensor:
    """Trim each difference to its largest ``density``, elect a sign per entry, and add up who agrees."""
    assert base is not None
    pairs = zip(tensors, options["density"], options["weight"], strict=True)
    weighted = torch.stack([weight * _trim(tensor - base, density) for tensor, density, weight in pairs])
    agrees = (weighted.sign() == weighted.sum(0).sign()) & (weighted != 0)
    total = (weighted * agrees).sum(0)
    if options["normalize"]:
        weights = torch.tensor(options["weight"], dtype=total.dtype, device=total.device)
        share = (weights.view(-1, *[1] * base.dim()) * agrees).sum(0)
        total = torch.where(share.abs() > 1e-8, total / share, torch.zeros_like(total))
    return base + options["lambda"] * total


METHODS = {
    "linear": Method(linear, False, {"weight": 1.0, "normalize": True}),
    "slerp": Method(slerp, False, {"t": 0.5}),
    "task_arithmetic": Method(task_arithmetic, True, {"weight": 1.0, "normalize": False, "lambda": 1.0}),
    "ties": Method(ties, True, {"weight": 1.0, "density": 1.0, "normalize": True, "lambda": 1.0}),
}


def _trim(difference: Tensor, density: float) -> Tensor:
    """The largest entries by magnitude, so many of them as ``density`` says, rounded down, but one at least;
    the others 0.
    """
    kept = max(1, int(density * difference.numel()))
    if kept >= difference.numel():
        return difference
    flat = torch.zeros_like(difference).flatten()
    places = difference.abs().flatten().topk(kept).indices
    flat[places] = difference.flatten()[places]
    return flat.view_as(difference)


def _zero(tensors: list[Tensor]) -> Tensor:
    return torch.zeros_like(tensors[0])


def _method(name: str, base_model: Any) -> Method:
    if name not in METHODS:
        raise InvalidOption(f"method {name!r} is unknown; use one of: {', '.join(METHODS)}")
    method = METHODS[name]
    if method.needs_base and base_model is None:
        raise InvalidOption(f"method {name!r} needs base_model, the model that the others were tuned from")
    if base_model is not None and not method.needs_base and name != "slerp":
        raise InvalidOption(f"method {name!r} takes no base_model; leave it out")
    return method


def _options(method: Method, name: str, given: dict[str, Any], places: list[int]) -> dict[str, Any]:
    if unknown := set(given) - set(method.defaults):
        known = ", ".join(method.defaults)
        raise InvalidOption(f"method {name!r} has no parameter {', '.join(sorted(unknown))}; it has: {known}")
    if name == "slerp" and len(places) != 2:
        raise InvalidOption(f"method 'slerp' takes two models, not {len(places)}")
    options = {**method.defaults, **given}
    for key in ("weight", "density"):
        if key in options:
            options[key] = _per_model(key, options[key], method.defaults[key], places)
    if options.get("normalize") and sum(options["weight"]) == 0:
        raise InvalidOption("the weights add up to 0, which cannot be normalised; pass normalize=False")
    if not all(0 < density <= 1 for density in options.get("density", [])):
        raise InvalidOption(f"density is {given['density']!r}; use numbers above 0 and up to 1")
    return options


def _from_base(models: Sequence[Any], base: Any, parameters: dict[str, Any] | None) -> dict[str, Any]:
    """The parameters of slerp with ``t`` counted from the base, which is one of the two models."""
    places = [index for index, model in enumerate(models) if _is_same(model, base)]
    if not places:
        raise InvalidOption("base_model is none of the models; method 'slerp' starts from one of its two")
    t = {"t": 0.5, **(parameters or {})}["t"]
    return {**(parameters or {}), "t": t if places[0] == 0 else 1 - t}


def _per_model(key: str, value: Any, default: float, places: list[int]) -> list[float]:
    if isinstance(value, Mapping):
        return [float(value.get(place, default)) for place in places]
    if isinstance(value, Sequence):
        if len(value) != len(places):
            raise InvalidOption(f"{key} has {len(value)} values for {len(places)} models; pass one for each")
        return [float(item) for item in value]
    return [float(value)] * len(places)


def _is_same(model: Any, base: Any) -> bool:
    paths = isinstance(model, (str, os.PathLike)) and isinstance(base, (str, os.PathLike))
    return os.fspath(model) == os.fspath(base) if paths else model is base


def _load(cls: Any, model: Any, load_kwargs: dict[str, Any]) -> Any:
    if isinstance(model, (str, os.PathLike)):
        return cls(model, **load_kwargs)
    if not isinstance(model, cls):
        raise InvalidOption(f"merge takes paths, ids and models of the class {cls.__name__}, not {model!r}")
    return model


def _dtype(value: str | torch.dtype | None, name: str) -> torch.dtype | None:
    found = getattr(torch, value.removeprefix("torch."), None) if isinstance(value, str) else value
    if value is not None and found not in [getattr(torch, allowed) for allowed in _DTYPES]:
        raise InvalidOption(f"{name} is {value!r}; use None or one of: {', '.join(_DTYPES)}")
    return found
