"""Inputs through a model in batches: planned by length, the next one prepared while one runs, results in the
order of the inputs. What a batch becomes is up to the options of a call: embeddings, or scores of pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from stlib.base.inputs import text_length

if TYPE_CHECKING:
    from stlib.base.model import BaseModel

# A rough English average, special tokens apart; only the size of batches depends on it.
_CHARACTERS_PER_TOKEN = 4
# Rows of one batch, as a multiple of batch_size, when texts are short.
_MAX_ROWS_FACTOR = 16
# Other devices than a CPU want more work at a time.
_ACCELERATOR_FACTOR = 8


class RunOptions(Protocol):
    """What every batch of one call shares, and what is made of one."""

    @property
    def prompt(self) -> str | None:
        """Text in front of each input."""

    @property
    def keywords(self) -> dict[str, Any]:
        """Keywords for the modules."""

    def run(self, model: Any, features: dict[str, Any], n: int) -> Any:
        """Results of ``n`` inputs from their features: a tensor with a row for each, or a list."""


def plan_batches(model: BaseModel, inputs: Sequence[Any], batch_size: int) -> list[list[int]]:
    """Positions of the inputs, cut into batches.

    Texts are sorted by length, longest first, and batched by a budget of padded tokens, so that little of a
    batch is padding and short texts share one forward pass. Other inputs are taken ``batch_size`` at a time.
    """
    lengths = [text_length(item) for item in inputs]
    if any(length is None for length in lengths):
        return [list(range(i, min(i + batch_size, len(inputs)))) for i in range(0, len(inputs), batch_size)]
    order = np.argsort([-(length or 0) for length in lengths], kind="stable").tolist()
    if batch_size == 1:
        return [[i] for i in order]
    first = model._first_module()
    limit = getattr(first, "max_seq_length", None) or np.inf
    tokens = [min((length or 0) / _CHARACTERS_PER_TOKEN + 2, limit) for length in lengths]
    budget = batch_size * getattr(first, "batch_token_factor", 64)
    if model.device.type != "cpu":
        budget *= _ACCELERATOR_FACTOR
    return list(_cut(order, tokens, budget, batch_size * _MAX_ROWS_FACTOR))


def run_all(
    model: BaseModel, inputs: list[Any], batch_size: int, options: RunOptions, progress: bool
) -> Tensor | list[Any]:
    """All batches, with results in the order of the inputs: a tensor ``[n, …]`` or a list."""
    if any(module.training for module in every_module(model)):
        model.eval()
    batches = plan_batches(model, inputs, batch_size)
    whole: Tensor | None = None
    rows: list[Any] = [None] * len(inputs)
    with closing(_prepare_all(model, inputs, batches, options)) as prepared:
        for positions in tqdm(batches, desc="Batches", disable=not progress):
            values = options.run(model, next(prepared), len(positions))
            if isinstance(values, Tensor):
                if whole is None:
                    whole = values.new_empty((len(inputs), *values.shape[1:]))
                whole[torch.tensor(positions, device=values.device)] = values
            else:
                for position, value in zip(positions, values, strict=True):
                    rows[position] = value
    return rows if whole is None else whole


def _prepare_all(
    model: BaseModel, inputs: list[Any], batches: list[list[int]], options: RunOptions
) -> Generator[dict[str, Any], None, None]:
    """The features of each batch. A thread tokenises the next batch while the model runs on this one.

    Where a module's class does not say that it is ``without_memory``, each batch is prepared right before it
    runs, as the module may carry something over from one to the other.
    """

    def prepare(positions: list[int]) -> dict[str, Any]:
        batch = [inputs[i] for i in positions]
        return model.preprocess(batch, prompt=options.prompt, **options.keywords)

    if len(batches) == 1 or not all(vars(type(module)).get("without_memory") for module in model):
        yield from map(prepare, batches)
        return
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="stlib-tokenize") as worker:
        ahead = _begin(worker, partial(prepare, batches[0]))
        for following in batches[1:]:
            features = ahead()
            ahead = _begin(worker, partial(prepare, following))
            yield features
        yield ahead()


def _begin(worker: ThreadPoolExecutor, work: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    """What gives the result of ``work``, which a thread has begun if there can be one."""
    try:
        return worker.submit(work).result
    except RuntimeError:
        return work  # no thread can be started, as when the interpreter is about to end


def _cut(order: list[int], tokens: list[float], budget: float, max_rows: int) -> Iterator[list[int]]:
    """Batches of positions whose first and longest input, times the rows, stays within the budget."""
    batch: list[int] = []
    for position in order:
        full = batch and (len(batch) + 1) * tokens[batch[0]] > budget
        if full or len(batch) == max_rows:
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch


def every_module(model: nn.Module) -> Iterator[nn.Module]:
    """The model and all modules inside, faster than ``model.modules()``, which also drops repetitions."""
    waiting = [model]
    while waiting:
        module = waiting.pop()
        yield module
        waiting.extend(child for child in module._modules.values() if child is not None)
