"""What is wrong with a data set, said before the first step: which data set, which column, what to do."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from stlib.base.training.columns import NUMBERS, ColumnKinds
from stlib.base.training.datasets import RESERVED_COLUMNS
from stlib.errors import InvalidInput

logger = logging.getLogger(__name__)

# Names of parts of a data set that are not for training: "test", "validation_matched", "dev-2"
_FOR_EVALUATION = re.compile(r"(test|val|valid|validation|dev|eval|evaluation)(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True)
class LossInputs:
    """What a loss expects of a data set.

    Attributes:
        least: columns that it needs, beside the label.
        most: columns that it can use; None for any number.
        strict: more columns than ``most`` are an error; otherwise they are left unused.
        label: whether it needs a label.
        label_help: what the label is, for the message.
        label_up_to: with more columns than this it needs no label.
    """

    least: int = 1
    most: int | None = None
    strict: bool = False
    label: bool = False
    label_help: str = "a number"
    label_up_to: int | None = None


@dataclass
class DataChecks:
    """Checks of the data sets of one run.

    Args:
        args: the training arguments.
        loss: the loss, or the losses by data set.
        label_columns: names that a label may have; the first that a data set has is its label.
        inputs_of: what a loss expects; None if unknown.
        default_loss: whether the loss is the family's default rather than one that was passed.
    """

    args: Any
    loss: Any
    label_columns: Sequence[str]
    inputs_of: Callable[[Any], LossInputs | None]
    default_loss: bool = False
    _columns: set[str] = field(default_factory=set)
    _names: set[str] = field(default_factory=set)
    _told: set[tuple[str, ...]] = field(default_factory=set)

    def check(self, **data: Any) -> None:
        """Check data sets and the arguments about them.

        Args:
            data: argument (``train_dataset`` or ``eval_dataset``) to a data set, a dict of them, or None.

        Raises:
            InvalidInput: a data set cannot be trained on with its loss.
        """
        given = {argument: one for argument, one in data.items() if one is not None}
        warn_of_parts_for_evaluation(given.get("train_dataset"))
        for argument, one in given.items():
            self._check_keys(argument, one)
            for name, dataset in _name_each(argument, one):
                self._check_one(name, dataset, self._loss_of(argument, name))
            if isinstance(one, Mapping):
                self._names |= set(one)
        if given:
            self._check_mapping("prompts", self.args.prompts)
            self._check_mapping("router_mapping", self.args.router_mapping)

    def _loss_of(self, argument: str, name: str) -> Any:
        if not isinstance(self.loss, dict):
            return self.loss
        return self.loss[name.removeprefix(f"{argument}[")[1:-2]]

    def _check_keys(self, argument: str, data: Any) -> None:
        """Losses by data set need data sets by name, each with a loss."""
        if not isinstance(self.loss, dict):
            return
        if not isinstance(data, Mapping):
            raise InvalidInput(
                f"loss is a dict for {', '.join(map(repr, self.loss))}, and {argument} is a single data set; "
                "pass a dict of data sets with the same names, or one loss"
            )
        if missing := [name for name in data if name not in self.loss]:
            raise InvalidInput(
                f"{argument} has {', '.join(map(repr, missing))}, for which loss has nothing; it has: "
                f"{', '.join(map(repr, self.loss))}"
            )

    def _check_one(self, name: str, dataset: Any, loss: Any) -> None:
        check_names(dataset, name)
        if hasattr(dataset, "__len__") and len(dataset) == 0:
            raise InvalidInput(f"{name} is empty; training and evaluation need at least one row")
        kinds = ColumnKinds(dataset)
        columns = kinds.columns
        label = next((column for column in self.label_columns if column in columns), None)
        texts = [column for column in columns if column != label]
        self._columns |= set(texts)
        for column in texts:
            self._check_input(name, column, kinds.problem(column), label)
        if label is not None and (problem := kinds.problem(label, as_label=True)):
            raise InvalidInput(
                f"the label column {label!r} of {name} {problem}; labels are numbers, or lists of numbers of "
                "one length"
            )
        wanted = self.inputs_of(loss)
        if wanted is not None:
            self._check_shape(name, texts, label, wanted, type(loss).__name__)
            for one in losses_in(loss):
                one._told_extra_columns = True  # type: ignore[assignment]
        if label is not None:
            check_range_of_labels(loss, kinds, label, name)

    def _check_input(self, name: str, column: str, problem: str | None, label: str | None) -> None:
        if problem is None:
            return
        if problem != NUMBERS:
            hint = "remove those rows, or the column"
        elif column in self.label_columns:
            hint = f"the label is {label!r}; remove one of the two"
        elif label is None and self.label_columns:
            hint = f"remove the column, or, if it is the label, rename it to {self.label_columns[0]!r}"
        else:
            hint = "remove the column"
        raise InvalidInput(f"column {column!r} of {name} {problem}, and every column is an input; {hint}")

    def _check_shape(
        self, name: str, texts: list[str], label: str | None, wanted: LossInputs, loss: str
    ) -> None:
        """Number of columns and presence of a label, as the loss needs them."""
        has = f"{name} has {', '.join(map(repr, texts)) or 'none'}"
        needs_label = wanted.label and len(texts) <= (wanted.label_up_to or len(texts))
        if needs_label and label is None:
            raise InvalidInput(
                f"{loss} needs a label ({wanted.label_help}) in one of the columns "
                f"{', '.join(map(repr, self.label_columns))}; {has}{self._other_loss}"
            )
        if len(texts) < wanted.least:
            raise InvalidInput(f"{loss} needs {_count(wanted)} beside the label; {has}{self._other_loss}")
        if wanted.most is not None and len(texts) > wanted.most:
            if wanted.strict:
                raise InvalidInput(
                    f"{loss} takes {_count(wanted)} beside the label; {has}; keep those with select_columns"
                )
            self._say_unused(loss, wanted.most, name, texts[wanted.most :])

    @property
    def _other_loss(self) -> str:
        """What to say to somebody who never chose the loss that complains."""
        if not self.default_loss:
            return ""
        return (
            ". It is the default, as no loss was passed: pass the one that fits the data, e.g. "
            "MultipleNegativesRankingLoss for pairs and triplets without labels"
        )

    def _say_unused(self, loss: str, used: int, name: str, unused: list[str]) -> None:
        """Once for the data sets to train on and to evaluate, which mostly have the same columns."""
        key = (loss, name.partition("[")[2], *unused)
        if key not in self._told:
            self._told.add(key)
            logger.warning(
                "%s uses the first %s of %s; %s left unused",
                loss,
                "column" if used == 1 else f"{used} columns",
                name,
                f"{', '.join(map(repr, unused))} {'is' if len(unused) == 1 else 'are'}",
            )

    def _check_mapping(self, argument: str, mapping: Any) -> None:
        """Warn of keys of ``prompts`` and ``router_mapping`` that are no columns or data sets: they have no
        effect, and may be left over from another run.
        """
        if not isinstance(mapping, Mapping):
            return
        unknown = []
        for key, value in mapping.items():
            if isinstance(value, Mapping):
                known = key in self._names
                unknown += [column for column in value if column not in self._columns] if known else [key]
            elif key not in self._columns | self._names:
                unknown.append(key)
        if unknown:
            logger.warning(
                "%s names %s, which has no effect: columns are %s%s",
                argument,
                ", ".join(map(repr, unknown)),
                ", ".join(map(repr, sorted(self._columns))),
                f", data sets {', '.join(map(repr, sorted(self._names)))}" if self._names else "",
            )


def losses_in(loss: nn.Module) -> Iterator[nn.Module]:
    """A loss, and the losses that it wraps."""
    yield loss
    inner = getattr(loss, "loss", None)
    if isinstance(inner, nn.Module):
        yield from losses_in(inner)


def check_range_of_labels(loss: nn.Module, kinds: ColumnKinds, label: str, name: str) -> None:
    """Let losses that know which labels make sense look at the range of a column."""
    for one in losses_in(loss):
        check = getattr(one, "check_range_of_labels", None)
        bounds = kinds.bounds(label, getattr(one, "ignored_label", None)) if check else None
        if check and bounds:
            check(*bounds, f"the column {label!r} of {name}")


def warn_of_parts_for_evaluation(data: Any) -> None:
    """Warn if a dict of data sets to train on has names that are those of parts to evaluate on, as the whole
    result of ``load_dataset`` has.
    """
    if not isinstance(data, Mapping):
        return
    parts = [name for name in data if _FOR_EVALUATION.match(name)]
    if parts:
        logger.warning(
            "train_dataset is a dict, and each of its data sets is trained on, also %s; if those are for "
            "evaluation, pass the others as train_dataset and one of them as eval_dataset",
            ", ".join(map(repr, parts)),
        )


def inputs_from(table: Mapping[str, LossInputs], package: str, loss: Any) -> LossInputs | None:
    """What a loss of a package expects, by the name of its class; one that wraps another expects what that
    does. None for a user's own loss.
    """
    if not type(loss).__module__.startswith(f"{package}."):
        return None
    inner = getattr(loss, "loss", None)
    if isinstance(inner, nn.Module) and type(loss).__name__ not in table:
        return inputs_from(table, package, inner)
    return table.get(type(loss).__name__)


def check_names(dataset: Any, name: str, reserved: frozenset[str] = RESERVED_COLUMNS) -> None:
    """Refuse columns by whose name batches carry something else.

    Raises:
        InvalidInput: a column has such a name.
    """
    for called, one in _name_each(name, dataset):
        taken = sorted(set(one.column_names or ()) & reserved)
        if taken:
            raise InvalidInput(
                f"the column {taken[0]!r} of {called} has a name that training uses itself; rename it with "
                "rename_column"
            )


def _name_each(argument: str, data: Any) -> Iterator[tuple[str, Any]]:
    """Data sets with what errors call them: ``train_dataset``, or ``train_dataset['name']`` of a dict."""
    if isinstance(data, Mapping):
        for name, one in data.items():
            yield f"{argument}[{name!r}]", one
    else:
        yield argument, data


def _count(wanted: LossInputs) -> str:
    most = wanted.most
    if most == wanted.least:
        return f"{most} input column{'s' if most > 1 else ''}"
    return f"at least {wanted.least} input column{'s' if wanted.least > 1 else ''}"
