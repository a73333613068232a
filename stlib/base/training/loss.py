"""How a trainer prepares losses, feeds them and logs their parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from transformers import Trainer

from stlib.base.model import BaseModel
from stlib.base.training.arguments import check_loss, check_model
from stlib.errors import InvalidInput

# A key of a batch that is a column's name, "_" and one of these belongs to an input of the model.
_FEATURE_KEYS = (
    "input_ids",  # texts
    "sentence_embedding",  # bags of words
    "pixel_values",  # pictures
    "input_features",  # sounds, as spectrograms
    "input_values",  # sounds, as waves
    "pixel_values_videos",  # videos
)

LossFactory = Callable[[Any], nn.Module]


class LossHandling(Trainer):
    """The part of a trainer that deals with its loss, or with its losses by data set."""

    loss: Any
    model: Any
    model_class: ClassVar[type[BaseModel] | str]
    model_init: Any
    data_collator: Any
    loss_factories: Any
    """What was passed as ``loss``, to make the losses of a new model with."""

    accum_loss_components: dict[str, dict[str, Tensor]]
    """Sums of the parts since the last log, of ``"train"`` and ``"eval"``, by name."""

    _steps_of_parts: dict[str, Counter[str]]
    """How many batches each sum is of."""

    _collator_is_ours: bool
    _wired: WeakKeyDictionary[nn.Module, Any]
    """The model (or its wrapper) that each loss was last told to use, as long as the loss is in use."""

    def get_default_loss(self, model: Any) -> nn.Module:
        """The loss for a trainer that was given none; families define it."""
        raise NotImplementedError

    def prepare_loss(self, loss: nn.Module | LossFactory, model: Any) -> nn.Module:
        """A loss on the model's device; a function (or class) is called with the model first.

        Raises:
            InvalidOption: there is no loss in the end.
        """
        made = loss(model) if callable(loss) and not isinstance(loss, nn.Module) else loss
        check_loss(made, loss)
        return made.to(model.device)

    def call_model_init(self, trial: Any = None) -> Any:
        """A fresh model of ``model_init``, which the losses and the collator use from now on."""
        model = super().call_model_init(trial=trial)
        check_model(model, self.model_class, "what model_init returned")
        if not hasattr(self, "loss"):
            return model
        if isinstance(self.loss_factories, dict):
            self.loss = {name: self._loss_for(one, model) for name, one in self.loss_factories.items()}
        else:
            self.loss = self._loss_for(self.loss_factories, model)
        if self._collator_is_ours:
            self.data_collator.preprocess_fn = model.preprocess
        return model

    def _loss_for(self, loss: Any, model: Any) -> nn.Module:
        return self.override_model_in_loss(self.prepare_loss(loss, model), model)

    def override_model_in_loss(self, loss: nn.Module, model: Any) -> nn.Module:
        """Let a loss, and the losses in it, use another model (or a wrapper) in place of theirs.

        Theirs is what they call ``model``, and the model being trained by whatever name.
        """
        trained = (unwrap(model), unwrap(getattr(self, "model", None)))
        for name, child in loss.named_children():
            inner = unwrap(child)
            if not isinstance(inner, BaseModel):
                setattr(loss, name, self.override_model_in_loss(child, model))
            elif name == "model" or inner in trained:
                _lend_methods(inner, model)
                setattr(loss, name, model)
        return loss

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """The loss of a batch.

        Args:
            model: the model, perhaps wrapped, which then replaces the loss's own.
            inputs: a batch of the collator; ``"dataset_name"`` chooses among several losses.
            return_outputs: return ``(loss, {})``, as losses here have no further outputs.
            num_items_in_batch: for transformers; without effect, as each loss averages by itself.

        Returns:
            A scalar. The parts of a loss that returns a dict are summed, and logged by name.
        """
        name = inputs.pop("dataset_name", None)
        features, labels = self.collect_features(inputs)
        loss_fn = self._loss_of(name)
        if model is self.model_wrapped and self._wired.get(loss_fn) is not model:
            loss_fn = self.override_model_in_loss(loss_fn, model)
            self._wired[loss_fn] = model
        loss = self.call_loss(loss_fn, features, labels, inputs)
        if isinstance(loss, dict):
            self.track_loss_components(loss)
            loss = torch.stack(list(loss.values())).sum()
        return (loss, {}) if return_outputs else loss

    def call_loss(
        self, loss_fn: nn.Module, features: list[Any], labels: Any, inputs: dict[str, Any]
    ) -> Tensor | dict[str, Tensor]:
        """What a loss says about a batch; ``inputs`` is what the collator made, for families whose losses
        want more of it.
        """
        return loss_fn(features, labels)

    def _loss_of(self, name: str | None) -> nn.Module:
        if not isinstance(self.loss, dict):
            return self.loss
        if name not in self.loss:
            raise InvalidInput(
                f"there is a loss for each of {', '.join(self.loss)}, and a batch of the data set {name!r}; "
                "pass data sets as a dict with these names"
            )
        return self.loss[name]

    def collect_features(self, inputs: dict[str, Any]) -> tuple[list[dict[str, Any]], Tensor | None]:
        """Split a batch into the features of each column, in the columns' order, and the labels.

        ``{"query_input_ids": …, "query_attention_mask": …, "label": …}`` gives
        ``[{"input_ids": …, "attention_mask": …}], labels``.
        """
        prefixes = dict.fromkeys(
            key[: -len(suffix)]
            for key in inputs
            if (suffix := next((known for known in _FEATURE_KEYS if key.endswith(f"_{known}")), None))
        )
        features = [
            {key[len(prefix) :]: value for key, value in inputs.items() if key.startswith(prefix)}
            for prefix in prefixes
        ]
        return features, inputs.get("label")

    # -- the log

    def track_loss_components(self, loss: dict[str, Tensor]) -> None:
        """Add up the parts of a loss until the next log. A part that is no number counts as the average of
        those before, if ``logging_nan_inf_filter`` is set.
        """
        kind = "train" if self.model.training else "eval"
        sums, steps = self.accum_loss_components[kind], self._steps_of_parts[kind]
        for name, part in loss.items():
            value = part.detach()  # else the graphs of all steps stay in memory
            known = sums.get(name)
            if self.args.logging_nan_inf_filter:
                so_far = torch.zeros_like(value) if known is None else known / max(steps[name], 1)
                value = torch.where(value.isfinite(), value, so_far)
            sums[name] = value if known is None else known + value
            steps[name] += 1

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log values, and with a loss the averages of its parts since the last time."""
        measured = next((name for name in logs if name.startswith("eval") and name.endswith("_loss")), None)
        if "loss" in logs:
            logs = {**logs, **self._averages("train", "")}
        elif measured is not None:
            logs = {**logs, **self._averages("eval", measured.removesuffix("loss"))}
        if start_time is None:
            super().log(logs)
        else:
            super().log(logs, start_time)

    def _averages(self, kind: str, prefix: str) -> dict[str, float]:
        """Averages of the parts since the last time, over all processes.

        Each is over the batches whose loss had that part. (The reference divides by all batches, so that with
        losses by data set it prints less than the parts are.)
        """
        steps = self._steps_of_parts[kind]
        own = {
            name: (total.item(), steps[name])
            for name, total in self.accum_loss_components[kind].items()
            if steps[name]
        }
        self.accum_loss_components[kind] = {}
        self._steps_of_parts[kind] = Counter()
        totals: dict[str, list[float]] = {}
        for of_process in self._of_all_processes(own):
            for name, (total, count) in of_process.items():
                before = totals.get(name, (0.0, 0))
                totals[name] = [before[0] + total, before[1] + count]
        return {f"{prefix}{name}": round(total / count, 4) for name, (total, count) in totals.items()}

    def _of_all_processes(self, own: dict[str, Any]) -> list[dict[str, Any]]:
        """What each process has. They may have seen different losses, so it is gathered as a whole."""
        if self.args.world_size == 1:
            return [own]
        from accelerate.utils import gather_object

        return gather_object([own])


def unwrap(module: Any) -> Any:
    """The model inside the wrappers of distributed training and compilation."""
    while True:
        inner = getattr(module, "_orig_mod", None) or (
            getattr(module, "module", None) if not isinstance(module, BaseModel) else None
        )
        if not isinstance(inner, nn.Module):
            return module
        module = inner


def _lend_methods(model: Any, wrapper: Any) -> None:
    """Wrappers know ``forward`` only; losses also call these."""
    for name in ("preprocess", "get_embedding_dimension"):
        if hasattr(model, name) and not hasattr(wrapper, name):
            setattr(wrapper, name, getattr(model, name))
