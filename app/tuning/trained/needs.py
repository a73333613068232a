"""What training needs beside the base installation. The heavy packages are imported here, and nowhere else in
`app`.
"""

from __future__ import annotations

import importlib.util
from typing import Any

from indexing.errors import BadInput

__all__ = ["full_library", "need", "need_training", "torch_library"]

_EXTRAS = {"train": ("datasets", "accelerate"), "adapters": ("peft",)}


def need(extra: str, what: str) -> None:
    """
    Raises:
        BadInput: a package of the extra is missing; it names both.
    """
    missing = [package for package in _EXTRAS[extra] if importlib.util.find_spec(package) is None]
    if missing:
        raise BadInput(
            f"{what} needs the extra {extra!r}: {' and '.join(missing)} is not installed; run: pip install"
            f" {' '.join(missing)}"
        )


def torch_library() -> Any:
    """torch.

    Raises:
        BadInput: it is not installed, or does not load here.
    """
    try:
        import torch
    except (ImportError, OSError) as error:  # a shared library that is missing is an OSError
        raise BadInput(f"training needs torch, which does not load: {error}; pip install torch") from error
    return torch


def need_training(what: str) -> Any:
    """`stlib` itself, once all that its trainers need is there.

    Raises:
        BadInput: torch or a package of the extra `train` is missing.
    """
    torch_library()
    need("train", what)
    return full_library()


def full_library() -> Any:
    """`stlib`, whose classes load torch when they are asked for."""
    import stlib

    return stlib
