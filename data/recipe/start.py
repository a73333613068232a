"""Token vectors to start training from: each vocabulary entry read alone by the teacher."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from data.recipe.teacher import Teacher

_SMOOTHING = 3e-4  # of smooth inverse frequency (Arora et al. 2017): frequent tokens start small


def principal_axes(vectors: NDArray[np.float16], width: int) -> NDArray[np.float32]:
    """The ``width`` directions of greatest variance of unit vectors, ``[384, width]``, strongest first."""
    sample = vectors[:40_000].astype(np.float32)
    covariance = np.cov(sample, rowvar=False)
    values, axes = np.linalg.eigh(covariance)
    return np.ascontiguousarray(axes[:, np.argsort(-values)[:width]], dtype=np.float32)


def start_vectors(
    tokenizer: Tokenizer, teacher: Teacher, axes: NDArray[np.float32], counts: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Rows ``[V, d]``: the teacher's view of each entry on ``axes``, damped by how frequent it is.

    Args:
        counts: occurrences of each entry in the training texts.
    """
    pieces = [piece for piece, _ in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])]
    vectors = _read_alone(teacher, pieces)
    rows = (vectors - vectors.mean(0)) @ axes
    rows /= np.sqrt(rows.std(0))  # half-way to equal variance: no single direction decides
    rows /= np.sqrt((rows**2).sum(1).mean())
    share = (counts + 1) / (counts + 1).sum()
    rows *= (_SMOOTHING / (_SMOOTHING + share))[:, None]
    rows[0] = 0  # the unknown token says nothing
    return rows.astype(np.float32)


@torch.inference_mode()
def _read_alone(teacher: Teacher, pieces: Sequence[str]) -> NDArray[np.float32]:
    """Mean of the last hidden states over [CLS], the entry's pieces and [SEP]."""
    vocabulary = teacher.tokenizer.get_vocab()
    first, last = teacher.tokenizer.cls_token_id, teacher.tokenizer.sep_token_id
    plain = {piece: [vocabulary[piece]] for piece in pieces if piece in vocabulary}
    ids = [
        [first, *(plain.get(piece) or teacher.tokenizer(piece, add_special_tokens=False)["input_ids"]), last]
        for piece in pieces
    ]
    return teacher.encode_ids(ids).astype(np.float32)
