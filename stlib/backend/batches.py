"""Run a padded batch as small batches of equal length, so that nothing is computed for padding.

A batch of about 512 tokens keeps the activations of a layer in the caches of one core, and batches that
run side by side on single threads need not wait for each other after every operation.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from typing import TypeAlias, TypeVar

import numpy as np

logger = logging.getLogger(__name__)

T = TypeVar("T")

Arrays: TypeAlias = dict[str, np.ndarray]

# Tokens of one small batch.
MAX_TOKENS = 512
# Below this, rows of different lengths share a batch: the fixed cost of a run is larger than the padding's.
MIN_TOKENS = 128


def plan(mask: np.ndarray, alone: bool = False) -> list[tuple[np.ndarray, int]] | None:
    """Rows and length of each small batch, longest first; None if a row is padded elsewhere than at its end.

    Args:
        mask: attention mask ``[n, tokens]``, 1 for tokens.
        alone: every row is a batch by itself.
    """
    lengths = mask.sum(axis=1)
    if not np.array_equal(mask != 0, np.arange(mask.shape[1]) < lengths[:, None]):
        return None
    order = np.argsort(-lengths, kind="stable")
    batches: list[tuple[np.ndarray, int]] = []
    start = 0
    while start < len(order):
        length = max(int(lengths[order[start]]), 1)
        end = start + 1
        while not alone and end < len(order) and (end - start + 1) * length <= MAX_TOKENS:
            if lengths[order[end]] != length and (end - start) * length >= MIN_TOKENS:
                break
            end += 1
        batches.append((order[start:end], length))
        start = end
    return batches


def run_in_parts(
    inputs: Arrays,
    parts: list[tuple[np.ndarray, int]],
    run: Callable[[Arrays], np.ndarray],
    threads: Executor | None,
) -> np.ndarray:
    """Run each small batch and put the results together, zeros where there was padding.

    Args:
        inputs: arrays ``[n, tokens]``.
        run: from arrays ``[m, length]`` to ``[m, length, d]`` or ``[m, c]``.
        threads: run the parts side by side there; None runs them in turn, and so does an executor that takes
            no more work because the interpreter shuts down.
    """
    n, width = next(iter(inputs.values())).shape

    def run_part(part: tuple[np.ndarray, int]) -> np.ndarray:
        rows, length = part
        return run({name: np.ascontiguousarray(value[rows, :length]) for name, value in inputs.items()})

    whole: np.ndarray | None = None
    for (rows, length), values in zip(parts, _run_each(run_part, parts, threads), strict=True):
        if whole is None:
            shape = (n, *values.shape[1:]) if values.ndim == 2 else (n, width, *values.shape[2:])
            whole = np.zeros(shape, values.dtype)
        if values.ndim == 2:
            whole[rows] = values
        else:
            whole[rows, :length] = values
    assert whole is not None
    return whole


def _run_each(
    run: Callable[[T], np.ndarray], parts: Iterable[T], threads: Executor | None
) -> Iterator[np.ndarray]:
    if threads is not None:
        try:
            # Hands out all parts here and now; what a part raises comes later, with its result.
            return threads.map(run, parts)
        except RuntimeError as error:
            logger.debug("batches run in turn: %s", error)
    return map(run, parts)
