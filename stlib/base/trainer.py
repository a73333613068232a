"""The trainer that all model families share: transformers' Trainer over columns, losses and evaluators."""

from __future__ import annotations

import functools
import logging
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import torch
from torch import nn

from stlib.util.environment import is_training_available, require_training

if not is_training_available():  # the imports below would say less
    require_training()

from transformers import (
    FeatureExtractionMixin,
    PreTrainedTokenizerBase,
    ProcessorMixin,
    Trainer,
    TrainerCallback,
)
from transformers.image_processing_utils import BaseImageProcessor

from stlib.base.card.callback import BaseModelCardCallback
from stlib.base.data_collator import BaseDataCollator
from stlib.base.evaluation import BaseEvaluator, SequentialEvaluator
from stlib.base.loading import CARD_NAME
from stlib.base.model import BaseModel
from stlib.base.model_card import BaseModelCardData, generate_model_card
from stlib.base.modules.router import Router
from stlib.base.training.arguments import check_evaluator, check_model
from stlib.base.training.checkpoints import Checkpoints
from stlib.base.training.checks import DataChecks, LossInputs, check_names
from stlib.base.training.datasets import add_name, as_training_data, name_rows, with_name
from stlib.base.training.evaluation import Evaluation
from stlib.base.training.loaders import DataLoaders, EpochOfBatches
from stlib.base.training.loss import LossFactory, LossHandling
from stlib.base.training.optimizer import LossOwnGradients, ParameterGroups
from stlib.base.training_args import DEFAULTS_DIR, BaseTrainingArguments
from stlib.errors import InvalidOption
from stlib.util.older_names import tell_older_name

logger = logging.getLogger(__name__)

_PROCESSORS = (PreTrainedTokenizerBase, BaseImageProcessor, FeatureExtractionMixin, ProcessorMixin)

Loss = nn.Module | LossFactory


def _tokenizer_is_processing_class(init: Callable[..., None]) -> Callable[..., None]:
    """Take ``tokenizer``, the name of ``processing_class`` in earlier generations."""

    @functools.wraps(init)
    def renamed(self: Any, *args: Any, **kwargs: Any) -> None:
        if "tokenizer" in kwargs:
            tell_older_name(type(self).__name__, "tokenizer", "processing_class")
            tokenizer = kwargs.pop("tokenizer")
            kwargs.setdefault("processing_class", tokenizer)
        init(self, *args, **kwargs)

    return renamed


