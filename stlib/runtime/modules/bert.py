"""BERT in numpy, for models so small that a matrix product takes no time: token ids in, hidden states out.

Devlin et al., "BERT" (arXiv:1810.04805). Everything is float32, as in torch; results differ from its by what
another order of additions does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stlib.errors import ModelConfigError, UnsupportedModel
from stlib.runtime.modules.tensors import Tensors

__all__ = ["ACTIVATIONS", "Bert", "Linear", "Norm", "Shape", "read_shape"]

Values = NDArray[np.float32]

# Abramowitz and Stegun, "Handbook of Mathematical Functions", 7.1.26: off by at most 1.5e-7.
_ERF = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
_ERF_STEP = 0.3275911
# Added where a text has no token: exp of it is 0.
_NOTHING = np.float32(-1e9)


def _gelu(x: Values) -> Values:
    """In place: x times the normal distribution function of x."""
    size = np.abs(x)
    half = size * np.float32(math.sqrt(0.5))
    step = 1 / (1 + np.float32(_ERF_STEP) * half)
    tail = np.full_like(step, _ERF[-1])
    for factor in (*_ERF[-2::-1], 0.0):
        tail *= step
        tail += np.float32(factor)
    np.multiply(half, half, out=half)
    tail *= np.exp(np.negative(half, out=half), out=half)
    # erf is odd, so x erf(x) = |x| erf(|x|).
    np.subtract(1, tail, out=tail)
    tail *= size
    x += tail
    x *= np.float32(0.5)
    return x


def _gelu_tanh(x: Values) -> Values:
    """In place: the same by a hyperbolic tangent, off by up to 5e-4."""
    inner = x * x
    inner *= np.float32(0.044715)
    inner += 1
    inner *= x
    inner *= np.float32(math.sqrt(2 / math.pi))
    np.tanh(inner, out=inner)
    inner += 1
    inner *= np.float32(0.5)
    x *= inner
    return x


def _relu(x: Values) -> Values:
    return np.maximum(x, 0, out=x)


ACTIVATIONS: dict[str, Callable[[Values], Values]] = {
    "gelu": _gelu,
    "gelu_new": _gelu_tanh,
    "gelu_pytorch_tanh": _gelu_tanh,
    "relu": _relu,
}
"""By the names of ``hidden_act``; each changes its input in place and returns it."""


@dataclass(frozen=True)
class Shape:
    """Sizes of a BERT, as in ``config.json``."""

    vocabulary: int
    width: int
    inner: int
    layers: int
    heads: int
    positions: int
    epsilon: float
    activation: str
    tied: bool
    """Whether the head's word vectors are those of the input."""


def read_shape(config: dict[str, Any], source: Path) -> Shape:
    """The sizes in a ``config.json``.

    Raises:
        UnsupportedModel: it is no BERT, or one of a kind that is not run here.
        ModelConfigError: a size is missing or wrong.
    """
    kind, activation = config.get("model_type"), config.get("hidden_act", "gelu")
    plain = config.get("position_embedding_type", "absolute") == "absolute" and not config.get("is_decoder")
    if kind != "bert" or activation not in ACTIVATIONS or not plain:
        raise UnsupportedModel(
            f"{source}: a model of type {kind!r} with the activation {activation!r} needs "
            f"stlib.SparseEncoder; without torch plain BERT runs, with {', '.join(ACTIVATIONS)}"
        )
    keys = (
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "max_position_embeddings",
    )
    sizes = [config.get(key) for key in keys]
    for key, size in zip(keys, sizes, strict=True):
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ModelConfigError(f"{source}: {key} is {size!r}; it must be a number from 1 on")
    if config["hidden_size"] % config["num_attention_heads"]:
        raise ModelConfigError(
            f"{source}: hidden_size {config['hidden_size']} is no multiple of num_attention_heads "
            f"{config['num_attention_heads']}"
        )
    epsilon = config.get("layer_norm_eps", 1e-12)
    if isinstance(epsilon, bool) or not isinstance(epsilon, (int, float)) or not 0 < epsilon < 1:
        raise ModelConfigError(f"{source}: layer_norm_eps is {epsilon!r}; it must lie between 0 and 1")
    vocabulary, width, inner, layers, heads, positions = (int(config[key]) for key in keys)
    tied = config.get("tie_word_embeddings", True) is not False
    return Shape(vocabulary, width, inner, layers, heads, positions, float(epsilon), activation, tied)


class Linear:
    """``x @ weight.T + bias`` for rows x ``[n, inputs]``."""

    def __init__(self, weight: Values, bias: Values) -> None:
        self._across = np.ascontiguousarray(weight.T)
        self._bias = bias

    @classmethod
    def take(cls, tensors: Tensors, name: str, outputs: int, inputs: int) -> Linear:
        weight = tensors.take(f"{name}.weight", shape=(outputs, inputs))
        return cls(weight, tensors.take(f"{name}.bias", shape=(outputs,)))

    def __call__(self, x: Values) -> Values:
        result = x @ self._across
        result += self._bias
        return result


