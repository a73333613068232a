"""What needs torch: the classes of the library, with a word on what is missing where torch does not load."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stlib.runtime import MissingDependencyError

__all__ = ["full_class", "quiet_loading"]


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
