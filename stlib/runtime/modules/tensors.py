"""The weights of a module by name, with errors that name the file: float32, or int8 with a scale beside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stlib.errors import ModelConfigError
from stlib.runtime.files import read_tensors
from stlib.runtime.modules.base import array_digest

__all__ = ["Tensors"]

Values = NDArray[np.float32]


class Tensors:
    """The tensors of ``model.safetensors`` in a folder.

    A matrix ``x.weight`` of int8 is ``x.weight * x.scale`` (float32 ``[rows, 1]``).

    Raises:
        MissingModelFile, ModelConfigError, UnsupportedModel: see :func:`stlib.runtime.files.read_tensors`.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "model.safetensors"
        self._stored = read_tensors(folder)

    def take(self, *names: str, shape: tuple[int | None, ...]) -> Values:
        """The first of ``names`` that is there, float32; None in ``shape`` stands for any size.

        Raises:
            ModelConfigError: it is missing, has another shape, or holds what is no number.
        """
        found = self.find(*names)
        if found is None:
            raise ModelConfigError(f"{self._path}: the tensor {names[0]!r} is missing; get the model again")
        fits = len(found.shape) == len(shape) and all(
            wanted in (None, size) for size, wanted in zip(found.shape, shape, strict=True)
        )
        if not fits:
            wanted = ", ".join("any" if size is None else str(size) for size in shape)
            raise ModelConfigError(
                f"{self._path}: the tensor {names[0]!r} has the shape {list(found.shape)}, "
                f"expected [{wanted}]"
            )
        if not np.isfinite(found).all():
            raise ModelConfigError(f"{self._path}: the tensor {names[0]!r} holds what is no finite number")
        return found

    def find(self, *names: str) -> Values | None:
        """The first of ``names`` that is there, float32, or None."""
        name = next((name for name in names if name in self._stored), None)
        if name is None:
            return None
        values = self._stored[name]
        if values.dtype != np.int8:
            return np.ascontiguousarray(values, dtype=np.float32)
        scale = self._stored.get(f"{name.removesuffix('weight')}scale")
        if scale is None or scale.shape != (len(values), 1):
            raise ModelConfigError(f"{self._path}: {name!r} is int8 and has no scale for each of its rows")
        return values.astype(np.float32) * scale.astype(np.float32)

    def digest(self) -> str:
        """SHA-256 over all names and values."""
        names = sorted(self._stored)
        return " ".join([*names, array_digest(*(self._stored[name] for name in names))])
