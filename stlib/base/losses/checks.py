"""Refusals of batches that a loss cannot use, which name the loss, what came and what it takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from stlib.errors import InvalidInput, InvalidOption
from stlib.util.names import describe_value


def check_model(loss: nn.Module, model: Any, called: str = "model") -> None:
    """Refuse what cannot embed, such as the name of a model.

    Raises:
        InvalidOption: ``model`` is no object that can be called.
    """
    if isinstance(model, type) or not callable(model):
        name = repr(model) if isinstance(model, str) else "name or folder"
        raise InvalidOption(
            f"the {called} of {type(loss).__name__} is {describe_value(model)}; pass a loaded model, e.g. "
            f"SentenceTransformer({name})"
        )


def require_columns(loss: nn.Module, columns: Sequence[Any], wanted: int, names: str) -> None:
    """Refuse too few columns.

    Raises:
        InvalidInput: fewer than ``wanted``.
    """
    if len(columns) < wanted:
        raise InvalidInput(
            f"{type(loss).__name__} got {len(columns)} column(s) of inputs and needs {wanted}: {names}. "
            "Columns are taken in the order of the dataset, labels not counted."
        )


def check_exact_columns(loss: nn.Module, columns: Sequence[Any], wanted: int, names: str) -> None:
    """As :func:`require_columns`, and refuse more columns too."""
    if len(columns) != wanted:
        raise InvalidInput(
            f"{type(loss).__name__} got {len(columns)} column(s) of inputs and takes exactly {wanted}: "
            f"{names}. Columns are taken in the order of the dataset, labels not counted."
        )


def require_labels(loss: nn.Module, labels: Any, what: str) -> Any:
    """The labels, if there are any.

    Raises:
        InvalidInput: the batch has none.
    """
    if labels is None:
        raise InvalidInput(
            f"{type(loss).__name__} needs labels and the batch has none; give the dataset a column 'label' "
            f"with {what}"
        )
    return labels


def labels_per_row(loss: nn.Module, labels: Tensor | None, rows: int, what: str) -> Tensor:
    """Labels of shape ``[n]``, whatever shape of as many elements they came in.

    Raises:
        InvalidInput: there are none, or not one per row.
    """
    given: Tensor = require_labels(loss, labels, what)
    if given.numel() != rows:
        raise InvalidInput(
            f"{type(loss).__name__} takes {rows} labels for {rows} rows, each {what}; got {given.numel()}, "
            f"of shape {tuple(given.shape)}"
        )
    return given.reshape(-1)


def teacher_margins(loss: nn.Module, labels: Tensor | None, rows: int, negatives: int) -> Tensor:
    """Margins ``[n, k]`` between a teacher's scores of the positive and of k negatives.

    Args:
        labels: the margins themselves, ``[n]`` if k is 1; or the scores ``[n, 1 + k]``, the positive first.

    Raises:
        InvalidInput: there are no labels, or they have another shape.
    """
    given: Tensor = require_labels(loss, labels, "the teacher's margins, or its scores").detach()
    if given.shape == (rows, negatives + 1):
        return given[:, :1] - given[:, 1:]
    if given.shape == (rows,) and negatives == 1:
        return given.unsqueeze(1)
    if given.shape == (rows, negatives):
        return given
    raise InvalidInput(
        f"{type(loss).__name__} got labels of shape {tuple(given.shape)} for {rows} rows with {negatives} "
        f"negative(s); it takes margins, {negatives} a row, or scores of positive and negatives, "
        f"{negatives + 1} a row"
    )
