"""Token vectors to start training from: each vocabulary entry read alone by the teacher."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from data.recipe.teacher import Teacher
from data.recipe.train import Frame

WIDTH = 256
_SMOOTHING = 3e-4  # of smooth inverse frequency (Arora et al. 2017): frequent tokens start small


def read_alone(teacher: Teacher, pieces: Sequence[str]) -> NDArray[np.float16]:
    """The teacher's unit vector of each entry between [CLS] and [SEP], ``[V, 384]``.

    An entry that the teacher's vocabulary lacks is read as the pieces the teacher splits it into.
    """
    known = teacher.tokenizer.get_vocab()
    first, last = teacher.tokenizer.cls_token_id, teacher.tokenizer.sep_token_id
    split = teacher.tokenizer(list(pieces), add_special_tokens=False)["input_ids"]
    ids = [
        [first, *([known[piece]] if piece in known else parts), last]
        for piece, parts in zip(pieces, split, strict=True)
    ]
    return teacher.encode_ids(ids)


def start_vectors(
    words: NDArray[np.float16],
    text_vectors: NDArray[np.float16] | None,
    counts: NDArray[np.int64],
    pieces: Sequence[str],
) -> tuple[NDArray[np.float32], Frame]:
    """Rows ``[V, 256]`` and the frame of coordinates they lie in.

    The axes are those of greatest variance among texts, strongest first, scaled half-way to equal variance
    so that no single direction decides. Rows are damped by how frequent the entry is.

    Args:
        words: :func:`read_alone` of ``pieces``.
        text_vectors: the teacher's vectors of the training texts.
        counts: occurrences of each entry in the training texts.
    """
    if text_vectors is None:
        raise ValueError("the teacher has read no training text; run the teacher stage first")
    vectors, sample = words.astype(np.float32), text_vectors[:40_000].astype(np.float32)
    axes = _principal_axes(sample)
    centred = vectors - vectors.mean(0)
    axes /= np.sqrt((centred @ axes).std(0))
    rows = centred @ axes
    rows /= np.sqrt((rows**2).sum(1).mean())
    share = (counts + 1) / (counts + 1).sum()
    rows *= (_SMOOTHING / (_SMOOTHING + share))[:, None]
    rows[0] = 0  # the unknown token says nothing
    whole = np.array([i for i, piece in enumerate(pieces) if piece.isalpha() and len(piece) > 2], np.int32)
    return rows.astype(np.float32), Frame(sample.mean(0), axes, whole, words)


def _principal_axes(sample: NDArray[np.float32]) -> NDArray[np.float32]:
    """Directions of greatest variance, ``[384, 256]``, strongest first."""
    values, axes = np.linalg.eigh(np.cov(sample, rowvar=False))
    return np.ascontiguousarray(axes[:, np.argsort(-values)[:WIDTH]], dtype=np.float32)
