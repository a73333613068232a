"""Names of objects, objects by name, quiet sections, rows of CSV files, and scores of teachers."""

from __future__ import annotations

import csv
import functools
import io
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stlib.errors import InvalidInput
from stlib.util.names import fullname, import_from_string
from stlib.util.original_names import ORIGINAL_TRANSFORMER_MODELS
from stlib.util.registry import resolve_module_class
from stlib.util.similarity_function import SimilarityFunction

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "ORIGINAL_TRANSFORMER_MODELS",
    "append_to_last_row",
    "check_teacher_targets",
    "disable_datasets_caching",
    "disable_logging",
    "fullname",
    "import_from_string",
    "import_module_class",
    "similarity_fct_name",
]

logger = logging.getLogger(__name__)


def import_module_class(
    class_ref: str,
    model_name_or_path: str | None = None,
    *,
    trust_remote_code: bool = False,
    revision: str | None = None,
    code_revision: str | None = None,
    token: bool | str | None = None,
    cache_folder: str | None = None,
    local_files_only: bool = False,
) -> type:
    """The class that a ``modules.json`` names: ours by the registry, others only with ``trust_remote_code``.

    Raises:
        UntrustedCode: the class is not ours and ``trust_remote_code`` is False.
        ImportError: there is no such class.
    """
    return resolve_module_class(
        class_ref,
        model_name_or_path,
        trust_remote_code=trust_remote_code,
        revision=revision,
        code_revision=code_revision,
        token=token,
        cache_folder=cache_folder,
        local_files_only=local_files_only,
    )


@contextmanager
def disable_logging(highest_level: int = logging.CRITICAL) -> Iterator[None]:
    """Silence all log records up to ``highest_level`` inside a ``with`` block."""
    previous = logging.root.manager.disable
    logging.disable(highest_level)
    try:
        yield
    finally:
        logging.disable(previous)


@contextmanager
def disable_datasets_caching() -> Iterator[None]:
    """Keep Hugging Face ``datasets`` from caching what it computes inside a ``with`` block."""
    import datasets

    was_enabled = datasets.is_caching_enabled()
    datasets.disable_caching()
    try:
        yield
    finally:
        if was_enabled:
            datasets.enable_caching()


def append_to_last_row(csv_path: str, additional_data: list[Any]) -> bool:
    """Add cells to the last row of a CSV file that has a header; False if it has no row below it. Lines
    end as they did.

    The file is replaced at once, so that a reader never sees half of it.
    """
    path = Path(csv_path)
    with path.open(newline="", encoding="utf-8") as file:
        line_end = "\r\n" if file.readline().endswith("\r\n") else "\n"
        file.seek(0)
        rows = list(csv.reader(file))
    if len(rows) < 2:
        return False
    rows[-1].extend(additional_data)
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=line_end).writerows(rows)
    unfinished = path.with_name(f"{path.name}_part")
    unfinished.write_bytes(text.getvalue().encode("utf-8"))
    unfinished.replace(path)
    return True


def similarity_fct_name(similarity_fct: Callable[..., Any]) -> str:
    """A readable name of a scoring function: its own, with the settings that it was bound to or configured
    with; ``model.similarity`` goes by the function that the model uses.
    """
    if isinstance(similarity_fct, functools.partial):
        inner = similarity_fct.func
        return _write_call(getattr(inner, "__name__", type(inner).__name__), similarity_fct.keywords)
    name = getattr(similarity_fct, "__name__", type(similarity_fct).__name__)
    model: Any = getattr(similarity_fct, "__self__", None)
    if name in ("similarity", "similarity_pairwise") and hasattr(model, "similarity_fn_name"):
        functions = SimilarityFunction.to_similarity_fn, SimilarityFunction.to_similarity_pairwise_fn
        return functions[name != "similarity"](model.similarity_fn_name).__name__
    if hasattr(similarity_fct, "get_config_dict"):
        return f"{name}({_arguments(similarity_fct.get_config_dict())})"
    return name


def check_teacher_targets(
    teacher_probabilities: Tensor, teacher_logits: Tensor, teacher_temperature: float, loss_name: str
) -> None:
    """Look once at what a teacher wants of a student: refuse what cannot be learned, warn of what is lost.

    Scores that differ by more than about 100 temperatures leave the lower one a probability of exactly 0 in
    float32, and its candidate out of the loss. Infinite scores mark candidates left out on purpose, so
    nothing is said of rows with them.

    Args:
        teacher_probabilities: ``softmax(teacher_logits / teacher_temperature)``, ``[n, candidates]``.
        teacher_logits: the teacher's scores ``[n, candidates]``.
        teacher_temperature: what they were divided by.
        loss_name: begins the messages.

    Raises:
        InvalidInput: a score is not a number.
    """
    scores = teacher_logits.detach().float()
    if scores.isnan().any():
        raise InvalidInput(
            f"{loss_name}: some of the teacher's scores are not a number, and would make every weight one; "
            "look through the column of labels"
        )
    if scores.isinf().any():
        return
    lost = int((teacher_probabilities == 0).sum())
    if lost:
        spread = float((scores.amax(dim=-1) - scores.amin(dim=-1)).max())
        logger.warning(
            "%s: at teacher_temperature=%s %d of %d probabilities of the teacher are exactly 0, so their "
            "candidates teach nothing. Scores of a row lie up to %.1f apart; take a temperature above %.3g.",
            loss_name,
            teacher_temperature,
            lost,
            teacher_probabilities.numel(),
            spread,
            spread / 100,
        )


def _write_call(name: str, keywords: dict[str, Any]) -> str:
    return f"{name}({_arguments(keywords)})" if keywords else name


def _arguments(keywords: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in keywords.items())