class Norm:
    """Layer normalisation: each row ``[width]`` to mean 0 and variance 1, then factors and shifts."""

    def __init__(self, factor: Values, shift: Values, epsilon: float) -> None:
        self.factor = factor
        self.shift = shift
        self._epsilon = np.float32(epsilon)
        self._mean = np.full(len(factor), 1 / len(factor), np.float32)

    @classmethod
    def take(cls, tensors: Tensors, name: str, shape: Shape) -> Norm:
        factor = tensors.take(f"{name}.weight", f"{name}.gamma", shape=(shape.width,))
        return cls(factor, tensors.take(f"{name}.bias", f"{name}.beta", shape=(shape.width,)), shape.epsilon)

    def __call__(self, x: Values) -> Values:
        """In place."""
        x -= (x @ self._mean)[:, None]
        variance = np.square(x) @ self._mean
        x *= (1 / np.sqrt(variance + self._epsilon))[:, None]
        x *= self.factor
        x += self.shift
        return x


class Bert:
    """The layers of BERT, without the head.

    Args:
        tensors: named as in ``BertForMaskedLM``.
        shape: of the model.

    Raises:
        ModelConfigError: a tensor is missing or has another shape.
    """

    def __init__(self, tensors: Tensors, shape: Shape) -> None:
        width, place = shape.width, "bert.embeddings"
        self.shape = shape
        self.words = tensors.take(f"{place}.word_embeddings.weight", shape=(shape.vocabulary, width))
        kinds = tensors.take(f"{place}.token_type_embeddings.weight", shape=(None, width))
        positions = tensors.take(f"{place}.position_embeddings.weight", shape=(shape.positions, width))
        self._positions = positions + kinds[0]
        self._norm = Norm.take(tensors, f"{place}.LayerNorm", shape)
        self._layers = [_Layer(tensors, f"bert.encoder.layer.{at}", shape) for at in range(shape.layers)]

    def __call__(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Values:
        """Hidden states ``[n * tokens, width]`` of ids and mask ``[n, tokens]``.

        Raises:
            ModelConfigError: a text has more tokens than the model has positions, or a token has no row.
        """
        count, length = ids.shape
        if length > self.shape.positions or ids.max(initial=0) >= self.shape.vocabulary:
            raise ModelConfigError(
                f"{length} tokens with ids up to {ids.max(initial=0):,}: the model has "
                f"{self.shape.positions} positions and {self.shape.vocabulary:,} words; its "
                "files are not from one model, or its max_seq_length is too large"
            )
        hidden = self.words[ids.ravel()]
        by_text = hidden.reshape(count, length, -1)
        by_text += self._positions[:length]
        self._norm(hidden)
        unseen = None if mask.all() else np.where(mask[:, None, None], np.float32(0), _NOTHING)
        for layer in self._layers:
            hidden = layer(hidden, count, length, unseen)
        return hidden


class _Layer:
    def __init__(self, tensors: Tensors, name: str, shape: Shape) -> None:
        width, own = shape.width, f"{name}.attention.self"
        self._heads = shape.heads
        self._of_head = width // shape.heads
        parts = [Linear.take(tensors, f"{own}.{part}", width, width) for part in ("query", "key", "value")]
        shrink = np.float32(1 / math.sqrt(self._of_head))
        weights = [parts[0]._across * shrink, parts[1]._across, parts[2]._across]
        biases = [parts[0]._bias * shrink, parts[1]._bias, parts[2]._bias]
        self._three = Linear(np.concatenate(weights, axis=1).T, np.concatenate(biases))
        self._out = Linear.take(tensors, f"{name}.attention.output.dense", width, width)
        self._between = Norm.take(tensors, f"{name}.attention.output.LayerNorm", shape)
        self._wide = Linear.take(tensors, f"{name}.intermediate.dense", shape.inner, width)
        self._activate = ACTIVATIONS[shape.activation]
        self._narrow = Linear.take(tensors, f"{name}.output.dense", width, shape.inner)
        self._after = Norm.take(tensors, f"{name}.output.LayerNorm", shape)

    def __call__(self, hidden: Values, count: int, length: int, unseen: Values | None) -> Values:
        attended = self._out(self._attend(hidden, count, length, unseen))
        attended += hidden
        self._between(attended)
        result = self._narrow(self._activate(self._wide(attended)))
        result += attended
        return self._after(result)

    def _attend(self, hidden: Values, count: int, length: int, unseen: Values | None) -> Values:
        parts = self._three(hidden).reshape(count, length, 3, self._heads, self._of_head)
        query, key, value = (parts[:, :, at].transpose(0, 2, 1, 3) for at in range(3))
        shares = query @ key.transpose(0, 1, 3, 2)
        if unseen is not None:
            shares += unseen
        shares -= shares.max(axis=3, keepdims=True)
        np.exp(shares, out=shares)
        shares /= shares.sum(axis=3, keepdims=True)
        mixed: Values = np.matmul(shares, value)
        return mixed.transpose(0, 2, 1, 3).reshape(count * length, -1)
