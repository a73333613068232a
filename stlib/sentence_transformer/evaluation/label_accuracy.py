"""How often a classifier on top of a model gives the right label."""

from __future__ import annotations

import logging
from typing import Any

import torch

from stlib.base.evaluation.csv_file import append_row, file_name, moment
from stlib.base.evaluation.evaluator import BaseEvaluator
from stlib.base.evaluation.nan_scores import warn_of_nan
from stlib.errors import InvalidInput, InvalidOption
from stlib.util.tensor import batch_to_device

logger = logging.getLogger(__name__)


class LabelAccuracyEvaluator(BaseEvaluator):
    """Accuracy of the classifier that :class:`~stlib.losses.SoftmaxLoss` trains; the metric is ``accuracy``.

    Args:
        dataloader: a loader of :class:`~stlib.readers.InputExample` objects with whole numbers as labels. It
            gets the model's ``smart_batching_collate``, which makes tensors of them.
        name: prefix of the metric, and part of the CSV file's name.
        softmax_model: the loss: ``softmax_model(features, labels=None)`` returns embeddings and
            predictions ``[batch, labels]``.
        write_csv: write ``accuracy_evaluation[_{name}]_results.csv`` to the output folder.

    Raises:
        InvalidOption: there is no ``softmax_model``.
        InvalidInput: the loader has no examples (raised by the call).
    """

    def __init__(
        self, dataloader: Any, name: str = "", softmax_model: Any = None, write_csv: bool = True
    ) -> None:
        if not callable(softmax_model):
            raise InvalidOption(
                f"softmax_model is {softmax_model!r}; give the SoftmaxLoss with the classifier"
            )
        self.dataloader = dataloader
        self.name = name
        self.softmax_model = softmax_model
        self.write_csv = write_csv
        self.csv_file = file_name(
            "_".join(part for part in ("accuracy_evaluation", name, "results.csv") if part)
        )
        self.csv_headers = ["epoch", "steps", "accuracy"]
        self.primary_metric = "accuracy"

    def __call__(
        self, model: Any, output_path: str | None = None, epoch: int = -1, steps: int = -1
    ) -> dict[str, float]:
        """``{"accuracy": …}``; see the class."""
        model.eval()
        self.dataloader.collate_fn = model.smart_batching_collate
        correct = total = undecided = 0
        for features, labels in self.dataloader:
            on_device = [batch_to_device(one, model.device) for one in features]
            with torch.no_grad():
                _, predictions = self.softmax_model(on_device, labels=None)
            decided = ~predictions.isnan().any(dim=1)
            right = predictions.argmax(dim=1) == labels.to(predictions.device)
            correct += int((right & decided).sum())
            undecided += int((~decided).sum())
            total += len(predictions)
        if not total:
            raise InvalidInput("the dataloader has no examples; there is nothing to evaluate")
        warn_of_nan(logger, undecided, total, "predictions")
        accuracy = correct / total
        when = moment(epoch, steps)
        logger.info("Labels of %s%s: %.4f (%d of %d)", self.name or "texts", when, accuracy, correct, total)
        if self.write_csv:
            append_row(output_path, self.csv_file, self.csv_headers, [epoch, steps, accuracy])
        metrics = self.prefix_name_to_metrics({"accuracy": accuracy}, self.name)
        self.store_metrics_in_model_card_data(model, metrics, epoch, steps)
        return metrics
