"""Folders that hold an adapter (LoRA and its kin) rather than a whole model, read without running anything.

An adapter folder has ``adapter_config.json``, which names the model that the adapter was trained on, and
``adapter_model.safetensors``. The format is that of the package ``peft``, which also does the arithmetic.
A setting of its configuration can make it import a module; folders with that setting are refused here, before
``peft`` sees them, and so are pickled weights.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stlib.base.folder import missing_file, read_json_object, revision_of
from stlib.base.weights import read_weights
from stlib.errors import InvalidOption, MissingDependency, ModelConfigError, UntrustedCode, WeightsMismatch
from stlib.util.file_io import resolve_model_folder

if TYPE_CHECKING:
    from torch import Tensor

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

# LoRA on layers of Megatron imports the package that ``megatron_core`` names, if ``megatron_config`` is set.
_MEGATRON = "megatron.core"


def require_peft() -> None:
    """Raise :class:`MissingDependency` unless ``peft`` can be imported."""
    if importlib.util.find_spec("peft") is None:
        raise MissingDependency("adapters need the package peft; run: pip install peft")


def is_adapter_folder(folder: Path) -> bool:
    """Whether the folder holds an adapter. It wins over a whole model in the same folder, as elsewhere."""
    return (folder / CONFIG_NAME).is_file()


def read_adapter_config(folder: Path) -> dict[str, Any]:
    """The configuration of an adapter folder that is complete and harmless.

    Raises:
        MissingModelFile: ``adapter_config.json`` or ``adapter_model.safetensors`` is missing.
        ModelConfigError: the configuration has the wrong form, or a method that is not supported.
        UntrustedCode: it names code to import.
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
    if config.get("megatron_config") or config.get("megatron_core") not in (None, _MEGATRON):
        raise UntrustedCode(
            f"{path} sets megatron_config or megatron_core, which makes peft import the package "
            f"{config.get('megatron_core')!r}; set both to null if the adapter is for no Megatron model"
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


def adapt(model: Any, folder: Path, name: str | None = None) -> None:
    """Put the adapter of a folder into the model it builds on, which goes by the name that the adapter knows.

    A whole model is left alone, but goes by its id on the hub if that is ``name``, rather than by a path in
    the cache: adapters and model cards refer to it so. Raises as :func:`attach_adapter` does.
    """
    if name is not None and not is_adapter_folder(folder) and not Path(name).exists():
        model.name_or_path = model.config.name_or_path = name
        model.config._commit_hash = revision_of(folder)  # where transformers keeps it
    if is_adapter_folder(folder):
        attach_adapter(model, folder)
        base = read_adapter_config(folder)["base_model_name_or_path"]
        model.name_or_path = model.config.name_or_path = base
        model.eval()


def attach_adapter(model: Any, folder: Path, name: str = "default", is_trainable: bool = False) -> None:
    """Read an adapter folder into a transformers model and make it active.

    Args:
        model: the transformers model.
        folder: the adapter folder.
        name: what the adapter is called from now on.
        is_trainable: let its weights learn.

    Raises:
        MissingDependency: ``peft`` is not installed.
        MissingModelFile, ModelConfigError, UntrustedCode: see :func:`read_adapter_config`.
        InvalidOption: the model has an adapter of this name.
        WeightsMismatch: the weights are damaged or do not fit.
    """
    require_peft()
    from peft import PeftConfig

    read_adapter_config(folder)
    weights = read_weights(folder / WEIGHTS_NAME)
    config = PeftConfig.from_pretrained(str(folder))
    put_adapter(model, config, weights, name, is_trainable, source=str(folder))


@contextmanager
def several_adapters_are_fine() -> Iterator[None]:
    """Keep ``peft`` from warning about a second adapter, which is no mistake."""
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Already found a `peft_config` attribute", category=UserWarning
        )
        yield


