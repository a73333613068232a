"""Options for what passages have beside their vectors: a third leg, and vectors of tokens to rerank by."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

from indexing.names import LEGS, OPTIONAL_LEGS

__all__ = ["beside_options", "sparse_of"]

F = TypeVar("F", bound=Callable[..., object])

_ALWAYS = tuple(leg for leg in LEGS if leg not in OPTIONAL_LEGS)


class _Legs(click.ParamType[tuple[str, ...]]):
    """Names of legs, separated by commas."""

    name = "LEGS"

    def convert(
        self, value: object, parameter: click.Parameter | None, context: click.Context | None
    ) -> tuple[str, ...]:
        legs = tuple(part.strip() for part in str(value).split(",") if part.strip())
        known = (*_ALWAYS, "sparse")
        if unknown := [leg for leg in legs if leg not in known]:
            self.fail(f"{unknown[0]!r} is no leg; there are {', '.join(known)}")
        if missing := [leg for leg in _ALWAYS if leg not in legs]:
            self.fail(
                f"{missing[0]} is missing: every collection has {' and '.join(_ALWAYS)}, and a weight of 0"
                f" leaves one out (`stlib reindex NAME --weight {missing[0]}=0`)"
            )
        return legs


def beside_options(command: F) -> F:
    """`--legs`, `--sparse` and `--tokens`."""
    decorators = [
        click.option(
            "--legs",
            type=_Legs(),
            metavar="LEGS",
            help="What hybrid search walks on: semantic,keyword or semantic,keyword,sparse. Sparse finds by"
            " terms that a small model weighs and adds; indexing takes longer.",
        ),
        click.option(
            "--sparse",
            metavar="M",
            help="Folder or name of the model of weighted terms that the sparse leg is made by.",
        ),
        click.option(
            "--tokens",
            metavar="M",
            help="Folder or name of a late-interaction model; its vectors are stored for --rerank tokens.",
        ),
    ]
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


def sparse_of(legs: tuple[str, ...] | None, sparse: str | None) -> str | None:
    """The model of weighted terms that both options ask for: "" for none, None where nothing is said.

    Raises:
        UsageError: they contradict each other.
    """
    if legs is None:
        return sparse
    if "sparse" in legs:
        if not sparse:
            raise click.UsageError(
                "the sparse leg needs a model of weighted terms, and none comes with the package: give"
                " --sparse MODEL, the folder of a SparseEncoder; `python -m stlib.recipes.inference_free`"
                " trains one"
            )
        return sparse
    if sparse:
        raise click.UsageError("--sparse needs the leg: --legs semantic,keyword,sparse, or leave --legs away")
    return ""
