"""Distilling the teacher's scores into the small network that reads token comparisons."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from data.reranker.label import READ_CHARACTERS
from data.reranker.mine import Candidates
from stlib.runtime.interaction import GLOBAL_FEATURES, TOKEN_FEATURES
from stlib.runtime.interaction_reranker import FARTHEST, features
from stlib.runtime.modules.static import StaticEmbedding

logger = logging.getLogger(__name__)

HIDDEN = 32
EPOCHS = 20
QUESTIONS = 32  # of a step
LEARNING_RATE = 3e-3
TEMPERATURE = 2.0
# Of squared differences beside the divergence of the lists: keeps scores of one question comparable in size.
MARGIN_SHARE = 0.05


@dataclass(frozen=True)
class Example:
    """One question: features of tokens ``[n, q, f]`` and pairs ``[n, g]``, the teacher's scores ``[n]``."""

    tokens: NDArray[np.float32]
    pairs: NDArray[np.float32]
    labels: NDArray[np.float32]


class Network(nn.Module):
    """The network of :class:`stlib.runtime.interaction_reranker.InteractionNet`, with dropout."""

    def __init__(self, examples: Sequence[Example], hidden: int = HIDDEN, dropout: float = 0.1) -> None:
        super().__init__()
        self.token_in = nn.Linear(TOKEN_FEATURES + GLOBAL_FEATURES, hidden)
        self.token_out = nn.Linear(hidden, hidden)
        self.gate = nn.Linear(hidden, 1)
        self.pair_in = nn.Linear(2 * hidden + GLOBAL_FEATURES, hidden)
        self.score = nn.Linear(hidden, 1)
        self.dropout = nn.Dropout(dropout)
        flat = np.concatenate([example.tokens.reshape(-1, TOKEN_FEATURES) for example in examples])
        self._standardise("token", flat)
        self._standardise("pair", np.concatenate([example.pairs for example in examples]))

    def _standardise(self, name: str, values: NDArray[np.float32]) -> None:
        self.register_buffer(f"{name}_mean", torch.from_numpy(values.mean(axis=0)))
        self.register_buffer(f"{name}_scale", torch.from_numpy(values.std(axis=0) + 1e-6))

    def forward(self, tokens: Tensor, pairs: Tensor, mask: Tensor) -> Tensor:
        """Scores ``[n]``; ``mask`` bool ``[n, q]`` is false at padding."""
        tokens = ((tokens - self.token_mean) / self.token_scale).clamp(-FARTHEST, FARTHEST)
        pairs = ((pairs - self.pair_mean) / self.pair_scale).clamp(-FARTHEST, FARTHEST)
        beside = pairs[:, None].expand(-1, tokens.shape[1], -1)
        hidden = self.dropout(torch.relu(self.token_in(torch.cat([tokens, beside], dim=2))))
        hidden = torch.relu(self.token_out(hidden))
        gate = self.gate(hidden).squeeze(2).masked_fill(~mask, -1e9).softmax(dim=1)[..., None]
        mean = (hidden * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
        pooled = torch.cat([(gate * hidden).sum(dim=1), mean, pairs], dim=1)
        return self.score(self.dropout(torch.relu(self.pair_in(pooled)))).squeeze(1)

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """Everything that the runtime's network needs."""
        return {name: value.detach().numpy().copy() for name, value in self.state_dict().items()}


def examples_of(
    vectors: StaticEmbedding, rows: Sequence[Candidates], labels: Sequence[NDArray[np.float32]]
) -> list[Example]:
    """Features of all labelled questions, computed once: the token vectors are not trained."""
    examples = []
    for row, scores in zip(rows, labels, strict=False):  # the labelled ones are the first
        found = features(vectors, row.query, [text[:READ_CHARACTERS] for text in row.passages])
        if found is not None and len(found[2]) > 1:
            examples.append(Example(found[0], found[1], scores[found[2]]))
    return examples


def train(examples: Sequence[Example], *, epochs: int = EPOCHS, seed: int = 0) -> Network:
    """Train with AdamW on a one-cycle schedule; the seed decides everything."""
    torch.manual_seed(seed)
    network = Network(examples)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
    steps = epochs * math.ceil(len(examples) / QUESTIONS)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    for epoch in range(epochs):
        network.train()
        losses = []
        for chosen in torch.randperm(len(examples)).split(QUESTIONS):
            loss = _loss(network, [examples[row] for row in chosen.tolist()])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        logger.info("epoch %d: loss %.4f", epoch + 1, np.mean(losses))
    return network.eval()


@torch.inference_mode()
def agreement(network: Network, examples: Sequence[Example]) -> float:
    """Mean correlation of the network's and the teacher's scores of a question's passages."""
    values = [np.corrcoef(network(*_padded([example])).numpy(), example.labels)[0, 1] for example in examples]
    return float(np.nanmean(values))


def _loss(network: Network, examples: Sequence[Example]) -> Tensor:
    """Divergence of the teacher's and the network's distribution over each list, and of their margins."""
    scores = network(*_padded(examples)).split([len(example.labels) for example in examples])
    total = torch.zeros(())
    for own, example in zip(scores, examples, strict=True):
        taught = torch.from_numpy(example.labels)
        total = total + F.kl_div(
            (own / TEMPERATURE).log_softmax(0), (taught / TEMPERATURE).softmax(0), reduction="sum"
        )
        total = total + MARGIN_SHARE * ((own - own.mean()) - (taught - taught.mean())).square().mean()
    return total / len(examples)


def _padded(examples: Sequence[Example]) -> tuple[Tensor, Tensor, Tensor]:
    width = max(example.tokens.shape[1] for example in examples)
    tokens = [
        F.pad(torch.from_numpy(example.tokens), (0, 0, 0, width - example.tokens.shape[1]))
        for example in examples
    ]
    lengths = torch.tensor([example.tokens.shape[1] for example in examples for _ in example.labels])
    mask = torch.arange(width)[None] < lengths[:, None]
    return torch.cat(tokens), torch.cat([torch.from_numpy(example.pairs) for example in examples]), mask
