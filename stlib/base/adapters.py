"""Folders that hold an adapter (LoRA and its kin) rather than a whole model, read without running anything.

An adapter folder has ``adapter_config.json``, which names the model that the adapter was trained on, and
``adapter_model.safetensors``. The format is that of the package ``peft``, which also does the arithmetic.
Some of its settings make it import a module or unpickle a file that the configuration names; folders with
such settings are refused here, before ``peft`` sees them.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from stlib.base.modules.module import missing_file, read_json_object
from stlib.errors import MissingDependency, ModelConfigError, UntrustedCode, WeightsMismatch
from stlib.util.file_io import resolve_model_folder

CONFIG_NAME = "adapter_config.json"
WEIGHTS_NAME = "adapter_model.safetensors"

# Methods that add weights to layers and nothing else. Those that prepend prompts need a wrapper around the
# model, BOFT compiles a kernel, X-LoRA loads further folders.
_METHODS = (
    "ADALORA",
    "FOURIERFT",
    "HRA",
    "IA3",
    "LN_TUNING",
    "LOHA",
    "LOKR",
    "LORA",
    "MISS",
    "OFT",
    "RANDLORA",
    "TRAINABLE_TOKENS",
    "VBLORA",
    "VERA",
)

# Settings that name code to import, or files to read beside the adapter: LoRA's Megatron support imports
# ``megatron_core``; CorDA, LoRA-GA and EVA unpickle statistics; LoftQ reads another checkpoint.
_FOREIGN_SETTINGS = ("megatron_config", "corda_config", "eva_config", "lora_ga_config")


def require_peft() -> None:
    """Raise :class:`MissingDependency` unless ``peft`` can be imported."""
    if importlib.util.find_spec("peft") is None:
        raise MissingDependency("adapters need the package peft; run: pip install 'stlib[adapters]'")


def is_adapter_folder(folder: Path) -> bool:
    """Whether the folder holds an adapter. It wins over a whole model in the same folder, as elsewhere."""
    return (folder / CONFIG_NAME).is_file()


def read_adapter_config(folder: Path) -> dict[str, Any]:
    """The configuration of an adapter folder that is complete and harmless.

    Raises:
        MissingModelFile: ``adapter_config.json`` or ``adapter_model.safetensors`` is missing.
        ModelConfigError: the configuration has the wrong form, or a method that is not supported.
        UntrustedCode: it names code to import or pickled files to read.
    """
    path = folder / CONFIG_NAME
    if not path.is_file():
        raise missing_file(str(folder), "", CONFIG_NAME)
    config = read_json_object(path)
    method = str(config.get("peft_type")).upper()
    if method not in _METHODS:
        raise ModelConfigError(
            f"{path} describes the method {config.get('peft_type')!r}; supported are: {', '.join(_METHODS)}"
        )
    foreign = [name for name in _FOREIGN_SETTINGS if config.get(name)]
    if config.get("megatron_core") not in (None, "megatron.core"):
        foreign.append("megatron_core")
    if foreign:
        raise UntrustedCode(
            f"{path} sets {', '.join(foreign)}, which makes peft import code or unpickle files that the "
            "adapter names; remove the setting if the weights do not need it"
        )
    if not (folder / WEIGHTS_NAME).is_file():
        raise missing_file(str(folder), "", WEIGHTS_NAME)
    return config


def whole_model_folder(folder: Path, hub: dict[str, Any]) -> Path:
    """The folder itself, unless it holds an adapter: then that of the model which the adapter builds on.

    Args:
        folder: folder of a model or an adapter.
        hub: ``token``, ``cache_dir`` and ``local_files_only``, for a base that is a model id. The adapter's
            own ``revision`` says nothing about its base, whose revision the adapter's configuration has.

    Raises:
        ModelConfigError: the adapter names no base model, or another adapter.
        ModelNotFound: the base is neither a path, nor a path beside the adapter, nor a model id that can be
            had.
    """
    if not is_adapter_folder(folder):
        return folder
    config = read_adapter_config(folder)
    name = config.get("base_model_name_or_path")
    if not isinstance(name, str) or not name:
        raise ModelConfigError(
            f"{folder / CONFIG_NAME} names no base_model_name_or_path; write the model's path or id there"
        )
    base = next((path for path in (Path(name), folder / name) if path.is_dir()), None)
    if base is None:
        revision = config.get("revision")
        base = resolve_model_folder(
            name,
            token=hub.get("token"),
            cache_folder=hub.get("cache_dir"),
            revision=revision if isinstance(revision, str) else None,
            local_files_only=bool(hub.get("local_files_only")),
        )
    if is_adapter_folder(base):
        raise ModelConfigError(
            f"{folder / CONFIG_NAME} names {name!r} as its base, which is an adapter itself; merge that into "
            "its own base and name the result"
        )
    return base


def adapt(model: Any, folder: Path) -> None:
    """Put the adapter of a folder into the model it builds on, which goes by the name that the adapter knows.

    Does nothing if the folder holds a whole model. Raises as :func:`attach_adapter` does.
    """
    if is_adapter_folder(folder):
        attach_adapter(model, folder)
        base = read_adapter_config(folder)["base_model_name_or_path"]
        model.name_or_path = model.config.name_or_path = base
        model.eval()


def attach_adapter(model: Any, folder: Path, name: str = "default", **options: Any) -> None:
    """Read an adapter folder into a transformers model and make it active.

    Args:
        model: the transformers model.
        folder: the adapter folder.
        name: what the adapter is called from now on.
        options: further arguments of transformers' ``load_adapter``, e.g. ``is_trainable``.

    Raises:
        MissingDependency: ``peft`` is not installed.
        MissingModelFile, ModelConfigError, UntrustedCode: see :func:`read_adapter_config`.
        WeightsMismatch: the weights are damaged.
    """
    require_peft()
    from safetensors import SafetensorError

    read_adapter_config(folder)
    options.setdefault("local_files_only", True)
    try:
        model.load_adapter(str(folder), adapter_name=name, **options)
    except SafetensorError as error:
        raise WeightsMismatch(
            f"{folder / WEIGHTS_NAME} cannot be read ({error}); it is damaged: get the adapter again"
        ) from error
