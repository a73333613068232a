"""The functions that a page may ask for: these, and no others."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, get_type_hints

from app.desk import codec, entering, improving, keeping, measuring, searching, working
from app.desk.visit import Visit
from app.facade.collections import Incoming
from indexing.errors import BadInput

__all__ = ["ENTRIES", "READS", "Entry", "entry_of", "right_for"]

_MODULES = (searching, keeping, working, measuring, improving, entering)
_FILES = Sequence[Incoming]

READS = frozenset(
    {
        "searching.collections",
        "searching.outline",
        "searching.count_documents",
        "searching.facets",
        "searching.compare",
        "searching.said",
        "searching.find_original",
        "searching.original_page",
        "searching.original_lines",
        "searching.original_file",
        "keeping.facts",
        "keeping.models",
        "keeping.limits",
        "keeping.folders",
        "keeping.folders_of",
        "working.jobs",
        "working.log",
        "measuring.evaluation",
        "measuring.running",
        "measuring.report",
        "improving.state",
        "improving.judged",
        "improving.people",
        "improving.to_judge",
        "improving.documents",
        "improving.seconds",
        "improving.tuning_job",
        "entering.who",
    }
)
"""Those that change nothing, and may be asked again where an answer was lost on its way."""


_RIGHTS = {
    "judge": (
        "searching.say",
        "measuring.add_set",
        "measuring.delete_set",
        "improving.judged",
        "improving.people",
        "improving.to_judge",
    ),
    "improve": (
        "measuring.start",
        "improving.begin_trial",
        "improving.end_trial",
        "improving.promote",
        "improving.roll_back",
        "improving.tune",
    ),
    "manage": (
        "entering.make_person_key",
        "entering.revoke_person_key",
        "keeping.add_files",
        "keeping.add_folder",
        "keeping.create",
        "keeping.delete",
        "keeping.folders",
        "keeping.folders_of",
        "keeping.forget_uploads",
        "keeping.models",
        "keeping.sync",
        "keeping.verify",
    ),
}
_FOR_ANYBODY = ("entering.who",)


def right_for(name: str) -> str | None:
    """What one must be allowed at least to ask a function, before anything that is sent is read; None for
    nothing. The function asks again, and of its collection.
    """
    asked = (right for right, names in _RIGHTS.items() if name in names)
    return None if name in _FOR_ANYBODY else next(asked, "search")


@dataclass(frozen=True)
class Entry:
    """A function, by its `name` in the table: what it takes besides the visit, and what it gives. `files` is
    the argument that is a list of files, which travel beside the JSON; empty where there is none.
    """

    name: str
    function: Callable[..., Any]
    takes: dict[str, Any]
    gives: Any
    files: str

    def encode_arguments(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """By their names; files are left out."""
        return {
            name: codec.encode(arguments[name], self.takes[name]) for name in arguments if name != self.files
        }

    def decode_arguments(self, data: Any) -> dict[str, Any]:
        """
        Raises:
            BadInput: one is missing, unknown, or not of its type.
        """
        if not isinstance(data, dict):
            raise BadInput(f"{self.name} takes an object with its arguments by their names")
        if unknown := sorted(data.keys() - self.takes.keys() | (data.keys() & {self.files})):
            raise BadInput(f"{self.name} takes no argument {unknown[0]!r}")
        read = {name: codec.decode(data[name], self.takes[name], name) for name in data}
        needed = [
            name
            for name, parameter in _parameters(self.function).items()
            if parameter.default is parameter.empty and name not in (*read, self.files)
        ]
        if needed:
            raise BadInput(f"{self.name} needs the argument {needed[0]!r}")
        return read

    def arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """What is given to the function, by name."""
        bound = inspect.signature(self.function).bind(None, *args, **kwargs)
        return dict(list(bound.arguments.items())[1:])


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    return dict(list(inspect.signature(function).parameters.items())[1:])


def _describe(module: Any, name: str) -> Entry:
    function = getattr(module, name)
    hints = get_type_hints(function)
    gives = hints.pop("return")
    takes = {one: hints[one] for one in _parameters(function)}
    files = next((one for one, kind in takes.items() if kind == _FILES), "")
    return Entry(f"{module.__name__.rpartition('.')[2]}.{name}", function, takes, gives, files)


def _is_asked(function: Any) -> bool:
    """Whether it is a function that takes a visit: types stand in `__all__` too."""
    return inspect.isfunction(function) and next(iter(get_type_hints(function).values()), None) is Visit


ENTRIES: dict[str, Entry] = {
    entry.name: entry
    for module in _MODULES
    for entry in (_describe(module, name) for name in module.__all__ if _is_asked(getattr(module, name)))
}


@cache
def entry_of(function: Callable[..., Any]) -> Entry:
    """
    Raises:
        KeyError: it is not in the table.
    """
    return ENTRIES[f"{function.__module__.rpartition('.')[2]}.{function.__name__}"]
