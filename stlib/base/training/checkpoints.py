"""A trainer's files: the model in the layout of the library, the state of the losses, and the way back."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import Trainer
from transformers.trainer import (
    OPTIMIZER_NAME,
    SCALER_NAME,
    SCHEDULER_NAME,
    TRAINER_STATE_NAME,
    TRAINING_ARGS_NAME,
)
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, HubStrategy

from stlib.base.adapters import WEIGHTS_NAME as ADAPTER_WEIGHTS_NAME
from stlib.base.adapters import has_adapter
from stlib.base.loading import LoadOptions, ModuleSpec, load_module, read_specs
from stlib.base.saving import module_type
from stlib.base.training.loss import unwrap
from stlib.base.training.optimizer import own_parameters
from stlib.base.weights import put_weights, read_weights
from stlib.errors import InvalidOption, ModelConfigError

logger = logging.getLogger(__name__)

LOSS_NAME = "loss.safetensors"
"""File of a checkpoint with what the losses learned beside the model, e.g. the classifier of SoftmaxLoss."""

# What only a checkpoint needs; the rest of its files are a model.
_STATE_FILES = (
    OPTIMIZER_NAME,
    SCHEDULER_NAME,
    SCALER_NAME,
    TRAINER_STATE_NAME,
    TRAINING_ARGS_NAME,
    LOSS_NAME,
    "rng_state*",
    "global_step*",
)


class Checkpoints(Trainer):
    """The part of a trainer that saves and loads."""

    loss: Any

    def train(
        self,
        resume_from_checkpoint: str | bool | None = None,
        trial: Any = None,
        ignore_keys_for_eval: list[str] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Train.

        Args:
            resume_from_checkpoint: a folder ``checkpoint-…`` to go on from; True for the last complete one
                in ``output_dir`` (that of a process killed while it wrote is passed over).
            trial: of a search for hyperparameters.
            ignore_keys_for_eval: for transformers; without effect.
            kwargs: arguments of earlier versions of transformers.

        Returns:
            ``(global_step, training_loss, metrics)``. The model ends like that of a run that was never
            stopped, as the order of batches and all random states go on from where they were. Of an
            ``IterableDataset``, or several, this holds in the first pass through the rows only: their length
            being unknown, a run stopped later goes on with a new pass, from its start.

        Raises:
            InvalidOption: ``output_dir`` has no complete checkpoint.
        """
        if resume_from_checkpoint is True:
            last = last_complete(Path(str(self.args.output_dir)))
            if last is None:
                raise InvalidOption(
                    f"no complete checkpoint is in {str(self.args.output_dir)!r}; pass the folder of one as "
                    "resume_from_checkpoint, or leave it out to start anew"
                )
            resume_from_checkpoint = str(last)
        if resume_from_checkpoint:
            self._warn_of_later_pass(Path(resume_from_checkpoint))
        return super().train(resume_from_checkpoint, trial, ignore_keys_for_eval, **kwargs)

    def _warn_of_later_pass(self, checkpoint: Path) -> None:
        """Say that a run does not go on exactly, which only the first pass over a stream does."""
        import datasets

        if not isinstance(self.train_dataset, (datasets.IterableDataset, datasets.IterableDatasetDict)):
            return
        state = checkpoint / TRAINER_STATE_NAME
        # The whole part of it counts the passes that ended.
        epoch = json.loads(state.read_text(encoding="utf-8")).get("epoch") if state.is_file() else None
        if (epoch or 0) > 1:
            logger.warning(
                "%s was written after the first pass over train_dataset, a stream without known length: "
                "training goes on with a new pass from its start; a Dataset goes on exactly where it was",
                checkpoint,
            )

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        folder = Path(output_dir if output_dir is not None else str(self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        model: Any = self.model
        # Transformers 4 lets one choose the format; later versions always write safetensors.
        model.save_pretrained(str(folder), safe_serialization=getattr(self.args, "save_safetensors", True))
        if self.processing_class is not None and hasattr(self.processing_class, "save_pretrained"):
            self.processing_class.save_pretrained(str(folder))
        torch.save(self.args, folder / TRAINING_ARGS_NAME)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        state = {name: p.detach().contiguous() for name, p in own_parameters(self.loss)}
        if state and self.args.should_save:
            save_file(state, Path(output_dir) / LOSS_NAME)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        file = None if checkpoint is None else Path(checkpoint) / LOSS_NAME
        if file is None or not file.is_file():
            return
        state = read_weights(file)
        with torch.no_grad():
            for name, parameter in own_parameters(self.loss):
                if name in state:
                    parameter.copy_(state[name])

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if self.is_fsdp_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        target = unwrap(model if model is not None else self.model)
        load_weights_into(target, Path(resume_from_checkpoint))

    def _load_best_model(self) -> None:
        best = str(self.state.best_model_checkpoint)
        logger.info("loading the best model, from %s (score: %s)", best, self.state.best_metric)
        self._load_from_checkpoint(best)

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        """Put the whole model beside the folders of checkpoints, from where transformers uploads it."""
        busy = self.push_in_progress is not None and not self.push_in_progress.is_done()
        upload = self.args.hub_strategy != HubStrategy.END and (self.args.hub_always_push or not busy)
        if upload and self.is_world_process_zero():
            target = Path(str(self.args.output_dir))
            ignored = shutil.ignore_patterns(*_STATE_FILES)
            shutil.copytree(checkpoint_folder, target, ignore=ignored, dirs_exist_ok=True)
        super()._push_from_checkpoint(checkpoint_folder)


def load_weights_into(model: Any, folder: Path) -> None:
    """Copy the weights that were saved in a folder into a model of the same modules.

    The model's own classes are used, so that a model of classes defined in a script can be loaded. Of a model
    with an adapter the adapter is read; its base is as it was.

    Raises:
        MissingModelFile, ModelConfigError, WeightsMismatch: the folder holds another model, or is damaged.
    """
    classes = {module_type(module): type(module) for module in model.modules() if hasattr(module, "save")}
    options = LoadOptions(
        trust_remote_code=bool(model.trust_remote_code), local_files_only=True, module_classes=classes
    )
    specs = read_specs(folder)
    modules = list(model.children())
    if len(specs) != len(modules):
        raise ModelConfigError(
            f"{folder} holds a model of {len(specs)} modules, the model being trained has {len(modules)}"
        )
    for spec, module in zip(specs, modules, strict=True):
        _load_one(module, spec, folder, options)


def _load_one(module: Any, spec: ModuleSpec, folder: Path, options: LoadOptions) -> None:
    inner = getattr(module, "auto_model", None)
    if inner is not None and has_adapter(inner):
        _load_adapter(inner, folder / spec.path / ADAPTER_WEIGHTS_NAME)
    elif module.state_dict():
        state: dict[str, Tensor] = load_module(spec, folder, options).state_dict()
        put_weights(module, state, folder / spec.path)


def _load_adapter(model: Any, file: Path) -> None:
    from peft import set_peft_model_state_dict

    weights = {key.removeprefix("base_model.model."): value for key, value in read_weights(file).items()}
    set_peft_model_state_dict(model, weights, model.active_adapters()[0])


def last_complete(folder: Path) -> Path | None:
    """Of the checkpoints in a folder, the one with the highest step whose last file was written, if any."""
    found: dict[int, Path] = {}
    for checkpoint in folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*"):
        step = checkpoint.name.removeprefix(f"{PREFIX_CHECKPOINT_DIR}-")
        if step.isdigit():
            found[int(step)] = checkpoint
    for _, checkpoint in sorted(found.items(), reverse=True):
        try:
            json.loads((checkpoint / TRAINER_STATE_NAME).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            logger.warning(
                "%s is incomplete, as its run ended while writing it; it is passed over", checkpoint
            )
        else:
            return checkpoint
    return None
