"""What models of all backends share: they look like a transformers model to the modules around them."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from stlib.backend.batches import Arrays
from stlib.backend.files import Format
from stlib.backend.temporary import TemporaryFolder
from stlib.errors import InvalidInput, ModelConfigError

# transformers tasks that can be served, and the name of what comes out.
OUTPUTS = {
    "feature-extraction": "last_hidden_state",
    "fill-mask": "logits",
    "sequence-classification": "logits",
}

_INPUTS = ("input_ids", "attention_mask", "token_type_ids", "position_ids")


class Output(dict[str, Tensor]):
    """Outputs of a model by name, as attributes and by position, like those of transformers."""

    def __getattr__(self, name: str) -> Tensor:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __getitem__(self, key: str | int) -> Tensor:
        return super().__getitem__(key) if isinstance(key, str) else self.to_tuple()[key]

    def to_tuple(self) -> tuple[Tensor, ...]:
        """The values in their order."""
        return tuple(self.values())


class BackendModel(ABC):
    """A transformers model that another engine than torch runs.

    Args:
        path: the exported file.
        config: the transformers configuration.
        task: a key of :data:`OUTPUTS`.
        temporary: the folder that holds the file, if it is to be removed with the model and its copies; then
            only the name of ``path`` counts.
    """

    format: ClassVar[Format]

    def __init__(self, path: Path, config: Any, task: str, temporary: TemporaryFolder | None = None) -> None:
        self.path = path if temporary is None else temporary.path / path.name
        self.temporary = temporary
        self.config = config
        self.task = task
        self.input_names: list[str] = []

    @abstractmethod
    def run(self, inputs: Arrays) -> np.ndarray:
        """The result for arrays ``[n, tokens]`` under the names of :attr:`input_names`."""

    @abstractmethod
    def files(self) -> list[str]:
        """Names of the files that make up the model, relative to the folder of :attr:`path`."""

    @property
    def device(self) -> torch.device:
        """Where inputs are expected and results are given."""
        return torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        """Data type of the results."""
        return torch.float32

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        return_dict: bool | None = None,
    ) -> Output:
        """Run the model; the output has ``last_hidden_state`` or ``logits``, which is also its entry 0."""
        given = (input_ids, attention_mask, token_type_ids, position_ids)
        arrays = {
            name: value.cpu().numpy() for name, value in zip(_INPUTS, given, strict=True) if value is not None
        }
        result = torch.from_numpy(self.run(self._complete(arrays))).to(input_ids.device)
        return Output({OUTPUTS[self.task]: result})

    def eval(self) -> BackendModel:
        """Itself: exported models know inference only."""
        return self

    def save_pretrained(self, folder: str | Path, **kwargs: Any) -> None:
        """Write ``config.json``, if the model came with one, and the exported files into ``onnx`` or
        ``openvino``.
        """
        target = Path(folder) / self.format.folder
        target.mkdir(parents=True, exist_ok=True)
        if self.config.model_type:
            self.config.save_pretrained(folder)
        for name in self.files():
            destination = target / name
            destination.parent.mkdir(parents=True, exist_ok=True)
            if not destination.exists() or not destination.samefile(self.path.parent / name):
                shutil.copyfile(self.path.parent / name, destination)

    def _complete(self, arrays: Arrays) -> Arrays:
        """Inputs that the graph takes, with the usual values for those that are not given."""
        ids = arrays["input_ids"]
        if ids.ndim != 2:
            raise InvalidInput(f"input_ids has shape {ids.shape}; the model takes [inputs, tokens]")
        complete = {}
        for name in self.input_names:
            if name in arrays:
                complete[name] = arrays[name]
            elif name == "attention_mask":
                complete[name] = np.ones_like(ids)
            elif name == "token_type_ids":
                complete[name] = np.zeros_like(ids)
            else:
                complete[name] = np.broadcast_to(np.arange(ids.shape[1], dtype=ids.dtype), ids.shape)
        return complete

    def _check_inputs(self) -> None:
        """Raise :class:`ModelConfigError` if the graph wants what a text encoder cannot give."""
        foreign = sorted(set(self.input_names) - set(_INPUTS))
        if foreign or "input_ids" not in self.input_names:
            raise ModelConfigError(
                f"{self.path} takes {', '.join(self.input_names)}; text encoders take {', '.join(_INPUTS)}: "
                "choose another file with model_kwargs={'file_name': …}"
            )

    def _choose_output(self, names: list[str]) -> str:
        """Of a graph's outputs, the one with the token embeddings or logits."""
        for name in (OUTPUTS[self.task], "token_embeddings"):
            if name in names:
                return name
        return names[0]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.path.name!r}, task={self.task!r})"
