"""The older ways to train: ``model.fit`` and ``model.old_fit`` with data loaders and losses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from stlib.util.environment import require_training

if TYPE_CHECKING:
    from stlib.base.evaluation import BaseEvaluator
    from stlib.sentence_transformer.readers.input_example import InputExample

_OPTIMIZER_PARAMS: dict[str, Any] = {"lr": 2e-5}


class FitMixin:
    """``fit``, ``old_fit`` and their collate function, for models that make one vector per input.

    Both run a :class:`~stlib.sentence_transformer.trainer.SentenceTransformerTrainer`, which new code should
    use itself.
    """

    if TYPE_CHECKING:
        preprocess: Callable[..., dict[str, Any]]

    def fit(
        self,
        train_objectives: Iterable[tuple[Any, nn.Module]],
        evaluator: BaseEvaluator | None = None,
        epochs: int = 1,
        steps_per_epoch: int | None = None,
        scheduler: str = "WarmupLinear",
        warmup_steps: int = 10000,
        optimizer_class: type[Optimizer] = torch.optim.AdamW,
        optimizer_params: dict[str, Any] = _OPTIMIZER_PARAMS,
        weight_decay: float = 0.01,
        evaluation_steps: int = 0,
        output_path: str | None = None,
        save_best_model: bool = True,
        max_grad_norm: float = 1,
        use_amp: bool = False,
        callback: Callable[[float, int, int], None] | None = None,
        show_progress_bar: bool = True,
        checkpoint_path: str | None = None,
        checkpoint_save_steps: int = 500,
        checkpoint_save_total_limit: int = 0,
        resume_from_checkpoint: bool = False,
    ) -> None:
        """Train on the examples of data loaders.

        Each loader is read once, to the end, into a dataset; the trainer then makes batches of the loader's
        size from it in an order that its own seed (42) decides: without duplicates for a
        ``NoDuplicatesDataLoader``, grouped by label for a loader of a ``SentenceLabelDataset``, those of the
        loader's own ``batch_sampler`` if it was given one, in random order otherwise. Loaders take turns, one
        batch each, until the shortest has no batch left. Use :meth:`old_fit` for exactly the batches that the
        loaders give. When all labels are 0, the loss gets none.

        Args:
            train_objectives: pairs of a ``DataLoader`` of :class:`InputExample` and a loss.
            evaluator: measures the model after each epoch, and every ``evaluation_steps``.
            epochs: how often to go through the data.
            steps_per_epoch: stop after so many batches, of all loaders together; None or 0 for all. With
                several epochs it has no effect (it has in :meth:`old_fit`).
            scheduler: of the learning rate: ``"constantlr"``, ``"warmupconstant"``, ``"warmuplinear"``,
                ``"warmupcosine"`` or ``"warmupcosinewithhardrestarts"``, in any case.
            warmup_steps: steps in which the learning rate rises from 0.
            optimizer_class: a class of :mod:`torch.optim`.
            optimizer_params: its arguments.
            weight_decay: of all parameters but biases and those of layer norms.
            evaluation_steps: evaluate after each so many steps too; 0 for epochs only.
            output_path: where the model is saved, and results of evaluations (in ``eval``).
            save_best_model: with an evaluator, save the model when it is better than before. Without an
                evaluator the model is saved at the end.
            max_grad_norm: gradients with a larger norm are scaled down to it.
            use_amp: mixed precision: 16-bit floats on a GPU, bfloat16 elsewhere.
            callback: called after each evaluation with the score, the epoch (a fraction within one) and the
                number of steps.
            show_progress_bar: show one.
            checkpoint_path: where checkpoints are written; None for none.
            checkpoint_save_steps: a checkpoint after each so many steps.
            checkpoint_save_total_limit: delete the oldest beyond this number; 0 keeps all.
            resume_from_checkpoint: go on from the latest complete checkpoint in ``checkpoint_path``, if any.

        Raises:
            InvalidOption: the scheduler is unknown, or there is no objective.
            InvalidInput: a loader gives something else than examples, or examples that differ in their number
                of texts.
            MissingDependency: datasets or accelerate are not installed.
        """
        require_training()
        from stlib.sentence_transformer.fit_options import FitOptions
        from stlib.sentence_transformer.fit_training import fit

        given = {name: value for name, value in locals().items() if name in FitOptions.names()}
        fit(self, FitOptions(**given), steps_per_epoch, resume_from_checkpoint)

    def old_fit(
        self,
        train_objectives: Iterable[tuple[Any, nn.Module]],
        evaluator: BaseEvaluator | None = None,
        epochs: int = 1,
        steps_per_epoch: int | None = None,
        scheduler: str = "WarmupLinear",
        warmup_steps: int = 10000,
        optimizer_class: type[Optimizer] = torch.optim.AdamW,
        optimizer_params: dict[str, Any] = _OPTIMIZER_PARAMS,
        weight_decay: float = 0.01,
        evaluation_steps: int = 0,
        output_path: str | None = None,
        save_best_model: bool = True,
        max_grad_norm: float = 1,
        use_amp: bool = False,
        callback: Callable[[float, int, int], None] | None = None,
        show_progress_bar: bool = True,
        checkpoint_path: str | None = None,
        checkpoint_save_steps: int = 500,
        checkpoint_save_total_limit: int = 0,
    ) -> None:
        """Train on the very batches that data loaders give, epoch by epoch.

        Random numbers are those of the caller's seeds. Loaders take turns; an epoch has as many turns as the
        shortest one has batches, and a loader that ends begins anew. Each objective has an optimizer of its
        own.

        Args: as those of :meth:`fit`, except for

            * ``steps_per_epoch``: turns in an epoch, whatever the number of epochs; the next one goes on in
              the loaders where this one ended.
            * ``callback``: gets the number of the epoch from 0, and the turns in it, -1 at its end.
            * ``checkpoint_path``: gets a folder with the model for each checkpoint, named by its turn, and
              one for the end.
        """
        require_training()
        from stlib.sentence_transformer.fit_options import FitOptions
        from stlib.sentence_transformer.fit_rounds_trainer import old_fit

        given = {name: value for name, value in locals().items() if name in FitOptions.names()}
        old_fit(self, FitOptions(**given), steps_per_epoch)

    def smart_batching_collate(self, batch: Sequence[InputExample]) -> tuple[list[dict[str, Tensor]], Tensor]:
        """Features of each text column of some examples, and their labels: a loader's ``collate_fn``.

        Texts are padded to the longest of the batch.
        """
        features = [
            self.preprocess(list(column)) for column in zip(*(one.texts for one in batch), strict=True)
        ]
        labels = [example.label for example in batch]
        if labels and isinstance(labels[0], np.ndarray):
            return features, torch.from_numpy(np.stack(labels))
        return features, torch.tensor(labels)
