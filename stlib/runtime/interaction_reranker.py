"""The reranker that comes with the package: it needs numpy and the token vectors of the bundled model."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from stlib.errors import ModelConfigError, UnsupportedModel
from stlib.runtime.bundled import BUNDLED_RERANKER_NAME, default_model_path, default_reranker_path
from stlib.runtime.files import no_folder, read_object, read_tensors
from stlib.runtime.interaction import GLOBAL_FEATURES, TOKEN_FEATURES, pair_features
from stlib.runtime.modules.static import StaticEmbedding
from stlib.util.forks import cached_property
from stlib.util.plain_files import check_folder

__all__ = ["MODEL_TYPE", "InteractionNet", "InteractionReranker", "features"]

MODEL_TYPE = "stlib-interaction"
WEIGHTS_NAME = "model.safetensors"

# What is read of a question and of a passage: more than a search's windows hold.
_QUERY_TOKENS = 64
_PASSAGE_TOKENS = 512
_CHARACTERS_PER_TOKEN = 40
# Standardised features beyond this say no more; training cuts them off here too.
FARTHEST = 8.0
# A passage without any word: below all that the network says of others.
NOTHING = -20.0


class InteractionNet:
    """A small network over the features of :func:`~stlib.runtime.interaction.pair_features`.

    Each token of the question goes through two layers; their weighted mean (weights from the same layers),
    their plain mean and the features of the pair go through two more.

    Args:
        tensors: float32; ``token_mean, token_scale [t]`` and ``pair_mean, pair_scale [g]`` with t token and g
            pair features, and ``weight``/``bias`` of ``token_in [h, t + g]``, ``token_out [h, h]``,
            ``gate [1, h]``, ``pair_in [h, 2 h + g]`` and ``score [1, h]``.

    Raises:
        ValueError: a tensor is missing, has another shape, or holds what no score can be made of.
    """

    def __init__(self, tensors: dict[str, NDArray[Any]]) -> None:
        self.tensors = {name: np.asarray(value, np.float32) for name, value in tensors.items()}
        width = self.tensors.get("token_out.bias")
        if width is None or width.ndim != 1:
            came = "is missing" if width is None else f"has the shape {list(width.shape)}"
            raise ValueError(f"tensor 'token_out.bias' {came}; expected one number for each hidden unit")
        for name, shape in _shapes(len(width)).items():
            found = self.tensors.get(name)
            if found is None or found.shape != shape:
                came = "is missing" if found is None else f"has the shape {list(found.shape)}"
                raise ValueError(f"tensor {name!r} {came}; expected {list(shape)}")
            _check_numbers(name, found)

    def __call__(self, tokens: NDArray[np.float32], pairs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores ``[n]`` of n passages for one question.

        Args:
            tokens: features of the question's tokens, ``[n, q, TOKEN_FEATURES]``.
            pairs: features of the pairs, ``[n, GLOBAL_FEATURES]``.
        """
        tokens = self._standardise("token", tokens)
        pairs = self._standardise("pair", pairs)
        beside = np.broadcast_to(pairs[:, None], (*tokens.shape[:2], pairs.shape[1]))
        hidden = _relu(self._layer("token_in", np.concatenate([tokens, beside], axis=2)))
        hidden = _relu(self._layer("token_out", hidden))
        gate = self._layer("gate", hidden)
        gate = np.exp(gate - gate.max(axis=1, keepdims=True))
        gate /= gate.sum(axis=1, keepdims=True)
        pooled = [(gate * hidden).sum(axis=1), hidden.mean(axis=1), pairs]
        return self._layer("score", _relu(self._layer("pair_in", np.concatenate(pooled, axis=1))))[:, 0]

    def _layer(self, name: str, values: NDArray[np.float32]) -> NDArray[np.float32]:
        return values @ self.tensors[f"{name}.weight"].T + self.tensors[f"{name}.bias"]

    def _standardise(self, name: str, values: NDArray[np.float32]) -> NDArray[np.float32]:
        values = (values - self.tensors[f"{name}_mean"]) / self.tensors[f"{name}_scale"]
        return values.clip(-FARTHEST, FARTHEST)


