"""What evaluators have in common before they measure: columns that fit together, names of similarities."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

from stlib.errors import InvalidInput, InvalidOption
from stlib.util.lists import refuse_text
from stlib.util.similarity_function import SimilarityFunction

OF_ONE_VECTOR = ("cosine", "dot", "euclidean", "manhattan")
"""Similarities of models with one vector per text."""


def check_columns(**columns: Sequence[Any]) -> None:
    """Refuse columns of different lengths, empty ones, and a text for a column.

    Raises:
        InvalidInput: names the columns with their lengths.
    """
    refuse_text(**columns)
    lengths = {name: len(column) for name, column in columns.items()}
    shown = ", ".join(f"{name} has {length:,}" for name, length in lengths.items())
    if len(set(lengths.values())) > 1:
        raise InvalidInput(f"{shown}; row i of each belongs together, so give all the same length")
    if not any(lengths.values()):
        raise InvalidInput(f"{shown}; there is nothing to evaluate without a single row")


def similarity_names(
    names: Iterable[str | SimilarityFunction] | None,
    main: SimilarityFunction | None = None,
    allowed: Sequence[str] = OF_ONE_VECTOR,
) -> list[str]:
    """The names of similarity functions, each once and ``main`` among them; none for None.

    Args:
        allowed: those that fit the family of models.

    Raises:
        InvalidOption: a name is unknown.
    """
    given = [names] if isinstance(names, (str, SimilarityFunction)) else list(names or [])
    chosen = [name.value if isinstance(name, SimilarityFunction) else name for name in given]
    if main is not None:  # the metric that decides has to be measured
        chosen.append(main.value)
    if unknown := sorted({str(name) for name in chosen} - set(allowed)):
        raise InvalidOption(
            f"similarity_fn_names has {', '.join(map(repr, unknown))}; allowed are: {', '.join(allowed)}"
        )
    return list(dict.fromkeys(chosen))


def main_similarity_of(name: str | SimilarityFunction | None, argument: str) -> SimilarityFunction | None:
    """The member of a name; None for none.

    Raises:
        InvalidOption: the name is unknown; the message names the ``argument``.
    """
    if not name:
        return None
    try:
        return SimilarityFunction(name)
    except ValueError:
        allowed = ", ".join(SimilarityFunction.possible_values())
        raise InvalidOption(f"{argument} is {name!r}; allowed are: {allowed}") from None


def resolve_progress(show_progress_bar: bool | None, logger: logging.Logger) -> bool:
    """None shows a bar where the log shows information."""
    if show_progress_bar is None:
        return logger.getEffectiveLevel() in (logging.INFO, logging.DEBUG)
    return show_progress_bar


def drop_unset(**settings: Any) -> dict[str, Any]:
    """The settings that are not None, for ``get_config_dict``."""
    return {name: value for name, value in settings.items() if value is not None}


def texts_of_examples(examples: Iterable[Any], width: int) -> list[list[Any]]:
    """Columns of the first ``width`` texts of :class:`~stlib.readers.InputExample` objects.

    Raises:
        InvalidInput: an example has fewer texts.
    """
    columns: list[list[Any]] = [[] for _ in range(width)]
    for position, example in enumerate(examples):
        if len(example.texts) < width:
            raise InvalidInput(f"example {position} has {len(example.texts)} texts; {width} are needed")
        for column, text in zip(columns, example.texts, strict=False):
            column.append(text)
    return columns
