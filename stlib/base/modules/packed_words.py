"""Logits of a masked-language head over packed tokens, reduced to one row a text as they are made.

The logits of a batch, one for each token and word of the vocabulary, are gigabytes that are written once and
read once. Here a few hundred tokens meet a few thousand words at a time, so that a piece of the logits is
reduced while it is in the processor's cache and then forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from stlib.base.modules.fused_linear import FusedLinear, WeightWatch, serves
from stlib.base.modules.packed_architectures import WORD_HEADS, is_plain_module
from stlib.base.modules.packing import COPIES, Block, PackedTokens, may_be_copied, run_packed_states

# Tokens and words of one piece: its logits, 4 MB in float32, stay in the cache.
_TOKENS = 256
_WORDS = 4096

# Takes the rows ``[k, words]`` of some texts so far, and further logits of theirs ``[k, tokens, words]``.
Fold = Callable[[Tensor, Tensor], None]


@dataclass(frozen=True)
class Segment:
    """Tokens within a piece that belong to texts, the same number of tokens to each."""

    first: int
    texts: int
    start: int
    tokens: int

    @property
    def rows(self) -> slice:
        return slice(self.start, self.start + self.texts * self.tokens)


class PackedLogits:
    """Logits ``[n, tokens, vocabulary]`` of a batch that nobody has made yet."""

    def __init__(self, packed: PackedTokens, states: Tensor, words: _Words) -> None:
        self._packed = packed
        self._states = states
        self._words = words

    def largest(self) -> Tensor:
        """``[n, vocabulary]``: the largest logit among the tokens of a text, 0 if none is positive."""

        def fold(rows: Tensor, logits: Tensor) -> None:
            torch.maximum(rows, logits.amax(dim=1), out=rows)

        return self._reduce(fold)

    def summed(self, activate: Callable[[Tensor], Tensor]) -> Tensor:
        """``[n, vocabulary]``: the sum of ``activate(logit)`` over the tokens of a text."""

        def fold(rows: Tensor, logits: Tensor) -> None:
            rows += activate(logits).sum(dim=1)

        return self._reduce(fold)

    def _reduce(self, fold: Fold) -> Tensor:
        states, blocks = self._states, self._packed.blocks
        n = sum(block.inputs for block in blocks)
        result = states.new_zeros(n, self._words.count)
        for start in range(0, blocks[-1].rows.stop, _TOKENS):
            piece = states[start : start + _TOKENS]
            segments = list(_segments(blocks, start, start + len(piece)))
            for columns, layer in self._words.layers:
                logits = layer(piece)
                for part in segments:
                    view = logits[part.rows].view(part.texts, part.tokens, -1)
                    fold(result[part.first : part.first + part.texts, columns], view)
        order = self._packed.order
        if order == sorted(order):
            return result
        return torch.empty_like(result).index_copy_(0, torch.tensor(order, device=result.device), result)


def run_packed_words(model: Any, inputs: dict[str, Any], unpad: bool | None) -> PackedLogits | None:
    """Logits of a model with a masked-language head, or None where the padded forward pass has to run.

    Args:
        model: a transformers model, in eval mode.
        inputs: what the model would be called with.
        unpad: see :func:`~stlib.base.modules.packing.run_packed_tokens`.

    Raises:
        UnsupportedOption: ``unpad`` is True, and the architecture or an option rules packing out.
    """
    encoder: Any = getattr(model, "base_model", None)
    if type(model).__name__ not in WORD_HEADS or encoder is None:
        return None
    head = WORD_HEADS[type(model).__name__](model)
    packed = run_packed_states(encoder, inputs, unpad) if is_plain_module(model) and head.is_plain() else None
    if packed is None:
        _drop_unserved(model, head.decoder)
        return None
    words = _words_of(head.decoder, packed.blocks[-1].rows.stop)
    return PackedLogits(packed, head.transform(packed.states), words)


class _Words:
    """The last layer of a head, cut into layers of some thousand words each."""

    def __init__(self, decoder: nn.Linear) -> None:
        weight, bias = decoder.weight.detach(), decoder.bias.detach()
        blocked = serves(weight) and may_be_copied(weight.numel() * weight.element_size())
        self._watch = WeightWatch([decoder], summed=blocked)
        self.count = len(weight)
        self.layers: list[tuple[slice, FusedLinear]] = []
        for start in range(0, self.count, _WORDS):
            columns = slice(start, min(start + _WORDS, self.count))
            layer = nn.Linear(weight.shape[1], columns.stop - start, device="meta")
            layer.weight = nn.Parameter(weight[columns], requires_grad=False)
            layer.bias = nn.Parameter(bias[columns], requires_grad=False)
            self.layers.append((columns, FusedLinear((layer,), blocked=blocked)))

    def is_current(self, tokens: int) -> bool:
        """See :meth:`WeightWatch.is_unchanged`."""
        return self._watch.is_unchanged(tokens)

    def has_moved(self) -> bool:
        """Whether the weights went to another device."""
        return self._watch.has_moved()


_WORDS_OF: WeakKeyDictionary[nn.Module, _Words] = WeakKeyDictionary()
COPIES.append(_WORDS_OF)


def _drop_unserved(model: nn.Module, decoder: nn.Linear) -> None:
    """Free the copied weights of a model that went to another device or is being trained."""
    words = _WORDS_OF.get(decoder)
    if words is not None and (model.training or words.has_moved()):
        _WORDS_OF.pop(decoder, None)


def _words_of(decoder: nn.Linear, tokens: int) -> _Words:
    """The layers of a decoder, made again after a change of its weights."""
    words = _WORDS_OF.get(decoder)
    if words is None or not words.is_current(tokens):
        words = _WORDS_OF[decoder] = _Words(decoder)
    return words


def _segments(blocks: list[Block], start: int, stop: int) -> Iterator[Segment]:
    """The texts of the packed tokens from ``start`` to ``stop``, of which the first and last may be cut."""
    first = 0
    for block in blocks:
        begin, end = max(start, block.start), min(stop, block.rows.stop)
        position = begin
        while position < end:
            text, offset = divmod(position - block.start, block.length)
            if offset or end - position < block.length:
                texts, tokens = 1, min(block.length - offset, end - position)
            else:
                texts, tokens = (end - position) // block.length, block.length
            yield Segment(first + text, texts, position - start, tokens)
            position += texts * tokens
        first += block.inputs