class BaseTrainer(LossHandling, DataLoaders, Evaluation, Checkpoints, ParameterGroups, Trainer):
    """Trains a model with a loss on the columns of a data set.

    Families say what a model, its arguments and its default loss are; everything else is here and in
    :class:`transformers.Trainer`, whose methods and callbacks all apply.

    Args:
        model: what is trained; or pass ``model_init``.
        args: default: the family's arguments with the ``output_dir`` ``"tmp_trainer"``.
        train_dataset: a ``Dataset``, ``IterableDataset``, a ``DatasetDict``, ``IterableDatasetDict`` or dict
            of several, or a list of rows or of data sets. Columns become inputs of the loss in their order,
            except the label: the first of ``label``, ``labels``, ``score`` and ``scores``. All data sets of
            a dict are trained on. A killed run goes on exactly where it was; with an ``IterableDataset`` only
            in the first pass over it, later it goes on with a new pass.
        eval_dataset: the same, to measure the loss on.
        loss: a loss, a function or class that makes one of the model (again for each new model of
            ``model_init``), or a dict of either by data set.
        evaluator: measures the model at each evaluation; several in a list run one after the other.
        data_collator: makes a batch of rows; default: the family's, with the model's ``preprocess``.
        processing_class: saved beside the model; default: the model's tokenizer or processor.
        model_init: makes a new model at each ``train``, as a search for hyperparameters needs.
        compute_metrics: without effect; use ``evaluator``.
        callbacks: further callbacks.
        optimizers: optimizer and schedule of learning rates, instead of those that ``args`` describe.
        optimizer_cls_and_kwargs: class and arguments of the optimizer, instead of those of ``args``.
        preprocess_logits_for_metrics: without effect, as there are no logits.

    Raises:
        InvalidOption: arguments contradict each other, or a prompt is for a column that is not there.
        InvalidInput: a data set cannot be trained on with the loss; the message names it and the column.
    """

    model_class: ClassVar[type[BaseModel] | str] = BaseModel
    """The class of what is trained, or its ``model_type``: a model imports the trainer for its ``fit``."""

    model_card_data_class: ClassVar[type[BaseModelCardData]] = BaseModelCardData
    model_card_callback_class: ClassVar[type[BaseModelCardCallback]] = BaseModelCardCallback
    data_collator_class: ClassVar[type[BaseDataCollator]] = BaseDataCollator
    training_args_class: ClassVar[type[BaseTrainingArguments]] = BaseTrainingArguments

    @_tokenizer_is_processing_class
    def __init__(
        self,
        model: Any = None,
        args: Any = None,
        train_dataset: Any = None,
        eval_dataset: Any = None,
        loss: Loss | dict[str, Loss] | None = None,
        evaluator: BaseEvaluator | list[BaseEvaluator] | None = None,
        data_collator: Any = None,
        processing_class: Any = None,
        model_init: Callable[..., Any] | None = None,
        compute_metrics: Callable[..., Any] | None = None,
        callbacks: list[TrainerCallback] | None = None,
        optimizers: tuple[Any, Any] = (None, None),
        optimizer_cls_and_kwargs: tuple[type[torch.optim.Optimizer], dict[str, Any]] | None = None,
        preprocess_logits_for_metrics: Callable[..., Any] | None = None,
    ) -> None:
        args = self._check_args(args)
        self.model_init = model_init
        model = self._first_model(model, model_init)
        if compute_metrics is not None:
            logger.warning("compute_metrics has no effect; pass evaluator for metrics of a model")
        if args.hub_model_id and not model.model_card_data.model_id:
            model.model_card_data.set_model_id(args.hub_model_id)
        check_evaluator(evaluator)
        train_dataset = self.as_training_data(train_dataset, "train_dataset")
        eval_dataset = self.as_training_data(eval_dataset, "eval_dataset")
        if args.eval_strategy != "no" and eval_dataset is None and evaluator is None:
            raise InvalidOption(
                f"eval_strategy is {getattr(args.eval_strategy, 'value', args.eval_strategy)!r} and there is "
                "nothing to evaluate; pass eval_dataset or evaluator, or set eval_strategy='no'"
            )
        if processing_class is None and isinstance(model.processor, _PROCESSORS):
            processing_class = model.processor
        self._collator_is_ours = data_collator is None
        self.evaluator = SequentialEvaluator(evaluator) if isinstance(evaluator, (list, tuple)) else evaluator
        self._eval_loaders = {}
        self._wired = WeakKeyDictionary()
        self.accum_loss_components = {"train": {}, "eval": {}}
        self._steps_of_parts = {"train": Counter(), "eval": Counter()}
        super().__init__(
            model=None if model_init else model,
            args=args,
            data_collator=data_collator or self.get_data_collator(model, args, processing_class),
            train_dataset=train_dataset,
            # transformers insists on data when evaluation is asked for; an evaluator needs none.
            eval_dataset="none" if eval_dataset is None and evaluator is not None else eval_dataset,
            processing_class=processing_class,
            model_init=model_init,
            compute_metrics=compute_metrics,
            callbacks=callbacks,
            optimizers=optimizers,
            optimizer_cls_and_kwargs=optimizer_cls_and_kwargs,
            preprocess_logits_for_metrics=preprocess_logits_for_metrics,
        )
        self.eval_dataset = eval_dataset
        self.can_return_loss = True  # in evaluation, too
        self._set_loss(loss)
        self._check_data()
        self.train_dataset = self.preprocess_dataset(train_dataset, dataset_name="train")
        self.eval_dataset = self.preprocess_dataset(eval_dataset, dataset_name="eval")
        self._name_projects()
        self.add_model_card_callback(self._default_args())
        self.add_callback(LossOwnGradients(self))
        self.add_callback(EpochOfBatches())

    # -- construction

    def _check_args(self, args: Any) -> Any:
        expected = self.training_args_class
        if args is None:
            logger.info("no args were passed; %s(output_dir='tmp_trainer') is used", expected.__name__)
            return expected(output_dir="tmp_trainer")
        if not isinstance(args, expected):
            raise InvalidOption(
                f"args is a {type(args).__module__}.{type(args).__qualname__}; pass a "
                f"{expected.__module__}.{expected.__qualname__}"
            )
        return args

    def _first_model(self, model: Any, model_init: Callable[..., Any] | None) -> Any:
        if model is not None:
            if model_init is not None:
                logger.warning("train() replaces model by what model_init returns; pass one of the two")
            return check_model(model, self.model_class)
        if model_init is None:
            raise InvalidOption("there is nothing to train; pass model or model_init")
        return self.call_model_init()

    def _set_loss(self, loss: Any) -> None:
        self._loss_is_default = loss is None
        if loss is None:
            loss = self.get_default_loss(self.model)
        self.loss_factories = loss
        if isinstance(loss, dict):
            self.loss = {name: self._loss_for(one, self.model) for name, one in loss.items()}
        else:
            self.loss = self._loss_for(loss, self.model)

    def _check_data(self) -> None:
        """Refuse what cannot be trained on, before the first step."""
        labels = getattr(self.data_collator, "valid_label_columns", ())
        checks = DataChecks(self.args, self.loss, labels, self.loss_inputs, self._loss_is_default)
        checks.check(train_dataset=self.train_dataset, eval_dataset=self.eval_dataset)

    def loss_inputs(self, loss: nn.Module) -> LossInputs | None:
        """What a loss expects of a data set; None if that is not known, as of a loss of the user's own."""
        return None

    def get_data_collator(self, model: Any, args: Any, processing_class: Any = None) -> BaseDataCollator:
        """The collator of a trainer that was given none.

        Raises:
            InvalidOption: the model has a Router and ``args.router_mapping`` is empty.
        """
        if any(type(module) is Router for module in model.children()) and not args.router_mapping:
            raise InvalidOption(
                "the model has a Router and nothing says which column takes which route; set router_mapping "
                "in the arguments, e.g. {'question': 'query', 'answer': 'document'}"
            )
        return self.data_collator_class(
            preprocess_fn=model.preprocess,
            router_mapping=args.router_mapping,
            prompts=args.prompts,
            max_length=getattr(args, "max_length", None),
        )

    def _default_args(self) -> dict[str, Any]:
        """All arguments as they are if nothing is set."""
        state = {"use_configured_state": True}  # the run's own devices
        return self.training_args_class(output_dir=DEFAULTS_DIR, accelerator_config=state).to_dict()

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Let the model card learn of this run; override this to leave it out.

        Args:
            default_args_dict: default values of the arguments; the card lists those that differ.
        """
        callback = self.model_card_callback_class(default_args_dict)
        self.add_callback(callback)
        callback.on_init_end(self.args, self.state, self.control, model=self.model, trainer=self)

    def _name_projects(self) -> None:
        """Name the project of services that watch runs, unless the user did."""
        watching = {type(callback).__name__ for callback in self.callback_handler.callbacks}
        for callback, variable in (
            ("WandbCallback", "WANDB_PROJECT"),
            ("TrackioCallback", "TRACKIO_PROJECT"),
        ):
            if callback in watching:
                os.environ.setdefault(variable, "sentence-transformers")

    # -- data sets

    def as_training_data(self, data: Any, argument: str) -> Any:
        """See :func:`~stlib.base.training.datasets.as_training_data`; families may refuse some of it."""
        return as_training_data(data, argument)

    def validate_column_names(self, dataset: Any, dataset_name: str | None = None) -> None:
        """Raise :class:`~stlib.errors.InvalidInput` if a column has a name that batches use otherwise."""
        check_names(dataset, dataset_name or "the data set")

    def preprocess_dataset(self, dataset: Any = None, dataset_name: str | None = None) -> Any:
        """A data set as the data loaders take it, with names of data sets in its rows if they are needed.

        Args:
            dataset: None is returned as it is.
            dataset_name: what errors call it.
        """
        if dataset is None:
            return None
        dataset = self.as_training_data(dataset, f"{dataset_name or 'eval'}_dataset")
        self.validate_column_names(dataset, dataset_name)
        if self.should_dataset_name_column_be_added(dataset, self.args, self.loss):
            return self.add_dataset_name_column(dataset)
        return dataset

    def should_dataset_name_column_be_added(self, dataset: Any, args: Any, loss: Any) -> bool:
        """Whether something depends on the data set: losses, prompts or routes."""
        routes = args.router_mapping or {}
        depends = (
            isinstance(loss, dict)
            or (isinstance(args.prompts, dict) and bool(args.prompts))
            or any(isinstance(route, dict) for route in routes.values())
        )
        return isinstance(dataset, dict) and depends

    def add_dataset_name_column(self, dataset: Any, dataset_name: str | None = None) -> Any:
        """The data sets of a dict with their names in each row (column ``dataset_name``); one data set with
        the given name.
        """
        if isinstance(dataset, dict):
            return name_rows(dataset)
        return with_name(dataset, dataset_name)

    @staticmethod
    def add_dataset_name_transform(
        batch: dict[str, list[Any]],
        dataset_name: str | None = None,
        transform: Callable[[dict[str, list[Any]]], dict[str, list[Any]]] | None = None,
        **kwargs: Any,
    ) -> dict[str, list[Any]]:
        """See :func:`stlib.base.training.datasets.add_name`."""
        return add_name(batch, dataset_name, transform, **kwargs)

    # -- the model card

    def create_model_card(
        self,
        language: str | None = None,
        license: str | None = None,
        tags: str | list[str] | None = None,
        model_name: str | None = None,
        finetuned_from: str | None = None,
        tasks: str | list[str] | None = None,
        dataset_tags: str | list[str] | None = None,
        dataset: str | list[str] | None = None,
        dataset_args: str | list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        """Write ``README.md`` to ``args.output_dir``.

        Args:
            language: language code of the model.
            license: e.g. ``"mit"``.
            tags: further tags.
            model_name: headline.
            finetuned_from, tasks, dataset_tags, dataset, dataset_args, kwargs: for transformers; without
                effect, as the model card knows them.
        """
        if not self.is_world_process_zero():
            return
        data = self.model.model_card_data
        if data.model_id is None and (pushed_to := getattr(self, "hub_model_id", None)):
            data.set_model_id(pushed_to)
        if language:
            data.set_language(language)
        if license:
            data.set_license(license)
        if tags:
            data.add_tags(tags)
        if model_name:
            data.model_name = model_name
        folder = Path(str(self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CARD_NAME).write_text(generate_model_card(self.model), encoding="utf-8")
