"""Settings of a transformers module: keywords of all generations, where files are, how they are saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stlib.errors import InvalidOption, UnknownKeyword, UnsupportedOption
from stlib.util.file_io import checked_relative_path, resolve_model_folder

TEXT_MODALITY = {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}

# Keywords of earlier generations and what they are called now.
OLDER_KEYWORDS = {
    "model_args": "model_kwargs",
    "tokenizer_args": "processor_kwargs",
    "tokenizer_kwargs": "processor_kwargs",
    "config_args": "config_kwargs",
}

# Where to find the files; understood once, when the folder is resolved.
_HUB_KEYS = ("token", "revision", "cache_dir", "local_files_only", "subfolder")


def take_hub_options(options: dict[str, dict[str, Any]], older: dict[str, Any]) -> dict[str, Any]:
    """Move older keywords to their place and hub options out of the three dicts; returns the hub options.

    Raises:
        UnknownKeyword: a keyword of no generation.
    """
    hub: dict[str, Any] = {}
    for old, value in older.items():
        if old == "cache_dir":
            hub["cache_dir"] = value
        elif old in OLDER_KEYWORDS:
            options[OLDER_KEYWORDS[old]].update(value or {})
        else:
            known = ", ".join([*OLDER_KEYWORDS, "cache_dir"])
            raise UnknownKeyword(f"Transformer has no keyword {old!r}; of the older ones it takes: {known}")
    for key in _HUB_KEYS:
        for group in options.values():
            if key in group:
                value = group.pop(key)
                hub.setdefault(key, value)
    return hub


def resolve_folder(name_or_path: str, hub: dict[str, Any]) -> Path:
    folder = resolve_model_folder(
        name_or_path,
        token=hub.get("token"),
        cache_folder=hub.get("cache_dir"),
        revision=hub.get("revision"),
        local_files_only=bool(hub.get("local_files_only")),
    )
    return folder / checked_relative_path(hub.get("subfolder") or "")


def refuse_unserved(
    task: str, backend: str, modality_config: Any, unpad_inputs: bool | None, query_expansion: Any
) -> None:
    if task != "feature-extraction":
        raise UnsupportedOption(f"transformer_task={task!r} is not served; use 'feature-extraction'")
    if backend not in ("torch", "onnx", "openvino"):
        raise InvalidOption(f"backend {backend!r} is unknown; use 'torch'")
    if backend != "torch":
        raise UnsupportedOption(f"backend={backend!r} is not served; use backend='torch'")
    if modality_config is not None and dict(modality_config) != TEXT_MODALITY:
        raise UnsupportedOption(
            f"modality_config={modality_config!r} is not served; only {TEXT_MODALITY!r} is"
        )
    if unpad_inputs:
        raise UnsupportedOption("unpad_inputs=True is not served; leave it out: batches are padded")
    if query_expansion is not None:
        raise UnsupportedOption("query_expansion is not served by dense models; leave it out")
