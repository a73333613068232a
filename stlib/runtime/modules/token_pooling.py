"""Fewer token vectors for a text: those that are alike are replaced by their mean.

Source: Clavié, Chaffin and Adams, "Reducing the Footprint of Multi-Vector Retrieval with Minimal Performance
Impact via Token Pooling", arXiv:2409.14683.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stlib.errors import ModelConfigError
from stlib.runtime.files import read_object
from stlib.runtime.modules.base import TOKEN_EMBEDDINGS, Features, unit_length
from stlib.util.ward import ward_labels

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class TokenPooling:
    """Ward clusters of a text's token vectors by cosine distance, each replaced by its mean.

    Attributes:
        pool_factor: tokens that become one, on average; 1 joins none.
        num_protected_tokens: first tokens that stay by themselves.
        normalize_embeddings: scale the results to unit length.
        tasks: those whose texts are pooled; no task counts as ``"document"``.
    """

    pool_factor: float = 1.0
    num_protected_tokens: int = 1
    normalize_embeddings: bool = False
    tasks: tuple[str, ...] = ("document",)

    dimension = None

    @classmethod
    def load(cls, folder: Path) -> TokenPooling:
        """Read ``config.json``.

        Raises:
            ModelConfigError: a setting has another form.
        """
        path = folder / "config.json"
        config = read_object(path)
        factor, kept = config.get("pool_factor", 1.0), config.get("num_protected_tokens", 1)
        tasks = config.get("tasks")
        tasks = ["document"] if tasks is None else [tasks] if isinstance(tasks, str) else tasks
        if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not factor >= 1:
            raise ModelConfigError(f"{path}: pool_factor={factor!r}; allowed is a number from 1")
        if isinstance(kept, bool) or not isinstance(kept, int) or kept < 0:
            raise ModelConfigError(f"{path}: num_protected_tokens={kept!r}; allowed is a number from 0")
        if not isinstance(tasks, list) or not all(isinstance(task, str) for task in tasks):
            raise ModelConfigError(f"{path}: tasks={tasks!r}; allowed is a list of names, or null")
        # Folders from before there was this setting mean vectors as they are.
        return cls(float(factor), kept, bool(config.get("normalize_embeddings", False)), tuple(tasks))

    def forward(self, features: Features) -> Features:
        if (features.get("task") or "document") not in self.tasks:
            return features
        if self.pool_factor > 1:
            mask = features["attention_mask"].astype(bool)
            rows = [
                self._pool(text[kept]) for text, kept in zip(features[TOKEN_EMBEDDINGS], mask, strict=True)
            ]
            features[TOKEN_EMBEDDINGS], features["attention_mask"] = _pad(rows)
        if self.normalize_embeddings:
            features[TOKEN_EMBEDDINGS] = unit_length(features[TOKEN_EMBEDDINGS])
        return features

    def signature(self) -> dict[str, Any]:
        return {"kind": "TokenPooling", **asdict(self)}

    def _pool(self, rows: Rows) -> Rows:
        first, rest = rows[: self.num_protected_tokens], rows[self.num_protected_tokens :]
        n = max(int(len(rest) // self.pool_factor), 1)
        if n >= len(rest):
            return rows
        labels = ward_labels(np.clip(1 - rest @ rest.T, 0, 2), n)
        sums = np.zeros((labels.max() + 1, rows.shape[1]), np.float32)
        np.add.at(sums, labels, rest)
        return np.concatenate([first, sums / np.bincount(labels)[:, None].astype(np.float32)])


def _pad(rows: list[Rows]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    counts = np.array([len(one) for one in rows])
    padded = np.zeros((len(rows), counts.max(), rows[0].shape[1]), np.float32)
    mask = np.arange(padded.shape[1]) < counts[:, None]
    padded[mask] = np.concatenate(rows)
    return padded, mask
