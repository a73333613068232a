"""The values of a dataset's rows as numbers, and which of them several rows have."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from stlib.errors import MissingDependency

if TYPE_CHECKING:
    from datasets import Dataset

# Added by the trainer, the same in every row of a dataset
_NOT_COMPARED = frozenset({"dataset_name"})
_PLAIN = (str, int, float, bool, bytes, type(None), np.integer, np.floating, np.bool_)


class Shared(NamedTuple):
    """Values that occur more than once: those of row ``i`` are ``values[offsets[i]:offsets[i + 1]]``."""

    offsets: np.ndarray
    values: np.ndarray


def find_shared_values(hashes: np.ndarray) -> Shared:
    """The values that occur more than once in ``hashes`` (rows x columns), numbered from 0."""
    n_rows, n_columns = hashes.shape
    _, numbers, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    numbers = numbers.reshape(n_rows, n_columns)
    repeated = (counts > 1)[numbers] if n_columns else np.zeros((n_rows, 0), bool)
    offsets = np.zeros(n_rows + 1, np.int64)
    np.cumsum(repeated.sum(axis=1), out=offsets[1:])
    return Shared(offsets, numbers[repeated].astype(np.min_scalar_type(max(len(counts), 1))))


def hash_values(dataset: Dataset, batch_size: int, num_proc: int | None = None) -> np.ndarray:
    """A 64-bit number for every value, as an array of rows x compared columns.

    ``batch_size`` rows are read at a time; with ``num_proc``, by ``datasets.map`` in as many processes.

    Raises:
        MissingDependency: xxhash is not installed (it comes with datasets).
    """
    _digest()
    if num_proc is None:
        return _stack(_hash(rows) for rows in _slices(dataset, batch_size))
    hashed = dataset.map(
        _hash_for_map,
        batched=True,
        batch_size=batch_size,
        num_proc=max(1, min(num_proc, len(dataset) // batch_size)),
        remove_columns=dataset.column_names,
        desc="Hashing values",
    ).with_format("numpy")
    return _stack(rows["hashes"] for rows in _slices(hashed, 100_000))


def _slices(dataset: Dataset, size: int) -> Iterator[dict[str, Any]]:
    for start in range(0, len(dataset), size):
        yield dataset[start : start + size]


def _stack(parts: Iterator[np.ndarray]) -> np.ndarray:
    return np.concatenate(list(parts))


def _hash_for_map(rows: dict[str, list[Any]]) -> dict[str, np.ndarray]:
    return {"hashes": _hash(rows)}


def _hash(rows: dict[str, list[Any]]) -> np.ndarray:
    digest = _digest()
    columns = [
        np.array([digest(as_bytes(value)) for value in column], dtype=np.uint64)
        for name, column in rows.items()
        if name not in _NOT_COMPARED
    ]
    n_rows = len(next(iter(rows.values()), []))
    return np.stack(columns, axis=1) if columns else np.zeros((n_rows, 0), np.uint64)


def _digest() -> Any:
    try:
        import xxhash
    except ModuleNotFoundError as error:
        raise MissingDependency(
            "comparing rows needs the package 'xxhash', which is missing; run: pip install xxhash"
        ) from error
    return xxhash.xxh64_intdigest


def as_bytes(value: Any) -> bytes:
    """Bytes by which a value is compared: the same for equal contents.

    Plain values, and lists of them, are compared by how they print. Objects that print their address, such as
    pictures, are compared by their content, and those that have none to show are different from all others.
    """
    if isinstance(value, _PLAIN):
        return str(value).encode()
    if isinstance(value, (list, tuple)):
        if all(isinstance(item, _PLAIN) for item in value):
            return str(value).encode()
        return _join(b"[", [as_bytes(item) for item in value])
    if isinstance(value, dict):
        return _join(b"{", [as_bytes(part) for item in value.items() for part in item])
    return _content(value)


def _join(kind: bytes, parts: list[bytes]) -> bytes:
    # Lengths keep apart what would run together
    return kind + b"".join(b"%d:%b" % (len(part), part) for part in parts)


def _content(value: Any) -> bytes:
    # A decoder of sounds or films pickles an address, but carries the encoded file it reads
    value = getattr(value, "_hf_encoded", None) or value
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray) and value.dtype != object:
        if value.ndim == 0:
            return str(value.item()).encode()
        return _join(b"array", [str(value.dtype).encode(), str(value.shape).encode(), value.tobytes()])
    try:
        return pickle.dumps(value)
    except (pickle.PicklingError, TypeError, AttributeError, ValueError, OSError, NotImplementedError):
        return str(value).encode()
