"""Losses on evaluation data, and evaluators, during training and by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset
from transformers import Trainer
from transformers.trainer_pt_utils import find_batch_size
from transformers.trainer_utils import EvalLoopOutput

from stlib.util.distributed import distributed_evaluation

# Features with one entry for each row, the surest first: other ones may have several for a row.
_ONE_FOR_EACH_ROW = ("label", "_offsets", "_attention_mask", "_input_ids", "_sentence_embedding")


class Evaluation(Trainer):
    """The part of a trainer that evaluates."""

    evaluator: Any
    _loss_and_rows: Any = None
    """Of an evaluation on a stream: the losses of its batches times their rows, and all rows."""

    def preprocess_dataset(self, dataset: Any = None, dataset_name: str | None = None) -> Any:
        """See :meth:`stlib.base.trainer.BaseTrainer.preprocess_dataset`."""
        raise NotImplementedError

    def evaluate(
        self,
        eval_dataset: Any = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> dict[str, float]:
        """The loss on data and the metrics of the evaluator, as ``{"eval_loss": …, "eval_…": …}``.

        Args:
            eval_dataset: default: that of the trainer. Of a dict, each data set has a loss by its name:
                ``eval_{name}_loss``. A text is the name of one of the trainer's.
            ignore_keys: for transformers; without effect.
            metric_key_prefix: what every name starts with.
        """
        prepared: Any = eval_dataset  # a name, perhaps
        if eval_dataset is not None and not isinstance(eval_dataset, str):
            prepared = self.preprocess_dataset(eval_dataset, dataset_name="eval")
        if not isinstance(prepared, dict):
            return super().evaluate(prepared, ignore_keys, metric_key_prefix)
        # Given the dict, super() would come back here with each part, to have it prepared twice.
        metrics: dict[str, float] = {}
        part: Any
        for name, part in prepared.items():
            metrics.update(super().evaluate(part, ignore_keys, f"{metric_key_prefix}_{name}"))
        return metrics

    def evaluation_loop(
        self,
        dataloader: DataLoader,
        description: str,
        prediction_loss_only: bool | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> EvalLoopOutput:
        """The loss over a data loader; the evaluator's metrics are added."""
        is_stream = isinstance(dataloader.dataset, IterableDataset)
        self._loss_and_rows = torch.zeros(2, dtype=torch.float64) if is_stream else None
        output = super().evaluation_loop(
            dataloader, description, prediction_loss_only, ignore_keys, metric_key_prefix
        )
        if output.metrics is not None and is_stream:
            self._weigh_by_rows(output.metrics, f"{metric_key_prefix}_loss")
        prefix = self._prefix_of_evaluator(metric_key_prefix)
        if self.evaluator is not None and prefix is not None and output.metrics is not None:
            for name, value in self._run_evaluator().items():
                output.metrics[name if name.startswith(f"{prefix}_") else f"{prefix}_{name}"] = value
        return output

    def prediction_step(
        self,
        model: Any,
        inputs: dict[str, Any],
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> tuple[Any, Any, Any]:
        """The loss of a batch, which also counts for :meth:`evaluation_loop`."""
        rows = rows_of(inputs)
        loss, outputs, labels = super().prediction_step(model, inputs, prediction_loss_only, ignore_keys)
        if loss is not None and self._loss_and_rows is not None:
            value = float(loss)
            self._loss_and_rows += torch.tensor([value * rows, rows], dtype=torch.float64)
        return loss, outputs, labels

    def _weigh_by_rows(self, metrics: dict[str, float], name: str) -> None:
        """Correct a loss on a stream: not knowing its length, transformers counts the last batch as full."""
        measured = self._loss_and_rows.float().to(self.args.device)
        total, rows = self.accelerator.reduce(measured, reduction="sum").tolist()
        if name in metrics and rows:
            metrics[name] = total / rows

    def _prefix_of_evaluator(self, prefix: str) -> str | None:
        """In training with several data sets the evaluator runs once, with the first, as ``eval``."""
        if not (self.is_in_train and isinstance(self.eval_dataset, dict) and prefix.startswith("eval_")):
            return prefix
        first = next(iter(self.eval_dataset))
        return "eval" if prefix == f"eval_{first}" else None

    def _run_evaluator(self) -> dict[str, Any]:
        """The evaluator's metrics, the same in all processes."""
        if self.args.world_size == 1:
            return self._metrics()
        from accelerate.utils import broadcast_object_list

        # Of a sharded model every process must take part in every forward pass.
        shared = not self.is_fsdp_enabled and not self.is_deepspeed_enabled
        metrics: dict[str, Any] = {}
        with distributed_evaluation(self.model, enabled=shared) as is_mine:
            if is_mine:
                metrics = self._metrics()
        return broadcast_object_list([metrics])[0]

    def _metrics(self) -> dict[str, Any]:
        folder = None
        if self.is_world_process_zero() and self.args.output_dir is not None:
            folder = str(Path(self.args.output_dir) / "eval")
            Path(folder).mkdir(parents=True, exist_ok=True)
        metrics = self.evaluator(
            self.model, output_path=folder, epoch=self.state.epoch, steps=self.state.global_step
        )
        return metrics if isinstance(metrics, dict) else {"evaluator": metrics}


def rows_of(batch: dict[str, Any]) -> int:
    """How many rows of a data set a batch of the collator has."""
    for ending in _ONE_FOR_EACH_ROW:
        for key, value in batch.items():
            if key.endswith(ending) and isinstance(value, torch.Tensor) and value.ndim:
                return len(value)
    return find_batch_size(batch) or 0
