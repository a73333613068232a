"""Settings of a transformers module: keywords of all generations, where files are, how they are saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args

from stlib.base.transformer.modality import TASKS, from_json
from stlib.errors import InvalidOption, ModelConfigError, UnknownKeyword, UntrustedCode
from stlib.util.config_keys import PROCESSING_GROUPS, drop_unknown_keys
from stlib.util.file_io import check_relative_path, resolve_model_folder
from stlib.util.older_names import tell_older_name

# What computes a transformer.
Backend = Literal["torch", "onnx", "openvino"]

# Keywords of earlier generations and what they are called now.
OLDER_KEYWORDS = {
    "model_args": "model_kwargs",
    "tokenizer_args": "processor_kwargs",
    "tokenizer_kwargs": "processor_kwargs",
    "config_args": "config_kwargs",
}

# What a file may not say: it would make transformers unpickle, or run code of the model or of the hub, or
# name libraries and folders of this machine to an engine.
_NEVER_FROM_FILES = (
    "trust_remote_code",
    "weights_only",
    "use_kernels",
    "kernel_config",
    "allow_all_kernels",
    "code_revision",
    "provider_options",
    "session_options",
    "ov_config",
    "config",  # would take the place of the one that is checked
)
# Attention that is part of transformers or of a package installed here, by the names that files may use.
FILE_ATTENTION = ("eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention")
_NOT_IN_FILES = ("backend", "model_name_or_path")

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
            tell_older_name("Transformer", old, "model_kwargs={'cache_dir': …}")
            hub["cache_dir"] = value
        elif old in OLDER_KEYWORDS:
            tell_older_name("Transformer", old, OLDER_KEYWORDS[old])
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
    return folder / check_relative_path(hub.get("subfolder") or "")


def check_choices(task: str, backend: str) -> None:
    """Refuse what there is not.

    Raises:
        InvalidOption: the task or backend is unknown.
    """
    if task not in TASKS:
        raise InvalidOption(f"transformer_task {task!r} is unknown; use one of: {', '.join(TASKS)}")
    if backend not in get_args(Backend):
        raise InvalidOption(f"backend {backend!r} is unknown; use 'torch', 'onnx' or 'openvino'")


def load_settings(saved: dict[str, Any], source: str = "the settings of the Transformer") -> dict[str, Any]:
    """The settings of a saved file under the names of today, without what only a caller may grant.

    Args:
        source: the file, for messages.

    Raises:
        ModelConfigError: a setting has another form, or is no setting of a file.
        UntrustedCode: attention is to be computed by code of the hub.
    """
    config = {OLDER_KEYWORDS.get(key, key): value for key, value in saved.items()}
    for key in _NOT_IN_FILES:
        if key in config:
            raise ModelConfigError(f"{source}: holds {key!r}, which only a caller may give")
    for key in ("model_kwargs", "processor_kwargs", "config_kwargs"):
        if key in config:
            group = _check_dict(config[key], key, source)
            config[key] = {k: v for k, v in group.items() if k not in _NEVER_FROM_FILES}
            check_file_attention(config[key].get("attn_implementation"))
            if config[key].get("attn_implementation", "") is None:
                del config[key]["attn_implementation"]  # says nothing
    _check_values(config, source)
    if groups := config.get("processing_kwargs"):
        config["processing_kwargs"] = drop_unknown_keys(
            groups, PROCESSING_GROUPS, f"{source}: processing_kwargs"
        )
    if "modality_config" in config:
        config["modality_config"] = from_json(config["modality_config"])
    return config


def _check_values(config: dict[str, Any], source: str) -> None:
    for key in ("max_seq_length", "query_length", "document_length"):
        check_length(config.get(key), key, source)
    check_length(config.get("processor_kwargs", {}).get("model_max_length"), "model_max_length", source)
    calls = _check_dict(config.get("processing_kwargs"), "processing_kwargs", source)
    for kind, keywords in calls.items():
        length = _check_dict(keywords, f"processing_kwargs[{kind!r}]", source).get("max_length")
        if kind in ("text", "common"):  # that of sounds counts samples
            check_length(length, "max_length", source)
    for key in ("unpad_inputs", "do_lower_case"):
        if not (config.get(key) is None or isinstance(config[key], bool)):
            raise ModelConfigError(f"{source}: {key}={config[key]!r}; allowed is true, false or null")


def _check_dict(value: Any, key: str, source: str) -> dict[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise ModelConfigError(f"{source}: {key}={value!r}; it must be an object or null")
    return value or {}


def check_length(
    value: Any, key: str, source: str, error: type[ModelConfigError | InvalidOption] = ModelConfigError
) -> None:
    """Refuse a number of tokens that no text can be cut to; None and 10**30 (of transformers) are no limit.

    Raises:
        ModelConfigError: or ``error``; it names source, key and value.
    """
    if value is None:
        return
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    # From 10**20 on transformers cuts nothing; below, its tokenizers count in 64 bits.
    if is_number and (value > 1e20 or (isinstance(value, int) and 1 <= value < 2**63)):
        return
    raise error(f"{source}: {key}={value!r}; allowed is a whole number of tokens from 1, or null")


def check_attention(config: Any, wanted: Any) -> None:
    """Refuse a configuration that names attention which neither the caller nor transformers knows.

    Args:
        config: of transformers, finished; the configurations inside of it are checked too.
        wanted: ``attn_implementation`` of the keywords, a name or ``{part: name}``. Names outside of
            :data:`FILE_ATTENTION` are the caller's, since :func:`load_settings` refuses them in files.

    Raises:
        UntrustedCode, ModelConfigError: see :func:`check_file_attention`.
    """
    allowed = list(wanted.values()) if isinstance(wanted, dict) else [wanted]
    parts = [getattr(config, name, None) for name in getattr(config, "sub_configs", {})]
    parts += vars(config).values()
    name = getattr(config, "_attn_implementation", None)
    if name not in allowed:
        check_file_attention(name)
    seen: set[int] = set()
    for part in parts:
        if hasattr(part, "_attn_implementation") and id(part) not in seen:
            seen.add(id(part))
            check_attention(part, wanted)


def check_file_attention(name: Any) -> None:
    """Refuse what a file may not name as its attention implementation; None names nothing.

    Raises:
        UntrustedCode: it is like ``owner/kernel``; transformers would download it and run its code.
        ModelConfigError: it is not one of :data:`FILE_ATTENTION`.
    """
    names = name.values() if isinstance(name, dict) else name if isinstance(name, list) else [name]
    for part in names:
        if isinstance(part, str) and "/" in part:
            raise UntrustedCode(
                f"the model's files name the attention implementation {part!r}, which is code of the hub; if "
                f"you trust it, pass model_kwargs={{'attn_implementation': {part!r}}} and take it out of them"
            )
    if name is not None and name not in FILE_ATTENTION:
        raise ModelConfigError(
            f"the model's files name the attn_implementation {name!r}; a file may name: "
            f"{', '.join(FILE_ATTENTION)}. Others only a caller may choose, with model_kwargs"
        )


def embedding_dimension(model: Any, module_output_name: str) -> int:
    """Width of what a model gives out: of its projection for embeddings of inputs, else of its layers.

    Raises:
        ModelConfigError: the model's configuration does not tell.
    """
    config = model.config
    parts = [config, getattr(config, "text_config", None)]
    parts += [getattr(config, name, None) for name in getattr(config, "sub_configs", {})]
    for part in parts:
        found = _width(part, module_output_name == "sentence_embedding")
        if found is not None:
            return found
    raise ModelConfigError(f"the configuration of {type(model).__name__} names no hidden size")


def _width(config: Any, projected: bool) -> int | None:
    if config is None:
        return None
    if getattr(config, "model_type", None) == "timm_wrapper":
        return config.num_features
    first = ("projection_dim",) if projected else ()
    for name in (*first, "hidden_size", "neck_hidden_sizes", "hidden_sizes", "embed_dims", "hidden_dim"):
        value = getattr(config, name, None)
        if isinstance(value, (list, tuple)) and value:
            return int(value[-1])  # the last stage of a model of several
        if isinstance(value, int):
            return value
    return next((v for n in ("d_model", "dim") if isinstance(v := getattr(config, n, None), int)), None)
