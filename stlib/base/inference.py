"""What families share that run many inputs through a model: batches, several processes, cut inputs told."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from stlib.base.model import BaseModel
from stlib.base.pool import Pool, run_in_pool, start_pool, stop_pool
from stlib.base.running import RunOptions, every_module, run_all
from stlib.errors import InvalidOption, UnknownKeyword
from stlib.util.older_names import tell_older_name

logger = logging.getLogger(__name__)

# Prompts that encode_query and encode_document look for; the first that is there is taken, even if empty.
TASK_PROMPTS = {"query": ("query",), "document": ("document", "passage", "corpus")}

# Keywords of encode that every model takes, whether or not a module uses them.
_ALWAYS_ALLOWED = ("task", "processing_kwargs")


class InferenceModel(BaseModel):
    """A pipeline that runs any number of inputs, in this process or in several."""

    _said_passed_over = False

    @staticmethod
    def devices_of(device: Any) -> list[Any]:
        """The devices of a call that gave a list of them; none for a single one."""
        return list(device) if isinstance(device, (list, tuple)) else []

    def run_inputs(
        self,
        items: list[Any],
        batch_size: int,
        options: RunOptions,
        show_progress_bar: bool | None = None,
        device: Any = None,
        pool: Pool | None = None,
        chunk_size: int | None = None,
    ) -> Tensor | list[Any]:
        """Results of all inputs, in their order.

        Args:
            items: the inputs.
            batch_size: scale of one forward pass.
            options: what is made of each batch.
            show_progress_bar: None shows one if this module's logger is at level INFO or below.
            device: move the model there first. A list of devices starts a process on each, for this call.
            pool: run by the processes of :meth:`start_multi_process_pool`.
            chunk_size: inputs per task of a process.
        """
        progress = logger.isEnabledFor(logging.INFO) if show_progress_bar is None else show_progress_bar
        devices = self.devices_of(device)
        if device is not None and not devices:
            self.to(device)
        if pool is not None:
            values, cut = run_in_pool(pool, items, batch_size, chunk_size, options, progress)
        elif devices:
            with self._temporary_pool(devices) as own:
                values, cut = run_in_pool(own, items, batch_size, chunk_size, options, progress)
        elif self._shared_inference is not None and device is None:
            values, cut = self._shared_inference(items, batch_size, options)
        else:
            values, cut = self._infer(items, batch_size, options, progress)
        self._report_truncation(cut, len(items), options.keywords.get("task"))
        return values

    def _infer(
        self, items: list[Any], batch_size: int, options: RunOptions, progress: bool = False
    ) -> tuple[Tensor | list[Any], int]:
        """Results of this process, in the order of the inputs, and how many inputs were cut."""
        before = self._count_truncated()
        values = run_all(self, items, batch_size, options, progress)
        return values, self._count_truncated() - before

    def task_prompt_name(self, task: str) -> str | None:
        """Name of the prompt that ``encode_query`` (task ``"query"``) or ``encode_document`` put in front
        unless they are told one; None if the model has none for the task.

        A model always has ``"document"``, which is empty unless it was given a text. Texts of ``"passage"``
        and ``"corpus"`` come after it, so the first time one of them is passed over is said in the log.
        """
        there = [name for name in TASK_PROMPTS[task] if name in self.prompts]
        if not there:
            return None
        passed_over = next((name for name in there if self.prompts[name]), there[0])
        if passed_over != there[0] and not self._said_passed_over:
            self._said_passed_over = True
            logger.warning(
                "the prompt %r of this model is empty and wins over %r (%r): if the model was trained with "
                "that one, pass prompt_name=%r, or set model.prompts[%r] to its text",
                there[0],
                passed_over,
                self.prompts[passed_over],
                passed_over,
                there[0],
            )
        return there[0]

    def start_multi_process_pool(self, target_devices: Sequence[str] | None = None) -> Pool:
        """Start processes for ``encode(pool=…)``, one per device; stop them with
        :meth:`stop_multi_process_pool`.

        The processes import the calling script, so its own work must stand under ``if __name__ ==
        "__main__":``.

        Args:
            target_devices: e.g. ``["cuda:0", "cuda:1"]`` or ``["cpu"] * 4``; default: all CUDA devices, or 4
                on CPU.
        """
        return start_pool(self, target_devices)

    @staticmethod
    def stop_multi_process_pool(pool: Pool) -> None:
        """End the processes of a pool."""
        stop_pool(pool)

    @contextmanager
    def _temporary_pool(self, devices: list[Any]) -> Iterator[Pool]:
        pool = start_pool(self, devices)
        try:
            yield pool
        finally:
            stop_pool(pool)

    def _count_truncated(self) -> int:
        return sum(module.__dict__.get("truncated_inputs", 0) for module in every_module(self))

    def _report_truncation(self, cut: int, total: int, task: str | None) -> None:
        if cut:
            rules = (getattr(module, "length_of", None) for module in every_module(self))
            limit = next((rule(task) for rule in rules if rule is not None), self.max_seq_length)
            logger.warning("%d of %d inputs are longer than %s tokens and were cut", cut, total, limit)


def take_inputs(model: BaseModel, inputs: Any, keywords: dict[str, Any]) -> Any:
    """The inputs of a call of ``encode``, also under their older name ``sentences`` among its keywords.

    Raises:
        InvalidOption: there are none, or they are given twice.
    """
    if "sentences" in keywords:
        if inputs is not None:
            raise InvalidOption("inputs and its older name sentences are both given; pass inputs only")
        tell_older_name(type(model).__name__, "sentences", "inputs")
        inputs = keywords.pop("sentences")
    if inputs is None:
        raise InvalidOption("there are no inputs; pass a text or a list of texts")
    return inputs


def check_encode_keywords(keywords: Collection[str], taken: Collection[str]) -> None:
    """Refuse keywords of ``encode`` that no module takes.

    Args:
        keywords: of the call.
        taken: keywords that modules of the model take.

    Raises:
        UnknownKeyword: there is one.
    """
    allowed = {*taken, *_ALWAYS_ALLOWED}
    unknown = sorted(set(keywords) - allowed)
    if unknown:
        raise UnknownKeyword(
            f"encode got keywords that no module of this model takes: {', '.join(unknown)}; "
            f"it takes: {', '.join(sorted(allowed))}"
        )
