"""Find what the running interpreter's standard library makes public, each thing once.

``public_members()`` imports the library's public modules and returns every public, reachable
module, class, function, method and attribute under one canonical dotted name. An object reachable
under several names keeps the one with the fewest parts (``asyncio.run``, not
``asyncio.runners.run``); among those, the one in the module that defines it, under its own name.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import pkgutil
import sys
import types
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# Not public: demonstrations, tests, installers, modules with an effect when imported, and packages
# that were deprecated and are gone from newer versions.
# fmt: off
_LEFT_OUT = frozenset(
    [
        "antigravity", "distutils", "ensurepip", "idlelib", "lib2to3", "pip", "pydoc_data", "setuptools",
        "test", "this", "turtledemo",
    ]
)
# fmt: on
# The platform's halves of a public module: what they hold is shown under the public name.
# fmt: off
_IMPLEMENTATION = frozenset(
    [
        "genericpath", "nt", "ntpath", "nturl2path", "opcode", "posix", "posixpath", "pyexpat",
        "sre_compile", "sre_constants", "sre_parse",
    ]
)
# fmt: on
# Hundreds of generated character tables.
_CLOSED_PACKAGES = frozenset(["encodings"])
_TEST_PARTS = frozenset(["test", "tests", "idle_test"])
# Special methods that hold nothing to search for: what they do follows from their name.
# fmt: off
_DULL = frozenset(
    [
        "__alloc__", "__class_getitem__", "__copy__", "__deepcopy__", "__del__", "__dir__", "__format__",
        "__getnewargs__", "__getnewargs_ex__", "__getstate__", "__init__", "__init_subclass__",
        "__instancecheck__", "__new__", "__prepare__", "__reduce__", "__reduce_ex__", "__replace__",
        "__repr__", "__set_name__", "__setstate__", "__sizeof__", "__subclasscheck__", "__subclasshook__",
    ]
)
# fmt: on
# Modules that importing their parent brings, and that no file of this name holds.
_BY_IMPORT = ("os.path", "xml.parsers.expat.errors", "xml.parsers.expat.model")

_FUNCTION_TYPES = (types.FunctionType, types.BuiltinFunctionType, types.MethodType)
_METHOD_TYPES = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
)
_ATTRIBUTE_TYPES = (types.GetSetDescriptorType, types.MemberDescriptorType)


@dataclass(frozen=True)
class Member:
    """One public thing: ``name`` is its dotted name, ``doc`` its own docstring, uncleaned."""

    name: str
    module: str
    kind: str  # module, class, function, method, property or attribute
    obj: Any
    doc: str


@dataclass(frozen=True)
class _Candidate:
    """One name under which an object is reachable."""

    member: Member
    identity: tuple[int, str]
    rank: tuple[int, bool, bool, bool]


def public_members() -> list[Member]:
    """Return the library's public members, each once, sorted by name."""
    modules = _public_modules()
    candidates: list[_Candidate] = []
    for name, module in modules.items():
        candidates.extend(_module_candidates(name, module, modules))
    chosen: dict[tuple[int, str], _Candidate] = {}
    for candidate in candidates:
        best = chosen.get(candidate.identity)
        if best is None or candidate.rank < best.rank:
            chosen[candidate.identity] = candidate
    members = [_module_member(name, module) for name, module in modules.items()]
    classes = {id(c.member.obj) for c in chosen.values() if c.member.kind == "class"}
    for choice in chosen.values():
        members.append(choice.member)
        if choice.member.kind == "class":
            members.extend(_class_members(choice.member, classes))
    return sorted(_once_each(members), key=lambda member: member.name)


def _public_modules() -> dict[str, types.ModuleType]:
    """Import every public module that this platform has; parents come before their children."""
    modules: dict[str, types.ModuleType] = {}
    with _quiet():
        for name in sorted(sys.stdlib_module_names):
            if _is_public(name) and not name.startswith("xx"):
                _import_tree(name, modules)
    return modules


def _import_tree(name: str, modules: dict[str, types.ModuleType]) -> None:
    """Import a module and the public modules inside it, leaving out those this platform lacks."""
    try:
        modules[name] = importlib.import_module(name)
    except ImportError:  # a module of another platform, or built without its C library
        return
    if name in _CLOSED_PACKAGES:
        return
    inside = {
        f"{name}.{found.name}" for found in pkgutil.iter_modules(getattr(modules[name], "__path__", ()))
    }
    inside.update(path for path in _BY_IMPORT if path.rpartition(".")[0] == name)
    for child in sorted(inside):
        if _is_public(child):
            _import_tree(child, modules)


def _is_public(name: str) -> bool:
    parts = name.split(".")
    if any(part.startswith("_") or part in _TEST_PARTS for part in parts):
        return False
    return parts[0] not in _LEFT_OUT | _IMPLEMENTATION


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep deprecation warnings and prints of imported modules from the terminal."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _module_member(name: str, module: types.ModuleType) -> Member:
    return Member(name, name, "module", module, module.__doc__ or "")


