"""What ``old_fit`` runs on: batches of data loaders in turns, and an optimizer for each objective."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, IterableDataset


class Rounds(IterableDataset):
    """An epoch of batches: of each loader one, ``turns`` times; loaders that end begin anew.

    The random numbers are those the caller had when this was made, whatever happened to them until the first
    batch. The next epoch goes on where this one ended.
    """

    def __init__(self, model: Any, loaders: list[Any], names: list[str], turns: int) -> None:
        super().__init__()
        self.loaders = dict(zip(names, loaders, strict=True))
        self.turns = turns
        for loader in loaders:
            loader.collate_fn = model.smart_batching_collate
        self._random_states: Any = (random.getstate(), np.random.get_state(), torch.get_rng_state())
        self._running: dict[str, Iterator[Any]] = {}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        if not self._running:
            self._restore_random_states()
            self._running = {name: iter(loader) for name, loader in self.loaders.items()}
        for _ in range(self.turns):
            for name in self.loaders:
                yield as_inputs(name, *self._next(name))

    def __len__(self) -> int:
        return self.turns * len(self.loaders)

    def _next(self, name: str) -> Any:
        try:
            return next(self._running[name])
        except StopIteration:
            self._running[name] = iter(self.loaders[name])
            return next(self._running[name])

    def _restore_random_states(self) -> None:
        of_python, of_numpy, of_torch = self._random_states
        random.setstate(of_python)
        np.random.set_state(of_numpy)
        torch.set_rng_state(of_torch)

    def as_loader(self) -> DataLoader:
        """What a trainer iterates; it draws no random numbers of the caller's."""
        return DataLoader(self, batch_size=None, generator=torch.Generator())


def as_inputs(name: str, features: Any, labels: Any) -> dict[str, Any]:
    """A batch of ``smart_batching_collate`` as one dict of the trainer.

    Features are those of each column, or of all columns together.
    """
    features = features if isinstance(features, list) else [features]
    inputs: dict[str, Any] = {"dataset_name": name, "label": labels}
    for place, column in enumerate(features):
        inputs.update({f"sentence_{place}_{key}": value for key, value in column.items()})
    return inputs


class ObjectiveOptimizers(Optimizer):
    """One optimizer for each objective; a step is one of ``current`` only.

    Args:
        parts: the optimizers by name of the objective.
        parameters: what each of them trains.
        max_grad_norm: gradients of an objective with a larger norm are scaled down to it before its step.
    """

    def __init__(
        self,
        parts: dict[str, Optimizer],
        parameters: dict[str, list[nn.Parameter]],
        max_grad_norm: float | None,
    ) -> None:
        self.parts = parts
        self.parameters = parameters
        self.current = next(iter(parts))
        self.max_grad_norm = max_grad_norm
        super().__init__([{"params": [torch.zeros(1)]}], {})
        self._share_groups()

    def _share_groups(self) -> None:
        # The very dicts of the parts, so that a schedule sets their learning rates
        self.param_groups = [group for part in self.parts.values() for group in part.param_groups]

    def step(self, closure: Any = None) -> Any:
        """A step of the current objective's optimizer, whose gradients are then dropped."""
        part = self.parts[self.current]
        if self.max_grad_norm:
            nn.utils.clip_grad_norm_(self.parameters[self.current], self.max_grad_norm)
        result = part.step(closure)
        part.zero_grad()
        return result

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop all gradients."""
        for part in self.parts.values():
            part.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """The states of the optimizers by name."""
        return {name: part.state_dict() for name, part in self.parts.items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what :meth:`state_dict` gave."""
        for name, part in self.parts.items():
            part.load_state_dict(state_dict[name])
        self._share_groups()


def save_checkpoint(model: Any, folder: str, step: int, limit: int | None) -> None:
    """Save a model as ``folder/step``, and delete the oldest of more than ``limit`` such folders."""
    model.save(str(Path(folder) / str(step)))
    saved = sorted(
        (path for path in Path(folder).iterdir() if path.name.isdigit()), key=lambda p: int(p.name)
    )
    for path in saved[: len(saved) - limit] if limit and limit > 0 else []:
        shutil.rmtree(path)
