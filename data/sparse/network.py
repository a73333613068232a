"""The document encoder while it learns: the largest logit of each word, with gradients where they go.

Of the whole head only the words that a text activates have a gradient, and of those only the token with the
largest logit. So the head runs without gradients first, which finds these tokens, and then once more for them
alone. And of all words a step needs those that its questions have, and some at random to hold down the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass
class Words:
    """Words of a batch of texts: ``weights [all]``, and of each the text, ``rows``, and the word among those
    that the encoder knows, ``terms``, both int64 ``[all]``.
    """

    rows: Tensor
    terms: Tensor
    weights: Tensor
    texts: int

    def scores(self, table: Tensor, questions: Tensor) -> Tensor:
        """Dot products ``[questions, texts]`` with questions, bool ``[questions, words]``, of which each word
        weighs as in ``table [words]``.
        """
        shares = questions[:, self.terms] * (table[self.terms] * self.weights)
        return torch.zeros(len(questions), self.texts).index_add(1, self.rows, shares)

    def flops(self, words: int, sample: Tensor) -> Tensor:
        """Paria et al., "Minimizing FLOPs to learn efficient sparse representations" (arXiv:2004.05665), of
        ``words`` by a ``sample`` of them.
        """
        means = torch.zeros(words).index_add(0, self.terms, self.weights) / self.texts
        return means[sample].square().sum() * (words / len(sample))


class DocumentEncoder(nn.Module):
    """A BERT with its masked-language head, of which only some words are asked for.

    Args:
        model: ``BertForMaskedLM``.
        live: the words, int64 ascending.
    """

    def __init__(self, model: Any, live: Tensor) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("live", live, persistent=False)

    def forward(self, ids: Tensor, mask: Tensor, wanted: Tensor | None = None) -> Words:
        """Words of texts; ``wanted`` are numbers among those that are known, None takes all."""
        wanted = torch.arange(len(self.live)) if wanted is None else wanted
        head = self.model.cls.predictions
        states = head.transform(self.model.bert(input_ids=ids, attention_mask=mask).last_hidden_state)
        vectors, bias = head.decoder.weight[self.live[wanted]], head.bias[self.live[wanted]]
        with torch.no_grad():
            best, places = self._largest(states, mask, vectors)
            rows, terms = (best + bias > 0).nonzero(as_tuple=True)
        logits = (states[rows, places[rows, terms]] * vectors[terms]).sum(1) + bias[terms]
        return Words(rows, wanted[terms], torch.log1p(torch.relu(logits)), len(ids))

    @staticmethod
    def _largest(states: Tensor, mask: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Largest logit of each word without the bias, and its token: both ``[texts, words]``."""
        best, places = [], []
        for text, length in zip(states, mask.sum(1).tolist(), strict=True):
            found = (text[:length] @ vectors.T).max(0)
            best.append(found.values)
            places.append(found.indices)
        return torch.stack(best), torch.stack(places)
