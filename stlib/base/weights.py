"""Reading and writing the weights of one module. Nothing is ever unpickled."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_model
from torch import Tensor, nn

from stlib.errors import WeightsMismatch

SAFETENSORS_NAME = "model.safetensors"
PYTORCH_NAME = "pytorch_model.bin"

ModuleT = TypeVar("ModuleT", bound=nn.Module)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of a ``.safetensors`` file or a torch file, on the CPU.

    Raises:
        WeightsMismatch: the file is damaged, or a torch file holds anything but tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise WeightsMismatch(
            f"{path} cannot be read as plain tensors ({type(error).__name__}); the file is damaged or holds "
            "code, which is never run: get the model again, as safetensors"
        ) from error


def put_weights(module: ModuleT, state: dict[str, Tensor], source: str | Path) -> ModuleT:
    """Copy tensors into a module; all of them must fit, tied ones may be stored once.

    Raises:
        WeightsMismatch: names or shapes differ; the message lists them.
    """
    try:
        result = module.load_state_dict(state, strict=False)
    except (RuntimeError, TypeError) as error:
        raise WeightsMismatch(f"{source} does not fit {type(module).__name__}: {error}") from error
    missing = set(result.missing_keys) - _find_tied_names(module, state)
    if missing or result.unexpected_keys:
        raise WeightsMismatch(
            f"{source} does not fit {type(module).__name__}: missing {sorted(missing) or 'nothing'}, "
            f"unexpected {sorted(result.unexpected_keys) or 'nothing'}"
        )
    return module


def save_weights(module: nn.Module, folder: Path, safe_serialization: bool = True) -> None:
    """Write a module's weights; shared tensors are stored once."""
    if safe_serialization:
        save_model(module, str(folder / SAFETENSORS_NAME))
    else:
        torch.save(module.state_dict(), folder / PYTORCH_NAME)


def _find_tied_names(module: nn.Module, state: dict[str, Tensor]) -> set[str]:
    """Names whose tensor is the very tensor of a name that was loaded (tied weights)."""
    own = module.state_dict(keep_vars=True)
    loaded = {own[name].data_ptr() for name in state if name in own}
    return {name for name, tensor in own.items() if tensor.data_ptr() in loaded}
