"""``old_fit`` and its trainer, which takes ready batches and counts in turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.optim.lr_scheduler import LambdaLR

from stlib.base.trainer import BaseTrainer
from stlib.sentence_transformer.fit_callbacks import Evaluations
from stlib.sentence_transformer.fit_options import FitOptions
from stlib.sentence_transformer.fit_rounds import ObjectiveOptimizers, Rounds, save_checkpoint
from stlib.sentence_transformer.fit_training import output_folder
from stlib.sentence_transformer.trainer import SentenceTransformerTrainer


def old_fit(model: Any, options: FitOptions, steps_per_epoch: int | None) -> None:
    """See :meth:`FitMixin.old_fit`."""
    train_in_rounds(RoundsTrainer, model, options, steps_per_epoch)


def train_in_rounds(
    trainer_class: type[OnRounds], model: Any, options: FitOptions, steps_per_epoch: int | None
) -> None:
    """Train with the batches of the options' loaders; the class is one with ``OnRounds``."""
    turns = int(steps_per_epoch or min(map(len, options.loaders)))
    optimizer = ObjectiveOptimizers(
        {name: options.optimizer(loss.named_parameters()) for name, loss in options.losses.items()},
        # In the order of the loss, which decides about the last bit of their norm
        {name: list(loss.parameters()) for name, loss in options.losses.items()},
        options.max_grad_norm,
    )
    rounds = Rounds(model, options.loaders, list(options.losses), turns)
    evaluations = RoundsEvaluations(options, turns)
    with output_folder(None) as folder:
        trainer = trainer_class(
            rounds,
            model=model,
            # Gradients are clipped by the optimizer, with those of the loss's own parameters
            args=options.training_arguments(folder, save_strategy="no", max_grad_norm=0.0),
            loss=options.losses,
            optimizers=(optimizer, _in_turns(options.schedule(optimizer, turns * options.epochs), optimizer)),
            callbacks=[evaluations],
        )
        evaluations.attach(trainer)
        trainer.train()


def _in_turns(schedule: LambdaLR, optimizer: ObjectiveOptimizers) -> LambdaLR:
    """The schedule with a step for each turn, when the trainer steps once for each objective in a turn."""
    rate: Callable[[int], float] = schedule.lr_lambdas[0]
    n_objectives = len(optimizer.parts)
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"]
    return LambdaLR(optimizer, lambda step: rate(step // n_objectives))


class OnRounds(BaseTrainer):
    """A trainer on the batches of data loaders, whose optimizers take turns with the losses."""

    def __init__(self, rounds: Rounds, **kwargs: Any) -> None:
        self.rounds = rounds
        super().__init__(**kwargs)
        self._objectives = self.optimizer

    def get_train_dataloader(self) -> Any:
        """The batches of the loaders, in turns."""
        return self.rounds.as_loader()

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """The loss of the batch's objective, whose optimizer is to make the next step."""
        self._objectives.current = inputs["dataset_name"]  # type: ignore[union-attr]
        return super().compute_loss(model, inputs, *args, **kwargs)


class RoundsTrainer(OnRounds, SentenceTransformerTrainer):
    """Such a trainer of models that make one vector per input."""


class RoundsEvaluations(Evaluations):
    """Evaluations and checkpoints counted in turns, with epochs as whole numbers."""

    def __init__(self, options: FitOptions, turns_per_epoch: int) -> None:
        super().__init__(options)
        self.turns_per_epoch = turns_per_epoch

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Evaluate and save after a whole turn, when it is time."""
        turn, objective = divmod(state.global_step, len(self.options.losses))
        if objective:
            return
        epoch, in_epoch = divmod(turn - 1, self.turns_per_epoch)
        every = self.options.evaluation_steps
        if every and every > 0 and (in_epoch + 1) % every == 0:
            self.evaluate(args, state, control, epoch, in_epoch + 1)
        if self.options.saves_checkpoints and turn % self.options.checkpoint_save_steps == 0:
            self._save(turn)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Evaluate after each epoch."""
        turn = state.global_step // len(self.options.losses)
        self.evaluate(args, state, control, (turn - 1) // self.turns_per_epoch, -1)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Save the last model where it is wanted."""
        super().on_train_end(args, state, control, **kwargs)
        if self.options.checkpoint_path:
            self._save(state.global_step // len(self.options.losses))

    def _save(self, turn: int) -> None:
        if self._writes():
            limit = self.options.checkpoint_save_total_limit
            save_checkpoint(self.trainer.model, str(self.options.checkpoint_path), turn, limit)
