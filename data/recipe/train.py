"""Training of the token vectors: relational distillation plus a contrastive loss, at several widths.

For a batch of pairs the teacher's cosine similarities among all queries and texts are a distribution per
row (softmax at a temperature); the student is asked for the same distribution (Kullback-Leibler), so it
learns order and not coordinates (relational knowledge distillation, Park et al. 2019). The contrastive part
(InfoNCE with in-batch negatives, van den Oord et al. 2018) asks each query to find its own text. Both losses
are summed over nested prefixes of the vector (Matryoshka, Kusupati et al. 2022).
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch.nn import functional

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """What a run depends on besides its data."""

    widths: tuple[int, ...] = (256, 128, 64)
    batch: int = 1024
    epochs: float = 2.0
    rate: float = 4e-3
    temperature: float = 0.05
    contrastive: float = 0.7
    anchor: float = 2.0  # weight of staying in the teacher's frame of coordinates
    words: int = 256  # vocabulary entries that join each batch as texts of one word
    dropout: float = 0.05  # share of tokens a text loses in a batch
    question: float = 0.1  # share of queries that are put as a question
    relate_queries: bool = True  # whether the short sides take part in the relations
    seed: int = 1


class Tokens:
    """Token ids of many texts, laid end to end."""

    def __init__(self, tokenizer: Tokenizer, texts: Sequence[str]) -> None:
        encodings = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        self.lengths = np.array([len(item.ids) for item in encodings], dtype=np.int64)
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)])
        self.flat = np.fromiter(
            (token for item in encodings for token in item.ids), dtype=np.int32, count=int(self.starts[-1])
        )

    def rows(self, rows: NDArray[np.int64]) -> list[NDArray[np.int32]]:
        """Ids of each of the given texts."""
        return [self.flat[self.starts[row] : self.starts[row + 1]] for row in rows]


@dataclass(frozen=True)
class Data:
    """Pairs as tokens, with the teacher's unit vectors (float16 ``[n, 384]``) of both sides.

    Pairs without teacher vectors are trained by the contrastive loss alone.
    """

    queries: Tokens
    texts: Tokens
    query_vectors: NDArray[np.float16] | None = None
    text_vectors: NDArray[np.float16] | None = None

    def __len__(self) -> int:
        return len(self.texts.lengths)


@dataclass(frozen=True)
class Frame:
    """What keeps words that training seldom meets in line with those it meets often.

    Relational losses do not mind if all trained words turn together, away from the untrained ones. So each
    text is also drawn towards the teacher's vector in the student's coordinates, and single words take part
    in the relations.

    Attributes:
        mean: ``[384]`` mean of the teacher's vectors.
        axes: ``[384, d]`` projection to the student's coordinates.
        words: ids of the vocabulary entries that are whole words.
        word_vectors: the teacher's unit vectors of all entries, ``[V, 384]``.
    """

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]
    words: NDArray[np.int32]
    word_vectors: NDArray[np.float16]

    def project(self, vectors: NDArray[np.float32]) -> torch.Tensor:
        """Teacher vectors in the student's coordinates, unit length."""
        return functional.normalize(torch.from_numpy((vectors - self.mean) @ self.axes), dim=1)


