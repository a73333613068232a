"""What a training run tells the model card: settings, losses, scores and duration."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback


class BaseModelCardCallback(TrainerCallback):
    """A callback of transformers' Trainer that fills ``model.model_card_data``.

    Args:
        default_args_dict: default values of the training arguments, of which the card lists those that
            differ. None: the plain values (numbers, texts, switches) that the arguments' class declares.
    """

    def __init__(self, default_args_dict: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.default_args_dict = default_args_dict

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Note the settings and start the clock; the model's old card no longer describes it."""
        data = _data_of(model)
        data.add_tags("generated_from_trainer")
        data.all_hyperparameters = _plain(args.to_dict())
        settings, defaults = data.all_hyperparameters, self.default_args_dict
        if defaults is None:
            fields = {name: field.default for name, field in type(args).__dataclass_fields__.items()}
            settings, defaults = _simple(settings), _simple(fields)
        defaults = _plain(defaults)
        data.non_default_hyperparameters = {
            name: value
            for name, value in settings.items()
            if name not in _NOT_SETTINGS and name in defaults and value != defaults[name]
        }
        data.start_training_clock()

    def on_train_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Stop the clock."""
        data = _data_of(model)
        data.stop_training_clock()
        if args.load_best_model_at_end and state.best_global_step:
            data.set_best_model_step(state.best_global_step)

    def on_evaluate(
        self, args: Any, state: Any, control: Any, model: Any = None, metrics: Any = None, **kwargs: Any
    ) -> None:
        """Add the losses on evaluation data to the log."""
        losses = {
            f"{name.removeprefix('eval_').removesuffix('loss').strip('_') or 'Validation'} loss": value
            for name, value in (metrics or {}).items()
            if name.endswith("loss")
        }
        _add(_data_of(model), state, losses)

    def on_log(
        self, args: Any, state: Any, control: Any, model: Any = None, logs: Any = None, **kwargs: Any
    ) -> None:
        """Add the training loss to the log."""
        if "loss" in (logs or {}):
            _add(_data_of(model), state, {"Training loss": logs["loss"]})


# Where and how the run was watched, and what the hub was told: nothing about the model.
_NOT_SETTINGS = frozenset(
    "output_dir logging_dir logging_strategy logging_steps log_level report_to run_name disable_tqdm "
    "hub_token hub_model_id push_to_hub eval_strategy do_eval eval_steps save_strategy save_steps "
    "save_total_limit".split()
)


def _data_of(model: Any) -> Any:
    return getattr(model, "module", model).model_card_data


def _add(data: Any, state: Any, values: dict[str, Any]) -> None:
    if not values:
        return
    if not (data.training_logs and data.training_logs[-1]["Step"] == state.global_step):
        data.training_logs.append({"Epoch": round(state.epoch or 0.0, 4), "Step": state.global_step})
    data.training_logs[-1].update(values)


def _simple(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if isinstance(value, (int, float, str))}


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as a card shows them; enumerations by their value."""
    return {name: getattr(value, "value", value) for name, value in settings.items()}
