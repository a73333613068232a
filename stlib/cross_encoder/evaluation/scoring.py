"""What the evaluators of rerankers share: scores of pairs."""

from __future__ import annotations

from typing import Any

import numpy as np

from stlib.errors import InvalidInput, InvalidOption


def scores_of(evaluator: Any, model: Any, pairs: list[Any]) -> np.ndarray:
    """Scores ``[n]`` (``[n, labels]`` for several labels) with the evaluator's prompt and batch size.

    Raises:
        InvalidInput: a score is not a number.
    """
    scores = model.predict(
        pairs,
        prompt_name=evaluator.prompt_name,
        batch_size=evaluator.batch_size,
        convert_to_numpy=True,
        show_progress_bar=evaluator.show_progress_bar,
    )
    scores = np.asarray(scores)
    if missing := int(np.isnan(scores).sum()):
        raise InvalidInput(
            f"{missing:,} scores are not a number: look at the model's weights; its training may have "
            "diverged"
        )
    return scores


def single_scores_of(evaluator: Any, model: Any, pairs: list[Any]) -> np.ndarray:
    """Scores ``[n]``.

    Raises:
        InvalidOption: the model has several labels.
        InvalidInput: a score is not a number.
    """
    scores = scores_of(evaluator, model, pairs)
    if scores.ndim > 1 and scores.shape[1] != 1:
        raise InvalidOption(
            f"{type(evaluator).__name__} needs a model with one label, this one has {scores.shape[1]}; use "
            "CrossEncoderClassificationEvaluator"
        )
    return scores.reshape(len(pairs))
