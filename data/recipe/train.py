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
    epochs: float = 3.0
    rate: float = 2e-3
    temperature: float = 0.05
    contrastive: float = 0.3
    dropout: float = 0.1  # share of tokens a text loses in a batch
    question: float = 0.25  # share of queries that are put as a question
    topical: float = 0.5  # share of batches drawn from neighbouring pairs instead of all
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


def train(
    weight: NDArray[np.float32],
    data: Data,
    questions: Sequence[NDArray[np.int32]],
    settings: Settings,
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
    batches = _Batches(data, settings, chooser)
    steps = int(settings.epochs * batches.per_epoch)
    began = time.perf_counter()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = settings.rate * _schedule(step / steps)
        rows = batches.next()
        loss = _batch_loss(table, data, rows, questions, settings, chooser)
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
    """Endless batches of row numbers: some of all pairs mixed, some of pairs about related things.

    Pairs that lie near each other in the teacher's space make the harder, finer distinctions. They are
    found by sorting along random directions, anew for each batch, within a random tenth of the pairs.
    """

    def __init__(self, data: Data, settings: Settings, chooser: np.random.Generator) -> None:
        self._vectors = data.text_vectors
        self._settings = settings
        self._chooser = chooser
        self._count = len(data)
        self.per_epoch = self._count // settings.batch
        self._queue: list[NDArray[np.int64]] = []

    def next(self) -> NDArray[np.int64]:
        if not self._queue:
            order = self._chooser.permutation(self._count)
            size = self._settings.batch
            blocks = [order[i : i + size * 16] for i in range(0, self._count - size + 1, size * 16)]
            for block in blocks:
                if self._vectors is not None and self._chooser.random() < self._settings.topical:
                    block = self._sorted_by_topic(block)
                self._queue += [block[i : i + size] for i in range(0, len(block) - size + 1, size)]
            self._chooser.shuffle(self._queue)  # type: ignore[arg-type]
        return self._queue.pop()

    def _sorted_by_topic(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        anchors = self._vectors[self._chooser.choice(rows, 16, replace=False)].astype(np.float32)
        nearest = np.argmax(self._vectors[rows].astype(np.float32) @ anchors.T, axis=1)
        return rows[np.argsort(nearest, kind="stable")]


def _batch_loss(
    table: torch.Tensor,
    data: Data,
    rows: NDArray[np.int64],
    questions: Sequence[NDArray[np.int32]],
    settings: Settings,
    chooser: np.random.Generator,
) -> torch.Tensor:
    queries = _as_questions(data.queries.rows(rows), questions, settings.question, chooser)
    vectors = _embed(table, [*queries, *data.texts.rows(rows)], settings.dropout, chooser)
    teacher = _teacher_distribution(data, rows, settings.temperature)
    total = torch.zeros(())
    for width in settings.widths:
        part = functional.normalize(vectors[:, :width], dim=1)
        if teacher is None:
            total = total + _contrastive(part[: len(rows)] @ part[len(rows) :].T / settings.temperature)
            continue
        student = _similarities(part, settings.temperature)
        total = total + functional.kl_div(student.log_softmax(1), teacher, reduction="batchmean")
        if settings.contrastive:
            total = total + settings.contrastive * _contrastive(student[: len(rows), len(rows) :])
    return total / len(settings.widths)


def _teacher_distribution(data: Data, rows: NDArray[np.int64], temperature: float) -> torch.Tensor | None:
    if data.query_vectors is None or data.text_vectors is None:
        return None
    vectors = np.concatenate([data.query_vectors[rows], data.text_vectors[rows]]).astype(np.float32)
    return _similarities(torch.from_numpy(vectors), temperature).softmax(1)


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
