"""Several evaluators as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from stlib.base.evaluation.evaluator import BaseEvaluator
from stlib.util.lists import refuse_text

SCORE = "sequential_score"


class SequentialEvaluator(BaseEvaluator):
    """Runs evaluators one after the other and joins what they return.

    Args:
        evaluators: in the order in which they run.
        main_score_function: makes ``sequential_score``, the primary metric, of the primary metrics of all;
            the last one by default.
    """

    def __init__(
        self,
        evaluators: Iterable[BaseEvaluator],
        main_score_function: Callable[[list[float]], float] = lambda scores: scores[-1],
    ) -> None:
        refuse_text(evaluators=evaluators)
        self.evaluators = list(evaluators)
        self.main_score_function = main_score_function
        self.primary_metric = SCORE

    def __call__(
        self, model: Any, output_path: str | None = None, epoch: int = -1, steps: int = -1
    ) -> dict[str, float]:
        """All metrics by name; one that is a bare number is ``evaluator_{its position}``."""
        metrics: dict[str, float] = {}
        scores = []
        for position, evaluator in enumerate(self.evaluators):
            result = evaluator(model, output_path, epoch, steps)
            if not isinstance(result, dict):
                result = {f"evaluator_{position}": result}
                scores.append(result[f"evaluator_{position}"])
            else:
                # Without a primary metric the first one stands for all.
                scores.append(result[evaluator.primary_metric or next(iter(result))])
            metrics.update(result)
        return {**metrics, SCORE: self.main_score_function(scores) if scores else 0.0}
