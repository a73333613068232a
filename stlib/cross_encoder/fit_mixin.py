"""The older ways to train a reranker: ``model.fit`` and ``model.old_fit`` with a data loader."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from stlib.util.environment import require_training

if TYPE_CHECKING:
    from stlib.base.evaluation import BaseEvaluator
    from stlib.sentence_transformer.readers.input_example import InputExample

_OPTIMIZER_PARAMS: dict[str, Any] = {"lr": 2e-5}
_IDENTITY = nn.Identity()


class FitMixin:
    """``fit``, ``old_fit`` and their collate functions, for models that read pairs.

    Both run a :class:`~stlib.cross_encoder.trainer.CrossEncoderTrainer`, which new code should use itself.
    """

    if TYPE_CHECKING:
        tokenizer: Any

        @property
        def device(self) -> torch.device: ...

        @property
        def num_labels(self) -> int: ...

    def fit(
        self,
        train_dataloader: Any,
        evaluator: BaseEvaluator | None = None,
        epochs: int = 1,
        loss_fct: Callable[[Tensor, Tensor], Tensor] | None = None,
        activation_fct: Callable[[Tensor], Tensor] = _IDENTITY,
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
    ) -> None:
        """Train on the examples of a data loader.

        The loader is read once, to the end; the trainer then makes batches of the loader's size, in an order
        that its own seed (42) decides. Use :meth:`old_fit` for exactly the batches that the loader gives.

        Args:
            train_dataloader: a ``DataLoader`` of :class:`InputExample`, each with two texts and a label.
            evaluator: measures the model after each epoch, and every ``evaluation_steps``.
            epochs: how often to go through the data.
            loss_fct: function of logits (``[n]``, or ``[n, labels]``) and labels; default: the binary cross
                entropy for a model with one label and the cross entropy for several.
            activation_fct: applied to the logits first.
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

        Raises:
            InvalidOption: the scheduler is unknown.
            InvalidInput: the loader gives something else than examples of two texts.
            MissingDependency: datasets or accelerate are not installed.
        """
        require_training()
        from stlib.cross_encoder.fit_training import fit

        given = {name: value for name, value in locals().items() if name not in ("self", "fit")}
        fit(self, **given)

    def old_fit(
        self,
        train_dataloader: Any,
        evaluator: BaseEvaluator | None = None,
        epochs: int = 1,
        loss_fct: Callable[[Tensor, Tensor], Tensor] | None = None,
        activation_fct: Callable[[Tensor], Tensor] = _IDENTITY,
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
    ) -> None:
        """Train on the very batches that a data loader gives, epoch by epoch, with the random numbers of the
        caller's seeds.

        The arguments are those of :meth:`fit`; ``callback`` gets the number of the epoch from 0 and the steps
        in it, -1 at its end.
        """
        require_training()
        from stlib.cross_encoder.fit_training import old_fit

        given = {name: value for name, value in locals().items() if name not in ("self", "old_fit")}
        old_fit(self, **given)

    def smart_batching_collate(self, batch: Sequence[InputExample]) -> tuple[dict[str, Tensor], Tensor]:
        """Tokens ``[n, tokens]`` of some examples, their texts read together, and their labels ``[n]``: a
        loader's ``collate_fn``.
        """
        tokens = self._tokenize([example.texts for example in batch], "longest_first")
        dtype = torch.float if self.num_labels == 1 else torch.long
        return tokens, torch.tensor([example.label for example in batch], dtype=dtype, device=self.device)

    def smart_batching_collate_text_only(self, batch: Sequence[Sequence[str]]) -> dict[str, Tensor]:
        """Tokens ``[n, tokens]`` of some pairs of texts."""
        return self._tokenize(batch, True)

    def _tokenize(self, rows: Sequence[Sequence[str]], truncation: Any) -> dict[str, Tensor]:
        columns = [[text.strip() for text in column] for column in zip(*rows, strict=True)]
        tokens = self.tokenizer(*columns, padding=True, truncation=truncation, return_tensors="pt")
        return tokens.to(self.device)
