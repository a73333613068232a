"""Let programs that are written for Sentence Transformers run on this library, unchanged, after one line::

    import stlib.compat; stlib.compat.install()

From then on ``import sentence_transformers``, its submodules and its documented older paths lead here, in
this process, and the models say in their type's name that they are ``sentence_transformers.…``: KeyBERT,
BERTopic and MTEB recognise a model by that text. Without the line nothing here has that name, and
:func:`uninstall` takes it back.

Who asks for the package's version, in the module or in its metadata, gets :data:`FOLLOWED`: the one whose
documented API this library follows, as that is what programs decide by.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterator
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

from stlib.errors import AlreadyImported

__all__ = ["FOLLOWED", "install", "is_installed", "uninstall"]

FOLLOWED = "6.2.0"
"""The version of Sentence Transformers whose documented API this library follows."""

_NAME = "sentence_transformers"
_DISTRIBUTION = "sentence-transformers"
_HERE = __name__.partition(".")[0]

# The classes that other libraries recognise by the name of their type, and where they are over there.
_MODELS = {
    "stlib.sentence_transformer.model": "SentenceTransformer",
    "stlib.cross_encoder.model": "CrossEncoder",
    "stlib.sparse_encoder.model": "SparseEncoder",
    "stlib.multi_vector_encoder.model": "MultiVectorEncoder",
}


def install() -> None:
    """Answer to the name ``sentence_transformers`` in this process; a second call changes nothing.

    Call it before anything imports Sentence Transformers, and in each process that is started afresh
    ("spawn") and does so itself.

    Raises:
        AlreadyImported: the package itself was imported before; objects of both would meet.
    """
    if is_installed():
        return
    foreign = sys.modules.get(_NAME)
    if foreign is not None:
        raise AlreadyImported(
            f"{_NAME} was imported from {getattr(foreign, '__file__', None) or foreign} before; call "
            "stlib.compat.install() at the top of the program, in front of what imports it"
        )
    sys.meta_path.insert(0, _FINDER)
    for place in _MODELS:
        if place in sys.modules:
            _rename_model(place)


def uninstall() -> None:
    """Give the name back: later imports find the package itself, if there is one. What was imported meanwhile
    stays as it is.
    """
    if not is_installed():
        return
    sys.meta_path.remove(_FINDER)
    for name in [name for name, module in sys.modules.items() if isinstance(module, _Alias)]:
        del sys.modules[name]
    for place, name in _MODELS.items():
        if place in sys.modules:
            _restore_model(getattr(sys.modules[place], name), place)


def is_installed() -> bool:
    """Whether :func:`install` is in force."""
    return _FINDER in sys.meta_path


class _Alias(ModuleType):
    """A module under its name over there, which hands everything on to the module here."""

    def __init__(self, name: str, target: ModuleType) -> None:
        super().__init__(name, target.__doc__)
        self.__dict__["_target"] = target

    def __getattr__(self, name: str) -> Any:
        if name == "__version__":
            return FOLLOWED
        return getattr(self.__dict__["_target"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, _Alias) or name.startswith("__"):
            # Python binds each submodule to its package; a class of the same name stays what it is.
            if name.startswith("__") or not hasattr(self._target, name):
                self.__dict__[name] = value
        else:
            setattr(self._target, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._target, name)

    def __dir__(self) -> list[str]:
        return sorted({*dir(self._target), "__version__"})


class _Finder(MetaPathFinder, Loader):
    """Finds the modules here by their names over there, and the distribution that they would belong to."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if fullname in _MODELS:
            spec = PathFinder.find_spec(fullname, path)
            if spec is not None and spec.loader is not None:
                spec.loader = _Renaming(spec.loader)
            return spec
        package, _, inner = fullname.partition(".")
        here = f"{_HERE}.{inner}" if inner else _HERE
        if package != _NAME or not _exists(here):
            return None
        # Each may have submodules: older paths of classes lie under modules that are no packages here.
        return ModuleSpec(fullname, self, origin=here, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Alias(spec.name, importlib.import_module(str(spec.origin)))

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing to run."""

    def find_distributions(self, context: Any = None) -> Iterator[importlib.metadata.Distribution]:
        """The distribution by either spelling of its name, and with all others."""
        wanted = getattr(context, "name", None)
        if wanted is None or wanted.lower().replace("_", "-").replace(".", "-") == _DISTRIBUTION:
            yield _Metadata()


class _Renaming(Loader):
    """Loads a module of models as its own loader does, and gives them their names over there."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        if is_installed():
            _rename_model(module.__name__)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)  # sources, for tracebacks


class _Metadata(importlib.metadata.Distribution):
    """What ``importlib.metadata`` says of the package while this library stands for it."""

    def read_text(self, filename: str) -> str | None:
        if filename == "METADATA":
            return (
                f"Metadata-Version: 2.1\nName: {_DISTRIBUTION}\nVersion: {FOLLOWED}\n"
                f"Summary: {_HERE}, which stands for it by stlib.compat.install()\n"
            )
        return f"{_NAME}\n" if filename == "top_level.txt" else None

    def locate_file(self, path: Any) -> Any:
        raise FileNotFoundError(f"{_DISTRIBUTION} has no files: {_HERE} stands for it")

    @property
    def files(self) -> None:
        return None


_FINDER = _Finder()


def _exists(name: str) -> bool:
    """Whether there is a module of this name here; its packages are imported."""
    if name in sys.modules:
        return True
    package = name.rpartition(".")[0]
    if package:
        if not _exists(package):
            return False
        importlib.import_module(package)
    if name in sys.modules:  # an older path, entered by its package
        return True
    if package and not hasattr(sys.modules[package], "__path__"):
        return False
    return importlib.util.find_spec(name) is not None


def _rename_model(place: str) -> None:
    cls = getattr(sys.modules[place], _MODELS[place])
    cls.__module__ = f"{_NAME}.{place.partition('.')[2]}"
    cls.__reduce_ex__ = _reduce_by_home


def _restore_model(cls: type, place: str) -> None:
    cls.__module__ = place
    if "__reduce_ex__" in vars(cls):
        del cls.__reduce_ex__


def _reduce_by_home(self: Any, protocol: Any) -> Any:
    """What pickle keeps of a model: the module that it is from, which other processes have, too."""
    reduced: Any = object.__reduce_ex__(self, protocol)
    cls = type(self)
    places = [place for place, name in _MODELS.items() if getattr(sys.modules.get(place), name, None) is cls]
    if not places:  # a subclass, whose own module has it
        return reduced
    return (_make_bare, (places[0], cls.__name__), *reduced[2:])


def _make_bare(place: str, name: str) -> Any:
    cls = getattr(importlib.import_module(place), name)
    return cls.__new__(cls)
