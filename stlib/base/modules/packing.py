"""The forward pass of BERT-like encoders over the tokens of a batch alone, without its padding.

The tokens of all inputs stand in one matrix ``[tokens, d]`` for everything that treats each token by itself,
which is most of the work; attention runs over blocks of inputs of equal length, which need no mask. Values
are those of the padded forward pass, but for the order of floating-point sums. At padding the result is zero,
where the padded pass has values without meaning.

On a CPU a model's weights are copied in another order, and copied again after a change. Some changes through
``.data`` or a NumPy view are noticed late, after about 2048 tokens; :func:`forget_packed` makes them count
at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stlib.base.modules.fused_linear import FusedLinear, WeightWatch, serves
from stlib.base.modules.packed_architectures import (
    ARCHITECTURES,
    HEADS,
    LayerParts,
    Structure,
    is_known,
    is_plain_module,
    layers_of,
)
from stlib.errors import UnsupportedOption

# Options of a call that ask for more than the last hidden state, or for another computation.
_FOREIGN = (
    "inputs_embeds",
    "position_ids",
    "head_mask",
    "encoder_hidden_states",
    "past_key_values",
    "output_attentions",
    "output_hidden_states",
)
# Larger models do without a second copy of their weights; the copy saves them 5 % of the time.
_MAX_BLOCKED_BYTES = 512 * 2**20
# Above this many tokens the scores of a whole block would take much memory.
_MAX_PLAIN_ATTENTION = 512

# Tokens of an input, and how many of them, from the first on, are looked at.
Lengths = tuple[int, int]


@dataclass(frozen=True)
class Block:
    """Neighbouring inputs of one length among the packed tokens, of each of which the first ``attended``
    tokens are looked at.
    """

    start: int
    inputs: int
    length: int
    attended: int

    @property
    def rows(self) -> slice:
        return slice(self.start, self.start + self.inputs * self.length)


@dataclass(frozen=True)
class PackedTokens:
    """Last hidden state of the tokens of a batch."""

    states: Tensor
    """``[tokens, d]``, a text after the other; at the end there may be rows without meaning."""

    order: list[int]
    """Which input of the batch the i-th text is."""

    blocks: list[Block]
    """Where texts of one length lie."""


def run_packed_tokens(
    model: nn.Module,
    inputs: dict[str, Any],
    unpad: bool | None,
    first_only: bool = False,
    added: Tensor | None = None,
) -> Tensor | None:
    """Last hidden state ``[n, tokens, d]`` of a batch, or None where the padded forward pass has to run.

    Args:
        model: a transformers model, in eval mode.
        inputs: what the model would be called with: ``input_ids`` and ``attention_mask [n, tokens]``, …
        unpad: None packs on a CPU, True wherever the architecture is known, False never.
        first_only: compute the first token's state alone, ``[n, 1, d]``, which is what classifiers read; the
            last layer then costs less.
        added: ``[n, tokens]``, tokens that queries were filled up with, behind those of the text. Their
            states are wanted whether or not ``attention_mask`` lets others look at them.

    Raises:
        UnsupportedOption: ``unpad`` is True, and the architecture or an option rules packing out.
    """
    found = _find_packed(model, inputs, unpad, added)
    return None if found is None else found[0].run(inputs, found[1], first_only)


def run_packed_states(model: nn.Module, inputs: dict[str, Any], unpad: bool | None) -> PackedTokens | None:
    """As :func:`run_packed_tokens`, with the tokens left packed."""
    found = _find_packed(model, inputs, unpad)
    return None if found is None else found[0].run_states(inputs, found[1])


def run_packed_logits(model: Any, inputs: dict[str, Any], unpad: bool | None) -> Tensor | None:
    """Logits ``[n, labels]`` of a sequence classifier, or None where the padded forward pass has to run.

    Raises:
        UnsupportedOption: as for :func:`run_packed_tokens`.
    """
    head = HEADS.get(type(model).__name__)
    encoder: Any = getattr(model, "base_model", None)
    if head is None or not is_plain_module(model) or not isinstance(encoder, nn.Module):
        _refuse_if_demanded(unpad, model, HEADS)
        return None
    first = run_packed_tokens(encoder, inputs, unpad, first_only=True)
    return None if first is None else head(model, first)


def _find_packed(
    model: nn.Module, inputs: dict[str, Any], unpad: bool | None, added: Tensor | None = None
) -> tuple[PackedEncoder, list[Lengths]] | None:
    """The packed form of a model and the lengths of its inputs; None where the padded pass has to run."""
    _drop_unserved(model)
    if unpad is False or (unpad is None and not _is_on_cpu(inputs)):
        return None
    lengths = None if _wants_more(model, inputs) or not is_known(model) else _lengths(inputs, added)
    encoder = None if lengths is None else _encoder_of(model, sum(length for length, _ in lengths))
    if encoder is None or lengths is None:
        _refuse_if_demanded(unpad, model, ARCHITECTURES)
        return None
    return encoder, lengths


def _refuse_if_demanded(unpad: bool | None, model: nn.Module, served: Iterable[str]) -> None:
    """Refuse a model that cannot be packed where that is asked for; training always pads."""
    if unpad and not torch.is_grad_enabled() and not getattr(model, "training", False):
        raise UnsupportedOption(
            f"unpad_inputs=True is not possible for {type(model).__name__} as it is set up or called; "
            f"it serves {', '.join(served)} without adapters, hooks, compilation or left padding. Leave it "
            "out"
        )


def _is_on_cpu(inputs: dict[str, Any]) -> bool:
    ids = inputs.get("input_ids")
    return isinstance(ids, Tensor) and ids.device.type == "cpu"


def _wants_more(model: nn.Module, inputs: dict[str, Any]) -> bool:
    config: Any = model.config
    return (
        torch.is_grad_enabled()
        or torch.is_autocast_enabled("cpu")
        or not isinstance(inputs.get("input_ids"), Tensor)
        or any(inputs.get(name) is not None and inputs[name] is not False for name in _FOREIGN)
        or bool(getattr(config, "output_hidden_states", False) or getattr(config, "output_attentions", False))
    )


def _lengths(inputs: dict[str, Any], added: Tensor | None) -> list[Lengths] | None:
    """Tokens of each input, and how many of them are looked at; None unless all padding is on the right and
    no input is empty.
    """
    ids, mask = inputs["input_ids"], inputs.get("attention_mask")
    if ids.dim() != 2 or ids.numel() == 0:
        return None
    if mask is None:
        return [(ids.shape[1], ids.shape[1])] * len(ids)
    if mask.shape != ids.shape or mask.dtype.is_floating_point:
        return None
    attended = _count_first(mask.bool())
    lengths = attended if added is None else _count_first(mask.bool() | added.bool())
    if attended is None or lengths is None or min(attended) == 0:
        return None
    return list(zip(lengths, attended, strict=True))


def _count_first(there: Tensor) -> list[int] | None:
    """How many are there in each row of ``[n, tokens]``; None unless they are the first ones."""
    counts = there.sum(dim=1)
    first = torch.arange(there.shape[1], device=there.device) < counts.unsqueeze(1)
    return counts.tolist() if torch.equal(first, there) else None


class PackedEncoder:
    """A model's layers, ready to run over packed tokens."""

    def __init__(self, model: Any, layers: list[LayerParts]) -> None:
        self._embeddings: Any = model.embeddings
        self._bias_of = _relative_bias(model)
        self._structure = Structure(model)
        linears = [linear for layer in layers for linear in layer.linears()]
        size = sum(linear.weight.numel() * linear.weight.element_size() for linear in linears)
        blocked = may_be_copied(size)
        self._watch = WeightWatch(linears, summed=blocked and serves(linears[0].weight))
        self._layers = [_PackedLayer(layer, model.config.num_attention_heads, blocked) for layer in layers]

    def is_current(self, tokens: int) -> bool:
        """Whether the model still is what this was made from, without hooks that would be passed over.

        The share of the weights that is compared grows with the number of tokens to come.
        """
        return self._structure.is_plain() and self._watch.is_unchanged(tokens)

    def has_moved(self) -> bool:
        """Whether the model went to another device."""
        return self._watch.has_moved()

    def run(self, inputs: dict[str, Any], lengths: list[Lengths], first_only: bool = False) -> Tensor:
        """Last hidden state ``[n, tokens, d]``, zero at padding; or ``[n, 1, d]`` of first tokens."""
        ids: Tensor = inputs["input_ids"]
        packed, where, biases = self._run_layers(inputs, lengths, self._layers[: -1 if first_only else None])
        if first_only:
            firsts = self._layers[-1].first_tokens(packed.states, packed.blocks, biases)
            places = torch.tensor(packed.order, device=firsts.device)
            return torch.empty_like(firsts).index_copy_(0, places, firsts).unsqueeze(1)
        x = packed.states[: sum(length for length, _ in lengths)]
        if where is None:
            return x.view(*ids.shape, -1)
        padded = x.new_zeros(ids.numel(), x.shape[1])
        return padded.index_copy_(0, where, x).view(*ids.shape, -1)

    def run_states(self, inputs: dict[str, Any], lengths: list[Lengths]) -> PackedTokens:
        """Last hidden state of the tokens alone."""
        return self._run_layers(inputs, lengths, self._layers)[0]

    def _run_layers(
        self, inputs: dict[str, Any], lengths: list[Lengths], layers: list[_PackedLayer]
    ) -> tuple[PackedTokens, Tensor | None, list[Tensor] | None]:
        """States behind the layers, the tokens' places in the batch, and the biases of attention by block."""
        ids: Tensor = inputs["input_ids"]
        order = sorted(range(len(lengths)), key=lambda i: lengths[i], reverse=True)
        blocks = list(_blocks([lengths[i] for i in order]))
        whole = len(blocks) == 1 and blocks[0].length == ids.shape[1]
        where = None if whole else _places(ids, order, [length for length, _ in lengths])
        x = self._embed(inputs, where)
        x = F.pad(x, (0, 0, 0, _round_up(len(x)) - len(x)))
        biases = [self._bias_of(block.length, x) for block in blocks] if self._bias_of else None
        for layer in layers:
            x = layer(x, blocks, biases)
        return PackedTokens(x, order, blocks), where, biases

    def _embed(self, inputs: dict[str, Any], where: Tensor | None) -> Tensor:
        ids: Tensor = inputs["input_ids"]
        options = {"input_ids": ids, "position_ids": _positions(self._embeddings, ids)}
        if hasattr(self._embeddings, "token_type_embeddings"):
            given = inputs.get("token_type_ids")
            options["token_type_ids"] = torch.zeros_like(ids) if given is None else given
        flat = {name: value.reshape(-1) for name, value in options.items()}
        if where is not None:
            flat = {name: value.index_select(0, where) for name, value in flat.items()}
        return self._embeddings(**{name: value.unsqueeze(0) for name, value in flat.items()}).squeeze(0)