class InteractionReranker:
    """A reranker over fixed token vectors; create it with :meth:`load`. Threads may share it."""

    def __init__(self, net: InteractionNet, vectors: StaticEmbedding, name: str, weight: float) -> None:
        self.net = net
        self.vectors = vectors
        self.name = name
        self.weight = weight
        """Its share in the final order, see ``indexing.search.rerank``; chosen when it was trained."""

    @classmethod
    def load(cls, path: str | os.PathLike[str] = BUNDLED_RERANKER_NAME) -> InteractionReranker:
        """Load the bundled reranker, or one of its kind in the folder ``path``.

        Raises:
            ModelNotFound: there is no such folder.
            UnsupportedModel: the folder holds a model of another kind.
            ModelConfigError, MissingModelFile: a file is damaged, missing, or made for other vectors.
        """
        folder = default_reranker_path() if os.fspath(path) == BUNDLED_RERANKER_NAME else Path(path)
        if not folder.is_dir():
            raise no_folder(Path(path), "reranker")
        check_folder(folder)
        settings = read_object(folder / "config.json")
        if settings.get("model_type") != MODEL_TYPE:
            raise UnsupportedModel(
                f"{folder}: config.json has the model_type {settings.get('model_type')!r}, not {MODEL_TYPE!r}"
            )
        vectors = StaticEmbedding.load(default_model_path() / "0_StaticEmbedding")
        if settings.get("token_vectors") != vectors_digest(vectors):
            raise ModelConfigError(
                f"{folder}: made for other token vectors than those of this stlib; install the stlib it came "
                "with, or train it again"
            )
        tensors = read_tensors(folder)
        try:
            net = InteractionNet(tensors)
        except ValueError as error:
            raise ModelConfigError(f"{folder / 'model.safetensors'}: {error}") from error
        weight = settings.get("weight")
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 <= weight <= 1:
            raise ModelConfigError(f"{folder}: config.json has the weight {weight!r}; give one from 0 to 1")
        return cls(net, vectors, folder.name, float(weight))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes what :meth:`load` reads into the folder ``path``, which is made if it is not there.

        The token vectors are not written: they are those of the bundled model.
        """
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        save_file(
            {name: np.ascontiguousarray(tensor) for name, tensor in self.net.tensors.items()},
            folder / WEIGHTS_NAME,
            metadata={"format": "np"},
        )
        (folder / WEIGHTS_NAME).chmod(0o644)
        config = {
            "model_type": MODEL_TYPE,
            "token_vectors": vectors_digest(self.vectors),
            "weight": self.weight,
        }
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the network, the token vectors it reads and its share: equal orders if equal."""
        digest = hashlib.sha256(f"{vectors_digest(self.vectors)}{self.weight!r}".encode())
        for name, tensor in sorted(self.net.tensors.items()):
            digest.update(f"{name}{list(tensor.shape)}".encode())
            digest.update(np.ascontiguousarray(tensor).data)
        return digest.hexdigest()

    def scores(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """How well each passage answers: float32 ``[len(passages)]``, larger is better.

        Only the first 64 tokens of the query and 512 of a passage are read. All are 0 for a query without a
        word, and a passage without one stands behind all others.

        Raises:
            TypeError: ``passages`` is a single string.
        """
        if isinstance(passages, str):
            raise TypeError("passages is a single string; pass a list, for example scores(query, [passage])")
        found = features(self.vectors, query, passages) if passages else None
        if found is None:
            return np.zeros(len(passages), np.float32)
        tokens, pairs, read = found
        result = np.full(len(passages), NOTHING, np.float32)
        if len(read):
            result[read] = self.net(tokens, pairs)
        return result

    def __repr__(self) -> str:
        return f"InteractionReranker(name={self.name!r})"


def features(
    vectors: StaticEmbedding, query: str, passages: Sequence[str]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]] | None:
    """What a network reads of n pairs; None for a query without a word.

    Returns:
        Features of the query's tokens ``[m, q, TOKEN_FEATURES]`` and of the pairs ``[m, GLOBAL_FEATURES]``,
        and which m of the passages have a word.
    """
    (asked,) = _ids(vectors, [query], _QUERY_TOKENS)
    if not len(asked):
        return None
    rows = vectors.rows(asked)
    worded = [(row, ids) for row, ids in enumerate(_ids(vectors, passages, _PASSAGE_TOKENS)) if len(ids)]
    found = [pair_features(asked, rows, ids, vectors.rows(ids)) for _, ids in worded]
    tokens = np.array([tokens for tokens, _ in found], np.float32)
    pairs = np.array([pair for _, pair in found], np.float32)
    return tokens, pairs, np.array([row for row, _ in worded], np.int64)


def _ids(vectors: StaticEmbedding, texts: Sequence[str], limit: int) -> list[NDArray[np.int64]]:
    longest = limit * _CHARACTERS_PER_TOKEN  # the tokenizer reads all of a text before it is cut
    flat, lengths = vectors.token_reader(None).ids([text[:longest] for text in texts])
    return [ids[:limit] for ids in np.split(flat, np.cumsum(lengths)[:-1])]


def vectors_digest(vectors: StaticEmbedding) -> str:
    """Digest of the token vectors and their tokenizer: what a network was trained on."""
    return hashlib.sha256(json.dumps(vectors.signature(), sort_keys=True).encode()).hexdigest()


def _shapes(hidden: int) -> dict[str, tuple[int, ...]]:
    layers = {
        "token_in": (hidden, TOKEN_FEATURES + GLOBAL_FEATURES),
        "token_out": (hidden, hidden),
        "gate": (1, hidden),
        "pair_in": (hidden, 2 * hidden + GLOBAL_FEATURES),
        "score": (1, hidden),
    }
    shapes: dict[str, tuple[int, ...]] = {f"{name}.weight": shape for name, shape in layers.items()}
    shapes |= {f"{name}.bias": shape[:1] for name, shape in layers.items()}
    for name, width in (("token", TOKEN_FEATURES), ("pair", GLOBAL_FEATURES)):
        shapes |= {f"{name}_mean": (width,), f"{name}_scale": (width,)}
    return shapes


def _check_numbers(name: str, values: NDArray[np.float32]) -> None:
    """Raises ValueError for what would make every score NaN."""
    usable, what = np.isfinite(values), "infinite or none"
    if usable.all() and name.endswith("_scale"):
        usable, what = values > 0, "not above 0"
    if wrong := int((~usable).sum()):
        numbers = "number that is" if wrong == 1 else "numbers that are"
        raise ValueError(f"tensor {name!r} holds {wrong} {numbers} {what}; train or download it again")


def _relu(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.maximum(values, 0)
