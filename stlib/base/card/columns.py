"""What a model card says about one column of a data set, one value, and one loss."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from stlib.base.modality.kinds import MEDIA_SUFFIXES

LONGEST_EXAMPLE = 300  # characters

# Whole numbers with at most so many different values are taken for labels.
_MOST_LABELS = 10
_TOKENIZED_AT_A_TIME = 16


@dataclass(frozen=True)
class Described:
    """What is kept of a value that is large, such as a picture."""

    kind: str
    text: str


def light(value: Any) -> Any:
    """Texts, numbers and lists as they are, and of everything else what a card can say."""
    if value is None or isinstance(value, (str, int, float, list, tuple)):
        return value
    return Described(type(value).__name__, show(value))


def column_statistics(values: list[Any], model: Any, task: str | None = None) -> dict[str, Any]:
    """The type of a column's values, and what there is to say about them.

    ``min``, ``mean`` and ``max`` of the lengths of texts and lists, and of numbers; for labels (whole numbers
    or switches of few values) ``values`` with the share of each.

    Args:
        values: of the first rows.
        model: counts tokens; None counts characters.
        task: route of the column in a model that has routes.
    """
    if not values:
        return {"type": "empty"}
    first = values[0]
    if isinstance(first, Described):
        return {"type": first.kind}
    if all(isinstance(value, str) for value in values):
        if is_media_file(first):
            return {"type": "text, a file"}
        lengths, unit = _text_lengths(values, model, task)
        return {"type": f"text, {unit}", **_spread(lengths)}
    if all(isinstance(value, int) for value in values) and len(set(values)) <= _MOST_LABELS:
        counts = sorted(Counter(values).items())
        shares = {str(value): count / len(values) for value, count in counts}
        return {"type": type(first).__name__, "values": shares}
    if all(isinstance(value, (int, float)) for value in values):
        return {"type": type(first).__name__, **_spread(values)}
    if all(isinstance(value, (list, tuple)) for value in values):
        return {"type": "list, elements", **_spread([len(value) for value in values])}
    return {"type": type(first).__name__}


def show(value: Any) -> str:
    """A value as a card shows it: short, and without what only this machine knows."""
    if isinstance(value, Described):
        text = value.text
    elif isinstance(value, str):
        text = PurePath(value).name if is_media_file(value) else value
    elif isinstance(value, (int, float, bool)) or value is None:
        text = str(value)
    elif isinstance(value, (list, tuple)):
        inner = [show(item) for item in value[:10]]
        text = f"[{', '.join(inner)}{', …' if len(value) > 10 else ''}]"
    elif isinstance(value, dict):
        text = f"{{{', '.join(f'{key}: {show(item)}' for key, item in value.items())}}}"
    else:  # a picture's or an array's own text may be long, or hold its address in memory
        size = getattr(value, "size", None)
        text = type(value).__name__ + (f" {'×'.join(map(str, size))}" if isinstance(size, tuple) else "")
    return text if len(text) <= LONGEST_EXAMPLE else text[:LONGEST_EXAMPLE] + "…"


def is_media_file(text: str) -> bool:
    """Whether a text looks like the path of a picture, sound or film."""
    return text.lower().endswith(MEDIA_SUFFIXES)


def describe_loss(loss: Any) -> dict[str, Any]:
    """``{"name": class, "config": {…}}`` of a loss; the arguments are those of its ``get_config_dict``."""
    described: dict[str, Any] = {"name": type(loss).__name__}
    if hasattr(loss, "get_config_dict"):
        described["config"] = {key: _argument(value) for key, value in loss.get_config_dict().items()}
    return described


def _argument(value: Any) -> Any:
    """An argument of a loss as JSON knows it; models and functions by their names."""
    if isinstance(value, (str, PurePath)):
        return without_folders(value)
    if value is None or isinstance(value, (int, float, bool)):
        return value
    if isinstance(value, (list, tuple)):
        return [_argument(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _argument(item) for key, item in value.items()}
    inner = []
    if base := getattr(getattr(value, "model_card_data", None), "base_model", None):
        inner.append(repr(base))
    if hasattr(value, "get_config_dict"):
        inner += [f"{key}={_argument(item)!r}" for key, item in value.get_config_dict().items()]
    if name := getattr(value, "__name__", None):
        return name
    return f"{type(value).__name__}({', '.join(inner)})" if inner else type(value).__name__


def without_folders(value: Any) -> Any:
    """A setting without the folders of this machine: a path becomes the name of its file or folder.

    Texts are taken for paths if they are absolute, begin with ``~`` and a separator, or have a separator and
    lead to something that is there. Lists and dicts are gone through.
    """
    if isinstance(value, (str, PurePath)) and _is_path(value):
        return PurePath(value).name or str(value)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, dict):
        return {key: without_folders(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_folders(item) for item in value]
    return value


def _is_path(value: str | PurePath) -> bool:
    path = PurePath(value)
    if isinstance(value, PurePath) or path.is_absolute():
        return True
    # Path.exists would raise for a long text such as a prompt.
    return len(path.parts) > 1 and (path.parts[0] == "~" or os.path.exists(path))  # noqa: PTH110


def _text_lengths(texts: list[str], model: Any, task: str | None) -> tuple[list[int], str]:
    """Tokens as the model gets them, cut to its longest input, or characters."""
    if model is None or not hasattr(model, "preprocess"):
        return [len(text) for text in texts], "characters"
    tokens: list[int] = []
    for start in range(0, len(texts), _TOKENIZED_AT_A_TIME):
        chunk = texts[start : start + _TOKENIZED_AT_A_TIME]
        features = model.preprocess(chunk, task=task or "document")
        mask = features.get("attention_mask")
        if mask is None:
            return [len(text) for text in texts], "characters"
        tokens += mask.sum(dim=1).tolist()
    return tokens, "tokens"


def _spread(numbers: list[Any]) -> dict[str, Any]:
    return {"min": min(numbers), "mean": float(sum(numbers) / len(numbers)), "max": max(numbers)}
