"""Documented short path of :mod:`stlib.sentence_transformer.modules`."""

from typing import Any

from stlib.sentence_transformer import modules

__all__ = modules.__all__


def __getattr__(name: str) -> Any:
    return getattr(modules, name)
