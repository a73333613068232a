"""``encode`` in four steps: shape the input, plan batches, run them, collect the results in the order of the
input.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from stlib.base.inputs import text_length
from stlib.base.modules.dense import Dense
from stlib.base.modules.normalize import Normalize
from stlib.base.modules.transformer import Transformer
from stlib.errors import InvalidOption, UnknownKeyword
from stlib.sentence_transformer.modules.pooling import Pooling
from stlib.util.quantization import PRECISIONS, quantize_embeddings
from stlib.util.tensor import batch_to_device, normalize_embeddings, tensor_to_numpy, truncate_embeddings

if TYPE_CHECKING:
    from stlib.sentence_transformer.encode_methods import EncodingModel

SENTENCE_EMBEDDING = "sentence_embedding"
TOKEN_EMBEDDINGS = "token_embeddings"  # noqa: S105 - the name of a feature, no secret

# Keywords of encode that every model takes, whether or not a module uses them.
_ALWAYS_ALLOWED = {"task", "processing_kwargs"}

# Classes of modules whose preprocess and forward pass share no state.
_WITHOUT_MEMORY = {Transformer, Pooling, Normalize, Dense}

# A rough English average, special tokens apart; only the size of batches depends on it.
_CHARACTERS_PER_TOKEN = 4
# Rows of one batch, as a multiple of batch_size, when texts are short.
_MAX_ROWS_FACTOR = 16
# Other devices than a CPU want more work at a time.
_ACCELERATOR_FACTOR = 8


@dataclass(frozen=True)
class EncodeOptions:
    """What every batch of one call of ``encode`` shares."""

    prompt: str | None = None
    output_value: str | None = SENTENCE_EMBEDDING
    normalize: bool = False
    truncate_dim: int | None = None
    to_cpu: bool = True
    keywords: dict[str, Any] = field(default_factory=dict)


def check_options(
    batch_size: int,
    precision: str | None,
    output_value: str | None,
    keywords: dict[str, Any],
    taken: list[str],
) -> None:
    """Refuse what has no meaning, before anything is computed.

    Raises:
        InvalidOption: a value is not allowed; UnknownKeyword for keywords that the model does not take.
    """
    if batch_size < 1:
        raise InvalidOption(f"batch_size is {batch_size}; use 1 or more")
    if precision is not None and precision not in PRECISIONS:
        raise InvalidOption(f"precision {precision!r} is unknown; use one of: {', '.join(PRECISIONS)}")
    if precision not in (None, "float32") and output_value not in (SENTENCE_EMBEDDING, TOKEN_EMBEDDINGS):
        raise InvalidOption(
            f"precision={precision!r} needs an output_value of embeddings, not {output_value!r}"
        )
    allowed = set(taken) | _ALWAYS_ALLOWED
    unknown = sorted(set(keywords) - allowed)
    if unknown:
        raise UnknownKeyword(
            f"encode got keywords that no module of this model takes: {', '.join(unknown)}; "
            f"it takes: {', '.join(sorted(allowed))}"
        )


def plan_batches(model: EncodingModel, inputs: Sequence[Any], batch_size: int) -> list[list[int]]:
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


@torch.inference_mode()
def run_batch(model: EncodingModel, features: dict[str, Any], n: int, options: EncodeOptions) -> Any:
    """One forward pass over the features of n inputs: a tensor ``[n, d]`` of sentence embeddings, or a list
    with what was asked for per input.
    """
    output = model(batch_to_device(features, model.device), **options.keywords)
    if options.truncate_dim is not None and SENTENCE_EMBEDDING in output:
        output[SENTENCE_EMBEDDING] = truncate_embeddings(output[SENTENCE_EMBEDDING], options.truncate_dim)
    if options.output_value is None:
        return [_row_of(output, i, n) for i in range(n)]
    if options.output_value == TOKEN_EMBEDDINGS:
        return _without_padding(_value(output, TOKEN_EMBEDDINGS), output.get("attention_mask"))
    values = _value(output, options.output_value)
    if options.output_value != SENTENCE_EMBEDDING:
        return list(values)
    if options.normalize:
        values = normalize_embeddings(values)
    return values.cpu() if options.to_cpu else values


def run_all(
    model: EncodingModel, inputs: list[Any], batch_size: int, options: EncodeOptions, progress: bool
) -> Tensor | list[Any]:
    """All batches, with results in the order of the inputs: a tensor ``[n, d]`` or a list."""
    if any(module.training for module in every_module(model)):
        model.eval()
    batches = plan_batches(model, inputs, batch_size)
    whole: Tensor | None = None
    rows: list[Any] = [None] * len(inputs)
    with closing(_prepared(model, inputs, batches, options)) as prepared:
        for positions in tqdm(batches, desc="Batches", disable=not progress):
            values = run_batch(model, next(prepared), len(positions), options)
            if isinstance(values, Tensor):
                if whole is None:
                    whole = values.new_empty((len(inputs), *values.shape[1:]))
                whole[torch.tensor(positions, device=values.device)] = values
            else:
                for position, value in zip(positions, values, strict=True):
                    rows[position] = value
    return rows if whole is None else whole


def _prepared(
    model: EncodingModel, inputs: list[Any], batches: list[list[int]], options: EncodeOptions
) -> Generator[dict[str, Any], None, None]:
    """The features of each batch. A thread tokenises the next batch while the model runs on this one.

    Modules of other classes than :class:`Transformer` prepare each batch right before it runs, as they may
    carry something over from one to the other.
    """

    def prepare(positions: list[int]) -> dict[str, Any]:
        batch = [inputs[i] for i in positions]
        return model.preprocess(batch, prompt=options.prompt, **options.keywords)

    if len(batches) == 1 or not all(type(module) in _WITHOUT_MEMORY for module in model):
        yield from map(prepare, batches)
        return
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="stlib-tokenize") as worker:
        ahead = _begun(worker, partial(prepare, batches[0]))
        for following in batches[1:]:
            features = ahead()
            ahead = _begun(worker, partial(prepare, following))
            yield features
        yield ahead()


def _begun(worker: ThreadPoolExecutor, work: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    """What gives the result of ``work``, which a thread has begun if there can be one."""
    try:
        return worker.submit(work).result
    except RuntimeError:
        return work  # no thread can be started, as when the interpreter is about to end


def collect(values: Tensor | list[Any], precision: str | None, as_numpy: bool, as_tensor: bool) -> Any:
    """Results in the form that was asked for: an array, a tensor, or a list with one entry per input."""
    if len(values) == 0:
        return torch.empty(0) if as_tensor else np.array([]) if as_numpy else []
    quantised = precision not in (None, "float32")
    result: Any = quantize_embeddings(values, precision) if quantised else values  # type: ignore[arg-type]
    if as_tensor:
        return torch.as_tensor(result)
    if as_numpy:
        return tensor_to_numpy(result) if isinstance(result, Tensor) else result
    return list(torch.from_numpy(result) if isinstance(result, np.ndarray) else result)


def _value(output: dict[str, Any], name: str) -> Any:
    if name not in output:
        there = ", ".join(sorted(key for key, value in output.items() if isinstance(value, Tensor)))
        raise InvalidOption(
            f"output_value={name!r} is not among what this model computes; use one of: {there}, or None"
        )
    return output[name]


def _row_of(output: dict[str, Any], i: int, n: int) -> dict[str, Any]:
    """Entry i of every tensor that has one per input; other values as they are."""
    return {
        name: value[i] if isinstance(value, Tensor) and value.ndim > 0 and len(value) == n else value
        for name, value in output.items()
    }


def _without_padding(tokens: Tensor, mask: Tensor | None) -> list[Tensor]:
    """Token embeddings ``[tokens, d]`` of each input, up to its last attended token."""
    if mask is None:
        return list(tokens)
    ends = mask.shape[1] - mask.int().flip(1).argmax(dim=1)
    # An input without any token keeps its first slot, so that no result is empty.
    ends = torch.where(mask.any(dim=1), ends, 1)
    return [row[:end] for row, end in zip(tokens, ends.tolist(), strict=True)]
