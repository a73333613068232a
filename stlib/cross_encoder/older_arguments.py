"""Arguments of a CrossEncoder under the names and in the places of earlier generations."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

from stlib.errors import InvalidOption
from stlib.util.older_names import tell_older_name, tell_once

# Arguments that once followed the model's name without their names.
_POSITIONS = ("num_labels", "max_length", "activation_fn", "device")

_RENAMED = {
    "model_name": "model_name_or_path",
    "automodel_args": "model_kwargs",
    "tokenizer_args": "processor_kwargs",
    "tokenizer_kwargs": "processor_kwargs",
    "config_args": "config_kwargs",
    "cache_dir": "cache_folder",
    "default_activation_function": "activation_fn",
}


def current_positions(given: dict[str, Any], values: Sequence[Any]) -> dict[str, Any]:
    """The arguments with those that came by position after the model's name.

    Raises:
        InvalidOption: there are more positions than there ever were.
    """
    if len(values) > len(_POSITIONS):
        raise InvalidOption(
            f"CrossEncoder takes at most {len(_POSITIONS) + 1} arguments without a name: "
            f"model_name_or_path, {', '.join(_POSITIONS)}"
        )
    by_position = dict(zip(_POSITIONS, values, strict=False))
    for name, value in by_position.items():
        tell_once(f"CrossEncoder: {name} by its position is an older way; write {name}={value!r}")
    return {**given, **{name: by_position[name] for name in by_position if given[name] is None}}


def current_arguments(given: dict[str, Any], older: dict[str, Any]) -> dict[str, Any]:
    """The arguments with older names replaced by those of today.

    Raises:
        InvalidOption: an argument is given under both names, or is none of either generation.
    """
    result = dict(given)
    for name, value in older.items():
        if name == "classifier_dropout":
            tell_older_name("CrossEncoder", name, f"config_kwargs={{{name!r}: {value!r}}}")
            if value is not None:
                result["config_kwargs"] = {**(result["config_kwargs"] or {}), name: value}
            continue
        if name not in _RENAMED:
            near = difflib.get_close_matches(name, [*given, *_RENAMED], 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(given)}"
            raise InvalidOption(f"CrossEncoder takes no argument {name!r}; {hint}")
        newer = _RENAMED[name]
        tell_older_name("CrossEncoder", name, newer)
        if result[newer] is not None and value is not None:
            raise InvalidOption(f"{newer} and its older name {name} are both given; pass {newer} only")
        result[newer] = value if value is not None else result[newer]
    return result