class _PackedLayer:
    """Attention and feed-forward network of one layer, each followed by the residual's norm."""

    def __init__(self, parts: LayerParts, heads: int, blocked: bool) -> None:
        self._heads = heads
        self._qkv = FusedLinear((parts.query, parts.key, parts.value), blocked=blocked)
        self._out = FusedLinear((parts.out,), blocked=blocked)
        self._attention_norm = parts.attention_norm
        self._up = FusedLinear((parts.up,), parts.activation, blocked=blocked)
        self._down = FusedLinear((parts.down,), blocked=blocked)
        self._output_norm = parts.output_norm

    def __call__(self, x: Tensor, blocks: list[Block], biases: list[Tensor] | None) -> Tensor:
        qkv = self._qkv(x)
        mixed = [
            self._attend(qkv[block.rows], block, None if biases is None else biases[i])
            for i, block in enumerate(blocks)
        ]
        if len(x) > blocks[-1].rows.stop:
            mixed.append(x.new_zeros(len(x) - blocks[-1].rows.stop, x.shape[1]))
        attended = mixed[0] if len(mixed) == 1 else torch.cat(mixed)
        x = _norm(self._attention_norm, self._out(attended, x))
        return _norm(self._output_norm, self._down(self._up(x), x))

    def first_tokens(self, x: Tensor, blocks: list[Block], biases: list[Tensor] | None) -> Tensor:
        """The layer's output ``[inputs, d]`` at the first token of each input."""
        qkv = self._qkv(x)
        mixed = [
            self._attend(qkv[block.rows], block, None if biases is None else biases[i], queries=1)
            for i, block in enumerate(blocks)
        ]
        firsts = torch.cat([x[block.rows].view(block.inputs, block.length, -1)[:, 0] for block in blocks])
        n = len(firsts)
        padding = (0, 0, 0, _round_up(n) - n)
        firsts = F.pad(firsts, padding)
        attended = _norm(self._attention_norm, self._out(F.pad(torch.cat(mixed), padding), firsts))
        return _norm(self._output_norm, self._down(self._up(attended), attended))[:n]

    def _attend(self, qkv: Tensor, block: Block, bias: Tensor | None, queries: int | None = None) -> Tensor:
        """Attention of a block, of its first ``queries`` tokens only if given: ``[inputs * tokens, d]``."""
        width = qkv.shape[1] // 3
        parts = qkv.view(block.inputs, block.length, 3, self._heads, width // self._heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        if queries is not None:
            query, bias = query[:, :, :queries], None if bias is None else bias[:, :, :queries]
        if block.attended < block.length:
            key, value = key[:, :, : block.attended], value[:, :, : block.attended]
            bias = None if bias is None else bias[..., : block.attended]
        mixed = _attention(query, key, value, bias)
        return mixed.transpose(1, 2).reshape(-1, width)


def _attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
    """Softmax attention of ``[n, heads, tokens, d]`` without a mask."""
    half_on_cpu = query.dtype is torch.bfloat16 and query.device.type == "cpu"
    if not half_on_cpu or query.shape[2] > _MAX_PLAIN_ATTENTION:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
    # torch's kernel computes in float32 here; plain products use the processor's bfloat16 units.
    scores = torch.matmul(query * query.shape[3] ** -0.5, key.transpose(2, 3))
    return torch.matmul(torch.softmax(scores if bias is None else scores + bias, dim=-1), value)


def _norm(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    return F.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


def _round_up(tokens: int) -> int:
    """Rows for so many tokens: oneDNN keeps a kernel per number of rows, and there should be few of them."""
    step = 1 if tokens < 32 else 8 if tokens < 256 else 64
    return -(-tokens // step) * step


def _blocks(lengths: list[Lengths]) -> Iterator[Block]:
    start = 0
    for (length, attended), group in groupby(lengths):
        block = Block(start, len(list(group)), length, attended)
        yield block
        start = block.rows.stop


def _places(ids: Tensor, order: list[int], lengths: list[int]) -> Tensor:
    """Place of each packed token in the flattened batch ``[n * tokens]``."""
    width = ids.shape[1]
    places = torch.cat([torch.arange(i * width, i * width + lengths[i]) for i in order])
    return places.to(ids.device)


def _positions(embeddings: nn.Module, ids: Tensor) -> Tensor:
    """Position ids ``[n, tokens]``: 0, 1, …, or for RoBERTa's kin one above the padding id and following."""
    padding = getattr(embeddings, "padding_idx", None)
    if padding is None:
        return torch.arange(ids.shape[1], device=ids.device).expand(ids.shape)
    present = (ids != padding).long()
    return present.cumsum(dim=1) * present + padding


_ENCODERS: WeakKeyDictionary[nn.Module, PackedEncoder] = WeakKeyDictionary()


# Copies of weights by the module that they were made of, of this module and of others.
COPIES: list[WeakKeyDictionary[nn.Module, Any]] = [_ENCODERS]


def may_be_copied(size: int) -> bool:
    """Whether weights of so many bytes are worth a second copy in another order."""
    return size <= _MAX_BLOCKED_BYTES


def forget_packed(module: nn.Module) -> None:
    """Drop the packed copies of all models inside a module; the next batch makes them again.

    For after changes of weights through ``.data`` or a NumPy view: every batch compares a part of the weights
    only, and it can take about 2048 tokens until the change of a few values is noticed.
    """
    for part in module.modules():
        for copies in COPIES:
            copies.pop(part, None)


def _drop_unserved(model: nn.Module) -> None:
    """Free the copied weights of a model that went to another device or is being trained."""
    encoder = _ENCODERS.get(model)
    if encoder is not None and (model.training or encoder.has_moved()):
        _ENCODERS.pop(model, None)


def _encoder_of(model: nn.Module, tokens: int) -> PackedEncoder | None:
    """The packed form of a model of a known class, made again after a change; None if it has none."""
    encoder = _ENCODERS.get(model)
    if is_plain_module(model) and encoder is not None and encoder.is_current(tokens):
        return encoder
    _ENCODERS.pop(model, None)
    layers = layers_of(model) if is_plain_module(model) else None
    if layers is None:
        return None
    encoder = _ENCODERS[model] = PackedEncoder(model, layers)
    return encoder


def _relative_bias(model: Any) -> Callable[[int, Tensor], Tensor] | None:
    """MPNet's attention bias ``[1, heads, length, length]`` by length; None for models without."""
    encoder: Any = getattr(model, "encoder", None)
    if not hasattr(encoder, "compute_position_bias"):
        return None
    return lambda length, x: encoder.compute_position_bias(x.new_empty(1, length, 1)).to(x.dtype)
