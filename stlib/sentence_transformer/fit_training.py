"""``fit``: the examples of data loaders as datasets for the trainer."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn
from torch.utils.data import RandomSampler

from stlib.base.sampler import (
    BatchSamplers,
    DefaultBatchSampler,
    GroupByLabelBatchSampler,
    MultiDatasetBatchSamplers,
    NoDuplicatesBatchSampler,
)
from stlib.base.training.checkpoints import last_complete
from stlib.errors import InvalidInput
from stlib.sentence_transformer.datasets import NoDuplicatesDataLoader, SentenceLabelDataset
from stlib.sentence_transformer.fit_callbacks import Evaluations
from stlib.sentence_transformer.fit_options import FitOptions
from stlib.sentence_transformer.readers import InputExample
from stlib.sentence_transformer.trainer import SentenceTransformerTrainer

logger = logging.getLogger(__name__)

_USUAL_BATCH_SIZE = 8


def fit(model: Any, options: FitOptions, steps_per_epoch: int | None, resume: bool) -> None:
    """See :meth:`FitMixin.fit`."""
    import datasets

    names = list(options.losses)
    parts = [as_dataset(loader) for loader in options.loaders]
    sizes = [batch_size_of(loader) for loader in options.loaders]
    max_steps = _max_steps(steps_per_epoch, options.epochs)
    shortest = min(len(part) // size for part, size in zip(parts, sizes, strict=True))
    total = max_steps if max_steps > 0 else int(shortest * options.epochs) * len(parts)
    optimizer = options.optimizer(nn.ModuleDict({"model": model, **options.losses}).named_parameters())
    evaluations = Evaluations(options)
    with output_folder(options.checkpoint_path) as folder:
        trainer = SentenceTransformerTrainer(
            model=model,
            args=options.training_arguments(
                folder,
                batch_sampler=_batch_sampler(options.loaders, names),
                multi_dataset_batch_sampler=MultiDatasetBatchSamplers.ROUND_ROBIN,
                per_device_train_batch_size=sizes[-1],
                per_device_eval_batch_size=sizes[-1],
                max_steps=max_steps,
                max_grad_norm=options.max_grad_norm,
                save_strategy="steps" if options.saves_checkpoints else "no",
                save_steps=options.checkpoint_save_steps or 500,
                save_total_limit=options.checkpoint_save_total_limit or None,
            ),
            train_dataset=datasets.DatasetDict(zip(names, parts, strict=True)),
            loss=options.losses,
            optimizers=(optimizer, options.schedule(optimizer, total)),
            callbacks=[evaluations],
        )
        evaluations.attach(trainer)
        trainer.train(resume_from_checkpoint=_latest_checkpoint(options.checkpoint_path) if resume else None)


def as_dataset(loader: Any, keep_zeros: bool = False) -> Any:
    """The examples of a loader, in its order, as columns ``sentence_0`` … and ``label``.

    Labels that are all 0 are taken for none, unless ``keep_zeros``. A loader with a batch sampler of its own
    gives its examples in the order of their numbers, which that sampler yields.

    Raises:
        InvalidInput: it gives something else, or examples that differ in their number of texts.
    """
    from datasets import Dataset

    examples = list(_examples(loader))
    widths = {len(example.texts) for example in examples}
    if len(widths) != 1:
        raise InvalidInput(
            f"a data loader gave examples with {sorted(widths)} texts; all must have the same number"
            if examples
            else "a data loader gave no example; lower its batch size or leave drop_last out"
        )
    columns = {
        f"sentence_{place}": [example.texts[place] for example in examples] for place in range(widths.pop())
    }
    labels = [example.label for example in examples]
    if keep_zeros or not _all_zero(labels):
        columns["label"] = labels
    return Dataset.from_dict(columns)


def _examples(loader: Any) -> Iterator[InputExample]:
    if _has_own_batches(loader):
        batches: Any = [[loader.dataset[number] for number in range(len(loader.dataset))]]
    else:
        batches = _read_uncollated(loader)
    for batch in batches:
        for example in batch if isinstance(batch, (list, tuple)) else [batch]:
            if not hasattr(example, "texts") or not hasattr(example, "label"):
                raise InvalidInput(
                    f"a data loader gave a {type(example).__name__} where fit wants an InputExample; for "
                    "other data use a trainer"
                )
            yield example


def _read_uncollated(loader: Any) -> Iterator[Any]:
    given = loader.collate_fn
    loader.collate_fn = as_they_are
    try:
        yield from loader
    finally:
        loader.collate_fn = given


def as_they_are(batch: Any) -> Any:
    """A collate function that leaves a batch as it is."""
    return batch


def _all_zero(labels: list[Any]) -> bool:
    # The label that an example has when it was given none
    return all(isinstance(label, (int, float)) and label == 0 for label in labels)


def _has_own_batches(loader: Any) -> bool:
    """Whether a loader was given a batch sampler, of a dataset that can be read by number."""
    return (
        getattr(loader, "batch_size", 0) is None
        and getattr(loader, "batch_sampler", None) is not None
        and hasattr(loader.dataset, "__len__")
    )


def batch_size_of(loader: Any) -> int:
    """Examples in a batch of a loader."""
    size = getattr(loader, "batch_size", None)
    return size or getattr(getattr(loader, "batch_sampler", None), "batch_size", None) or _USUAL_BATCH_SIZE


def _batch_sampler(loaders: list[Any], names: list[str]) -> Any:
    """One choice for all loaders if they agree, else a function that makes the right one for each."""
    choices = [_choice(loader) for loader in loaders]
    sizes = [batch_size_of(loader) for loader in loaders]
    if len(set(choices)) == len(set(sizes)) == 1 and not any(map(_has_own_batches, loaders)):
        return choices[0]
    by_name = dict(zip(names, zip(loaders, choices, sizes, strict=True), strict=True))

    def sampler_by_name(dataset: Any, **options: Any) -> Any:
        loader, choice, size = by_name[dataset[0]["dataset_name"]]
        if _has_own_batches(loader):
            return GivenBatches(loader.batch_sampler, **options)
        return _make_sampler(choice, dataset, {**options, "batch_size": size})

    return sampler_by_name


def sampler_of(loader: Any) -> Any:
    """What a trainer on the examples of one loader makes its batches with."""
    if _has_own_batches(loader):
        return lambda dataset, **options: GivenBatches(loader.batch_sampler, **options)
    return _choice(loader)


def _choice(loader: Any) -> BatchSamplers:
    if isinstance(loader, NoDuplicatesDataLoader):
        return BatchSamplers.NO_DUPLICATES
    if isinstance(getattr(loader, "dataset", None), SentenceLabelDataset):
        return BatchSamplers.GROUP_BY_LABEL
    return BatchSamplers.BATCH_SAMPLER


def _make_sampler(choice: BatchSamplers, dataset: Any, options: dict[str, Any]) -> Any:
    if choice is BatchSamplers.NO_DUPLICATES:
        return NoDuplicatesBatchSampler(dataset, **options)
    if choice is BatchSamplers.GROUP_BY_LABEL:
        return GroupByLabelBatchSampler(dataset, **options)
    return DefaultBatchSampler(RandomSampler(dataset, generator=options["generator"]), **options)


class GivenBatches(DefaultBatchSampler):
    """The batches of another batch sampler, as a trainer's."""

    def __iter__(self) -> Iterator[list[int]]:
        yield from self.sampler  # type: ignore[misc]

    def __len__(self) -> int:
        return len(self.sampler)  # type: ignore[arg-type]

    def set_epoch(self, epoch: int) -> None:
        """Tell the other sampler the epoch, if it wants to know."""
        super().set_epoch(epoch)
        if hasattr(self.sampler, "set_epoch"):
            self.sampler.set_epoch(epoch)


def _max_steps(steps_per_epoch: int | None, epochs: int) -> int:
    if not steps_per_epoch or steps_per_epoch < 0:
        return -1
    if epochs == 1:
        return steps_per_epoch
    logger.warning(
        "steps_per_epoch has no effect with %s epochs: each one goes through all data; use old_fit, or one "
        "epoch with more steps",
        epochs,
    )
    return -1


@contextmanager
def output_folder(checkpoint_path: str | None) -> Iterator[str]:
    """The folder of checkpoints, or one that is deleted afterwards: the trainer wants some folder."""
    if checkpoint_path:
        yield checkpoint_path
        return
    with tempfile.TemporaryDirectory() as folder:
        yield folder


def _latest_checkpoint(checkpoint_path: str | None) -> str | None:
    latest = last_complete(Path(checkpoint_path)) if checkpoint_path else None
    if latest is None:
        logger.warning("there is no checkpoint in %s to resume from; training starts anew", checkpoint_path)
        return None
    return str(latest)
