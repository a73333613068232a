"""The base of evaluators: a model goes in, one number or several named ones come out."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import Any


class BaseEvaluator(ABC):
    """Measures a model; ``model.evaluate(evaluator)`` calls it.

    A subclass defines :meth:`__call__` and, when that returns several metrics, says in ``primary_metric``
    which one decides between two states of a model.
    """

    greater_is_better: bool = True
    """Whether a larger primary metric is a better one."""

    primary_metric: str | None = None
    """Name of the deciding metric; None for evaluators that return one number."""

    @abstractmethod
    def __call__(
        self, model: Any, output_path: str | None = None, epoch: int = -1, steps: int = -1
    ) -> float | dict[str, float]:
        """Measure ``model``.

        Args:
            model: what is measured.
            output_path: folder for result files.
            epoch: epoch of the training that this belongs to; -1 outside of training.
            steps: steps within that epoch; -1 at its end.

        Returns:
            One number, or metrics by name.
        """

    def prefix_name_to_metrics(self, metrics: dict[str, float], name: str) -> dict[str, float]:
        """The metrics as floats, named ``{name}_{metric}``; ``primary_metric`` follows. An empty name changes
        no name.
        """
        if not name:
            return {key: float(value) for key, value in metrics.items()}
        prefix = f"{name}_"
        if self.primary_metric and not self.primary_metric.startswith(prefix):
            self.primary_metric = prefix + self.primary_metric
        return {prefix + key: float(value) for key, value in metrics.items()}

    def store_metrics_in_model_card_data(
        self, model: Any, metrics: dict[str, float], epoch: int = 0, step: int = 0
    ) -> None:
        """Hand the metrics to ``model.model_card_data``, if the model keeps any."""
        card: Any = getattr(model, "model_card_data", None)
        if hasattr(card, "set_evaluation_metrics"):
            card.set_evaluation_metrics(self, metrics, epoch=epoch, step=step)

    def embed_inputs(self, model: Any, sentences: Any, **kwargs: Any) -> Any:
        """Embeddings of the inputs: ``model.encode(sentences, **kwargs)``."""
        return model.encode(sentences, **kwargs)

    @property
    def description(self) -> str:
        """The class's name in words, without ``Evaluator``."""
        name = type(self).__name__.removesuffix("Evaluator")
        return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)

    def get_config_dict(self) -> dict[str, Any]:
        """Settings that belong into a model card; none unless overridden."""
        return {}


SentenceEvaluator = BaseEvaluator
"""The name of :class:`BaseEvaluator` in earlier generations."""