def adapter_weights(
    model: Any, name: str | None = None, state: dict[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """Weights of one adapter of a transformers model, by the names that ``peft`` gives them.

    Embeddings of the base model are not part of it. (Left to itself, ``peft`` looks on the hub whether the
    base had another vocabulary.)

    Args:
        model: the transformers model.
        name: default: the active adapter.
        state: take the tensors from here rather than from the model.
    """
    from peft import get_peft_model_state_dict

    chosen = name or model.active_adapters()[0]
    return get_peft_model_state_dict(model, state, adapter_name=chosen, save_embedding_layers=False)


def has_adapter(model: Any) -> bool:
    """Whether a transformers model carries adapters, so that saving it means saving the active one."""
    return bool(getattr(model, "_hf_peft_config_loaded", False))


def save_adapter(model: Any, folder: Path) -> None:
    """Write the active adapter of a transformers model: its configuration, and its weights as safetensors.

    Raises:
        InvalidOption: several adapters are active, of which a folder can hold one.
    """
    from safetensors.torch import save_file

    active = model.active_adapters()
    if len(active) != 1:
        raise InvalidOption(
            f"the adapters {', '.join(active)} are active together and a folder holds one; save them one by "
            "one, each after set_adapter(name)"
        )
    weights = adapter_weights(model, active[0])
    stored = {f"base_model.model.{key}": tensor.contiguous() for key, tensor in weights.items()}
    save_file(stored, folder / WEIGHTS_NAME, metadata={"format": "pt"})
    model.peft_config[active[0]].save_pretrained(str(folder))


def merge_into_base(model: Any) -> None:
    """Fold the active adapters into the weights of a transformers model, which is whole afterwards."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    outermost: list[str] = []
    for name, module in model.named_modules():
        adapted = isinstance(module, BaseTunerLayer) or hasattr(module, "unload_and_optionally_merge_module")
        if adapted and not any(name.startswith(f"{outer}.") for outer in outermost):
            outermost.append(name)
    for name in outermost:
        layer = model.get_submodule(name)
        parent, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(parent), leaf, _merge_layer(layer))
    del model.peft_config
    model._hf_peft_config_loaded = False


def _merge_layer(layer: Any) -> Any:
    if hasattr(layer, "unload_and_optionally_merge_module"):  # layers that need more than a sum of weights
        return layer.unload_and_optionally_merge_module(merge=True, safe_merge=True, adapter_names=None)
    layer.merge(safe_merge=True)
    return layer.get_base_layer()


def put_adapter(
    model: Any,
    config: Any,
    weights: dict[str, Tensor],
    name: str = "default",
    is_trainable: bool = False,
    source: str = "the adapter",
) -> None:
    """Put an adapter into a transformers model by its configuration and weights.

    ``peft`` itself does it: transformers' own way (5.3) leaves the weights of encoders random.

    Args:
        model: the transformers model.
        config: configuration of ``peft``.
        weights: as ``peft`` saves them, with ``base_model.model.`` in front of each name or without.
        name: what the adapter is called from now on.
        is_trainable: let its weights learn.
        source: what the adapter is called in errors.

    Raises:
        InvalidOption: the model has an adapter of this name.
        WeightsMismatch: the weights do not fit.
    """
    from peft import inject_adapter_in_model, set_peft_model_state_dict

    if name in getattr(model, "peft_config", {}):
        raise InvalidOption(
            f"the model has an adapter {name!r}; pass another adapter_name, or delete that one"
        )
    config.inference_mode = not is_trainable
    try:
        with several_adapters_are_fine():
            inject_adapter_in_model(config, model, name)
        model._hf_peft_config_loaded = True
        weights = {key.removeprefix("base_model.model."): tensor for key, tensor in weights.items()}
        loaded: Any = set_peft_model_state_dict(model, weights, name)
    except (RuntimeError, ValueError) as error:  # other shapes; no layer that the configuration names
        raise WeightsMismatch(f"{source} does not fit {type(model).__name__}: {error}") from error
    missing = [key for key in loaded.missing_keys if f".{name}." in f"{key}."]
    if missing or loaded.unexpected_keys:
        raise WeightsMismatch(
            f"{source} does not fit {type(model).__name__}: missing {sorted(missing) or 'nothing'}, "
            f"unexpected {sorted(loaded.unexpected_keys) or 'nothing'}"
        )
