"""Losses of sparse models that are no use by themselves: nothing in them keeps embeddings sparse."""

from __future__ import annotations

from typing import Any

from torch import nn

from stlib.errors import UnusableAlone


class PartOfLoss(nn.Module):
    """A loss over embeddings that somebody else made; first among the bases of a class.

    A trainer that got it as its loss would train a model to fill all dimensions of its embeddings.
    """

    wrapped_in: tuple[str, ...] = ("SpladeLoss", "CSRLoss")
    """Losses that take it in."""

    def forward(self, sentence_features: Any, labels: Any = None) -> Any:
        """Refuse.

        Raises:
            UnusableAlone: always.
        """
        name = type(self).__name__
        wrapper = self.wrapped_in[0]
        raise UnusableAlone(
            f"{name} should not be used alone, as it does not keep embeddings sparse; use it within "
            f"{' or '.join(self.wrapped_in)}, e.g. {wrapper}(model, loss={name}(model), …)"
        )
