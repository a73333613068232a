"""Embeddings kept as ``.npy`` files, under names that follow from what they are made of."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

logger = logging.getLogger(__name__)

# What a model without weights of its own (a remote one, an ONNX graph) is recognised by: its vector of this.
_PROBE = "The quick brown fox jumps over the lazy dog."


class EmbeddingCache:
    """A folder of arrays ``[texts, d]``, one per model, prompt and list of texts.

    Args:
        folder: made if it is not there.
        model: its weights and settings are part of each name, so that a model trained further in the same
            place does not find its old vectors.
        say: told what is read and written.
    """

    def __init__(self, folder: str | Path, model: Any, say: Callable[[str], None]) -> None:
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._model = _fingerprint(model)
        self._say = say

    def path(self, kind: str, prompt: dict[str, str | None], texts: Iterable[Any]) -> Path:
        """Where the vectors of these texts with this prompt are or will be."""
        digest = hashlib.sha256(self._model)
        digest.update(repr(sorted(prompt.items())).encode("utf-8", "surrogatepass"))
        for text in texts:
            digest.update(f"\n{text!r}".encode("utf-8", "surrogatepass"))
        return self._folder / f"{kind}_{digest.hexdigest()}.npy"

    def load(self, path: Path, rows: int) -> np.ndarray | None:
        """The array of a file; None if there is none, or it is damaged."""
        if not path.exists():
            return None
        try:
            values = np.load(path, allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            logger.warning("%s cannot be read (%s); the texts are encoded again", path, error)
            return None
        if not isinstance(values, np.ndarray):  # an archive of several arrays
            values.close()
            logger.warning("%s holds no single array; the texts are encoded again", path)
            return None
        if values.ndim != 2 or len(values) != rows:
            logger.warning("%s has the shape %s; the texts are encoded again", path, values.shape)
            return None
        self._say(f"Read embeddings {values.shape} from {path}")
        return values

    def save(self, path: Path, values: np.ndarray) -> None:
        """Write an array; another process sees all of it or nothing."""
        handle, unfinished = tempfile.mkstemp(dir=self._folder, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                np.save(file, values, allow_pickle=False)
            Path(unfinished).replace(path)
        except BaseException:
            Path(unfinished).unlink(missing_ok=True)
            raise
        self._say(f"Wrote embeddings {values.shape} to {path}")


def _fingerprint(model: Any) -> bytes:
    digest = hashlib.sha256(repr(_settings(model)).encode("utf-8", "surrogatepass"))
    weights = model.state_dict() if hasattr(model, "state_dict") else {}
    for name, tensor in weights.items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().data)
    if not weights:
        probe = model.encode_document([_PROBE], convert_to_numpy=True, show_progress_bar=False)
        digest.update(np.asarray(probe, dtype=np.float32).tobytes())
    return digest.digest()


def _settings(model: Any) -> list[Any]:
    names = ("prompts", "default_prompt_name", "truncate_dim", "max_seq_length")
    settings: list[Any] = [getattr(model, name, None) for name in names]
    children = model.named_modules() if hasattr(model, "named_modules") else ()
    for name, module in children:
        has_config = module is not model and hasattr(module, "get_config_dict")
        settings.append((name, type(module).__name__, module.get_config_dict() if has_config else None))
    return settings
