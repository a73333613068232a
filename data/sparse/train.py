"""Distilling a cross-encoder's scores into weights of words, by a network and, for queries, by a table."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from data.reranker.mine import Candidates
from data.sparse.network import DocumentEncoder, Words

logger = logging.getLogger(__name__)

# Words at random whose weights are held down in a step, beside those of its questions.
SAMPLED = 500
WARM_UP = 30  # steps
QUESTION_TOKENS = 64


@dataclass(frozen=True)
class Settings:
    """How the model is trained.

    Attributes:
        questions: of a step; each brings ``passages``, its own first.
        tokens: read of a passage.
        rate: of the network; ``table_rate`` of the weights of queries.
        flops: of the mean weight of each word in documents; ``table_share`` of the sum of a query's weights.
        expanded: of the order of all passages of a step by the network's own reading of the question, which
            the start was trained with; beside the order of the teacher.
        in_batch: of telling the own passage from those of the other questions.
        steps: over which the rates go down to 0.
    """

    questions: int = 16
    passages: int = 4
    tokens: int = 128
    rate: float = 1e-4
    table_rate: float = 2e-2
    flops: float = 3e-3
    table_share: float = 1e-3
    expanded: float = 0.5
    in_batch: float = 0.1
    steps: int = 600
    seed: int = 0


class QueryTable(nn.Module):
    """A weight above 0 for each word that the encoder knows, float32 ``[words]``."""

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.raw = nn.Parameter(torch.log(torch.expm1(start.clamp(min=1e-2))))

    def forward(self) -> Tensor:
        return F.softplus(self.raw)


def read_tokens(tokenizer: Tokenizer, texts: Sequence[str], most: int) -> list[list[int]]:
    """Ids of texts with the special tokens around them."""
    tokenizer.no_padding()
    tokenizer.enable_truncation(most)
    return [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]


def pad(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Ids and mask, int64 ``[texts, tokens]``."""
    width = max(map(len, rows))
    ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows])
    lengths = torch.tensor([len(row) for row in rows])
    return ids, (torch.arange(width)[None] < lengths[:, None]).long()


def presence(queries: Sequence[Sequence[int]], places: NDArray[np.int64], words: int) -> Tensor:
    """Which of the known words each query has, float32 ``[queries, words]``; ``places`` is -1 of others."""
    found = torch.zeros(len(queries), words)
    for row, ids in enumerate(queries):
        known = places[np.unique(ids)] if len(ids) else np.empty(0, np.int64)
        found[row, known[known >= 0]] = 1
    return found


def train(
    encoder: DocumentEncoder,
    table: QueryTable,
    rows: Sequence[Candidates],
    labels: Sequence[NDArray[np.float32] | None],
    tokenizer: Tokenizer,
    settings: Settings,
) -> None:
    """Train both in place. ``labels`` are the teacher's scores of each question's passages, or None."""
    torch.manual_seed(settings.seed)
    chooser = np.random.default_rng(settings.seed)
    start = copy.deepcopy(encoder).eval()
    places = np.full(encoder.model.config.vocab_size, -1, np.int64)
    places[encoder.live.numpy()] = np.arange(len(encoder.live))
    groups = [
        {"params": list(encoder.parameters()), "lr": settings.rate, "weight_decay": 0.01},
        {"params": list(table.parameters()), "lr": settings.table_rate, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / WARM_UP) * (1 - step / settings.steps)
    )
    encoder.train()
    for step in range(1, settings.steps + 1):
        chosen = chooser.choice(len(rows), settings.questions, replace=False).tolist()
        lists = [_draw(rows[at], labels[at], settings.passages, chooser) for at in chosen]
        asked = _read(start, places, [rows[at].query for at in chosen], tokenizer)
        texts = [text for passages, _ in lists for text in passages]
        ids, mask = pad(read_tokens(tokenizer, texts, settings.tokens))
        sample = torch.from_numpy(chooser.choice(len(encoder.live), SAMPLED, replace=False))
        words = encoder(ids, mask, torch.cat([asked.words(), sample]).unique())
        loss, parts = _loss(words, table(), asked, lists, settings)
        flops = words.flops(len(encoder.live), sample)
        optimizer.zero_grad()
        (loss + min(1.0, 4 * step / settings.steps) * settings.flops * flops).backward()
        nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 25 == 0:
            shown = ", ".join(f"{name} {value:.3f}" for name, value in parts.items())
            logger.info("step %d of %d: %s, flops %.2f", step, settings.steps, shown, flops.item())
    encoder.eval()


@dataclass(frozen=True)
class _Asked:
    """Questions of a step: which of the known words each has, and their weights by the network's reading,
    both float32 ``[questions, words]``.
    """

    has: Tensor
    read: Tensor

    def words(self) -> Tensor:
        return (self.has.any(0) | self.read.any(0)).nonzero().squeeze(1)


@torch.no_grad()
def _read(
    start: DocumentEncoder, places: NDArray[np.int64], questions: Sequence[str], tokenizer: Tokenizer
) -> _Asked:
    words = start(*pad(read_tokens(tokenizer, questions, QUESTION_TOKENS)))
    read = torch.zeros(words.texts, len(start.live)).index_put((words.rows, words.terms), words.weights)
    plain = [ids[1:-1] for ids in read_tokens(tokenizer, questions, QUESTION_TOKENS)]
    return _Asked(presence(plain, places, len(start.live)), read)


def _draw(
    row: Candidates, scores: NDArray[np.float32] | None, count: int, chooser: np.random.Generator
) -> tuple[list[str], Tensor | None]:
    """The own passage and some others, with the teacher's scores of them."""
    others = 1 + chooser.permutation(len(row.passages) - 1)[: count - 1]
    at = [0, *others.tolist()]
    return [row.passages[place] for place in at], None if scores is None else torch.from_numpy(scores[at])


def _loss(
    words: Words,
    table: Tensor,
    asked: _Asked,
    lists: Sequence[tuple[list[str], Tensor | None]],
    settings: Settings,
) -> tuple[Tensor, dict[str, float]]:
    """The teacher's order of each list, that of the network's reading, and the own passage among all."""
    scores = words.scores(table, asked.has)
    with torch.no_grad():
        by_reading = words.scores(torch.ones_like(table), asked.read)
    expanded = F.kl_div(scores.log_softmax(1), by_reading.softmax(1), reduction="batchmean")
    order, known, at = torch.zeros(()), 0, 0
    own = []
    for row, (texts, taught) in enumerate(lists):
        own.append(at)
        if taught is not None:
            given = scores[row, at : at + len(texts)].log_softmax(0)
            order = order + F.kl_div(given, (taught / 2).softmax(0), reduction="sum")
            known += 1
        at += len(texts)
    order = order / max(known, 1)
    told = F.cross_entropy(scores, torch.tensor(own))
    share = (asked.has * table).sum(1).mean()
    total = order + settings.expanded * expanded + settings.in_batch * told
    total = total + settings.table_share * share
    return total, {
        "order": order.item(),
        "expanded": expanded.item(),
        "own": told.item(),
        "query": share.item(),
    }
