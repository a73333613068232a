"""Random generators at one moment, to draw the same numbers twice."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class RandContext:
    """The state of the random generators when it is made; a ``with`` block draws from there on.

    After the block the generators are where they were before it, so that nothing else draws numbers twice.

    Args:
        tensors: the generators of their devices are kept beside that of the CPU; other values are ignored.
    """

    def __init__(self, *tensors: Any) -> None:
        devices = {tensor.device for tensor in tensors if isinstance(tensor, Tensor)}
        self._devices = [device for device in devices if device.type not in ("cpu", "meta")]
        self._states = _read(self._devices)
        self._outside: list[tuple[Tensor, list[Tensor]]] = []

    def __enter__(self) -> None:
        self._outside.append(_read(self._devices))
        _write(self._devices, self._states)

    def __exit__(self, *error: object) -> None:
        _write(self._devices, self._outside.pop())


def _read(devices: list[torch.device]) -> tuple[Tensor, list[Tensor]]:
    return torch.get_rng_state(), [_generator(device).get_rng_state(*_index(device)) for device in devices]


def _write(devices: list[torch.device], states: tuple[Tensor, list[Tensor]]) -> None:
    cpu, others = states
    torch.set_rng_state(cpu)
    for device, state in zip(devices, others, strict=True):
        _generator(device).set_rng_state(state, *_index(device))


def _generator(device: torch.device) -> Any:
    return getattr(torch, device.type)


def _index(device: torch.device) -> tuple[torch.device, ...]:
    return () if device.type == "mps" else (device,)  # of which a machine has one
