"""What evaluators of sparse models measure besides: how many dimensions the embeddings use."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from stlib.base.evaluation.csv_file import file_name
from stlib.base.evaluation.evaluator import BaseEvaluator
from stlib.util.misc import append_to_last_row

logger = logging.getLogger(__name__)


class SparseEvaluator(BaseEvaluator):
    """First base of an evaluator of sparse models, in front of the dense one that it extends.

    To the metrics of that it adds ``active_dims``, the mean number of dimensions that are not zero, and
    ``sparsity_ratio``, the share of those that are; in some evaluators one of each for every group of texts,
    named ``query_active_dims`` and so on. Of several calls of the model for one group, means are averaged.

    Subclasses call :meth:`encode_sparse` and :meth:`record`, and add :attr:`sparsity_columns` to their CSV
    headers.
    """

    sparsity_columns: tuple[str, ...] = ("active_dims", "sparsity_ratio")
    """Names of what is added, in the order of the CSV file."""

    max_active_dims: int | None = None
    batch_size: int
    show_progress_bar: bool
    name: str
    write_csv: bool
    csv_file: str

    sparsity_stats: dict[str, float]
    """What was added at the last call, by name."""

    _recorded: dict[str, list[float]]

    def __call__(
        self,
        model: Any,
        output_path: str | None = None,
        epoch: int = -1,
        steps: int = -1,
        *args: Any,
        **kwargs: Any,
    ) -> dict[str, float]:
        """Metrics by name; see the class."""
        self._recorded = {}
        found: Any = super().__call__(model, output_path, epoch, steps, *args, **kwargs)  # type: ignore[safe-super]
        self.sparsity_stats = self.summarize_sparsity()
        shown = ", ".join(f"{name} {value:.4f}" for name, value in self.sparsity_stats.items())
        logger.info("Sparsity: %s", shown)
        if output_path is not None and self.write_csv:
            path = Path(output_path) / file_name(self.csv_file)
            append_to_last_row(str(path), [self.sparsity_stats[name] for name in self.sparsity_columns])
        metrics: dict[str, float] = {
            **found,
            **self.prefix_name_to_metrics(self.sparsity_stats, self.name),
        }
        self.store_metrics_in_model_card_data(model, self.metrics_for_card(metrics), epoch, steps)
        return metrics

    def metrics_for_card(self, metrics: dict[str, float]) -> dict[str, float]:
        """Those of a call that belong into the model card."""
        return metrics

    def encode_sparse(self, model: Any, sentences: Any, method: str = "encode", **kwargs: Any) -> Any:
        """Sparse embeddings on the CPU by a method of the model, cut to ``max_active_dims``."""
        options = {
            "batch_size": self.batch_size,
            "show_progress_bar": self.show_progress_bar,
            "convert_to_sparse_tensor": True,
            "save_to_cpu": True,
            "max_active_dims": self.max_active_dims,
        }
        return getattr(model, method)(sentences, **{**options, **kwargs})

    def record(self, model: Any, embeddings: Any, group: str = "") -> None:
        """Note how sparse ``[n, d]`` embeddings of a group of texts are."""
        for name, value in model.sparsity(embeddings).items():
            self._recorded.setdefault(f"{group}_{name}" if group else name, []).append(value)

    def summarize_sparsity(self) -> dict[str, float]:
        """The means by name, in the order of :attr:`sparsity_columns`."""
        return {name: float(np.mean(self._recorded.get(name, [0.0]))) for name in self.sparsity_columns}

    def get_config_dict(self) -> dict[str, Any]:
        """Those of the dense evaluator, and ``max_active_dims`` if it is set."""
        config = super().get_config_dict()
        if self.max_active_dims is None:
            return config
        return {**config, "max_active_dims": self.max_active_dims}


def method_of(encode_fn_name: str | None) -> str:
    """The model's method for ``"query"``, ``"document"`` or None."""
    return "encode" if encode_fn_name is None else f"encode_{encode_fn_name}"
