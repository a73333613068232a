"""Settings of a training run: those of transformers, and what training on columns of text needs beyond."""

from __future__ import annotations

import json
import logging
import multiprocessing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import transformers
from packaging.version import Version
from transformers.training_args import ParallelMode, TrainingArguments

from stlib.base.sampler import (
    BatchSamplers,
    DefaultBatchSampler,
    MultiDatasetBatchSamplers,
    MultiDatasetDefaultBatchSampler,
)
from stlib.errors import InvalidOption
from stlib.util.older_names import tell_older_name

__all__ = ["BaseTrainingArguments", "BatchSamplers", "MultiDatasetBatchSamplers"]

logger = logging.getLogger(__name__)

# Since then warmup_steps takes a share of the steps as well, and warmup_ratio is gone.
_STEPS_TAKE_SHARES = Version(transformers.__version__) >= Version("5.0.0.dev0")

DEFAULTS_DIR = "unused"
"""``output_dir`` of arguments that are made only to learn the defaults; they give no advice."""

_OWN_DICT_FIELDS = ["prompts", "router_mapping", "learning_rate_mapping"]


@dataclass
class BaseTrainingArguments(TrainingArguments):
    r"""Arguments of :class:`transformers.TrainingArguments`, and these.

    Args:
        prompts: text that is put in front of inputs. One text for all columns; a dict from column to text;
            a dict from data set to text; or a dict from data set to a dict from column to text. The last two
            are for data sets that are passed as a dict.
        batch_sampler: how rows become batches: a name of :class:`BatchSamplers`, a subclass of
            :class:`DefaultBatchSampler`, or a function of ``dataset`` and the keywords ``batch_size``,
            ``drop_last``, ``valid_label_columns``, ``generator`` and ``seed`` that returns a batch sampler.
        multi_dataset_batch_sampler: whose turn it is among several data sets: a name of
            :class:`MultiDatasetBatchSamplers`, a subclass of :class:`MultiDatasetDefaultBatchSampler`, or a
            function of ``dataset`` and the keywords ``batch_samplers``, ``generator`` and ``seed``.
        router_mapping: route of a :class:`~stlib.base.modules.router.Router` for each column, or for each
            column of each data set.
        learning_rate_mapping: regular expression to learning rate, for the parameters of the loss whose name
            it is found in, e.g. ``{r"^model\.1\.": 1e-3}``; one that is in no name may name a class of
            modules, e.g. ``{r"SparseStaticEmbedding": 1e-3}``. The others learn with ``learning_rate``.
        warmup_ratio: share of the steps in which the learning rate rises; ``warmup_steps`` below 1 is the
            same. Both work with every version of transformers.

    The four fields that are dicts may also be given as JSON texts, as command lines do. Two settings are
    fixed: ``prediction_loss_only`` is True, as the losses here return nothing but a loss, and
    ``ddp_broadcast_buffers`` is False, as a loss runs the model several times before one backward pass.

    Raises:
        InvalidOption: a sampler's name is unknown, or a mapping is none.
    """

    _VALID_DICT_FIELDS = [*TrainingArguments._VALID_DICT_FIELDS, *_OWN_DICT_FIELDS]  # noqa: RUF012 - as above

    # HfArgumentParser takes these from a command line only with None in the second place.
    prompts: str | None | dict[str, str] | dict[str, dict[str, str]] = field(  # noqa: RUF036
        default=None, metadata={"help": "Text in front of inputs: one for all, by column, or by data set."}
    )
    batch_sampler: BatchSamplers | str | type[DefaultBatchSampler] | Callable[..., Any] = field(
        default=BatchSamplers.BATCH_SAMPLER, metadata={"help": "How rows become batches."}
    )
    multi_dataset_batch_sampler: (
        MultiDatasetBatchSamplers | str | type[MultiDatasetDefaultBatchSampler] | Callable[..., Any]
    ) = field(
        default=MultiDatasetBatchSamplers.PROPORTIONAL,
        metadata={"help": "Whose turn it is among several data sets."},
    )
    router_mapping: str | None | dict[str, str] | dict[str, dict[str, str]] = field(  # noqa: RUF036
        default_factory=dict, metadata={"help": "Route of a Router for each column."}
    )
    learning_rate_mapping: str | None | dict[str, float] = field(  # noqa: RUF036
        default_factory=dict, metadata={"help": "Learning rates by regular expressions of parameter names."}
    )
    warmup_ratio: float | None = field(
        default_factory=lambda: None if _STEPS_TAKE_SHARES else 0.0,
        metadata={"help": "Share of the steps in which the learning rate rises."},
    )

    def __post_init__(self) -> None:
        self._unify_warmup()
        self.prompts = _prompts(self.prompts)
        self.router_mapping = _mapping(self.router_mapping, "router_mapping")
        self.learning_rate_mapping = _mapping(self.learning_rate_mapping, "learning_rate_mapping")
        super().__post_init__()
        if isinstance(self.batch_sampler, str):
            self.batch_sampler = BatchSamplers(self.batch_sampler)
        if isinstance(self.multi_dataset_batch_sampler, str):
            self.multi_dataset_batch_sampler = MultiDatasetBatchSamplers(self.multi_dataset_batch_sampler)
        self.prediction_loss_only = True
        self.ddp_broadcast_buffers = False
        self._adapt_to_devices()
        if self.output_dir != DEFAULTS_DIR and self.dataloader_num_workers > 0:
            self._advise_on_workers()

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values; samplers that are functions or classes are left out."""
        settings = super().to_dict()
        for name in ("batch_sampler", "multi_dataset_batch_sampler"):
            if callable(getattr(self, name)):
                settings.pop(name, None)
        return settings

    def __getstate__(self) -> dict[str, Any]:
        """Everything but samplers that cannot be pickled (functions defined inside others)."""
        state = dict(self.__dict__)
        for name, default in (
            ("batch_sampler", BatchSamplers.BATCH_SAMPLER),
            ("multi_dataset_batch_sampler", MultiDatasetBatchSamplers.PROPORTIONAL),
        ):
            if "<" in getattr(state[name], "__qualname__", ""):
                state[name] = default
        return state

    def _unify_warmup(self) -> None:
        """Let transformers see the share of steps under the one name that its version knows."""
        if _STEPS_TAKE_SHARES:
            if self.warmup_ratio is not None:
                tell_older_name(type(self).__name__, "warmup_ratio", "warmup_steps, a share below 1")
            if self.warmup_ratio and self.warmup_steps == 0:
                self.warmup_steps = self.warmup_ratio
            self.warmup_ratio = None
        elif 0 < self.warmup_steps < 1:
            self.warmup_ratio, self.warmup_steps = self.warmup_ratio or self.warmup_steps, 0

    def _adapt_to_devices(self) -> None:
        quiet = self.output_dir == DEFAULTS_DIR
        if self.parallel_mode == ParallelMode.NOT_DISTRIBUTED and not quiet:
            logger.warning(
                "several devices are used by one process; start the script with torchrun or accelerate "
                "launch, which is faster"
            )
        if self.parallel_mode == ParallelMode.DISTRIBUTED and not self.dataloader_drop_last:
            if not quiet:
                logger.warning(
                    "dataloader_drop_last is set to True: with several processes an incomplete last batch "
                    "would leave some of them waiting"
                )
            self.dataloader_drop_last = True

    def _advise_on_workers(self) -> None:
        # Asking without allow_none would settle the method for the whole process.
        method = multiprocessing.get_start_method(allow_none=True)
        method = method or multiprocessing.get_all_start_methods()[0]
        if method == "spawn" and not self.dataloader_persistent_workers:
            logger.warning(
                "each data loader worker imports the library anew in every epoch and evaluation; set "
                "dataloader_persistent_workers=True, or dataloader_num_workers=0, to be faster"
            )


def _prompts(value: Any) -> Any:
    """Prompts given as JSON; any other text is a prompt itself."""
    if not isinstance(value, str):
        return value
    try:
        parsed = json.loads(value)
    except json.JSONDecodeError:
        return value
    return parsed if isinstance(parsed, dict | str) else value


def _mapping(value: Any, argument: str) -> Any:
    if value is None:
        return {}
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError as error:
            raise InvalidOption(
                f"{argument} is a text that is no JSON ({error}); pass a dict or its JSON"
            ) from None
    if not isinstance(value, Mapping):
        raise InvalidOption(f"{argument} is a {type(value).__name__}; pass a dict, or its JSON")
    return value
