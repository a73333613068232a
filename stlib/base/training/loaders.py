"""A trainer's data loaders."""

from __future__ import annotations

import logging
import math
from typing import Any

import torch
from torch.utils.data import BatchSampler, ConcatDataset, DataLoader, IterableDataset, RandomSampler
from transformers import Trainer, TrainerCallback
from transformers.trainer_utils import has_length

from stlib.base.sampler import (
    BatchSamplers,
    DefaultBatchSampler,
    GroupByLabelBatchSampler,
    MultiDatasetBatchSamplers,
    NoDuplicatesBatchSampler,
    ProportionalBatchSampler,
    RoundRobinBatchSampler,
)
from stlib.base.training.datasets import AlternatingStreams, JoinedDatasets
from stlib.errors import InvalidInput, InvalidOption, UnsupportedOption

logger = logging.getLogger(__name__)


class EpochOfBatches(TrainerCallback):
    """Tell batch samplers the epoch, however deep they lie in the wrappers of a training run.

    A resumed run skips batches, and processes share them, by samplers around the own one that do not hand the
    epoch on: it would make the batches of the first epoch.
    """

    def __init__(self) -> None:
        self.epoch = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.epoch = int(state.epoch or 0)
        loader: Any = kwargs.get("train_dataloader")
        if has_length(loader) and len(loader):
            # As transformers counts, which goes on from the step rather than from the epoch.
            self.epoch = state.global_step // math.ceil(len(loader) / args.gradient_accumulation_steps)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        sampler: Any = getattr(kwargs.get("train_dataloader"), "batch_sampler", None)
        while sampler is not None:
            one: Any
            for one in (sampler, getattr(sampler, "sampler", None)):
                if hasattr(one, "set_epoch"):
                    one.set_epoch(self.epoch)
            sampler = getattr(sampler, "batch_sampler", None)
        self.epoch += 1


class DataLoaders(Trainer):
    """The part of a trainer that turns data sets into batches."""

    args: Any
    evaluator: Any
    data_collator: Any
    eval_dataset: Any
    _eval_loaders: dict[str, DataLoader]

    def get_train_dataloader(self) -> DataLoader:
        """Batches of ``train_dataset``.

        Raises:
            InvalidInput: there is no ``train_dataset``.
        """
        if self.train_dataset is None:
            raise InvalidInput("there is nothing to train on; pass train_dataset to the trainer")
        # Filling up the last batches with rows of the first ones would mix data sets.
        self.accelerator.even_batches = False
        loader = self._build_dataloader(self.train_dataset, self.args.train_batch_size)
        return self._prepare(loader)

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader:
        """Batches of a data set to evaluate: ``eval_dataset`` of the trainer, a part of it by name, or any.

        Raises:
            InvalidInput: there is neither a data set nor an evaluator.
        """
        if eval_dataset is None and self.eval_dataset is None:
            if self.evaluator is not None:
                return DataLoader([])  # type: ignore[arg-type]
            raise InvalidInput("there is nothing to evaluate; pass eval_dataset or evaluator to the trainer")
        own = eval_dataset is None or isinstance(eval_dataset, str)
        key = eval_dataset if isinstance(eval_dataset, str) else ""
        if own and key in self._eval_loaders:
            return self._eval_loaders[key]
        dataset = (self.eval_dataset[key] if key else self.eval_dataset) if own else eval_dataset
        loader = self._evenly(dataset)
        if own and self.args.dataloader_persistent_workers:
            self._eval_loaders[key] = loader  # its workers live on; another loader would start more
        return loader

    def get_test_dataloader(self, test_dataset: Any) -> DataLoader:
        """Batches of a data set to predict."""
        return self._evenly(test_dataset)

    def _evenly(self, dataset: Any) -> DataLoader:
        # Processes that gather results need the same number of batches.
        self.accelerator.even_batches = True
        return self._prepare(self._build_dataloader(dataset, self.args.eval_batch_size))

    def _prepare(self, loader: DataLoader) -> DataLoader:
        """A loader that gives each process its share.

        Left to itself, accelerate reads a stream in one process and cuts the batches up for the others, which
        batches with texts or with sequences end to end do not survive. Each process reads it instead.
        """
        config = self.accelerator.dataloader_config
        if config.dispatch_batches is None and isinstance(loader.dataset, IterableDataset):
            config.dispatch_batches = False
            prepared = self.accelerator.prepare(loader)
            config.dispatch_batches = None
            return prepared
        return self.accelerator.prepare(loader)

    def _build_dataloader(self, dataset: Any, batch_size: int) -> DataLoader:
        import datasets

        args = self.args
        common: dict[str, Any] = {
            "collate_fn": self.data_collator,
            "num_workers": args.dataloader_num_workers,
            # Pinning helps copies to an accelerator; torch warns where there is none.
            "pin_memory": args.dataloader_pin_memory and args.device.type != "cpu",
            "persistent_workers": args.dataloader_persistent_workers,
            "prefetch_factor": args.dataloader_prefetch_factor,
        }
        if isinstance(dataset, datasets.IterableDataset):
            self._refuse_samplers_of_streams()
            return DataLoader(dataset, batch_size=batch_size, drop_last=args.dataloader_drop_last, **common)
        if isinstance(dataset, datasets.IterableDatasetDict):
            return DataLoader(self._alternate(dataset, batch_size), batch_size=None, **common)
        generator = torch.Generator()
        if args.seed is not None:
            generator.manual_seed(args.seed)
        if isinstance(dataset, datasets.DatasetDict):
            parts = list(dataset.values())
            samplers = [self._sampler(part, batch_size, generator) for part in parts]
            joined = JoinedDatasets(parts)
            sampler = self.get_multi_dataset_batch_sampler(joined, samplers, generator, args.seed)
            return DataLoader(joined, batch_sampler=sampler, **common)
        if isinstance(dataset, datasets.Dataset):
            return DataLoader(dataset, batch_sampler=self._sampler(dataset, batch_size, generator), **common)
        raise InvalidInput(
            f"a {type(dataset).__name__} is no data set to make batches of; pass a Dataset, DatasetDict, "
            "IterableDataset or IterableDatasetDict"
        )

    def _sampler(self, dataset: Any, batch_size: int, generator: torch.Generator) -> Any:
        return self.get_batch_sampler(
            dataset,
            batch_size=batch_size,
            drop_last=self.args.dataloader_drop_last,
            valid_label_columns=getattr(self.data_collator, "valid_label_columns", None),
            generator=generator,
            seed=self.args.seed,
        )

    def _refuse_samplers_of_streams(self) -> None:
        if self.args.batch_sampler != BatchSamplers.BATCH_SAMPLER:
            logger.warning(
                "batch_sampler is ignored: an IterableDataset gives its rows in its own order; shuffle it, "
                "or load it as a Dataset"
            )

    def _alternate(self, streams: Any, batch_size: int) -> Any:
        self._refuse_samplers_of_streams()
        if self.args.world_size > 1:
            raise UnsupportedOption(
                "several IterableDatasets cannot be shared among processes; join them with "
                "datasets.interleave_datasets, or train in one process"
            )
        until_one_ends = self.args.multi_dataset_batch_sampler == MultiDatasetBatchSamplers.ROUND_ROBIN
        return AlternatingStreams(
            list(streams.values()), batch_size, self.args.dataloader_drop_last, until_one_ends
        )

    def get_batch_sampler(
        self,
        dataset: Any,
        batch_size: int,
        drop_last: bool,
        valid_label_columns: list[str] | None = None,
        generator: torch.Generator | None = None,
        seed: int = 0,
    ) -> BatchSampler | None:
        """The sampler that ``args.batch_sampler`` asks for; override this for another one.

        Args:
            dataset: the rows.
            batch_size: rows in a batch.
            drop_last: leave out an incomplete last batch.
            valid_label_columns: names of label columns; the first that the data set has is its label.
            generator: source of randomness.
            seed: what the generator starts from; samplers add the epoch.

        Returns:
            None for an ``IterableDataset``, whose rows come in its own order.
        """
        import datasets

        given: dict[str, Any] = {
            "batch_size": batch_size,
            "drop_last": drop_last,
            "valid_label_columns": valid_label_columns,
            "generator": generator,
            "seed": seed,
        }
        choice = self.args.batch_sampler
        if callable(choice):
            return choice(dataset, **given)
        if isinstance(dataset, datasets.IterableDataset):
            self._refuse_samplers_of_streams()
            return None
        if choice == BatchSamplers.BATCH_SAMPLER:
            return DefaultBatchSampler(RandomSampler(dataset, generator=generator), **given)
        if choice == BatchSamplers.NO_DUPLICATES:
            return NoDuplicatesBatchSampler(dataset, **given)
        if choice == BatchSamplers.NO_DUPLICATES_HASHED:
            return NoDuplicatesBatchSampler(dataset, precompute_hashes=True, **given)
        if choice == BatchSamplers.GROUP_BY_LABEL:
            return GroupByLabelBatchSampler(dataset, **given)
        raise InvalidOption(
            f"batch_sampler is {choice!r}; pass a BatchSamplers, its name, or a class or function that makes "
            "batch samplers"
        )

    def get_multi_dataset_batch_sampler(
        self,
        dataset: ConcatDataset,
        batch_samplers: list[BatchSampler],
        generator: torch.Generator | None = None,
        seed: int | None = 0,
    ) -> BatchSampler:
        """The sampler that ``args.multi_dataset_batch_sampler`` asks for; override this for another one.

        Args:
            dataset: all data sets end to end.
            batch_samplers: the batch sampler of each.
            generator: source of randomness.
            seed: what the generator starts from; samplers add the epoch.
        """
        given: dict[str, Any] = {"batch_samplers": batch_samplers, "generator": generator, "seed": seed}
        choice = self.args.multi_dataset_batch_sampler
        if callable(choice):
            return choice(dataset, **given)
        if choice == MultiDatasetBatchSamplers.ROUND_ROBIN:
            return RoundRobinBatchSampler(dataset, **given)
        if choice == MultiDatasetBatchSamplers.PROPORTIONAL:
            return ProportionalBatchSampler(dataset, **given)
        raise InvalidOption(
            f"multi_dataset_batch_sampler is {choice!r}; pass a MultiDatasetBatchSamplers, its name, or a "
            "class or function that makes batch samplers"
        )
