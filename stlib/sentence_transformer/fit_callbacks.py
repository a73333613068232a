"""What happens between the steps of the older ways to train: evaluations, and saving the best model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import PrinterCallback, TrainerCallback

from stlib.sentence_transformer.fit_options import FitOptions


class Evaluations(TrainerCallback):
    """Evaluates after epochs and every few steps, calls back with the score, and saves the best model.

    ``attach`` it to the trainer once that is there; other callbacks learn of the results through it.
    """

    trainer: Any

    def __init__(self, options: FitOptions) -> None:
        self.options = options
        self.best_score: float | None = None
        self.folder: str | None = None
        if options.output_path is not None and options.evaluator is not None:
            folder = Path(options.output_path) / "eval"
            folder.mkdir(parents=True, exist_ok=True)
            self.folder = str(folder)

    def attach(self, trainer: Any) -> None:
        """Work for this trainer, which prints nothing if the user wants no progress bar."""
        self.trainer = trainer
        if not self.options.show_progress_bar:
            trainer.remove_callback(PrinterCallback)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Evaluate every ``evaluation_steps``."""
        every = self.options.evaluation_steps
        if every and every > 0 and state.global_step % every == 0:
            self.evaluate(args, state, control, state.epoch, state.global_step)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Evaluate after each epoch."""
        self.evaluate(args, state, control, state.epoch, state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Without an evaluator, the last model is the best."""
        if self.options.evaluator is None and self.options.output_path is not None and self._writes():
            self.trainer.model.save(self.options.output_path)

    def evaluate(self, args: Any, state: Any, control: Any, epoch: float, steps: int) -> None:
        """Evaluate, and tell everybody: the log, the model card, the user's callback."""
        evaluator = self.options.evaluator
        if evaluator is None:
            return
        model = self.trainer.model
        results = evaluator(model, output_path=self.folder, epoch=epoch, steps=steps)  # type: ignore[arg-type]
        score, metrics = score_of(evaluator, results), name_metrics(results)
        self.trainer.log({name: value for name, value in metrics.items() if isinstance(value, (int, float))})
        self.trainer.callback_handler.on_evaluate(args, state, control, metrics=metrics)
        if self.options.callback is not None:
            self.options.callback(score, epoch, steps)  # type: ignore[arg-type]
        if self._is_best(score):
            self.best_score = model.best_score = score
            if self.options.save_best_model and self.options.output_path is not None and self._writes():
                model.save(self.options.output_path)

    def _is_best(self, score: float) -> bool:
        if self.best_score is None:
            return True
        if getattr(self.options.evaluator, "greater_is_better", True):
            return score > self.best_score
        return score < self.best_score

    def _writes(self) -> bool:
        return self.trainer.is_world_process_zero()


def name_metrics(results: Any) -> dict[str, Any]:
    """Results of an evaluator, a dict or a number, by names that begin with ``eval_``."""
    if not isinstance(results, dict):
        return {"eval_evaluator": results}
    return {name if name.startswith("eval_") else f"eval_{name}": value for name, value in results.items()}


def score_of(evaluator: Any, results: Any) -> float:
    """The one number of an evaluator's results that says how good the model is."""
    if not isinstance(results, dict):
        return results
    primary = getattr(evaluator, "primary_metric", None) or "evaluator"
    if primary in results:
        return results[primary]
    for name, value in results.items():
        if name.endswith(primary):
            return value
    return next(iter(results.values()))
