"""What is compared: by default what a person would ask about next, else what they choose."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from app.report.model import System
from indexing.errors import BadInput
from indexing.names import (
    BUNDLED_RERANKER,
    DEFAULT_MODE,
    PRECISIONS,
    modes_with,
)
from indexing.serving.history import Serving

__all__ = ["MOST_SYSTEMS", "ReportChoices", "choose_systems", "parse_system", "spell_system"]

MOST_SYSTEMS = 20
"""A table of more is read by nobody, and each is one more test to pay for."""

_NO_MODEL = "other precisions need the model, and this collection has vectors of your own"
_SPELLED = re.compile(
    r"(?P<serving>\d{1,9}),(?P<mode>\w+)(,precision=(?P<precision>\w+))?(,rerank=(?P<rerank>.*))?"
)

_OTHERS = 3  # servings beside the live one that are compared unasked: the newest


@dataclass(frozen=True)
class ReportChoices:
    """What to compare: all combinations of what is given. Nothing given at all compares what is live in every
    mode, with and without a reranker, and the newest other servings.

    Attributes:
        rerankers: models; "" for none.
        precisions: of vectors, made in a scratch folder where they are not those of what is live.
        systems: exactly these and no others, as `spell_system` writes them; the first is the baseline.
    """

    modes: Sequence[str] = ()
    rerankers: Sequence[str] = ()
    servings: Sequence[int] = ()
    precisions: Sequence[str] = ()
    systems: Sequence[str] = ()

    @property
    def given(self) -> bool:
        return bool(self.modes or self.rerankers or self.servings or self.precisions)


def choose_systems(choices: ReportChoices, servings: Sequence[Serving]) -> list[System]:
    """The systems to compare. The first is the baseline: the live serving as a plain search has it.

    Raises:
        BadInput: a name or number that there is not, or too many systems.
    """
    live = next(one for one in servings if one.live)
    baseline = System(live.id, DEFAULT_MODE)
    if choices.systems:
        if choices.given:
            raise BadInput("systems are given one by one and as combinations: give one of the two")
        systems = list(
            dict.fromkeys(_check_system(parse_system(one), live, servings) for one in choices.systems)
        )
    else:
        others = _chosen(choices, live, servings) if choices.given else _usual(live, servings)
        systems = list(dict.fromkeys([baseline, *others]))
    if len(systems) > MOST_SYSTEMS:
        raise BadInput(
            f"{len(systems)} systems would be compared: choose so that they are {MOST_SYSTEMS} or fewer"
        )
    return systems


def _usual(live: Serving, servings: Sequence[Serving]) -> list[System]:
    modes = [System(live.id, mode) for mode in modes_with(live.beside) if mode != DEFAULT_MODE]
    reranked = System(live.id, DEFAULT_MODE, "" if live.reranker else BUNDLED_RERANKER)
    others = [one for one in reversed(servings) if not one.live and not one.behind][:_OTHERS]
    return [*modes, reranked, *(System(one.id, DEFAULT_MODE) for one in others)]


def _chosen(choices: ReportChoices, live: Serving, servings: Sequence[Serving]) -> list[System]:
    _check("mode", choices.modes, modes_with(live.beside))
    _check("precision", choices.precisions, PRECISIONS)
    known = {one.id: one for one in servings}
    for id_ in choices.servings:
        _check_serving(id_, known)
    if choices.precisions and not live.model:
        raise BadInput(_NO_MODEL)
    precisions: list[str | None] = [None if one == live.precision else one for one in choices.precisions]
    rerankers: list[str | None] = [*choices.rerankers] or [None]
    every = product(
        choices.servings or [live.id], choices.modes or [DEFAULT_MODE], rerankers, precisions or [None]
    )
    return [
        System(serving, mode, None if rerank == (known[serving].reranker or "") else rerank, precision)
        for serving, mode, rerank, precision in every
        if precision is None or serving == live.id
    ]


def spell_system(system: System) -> str:
    """A system in one word: `3,hybrid`, `3,hybrid,rerank=`, `3,semantic,precision=binary`."""
    parts = [str(system.serving), system.mode]
    if system.precision is not None:
        parts.append(f"precision={system.precision}")
    if system.rerank is not None:
        parts.append(f"rerank={system.rerank}")
    return ",".join(parts)


def parse_system(text: str) -> System:
    """
    Raises:
        BadInput: it is none that `spell_system` wrote.
    """
    match = _SPELLED.fullmatch(text)
    if match is None:
        raise BadInput(
            f"system {text!r}: write a serving and a mode, such as 3,hybrid or 3,hybrid,rerank=MODEL"
        )
    return System(int(match["serving"]), match["mode"], match["rerank"], match["precision"])


def _check_system(system: System, live: Serving, servings: Sequence[Serving]) -> System:
    _check("mode", [system.mode], modes_with(live.beside))
    _check_serving(system.serving, {one.id: one for one in servings})
    if system.precision is not None:
        _check("precision", [system.precision], PRECISIONS)
        if system.serving != live.id or not live.model:
            raise BadInput(_NO_MODEL if not live.model else "other precisions are made of what is live alone")
    return system


def _check_serving(id_: int, known: Mapping[int, Serving]) -> None:
    if id_ not in known:
        raise BadInput(f"no serving {id_}; there are: {', '.join(map(str, known))}")
    if known[id_].behind:
        raise BadInput(
            f"serving {id_} has not followed the last {known[id_].behind:,} changes of the collection, so it"
            " would be measured on other documents: leave it out"
        )


def _check(what: str, given: Sequence[str], allowed: Sequence[str]) -> None:
    for one in given:
        if one not in allowed:
            raise BadInput(f"{what} {one!r}: use one of {', '.join(allowed)}")
