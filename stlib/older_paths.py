"""Import paths of earlier generations: ``stlib.models.Pooling`` is a module there as well as a class.

An older path is an entry of ``sys.modules`` that hands every name on to the module of today, which is
imported at that moment and not before. There is no file for it: Python would bind the file's module as an
attribute of its package and so hide the class of the same name. Its first use warns, with the path to write.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Mapping
from types import ModuleType
from typing import Any


class OlderPath(ModuleType):
    """A module under its older name."""

    def __init__(self, name: str, target: str) -> None:
        super().__init__(name, f"Older name of :mod:`{target}`.")
        self._target = target
        self._told = False

    def __getattr__(self, name: str) -> Any:
        # Tools that walk over sys.modules ask each for __file__, __path__ and the like.
        if name.startswith("__") and name != "__all__":
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if name != "__all__" and not self._told:
            self._told = True
            package, _, last = self.__name__.rpartition(".")
            newer = package if name == last else self._target
            message = f"{self.__name__} is an older import path; write from {newer} import {name}"
            warnings.warn(message, DeprecationWarning, stacklevel=2)
        target = importlib.import_module(self._target)
        if name == "__all__":
            return getattr(target, "__all__", [n for n in vars(target) if not n.startswith("_")])
        return getattr(target, name)

    def __dir__(self) -> list[str]:
        return dir(importlib.import_module(self._target))


def add_older_path(name: str, target: str) -> None:
    """Make ``import name`` and ``from name import …`` serve what the module ``target`` holds."""
    sys.modules.setdefault(name, OlderPath(name, target))


def add_class_paths(package: str, classes: Mapping[str, type]) -> None:
    """Serve each class as ``from {package}.{its name} import {its name}``, too, as the first generations did
    with a file for each.
    """
    for name, cls in classes.items():
        add_older_path(f"{package}.{name}", cls.__module__)
