"""A relevance score from the words a language model would say next."""

from __future__ import annotations

from typing import Any, ClassVar

from stlib.base.modules.module import Module


class LogitScore(Module):
    """``features["scores"] [n, 1]``: how much rather a causal model goes on with one token than with another.

    Models that were taught to answer whether a document fits a query end their input where "yes" or "no"
    would follow (Nogueira et al. 2020, `Document Ranking with a Pretrained Sequence-to-Sequence Model
    <https://arxiv.org/abs/2003.06713>`_). Inputs are padded on the left, so the last position is a token.

    Args:
        true_token_id: token of a match, such as "yes".
        false_token_id: token of a mismatch; the score is then the difference of both logits, which is the
            log-odds of a match among the two. None: the logit of the match alone.
        module_input_name: feature with logits ``[n, positions, vocabulary]``.
    """

    config_keys: ClassVar[list[str]] = ["true_token_id", "false_token_id", "module_input_name"]
    without_memory: ClassVar[bool] = True

    def __init__(
        self,
        true_token_id: int,
        false_token_id: int | None = None,
        module_input_name: str = "causal_logits",
    ) -> None:
        super().__init__()
        self.true_token_id = true_token_id
        self.false_token_id = false_token_id
        self.module_input_name = module_input_name

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        last = features[self.module_input_name][:, -1]
        scores = last[:, self.true_token_id]
        if self.false_token_id is not None:
            scores = scores - last[:, self.false_token_id]
        features["scores"] = scores.unsqueeze(1)
        return features

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        self.save_config(output_path)
