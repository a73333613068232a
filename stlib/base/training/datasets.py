"""The containers in which data sets reach a trainer, and the names that their rows carry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from torch.utils.data import ConcatDataset
from torch.utils.data import IterableDataset as TorchIterableDataset

from stlib.errors import InvalidInput
from stlib.util.names import describe_value

RESERVED_COLUMNS = frozenset({"return_loss", "dataset_name"})
"""Names that columns cannot have, as batches carry other things by them."""


def as_training_data(data: Any, argument: str) -> Any:
    """What was passed as ``train_dataset`` or ``eval_dataset``, as one of the four types of ``datasets``.

    A dict becomes a ``DatasetDict`` or ``IterableDatasetDict``, a list of rows (dicts) a ``Dataset``, and a
    list of data sets a dict of them named ``"0"``, ``"1"``, … . The caller's objects are not changed.

    Raises:
        InvalidInput: it is something else, or a data set is empty or mixed with ones of another kind.
    """
    import datasets

    if data is None or isinstance(data, datasets.Dataset):
        return data
    if isinstance(data, datasets.IterableDataset):
        return _with_features(data, argument)
    if isinstance(data, (list, tuple)) and data:
        if all(isinstance(row, Mapping) for row in data) and not isinstance(data[0], datasets.DatasetDict):
            return datasets.Dataset.from_list([dict(row) for row in data])
        data = {str(position): one for position, one in enumerate(data)}
    if isinstance(data, Mapping) and data:
        return _as_dict(data, argument)
    raise InvalidInput(f"{argument} is {_describe(data)}; {_remedy(data)}")


def _describe(data: Any) -> str:
    """What came in place of a data set, as words that follow "is"."""
    empty = " without any rows" if isinstance(data, (list, tuple, Mapping)) and not data else ""
    return f"{describe_value(data)}{empty}"


def _remedy(data: Any) -> str:
    package = type(data).__module__.split(".")[0]
    if package == "pandas" and hasattr(data, "columns"):
        return "convert it: Dataset.from_pandas(frame, preserve_index=False) of the package datasets"
    if package == "polars" and hasattr(data, "columns"):
        return "convert it: Dataset.from_polars(frame) of the package datasets"
    if isinstance(data, str):
        return "load it first, e.g. with load_dataset('csv', data_files=...) of the package datasets"
    return (
        "pass a Dataset, DatasetDict, IterableDataset, IterableDatasetDict, a dict or list of data sets, or "
        "a list of rows"
    )


def _as_dict(data: Mapping[Any, Any], argument: str) -> Any:
    import datasets

    named = {str(name): as_training_data(one, f"{argument}[{name!r}]") for name, one in data.items()}
    if all(isinstance(one, datasets.Dataset) for one in named.values()):
        return datasets.DatasetDict(named)
    if all(isinstance(one, datasets.IterableDataset) for one in named.values()):
        return datasets.IterableDatasetDict(named)
    kinds = ", ".join(f"{name!r}: {type(one).__name__}" for name, one in named.items())
    raise InvalidInput(f"{argument} holds {kinds}; pass Datasets only, or IterableDatasets only")


def _with_features(data: Any, argument: str) -> Any:
    """The data set if it declares its columns; those of an undeclared one cannot be checked or named."""
    if data.column_names is not None:
        return data
    row = next(iter(data), None)
    if row is None:
        raise InvalidInput(f"{argument} is empty; training needs at least one row")
    example = ", ".join(f"{name!r}: {_feature(value)}" for name, value in row.items())
    raise InvalidInput(
        f"{argument} is an IterableDataset that does not say which columns it has (features); name them, "
        f"e.g. {argument} = {argument}.cast(Features({{{example}}}))"
    )


def _feature(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"List({_feature(value[0]) if value else 'Value(…)'})"
    names = {str: "string", bool: "bool", int: "int64", float: "float32"}
    return f"Value('{names.get(type(value), '…')}')"


def name_rows(data: Any) -> Any:
    """The data sets of a dict with the column ``dataset_name`` in every row; anything else as it is."""
    import datasets

    if not isinstance(data, (datasets.DatasetDict, datasets.IterableDatasetDict)):
        return data
    return type(data)({name: with_name(one, name) for name, one in data.items()})


def with_name(dataset: Any, name: str | None) -> Any:
    """A view of a data set whose rows carry its name; None gives the data set itself."""
    import datasets

    if name is None:
        return dataset
    if isinstance(dataset, datasets.Dataset):
        transform = dataset.format["format_kwargs"].get("transform")
        return dataset.with_transform(partial(add_name, dataset_name=name, transform=transform))
    features = dataset.features
    if features is not None:
        features = datasets.Features({**features, "dataset_name": datasets.Value("string")})
    return dataset.map(partial(add_name, dataset_name=name), batched=True, features=features)


def add_name(
    batch: dict[str, list[Any]],
    dataset_name: str | None = None,
    transform: Callable[[dict[str, list[Any]]], dict[str, list[Any]]] | None = None,
    **kwargs: Any,
) -> dict[str, list[Any]]:
    """Columns of some rows, and the column ``dataset_name``.

    Args:
        batch: column to values.
        dataset_name: None adds nothing.
        transform: what the data set itself did to its rows, which comes first.
    """
    if transform:
        batch = transform(batch)
    columns = list(batch.values())
    if dataset_name is None or not columns or not len(columns[0]):
        return batch
    return {**batch, "dataset_name": [dataset_name] * len(columns[0])}


class JoinedDatasets(ConcatDataset):
    """Data sets end to end, from which a batch is read at once rather than row by row."""

    def __getitems__(self, indices: list[int]) -> list[Any]:
        """Rows by their numbers; a batch is of one data set."""
        first = next((i for i, end in enumerate(self.cumulative_sizes) if indices[0] < end), None)
        if first is None:
            raise IndexError(f"row {indices[0]} is not among the {len(self)} rows")
        start = self.cumulative_sizes[first - 1] if first else 0
        end = self.cumulative_sizes[first]
        dataset: Any = self.datasets[first]
        if not hasattr(dataset, "__getitems__") or not all(start <= index < end for index in indices):
            return [self[index] for index in indices]
        return dataset.__getitems__([index - start for index in indices])


class AlternatingStreams(TorchIterableDataset):
    """Batches (lists of rows) of several streams in turn, each batch of one stream.

    Args:
        streams: data sets without random access.
        batch_size: rows in a batch.
        drop_last: leave out the incomplete last batch of a stream.
        until_one_ends: stop when a stream has no batch left; False goes on with the others.
    """

    def __init__(self, streams: list[Any], batch_size: int, drop_last: bool, until_one_ends: bool) -> None:
        super().__init__()
        self.streams = streams
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.until_one_ends = until_one_ends

    def set_epoch(self, epoch: int) -> None:
        """Shuffle streams that are shuffled anew."""
        for stream in self.streams:
            if hasattr(stream, "set_epoch"):
                stream.set_epoch(epoch)

    def __iter__(self) -> Iterator[list[Any]]:
        running = [self._batches(stream) for stream in self.streams]
        while running:
            for batches in list(running):
                batch = next(batches, None)
                if batch is not None:
                    yield batch
                elif self.until_one_ends:
                    return
                else:
                    running.remove(batches)

    def _batches(self, stream: Any) -> Iterator[list[Any]]:
        batch = []
        for row in stream:
            batch.append(row)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch
