"""The trainer of rerankers."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from stlib.base.data_collator import BaseDataCollator
from stlib.base.model import BaseModel
from stlib.base.model_card import BaseModelCardData
from stlib.base.trainer import BaseTrainer
from stlib.base.training.checks import LossInputs, check_names
from stlib.base.training.datasets import RESERVED_COLUMNS as RESERVED_BY_ALL
from stlib.base.training_args import BaseTrainingArguments
from stlib.cross_encoder import loss_inputs
from stlib.cross_encoder.data_collator import RESERVED_COLUMNS, CrossEncoderDataCollator
from stlib.cross_encoder.losses.binary_cross_entropy import BinaryCrossEntropyLoss
from stlib.cross_encoder.losses.cross_entropy import CrossEntropyLoss
from stlib.cross_encoder.model_card import CrossEncoderModelCardData
from stlib.cross_encoder.training_args import CrossEncoderTrainingArguments
from stlib.errors import InvalidInput, InvalidOption

logger = logging.getLogger(__name__)


class CrossEncoderTrainer(BaseTrainer):
    """Trains a :class:`~stlib.CrossEncoder`; arguments are those of
    :class:`~stlib.base.trainer.BaseTrainer`.

    Columns reach the loss as they are, texts or lists of texts, with labels that are numbers or lists of
    numbers. The loss is by default :class:`BinaryCrossEntropyLoss` for a model with one label and
    :class:`CrossEntropyLoss` for several. A loss whose ``forward`` takes ``prompt`` and ``task`` is given
    those of the data set.

    Raises:
        InvalidInput: as for every trainer; also for an ``IterableDataset``, whose batches cannot be shared
            out among processes while they hold texts.

    Example::

        from datasets import Dataset
        from stlib import CrossEncoder
        from stlib.cross_encoder import CrossEncoderTrainer

        model = CrossEncoder("google-bert/bert-base-uncased", num_labels=1)
        pairs = Dataset.from_dict(
            {
                "query": ["how to sort", "how to sort"],
                "passage": ["call sorted", "tigers are cats"],
                "label": [1, 0],
            }
        )
        trainer = CrossEncoderTrainer(model, train_dataset=pairs)
        trainer.train()
        model.save("my-reranker")
    """

    model_class: ClassVar[type[BaseModel] | str] = "CrossEncoder"
    model_card_data_class: ClassVar[type[BaseModelCardData]] = CrossEncoderModelCardData
    data_collator_class: ClassVar[type[BaseDataCollator]] = CrossEncoderDataCollator
    training_args_class: ClassVar[type[BaseTrainingArguments]] = CrossEncoderTrainingArguments

    def get_default_loss(self, model: Any) -> nn.Module:
        """The loss for pairs with a label each, which the number of the model's labels decides."""
        if model.num_labels == 1:
            logger.info("no loss was passed; BinaryCrossEntropyLoss is used")
            return BinaryCrossEntropyLoss(model)
        logger.info("no loss was passed; CrossEntropyLoss is used")
        return CrossEntropyLoss(model)

    def loss_inputs(self, loss: nn.Module) -> LossInputs | None:
        return loss_inputs.inputs_of(loss)

    # -- batches

    def collect_features(self, inputs: dict[str, Any]) -> tuple[list[Any], Any]:
        """Split a batch into its columns, in their order, and the labels."""
        columns = [value for name, value in inputs.items() if name not in ("label", *RESERVED_COLUMNS)]
        return columns, inputs.get("label")

    def call_loss(
        self, loss_fn: nn.Module, features: list[Any], labels: Any, inputs: dict[str, Any]
    ) -> Tensor | dict[str, Tensor]:
        """Call a loss, with prompt and task where it takes them.

        Raises:
            InvalidOption: there is a prompt or a task, and the loss takes none.
        """
        accepted = inspect.signature(loss_fn.forward).parameters
        takes_all = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in accepted.values())
        extras = {name: inputs.get(name) for name in RESERVED_COLUMNS if takes_all or name in accepted}
        lost = [name for name in RESERVED_COLUMNS if inputs.get(name) is not None and name not in extras]
        if lost:
            raise InvalidOption(
                f"{type(loss_fn).__name__} takes no {lost[0]}, and the arguments have one for this data; let "
                f"its forward take the keyword {lost[0]}, or leave it out of the arguments"
            )
        return loss_fn(features, labels, **extras)

    # -- data sets

    def as_training_data(self, data: Any, argument: str) -> Any:
        import datasets

        parts = data.values() if isinstance(data, Mapping) else [data]
        if any(isinstance(part, datasets.IterableDataset) for part in parts):
            raise InvalidInput(
                f"{argument} is an IterableDataset, which training a CrossEncoder does not support, as its "
                "batches hold texts; make a Dataset of it, e.g. Dataset.from_list(list(stream.take(100_000)))"
            )
        return super().as_training_data(data, argument)

    def _check_data(self) -> None:
        super()._check_data()
        self._check_names_of_data_sets()

    def _check_names_of_data_sets(self) -> None:
        """Prompts and routes are for data sets that exist; for columns they would have no effect."""
        names = {
            name
            for data in (self.train_dataset, self.eval_dataset)
            if isinstance(data, Mapping)
            for name in data
        }
        for argument in ("prompts", "router_mapping"):
            given = getattr(self.args, argument)
            unknown = [name for name in given if name not in names] if isinstance(given, Mapping) else []
            if unknown and (self.train_dataset is not None or self.eval_dataset is not None):
                raise InvalidOption(
                    f"{argument} is for {unknown[0]!r}, which is no data set; a CrossEncoder reads columns "
                    f"together, so give one for each of {', '.join(map(repr, sorted(names)))}"
                    if names
                    else f"{argument} is by name ({unknown[0]!r}), and there is one data set without a name; "
                    "pass a dict of data sets" + (", or one text" if argument == "prompts" else "")
                )

    def validate_column_names(self, dataset: Any, dataset_name: str | None = None) -> None:
        check_names(dataset, dataset_name or "the data set", RESERVED_BY_ALL.union(RESERVED_COLUMNS))

    def should_dataset_name_column_be_added(self, dataset: Any, args: Any, loss: Any) -> bool:
        by_data_set = isinstance(dataset, dict) and bool(args.router_mapping)
        return by_data_set or super().should_dataset_name_column_be_added(dataset, args, loss)
