"""The bundled reranker's small network, learning on from its own weights.

Of each question the documents that a search would have read are scored, and the softmax of the scores is
moved to where the grades are (ListNet; Cao et al., ICML 2007). Weights are pulled back to those it had
before (L2-SP; Li et al., "Explicit inductive bias for transfer learning with convolutional networks", ICML
2018), as some dozens of questions are few beside the thousands that it comes from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.tuning.trained.needs import torch_library
from app.tuning.trained.reading import Reading, Scores, TellLoss
from stlib.runtime.interaction_reranker import (
    FARTHEST,
    NOTHING,
    InteractionNet,
    InteractionReranker,
    features,
)

__all__ = ["InteractionTraining"]

EPOCHS = 12
QUESTIONS = 16  # of a step
LEARNING_RATE = 1e-3
PULL = 0.02
SEED = 0
_FIXED = ("token_mean", "token_scale", "pair_mean", "pair_scale")


@dataclass(frozen=True)
class _Features:
    """Of the m windows of one question that have a word, at the positions `rows` int64 [m]."""

    tokens: np.ndarray
    pairs: np.ndarray
    rows: np.ndarray


@dataclass(frozen=True)
class _Example:
    """Features of the n documents of one question, and where they should stand: float32 [n] with sum 1."""

    tokens: np.ndarray
    pairs: np.ndarray
    target: np.ndarray


class InteractionTraining:
    """See `app.tuning.trained.reading.Training`. Features of windows are computed once."""

    shares = (0.25, 0.5, 1.0)
    folds = 5

    def __init__(self, base: InteractionReranker) -> None:
        self.base = base
        self._features: dict[int, tuple[Reading, _Features | None]] = {}

    def scores(self, made: InteractionReranker | None, reading: Reading) -> Scores:
        """What `InteractionReranker.scores` says."""
        found = self._features_of(reading)
        if found is None:
            return np.zeros(len(reading.windows), np.float32)
        scores = np.full(len(reading.windows), NOTHING, np.float32)
        if len(found.rows):
            net = (self.base if made is None else made).net
            scores[found.rows] = net(found.tokens, found.pairs)
        return scores

    def learn(self, readings: Sequence[Reading], tell: TellLoss) -> dict[float, Any]:
        """What learning from `readings` makes, by the share of what was learned."""
        examples = [one for one in map(self._example, readings) if one is not None]
        if not examples:
            return {}
        tensors = adapt(self.base.net, examples, tell)
        return {share: self._made(between(self.base.net, tensors, share)) for share in self.shares}

    def weighted(self, made: InteractionReranker, weight: float) -> InteractionReranker:
        """The same with another share of the score."""
        return InteractionReranker(made.net, made.vectors, made.name, weight)

    def _made(self, net: InteractionNet) -> InteractionReranker:
        return InteractionReranker(net, self.base.vectors, self.base.name, self.base.weight)

    def _features_of(self, reading: Reading) -> _Features | None:
        if id(reading) not in self._features:
            found = features(self.base.vectors, reading.text, reading.windows) if reading.windows else None
            self._features[id(reading)] = (reading, None if found is None else _Features(*found))
        return self._features[id(reading)][1]

    def _example(self, reading: Reading) -> _Example | None:
        """What is learned from a question: its relevant and its wrong documents, each by its best window;
        None where either is missing.
        """
        found = self._features_of(reading)
        if found is None or not len(found.rows):
            return None
        best = reading.best_windows(self.scores(None, reading))
        kept = ((reading.gains > 0) | reading.wrong) & np.isin(best, found.rows)
        gains = reading.gains[kept]
        if not gains.any() or gains.all():
            return None
        places = np.searchsorted(found.rows, best[kept])
        target = (gains / gains.sum()).astype(np.float32)
        return _Example(found.tokens[places], found.pairs[places], target)


def adapt(
    net: InteractionNet, examples: Sequence[_Example], tell: TellLoss, *, epochs: int = EPOCHS
) -> dict[str, np.ndarray]:
    """The tensors of `net` after learning from `examples`. `tell` gets the mean loss of each epoch."""
    torch = torch_library()
    start = {name: torch.from_numpy(tensor.copy()) for name, tensor in net.tensors.items()}
    weights = {name: tensor.clone().requires_grad_(name not in _FIXED) for name, tensor in start.items()}
    learned = [name for name in weights if name not in _FIXED]
    optimizer = torch.optim.Adam([weights[name] for name in learned], lr=LEARNING_RATE)
    steps = epochs * -(-len(examples) // QUESTIONS)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / (steps + 1))
    order = np.random.default_rng(SEED)
    for _ in range(epochs):
        total = 0.0
        shuffled = order.permutation(len(examples))
        for first in range(0, len(shuffled), QUESTIONS):
            chosen = [examples[at] for at in shuffled[first : first + QUESTIONS].tolist()]
            loss = sum(_loss(torch, weights, example) for example in chosen) / len(chosen)
            pulled = sum(((weights[name] - start[name]) ** 2).sum() for name in learned)
            optimizer.zero_grad()
            (loss + PULL * pulled).backward()
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(chosen)
        tell(total / len(examples))
    return {name: tensor.detach().numpy().copy() for name, tensor in weights.items()}


def between(net: InteractionNet, tensors: dict[str, np.ndarray], share: float) -> InteractionNet:
    """A network on the straight line from `net` (0) to `tensors` (1): what was learned is kept, and what was
    known before is forgotten less (WiSE-FT; Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR
    2022).
    """
    return InteractionNet(
        {name: (1 - share) * tensor + share * tensors[name] for name, tensor in net.tensors.items()}
    )


def _loss(torch: Any, weights: dict[str, Any], example: _Example) -> Any:
    scores = _scores(torch, weights, torch.from_numpy(example.tokens), torch.from_numpy(example.pairs))
    return -(torch.from_numpy(example.target) * scores.log_softmax(0)).sum()


def _scores(torch: Any, weights: dict[str, Any], tokens: Any, pairs: Any) -> Any:
    """What `InteractionNet` computes, in a form that has a gradient."""

    def layer(name: str, values: Any) -> Any:
        return values @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    tokens = ((tokens - weights["token_mean"]) / weights["token_scale"]).clamp(-FARTHEST, FARTHEST)
    pairs = ((pairs - weights["pair_mean"]) / weights["pair_scale"]).clamp(-FARTHEST, FARTHEST)
    beside = pairs[:, None].expand(-1, tokens.shape[1], -1)
    hidden = torch.relu(layer("token_in", torch.cat([tokens, beside], dim=2)))
    hidden = torch.relu(layer("token_out", hidden))
    gate = layer("gate", hidden).softmax(dim=1)
    pooled = torch.cat([(gate * hidden).sum(dim=1), hidden.mean(dim=1), pairs], dim=1)
    return layer("score", torch.relu(layer("pair_in", pooled)))[:, 0]