def train(
    weight: NDArray[np.float32],
    data: Data,
    questions: Sequence[NDArray[np.int32]],
    settings: Settings,
    frame: Frame | None = None,
    report: Callable[[int, NDArray[np.float32]], None] | None = None,
    report_every: int = 200,
) -> NDArray[np.float32]:
    """Train ``weight`` ``[V, d]`` and return the trained copy.

    Args:
        questions: token ids of openings such as "what is", put before some queries; the teacher's vector
            stays that of the bare query, so the student learns to look past them.
        report: called with the step and the current weights every ``report_every`` steps and at the end.
    """
    torch.manual_seed(settings.seed)
    chooser = np.random.default_rng(settings.seed)
    table = torch.nn.Parameter(torch.from_numpy(weight.copy()))
    optimizer = torch.optim.Adam([table], lr=settings.rate, betas=(0.9, 0.99))
    batches = _Batches(len(data), settings.batch, chooser)
    steps = int(settings.epochs * (len(data) // settings.batch))
    began = time.perf_counter()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = settings.rate * _schedule(step / steps)
        rows = batches.next()
        loss = _batch_loss(table, data, rows, questions, settings, frame, chooser)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if report and (step + 1 == steps or (step + 1) % report_every == 0):
            logger.info(
                "step %d/%d loss %.4f %.0f s", step + 1, steps, loss.item(), time.perf_counter() - began
            )
            report(step + 1, table.detach().numpy())
    return table.detach().numpy()


class _Batches:
    """Endless batches of row numbers; every pair comes once before any comes again."""

    def __init__(self, count: int, size: int, chooser: np.random.Generator) -> None:
        self._count, self._size, self._chooser = count, size, chooser
        self._queue: list[NDArray[np.int64]] = []

    def next(self) -> NDArray[np.int64]:
        if not self._queue:
            order = self._chooser.permutation(self._count)
            size = self._size
            self._queue = [order[i : i + size] for i in range(0, self._count - size + 1, size)]
        return self._queue.pop()


def _batch_loss(
    table: torch.Tensor,
    data: Data,
    rows: NDArray[np.int64],
    questions: Sequence[NDArray[np.int32]],
    settings: Settings,
    frame: Frame | None,
    chooser: np.random.Generator,
) -> torch.Tensor:
    texts = _as_questions(data.queries.rows(rows), questions, settings.question, chooser)
    texts += data.texts.rows(rows)
    words = chooser.choice(frame.words, settings.words, replace=False) if frame else np.empty(0, np.int32)
    texts += list(words[:, None])
    vectors = _embed(table, texts, settings.dropout, chooser)
    target = _teacher_vectors(data, rows, frame, words)
    losses = [_width_loss(vectors[:, :width], target, len(rows), settings) for width in settings.widths]
    loss = torch.stack(losses).mean()
    if frame is not None and target is not None:
        nearness = (functional.normalize(vectors, dim=1) * frame.project(target)).sum(1)
        loss = loss + settings.anchor * (1 - nearness.mean())
    return loss


def _width_loss(
    vectors: torch.Tensor, target: NDArray[np.float32] | None, count: int, settings: Settings
) -> torch.Tensor:
    """Loss of the texts (``count`` queries, then their texts, then words) at one width."""
    vectors = functional.normalize(vectors, dim=1)
    across = vectors[:count] @ vectors[count : 2 * count].T / settings.temperature
    if target is None:
        return _contrastive(across)
    first = 0 if settings.relate_queries else count
    teacher = _similarities(torch.from_numpy(target[first:]), settings.temperature)
    student = _similarities(vectors[first:], settings.temperature)
    relational = functional.kl_div(student.log_softmax(1), teacher.softmax(1), reduction="batchmean")
    return relational + settings.contrastive * _contrastive(across)


def _teacher_vectors(
    data: Data, rows: NDArray[np.int64], frame: Frame | None, words: NDArray[np.int32]
) -> NDArray[np.float32] | None:
    if data.query_vectors is None or data.text_vectors is None:
        return None
    parts = [data.query_vectors[rows], data.text_vectors[rows]]
    return np.concatenate([*parts, frame.word_vectors[words]] if frame else parts).astype(np.float32)


def _similarities(vectors: torch.Tensor, temperature: float) -> torch.Tensor:
    scores = vectors @ vectors.T / temperature
    return scores.masked_fill(torch.eye(len(vectors), dtype=torch.bool), -1e4)  # nobody is its own answer


def _contrastive(scores: torch.Tensor) -> torch.Tensor:
    own = torch.arange(len(scores))
    return (functional.cross_entropy(scores, own) + functional.cross_entropy(scores.T, own)) / 2


def _as_questions(
    queries: list[NDArray[np.int32]],
    questions: Sequence[NDArray[np.int32]],
    share: float,
    chooser: np.random.Generator,
) -> list[NDArray[np.int32]]:
    asked = chooser.random(len(queries)) < share
    opening = chooser.integers(0, len(questions), len(queries))
    return [
        np.concatenate([questions[number], ids]) if yes else ids
        for ids, yes, number in zip(queries, asked, opening, strict=True)
    ]


def _embed(
    table: torch.Tensor, texts: list[NDArray[np.int32]], dropout: float, chooser: np.random.Generator
) -> torch.Tensor:
    lengths = np.array([len(ids) for ids in texts])
    flat = np.concatenate(texts).astype(np.int64)
    keep = chooser.random(len(flat)) >= dropout
    owner = np.repeat(np.arange(len(texts)), lengths)
    keep[np.cumsum(lengths) - lengths] |= np.bincount(owner, keep, len(texts)) == 0  # no text becomes empty
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owner[keep], minlength=len(texts)))[:-1]])
    return functional.embedding_bag(
        torch.from_numpy(flat[keep]), table, torch.from_numpy(offsets), mode="sum"
    )


def _schedule(progress: float) -> float:
    """Linear warm-up over the first twentieth, then cosine to zero."""
    return min(1.0, progress / 0.05) * 0.5 * (1 + math.cos(math.pi * progress))
