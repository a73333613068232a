"""What needs torch: the classes of the library, with a word on what is missing where torch does not load."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from stlib.runtime import MissingDependencyError

__all__ = ["full_class", "module_settings", "quiet_loading", "weights_digest"]


def full_class(name: str) -> Any:
    """`stlib.SentenceTransformer` or `stlib.CrossEncoder`.

    Raises:
        MissingDependencyError: torch, or a package beside it, is not installed or does not load.
    """
    import stlib

    try:
        return getattr(stlib, name)
    except (ImportError, OSError) as error:  # a shared library that is missing is an OSError
        raise MissingDependencyError(_remedy(error)) from error


def _remedy(error: ImportError | OSError) -> str:
    missing = isinstance(error, ModuleNotFoundError) and error.name
    if missing and missing.partition(".")[0] != "stlib":
        package = missing.partition(".")[0]
        needs = "torch" if package == "torch" else f"torch and {package}"
        return f"it needs {needs}, and {package} is not installed: pip install {package}"
    said = " ".join(str(error).split())
    return (
        f"it needs torch, which does not load here ({type(error).__name__}: {said}): install it anew for "
        "this machine, pip install --force-reinstall torch"
    )


def module_settings(model: Any) -> list[list[Any]]:
    """Place, class and settings (JSON values) of every module of a model, those on the routes of a router
    too: by what is pooled and counted, and how, models of the same weights differ.
    """
    return [
        # The width of an embedding follows from the weights; some modules know it after the first batch only.
        [name, type(module).__name__, {**module.get_config_dict(), "embedding_dimension": None}]
        for name, module in model.named_modules(remove_duplicate=False)
        if hasattr(module, "get_config_dict")
    ]


def weights_digest(header: str, weights: Mapping[str, Any]) -> str:
    """sha256 over `header` and over the names, shapes and values of tensors."""
    digest = hashlib.sha256(header.encode())
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Keep bars of loading and downloading out of a stderr that is no terminal but a file or a program."""
    from transformers.utils import logging

    if sys.stderr.isatty() or not logging.is_progress_bar_enabled():
        yield
        return
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.enable_progress_bar()