def _module_candidates(
    name: str, module: types.ModuleType, modules: dict[str, types.ModuleType]
) -> Iterator[_Candidate]:
    listed = list(getattr(module, "__all__", ()))
    prefix = "" if name == "builtins" else f"{name}."
    for attribute in [*listed, *sorted(vars(module).keys() - set(listed))]:
        with _quiet():  # reading a deprecated name warns
            obj = getattr(module, attribute, None)
        kind = _kind_of_global(obj)
        if kind is None or attribute.startswith("_"):
            continue
        home = getattr(obj, "__module__", None) or ""
        if attribute not in listed and not _belongs(name, home, bool(listed), modules):
            continue
        member = Member(f"{prefix}{attribute}", name, kind, obj, own_doc(obj))
        if kind == "class" and home.startswith("_") and _is_base_alias(module, attribute, obj):
            continue
        foreign = home != name and home.lstrip("_") != name
        rank = (
            member.name.count("."),
            foreign,
            attribute not in listed,
            getattr(obj, "__name__", "") != attribute,
        )
        yield _Candidate(member, _identity(obj, name), rank)


def _belongs(name: str, home: str, has_list: bool, modules: dict[str, types.ModuleType]) -> bool:
    """Tell whether what a module holds without listing it is its own, not imported for its use.

    Without any list, what comes from private modules, such as ``_bisect``, is the module's own too.
    """
    return home == name or name == "builtins" or not (has_list or home in modules)


def _is_base_alias(module: types.ModuleType, attribute: str, cls: type) -> bool:
    """Tell a C base class under another name, such as ``socket.SocketType`` beside ``socket.socket``.

    Its members are shown under the module's own class.
    """
    others = (each for each in vars(module).values() if isinstance(each, type) and each is not cls)
    return cls.__name__ != attribute and any(issubclass(other, cls) for other in others)


def _kind_of_global(obj: object) -> str | None:
    """Return the kind of a module's attribute, or None for data without a docstring of its own."""
    if isinstance(obj, type):
        return "class"
    if isinstance(obj, _FUNCTION_TYPES) or hasattr(obj, "__wrapped__"):
        return "function"
    if obj is None or isinstance(obj, types.ModuleType):
        return None
    own = getattr(obj, "__doc__", None)
    return "attribute" if isinstance(own, str) and own != type(obj).__doc__ else None


def _identity(obj: object, module: str) -> tuple[int, str]:
    """Return what makes two names the same thing.

    ``random.choice`` is a method of a hidden ``random.Random`` and counts as that method, whereas
    ``secrets.choice``, the same method offered by another module, is a thing of its own.
    """
    if isinstance(obj, types.MethodType):
        home = getattr(obj, "__module__", "").partition(".")[0]
        return id(obj.__func__), "" if home == module.partition(".")[0] else module
    return id(obj), ""


def _class_members(owner: Member, public_classes: set[int]) -> Iterator[Member]:
    """Yield the members that a class defines itself or takes from bases that are not public.

    Members of public bases appear there and are not repeated here.
    """
    covered = {cls for base in owner.obj.__mro__[1:] if id(base) in public_classes for cls in base.__mro__}
    namespaces = [vars(cls) for cls in owner.obj.__mro__ if cls not in covered | {object}]
    for name in sorted({name for namespace in namespaces for name in namespace}):
        special = name.startswith("__") and name.endswith("__") and name not in _DULL
        if name.startswith("_") and not special:
            continue
        found = [namespace[name] for namespace in namespaces if name in namespace]
        obj = _unwrapped(found[0])
        kind = _kind_in_class(obj)
        if kind is None or (special and kind != "method"):
            continue
        doc = next(filter(None, (own_doc(_unwrapped(each)) for each in found)), "")
        yield Member(f"{owner.name}.{name}", owner.module, kind, obj, doc)


def _unwrapped(obj: object) -> Any:
    return obj.__func__ if isinstance(obj, (classmethod, staticmethod)) else obj


def _kind_in_class(obj: object) -> str | None:
    if isinstance(obj, _METHOD_TYPES):
        return "method"
    if isinstance(obj, _ATTRIBUTE_TYPES):
        return "attribute"
    if hasattr(obj, "fget") or type(obj).__name__ == "cached_property":
        return "property"
    return "method" if hasattr(obj, "__wrapped__") else None


def own_doc(obj: object) -> str:
    """Return an object's docstring; a class that inherits one has none of its own."""
    inherits = isinstance(obj, type) and "__doc__" not in vars(obj)
    doc = None if inherits or obj is None else obj.__doc__
    return doc if isinstance(doc, str) else ""


def _once_each(members: list[Member]) -> Iterator[Member]:
    """Leave out methods that a module or the same class offers under a better name already."""
    seen: set[int] = set()
    names: set[str] = set()
    for member in sorted(members, key=_plainness):
        function = getattr(member.obj, "__func__", member.obj)
        shared_function = member.kind == "method" and id(function) in seen
        if not shared_function and member.name not in names:
            seen.add(id(function))
            names.add(member.name)
            yield member


def _plainness(member: Member) -> tuple[int, bool, str]:
    own_name = getattr(member.obj, "__name__", "")
    return member.name.count("."), own_name != member.name.rpartition(".")[2], member.name
