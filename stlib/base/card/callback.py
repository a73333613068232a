"""What a training run tells the model card: data, losses, settings, scores and duration."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback

from stlib.base.card.columns import without_folders


class BaseModelCardCallback(TrainerCallback):
    """A callback of transformers' Trainer that fills ``model.model_card_data``.

    Args:
        default_args_dict: default values of the training arguments, of which the card lists those that
            differ. None: the plain values (numbers, texts, switches) that the arguments' class declares.
    """

    def __init__(self, default_args_dict: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.default_args_dict = default_args_dict
        self._trainer: Any = None
        self._described: Any = None

    def on_init_end(
        self,
        args: Any,
        state: Any,
        control: Any,
        model: Any = None,
        trainer: Any = None,
        **kwargs: Any,
    ) -> None:
        """Describe the data and the losses; nothing without a ``trainer``."""
        self._trainer = trainer
        if trainer is not None:
            self._describe(args, _data_of(model))

    def _describe(self, args: Any, data: Any) -> None:
        trainer, self._described = self._trainer, data
        data.add_tags("generated_from_trainer")
        for callback in trainer.callback_handler.callbacks:
            if type(callback).__name__ == "CodeCarbonCallback":
                data.code_carbon_callback = callback
        for kind in ("train", "eval"):
            dataset = getattr(trainer, f"{kind}_dataset")
            if dataset is not None:
                routes = getattr(args, "router_mapping", None)
                known = getattr(data, f"{kind}_datasets")
                entries = data.extract_dataset_metadata(dataset, known, trainer.loss, kind, routes)
                setattr(data, f"{kind}_datasets", entries)
        data.set_losses(all_losses(trainer.loss))
        examples = trainer.train_dataset if trainer.eval_dataset is None else trainer.eval_dataset
        if examples is not None and not data.widget:
            data.set_widget_examples(examples)

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Note the settings and start the clock; the model's old card no longer describes it."""
        data = _data_of(model)
        if self._trainer is not None and data is not self._described:  # a model that model_init made
            self._describe(args, data)
        data.add_tags("generated_from_trainer")
        settings, defaults = _plain(args.to_dict()), self.default_args_dict
        data.all_hyperparameters = {
            name: value for name, value in settings.items() if name not in _NOT_SETTINGS
        }
        settings = data.all_hyperparameters
        if defaults is None:
            fields = {name: field.default for name, field in type(args).__dataclass_fields__.items()}
            settings, defaults = _simple(settings), _simple(fields)
        defaults = _plain(defaults)
        data.non_default_hyperparameters = {
            name: value
            for name, value in settings.items()
            if name not in _MACHINE and name in defaults and value != defaults[name]
        }
        # A sharded model is not run outside of its trainer.
        data.runs_example = not (getattr(args, "fsdp", None) or getattr(args, "deepspeed", None))
        data.start_training_clock()

    def on_train_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Stop the clock, and note which step the weights are of."""
        data = _data_of(model)
        data.stop_training_clock()
        if args.load_best_model_at_end and state.best_global_step:
            data.set_best_model_step(state.best_global_step)

    def on_evaluate(
        self, args: Any, state: Any, control: Any, model: Any = None, metrics: Any = None, **kwargs: Any
    ) -> None:
        """Add the losses on evaluation data to the log."""
        data = _data_of(model)
        losses = {
            f"{name.removeprefix('eval_').removesuffix('loss').strip('_') or 'Validation'} loss": value
            for name, value in (metrics or {}).items()
            if name.endswith("loss")
        }
        if list(losses) == ["Validation loss"]:
            losses = {"Validation Loss": losses["Validation loss"]}
        data.evaluation_seconds += sum(v for k, v in (metrics or {}).items() if k.endswith("_runtime"))
        _add(data, state, losses)

    def on_log(
        self, args: Any, state: Any, control: Any, model: Any = None, logs: Any = None, **kwargs: Any
    ) -> None:
        """Add the training loss to the log."""
        if "loss" in (logs or {}):
            _add(_data_of(model), state, {"Training Loss": logs["loss"]})


# Where and how the run was watched and kept, and what the hub was told: nothing about the model.
_NOT_SETTINGS = frozenset(
    "output_dir logging_dir logging_strategy logging_first_step logging_steps log_level log_level_replica "
    "log_on_each_node report_to run_name project trackio_space_id disable_tqdm hub_token hub_model_id "
    "hub_strategy hub_private_repo hub_always_push hub_revision push_to_hub push_to_hub_token "
    "push_to_hub_model_id push_to_hub_organization evaluation_strategy eval_strategy eval_steps eval_delay "
    "do_train do_eval do_predict do_test save_strategy save_steps save_total_limit metric_for_best_model "
    "greater_is_better resume_from_checkpoint show_progress_bar".split()
)

# Listed among all settings, but decided by the machine rather than by whoever trained.
_MACHINE = frozenset({"local_rank", "_n_gpu"})


def all_losses(loss: Any) -> list[Any]:
    """A loss, or those of a dict, and the losses inside of them; each once."""
    found: list[Any] = []
    queue = list(loss.values()) if isinstance(loss, dict) else [loss]
    while queue:
        one = queue.pop(0)
        if one is not None and not any(one is other for other in found):
            found.append(one)
            queue.append(getattr(one, "loss", None))
    return found


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
    """Settings as a card shows them: enumerations by their value, files by their name."""
    return {name: without_folders(getattr(value, "value", value)) for name, value in settings.items()}
