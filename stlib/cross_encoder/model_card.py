"""Facts and the example for the model card of a reranker."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, ClassVar

from stlib.base.model_card import BaseModelCardData
from stlib.base.saving import module_type

_PAIRS = [
    ["How do I sort a list?", "sorted() returns a new sorted list."],
    ["How do I sort a list?", "The library is closed on Sundays."],
]


@dataclass
class CrossEncoderModelCardData(BaseModelCardData):
    """See :class:`~stlib.base.model_card.BaseModelCardData`. The purpose and the hub's pipeline follow from
    the number of labels.
    """

    task_name: str | None = None
    tags: list[str] = field(default_factory=lambda: ["sentence-transformers", "cross-encoder"])
    pipeline_tag: str | None = field(default=None, init=False)

    class_name: ClassVar[str] = "CrossEncoder"

    def register_model(self, model: Any) -> None:
        super().register_model(model)
        if len(model) == 0:
            return
        ranks = model.num_labels == 1
        if self.task_name is None:
            self.task_name = "text reranking and semantic search" if ranks else "text pair classification"
        if self.pipeline_tag is None:
            self.pipeline_tag = "text-ranking" if ranks else "text-classification"
        if ranks:
            self.add_tags("reranker")

    def get_model_specific_metadata(self) -> dict[str, Any]:
        model = self.model
        if model is None or len(model) == 0:
            return {}
        length, labels = model.get_max_seq_length(), model.num_labels
        scores = "a score" if labels == 1 else f"{labels} scores"
        return {
            "summary": f"This model reads two inputs together and gives the pair {scores}",
            "model_num_labels": labels,
            # Tokenizers without a limit report a huge number.
            "model_max_length": int(length) if length is not None and length < 1e9 else None,
            "modalities": ", ".join(
                kind if isinstance(kind, str) else "+".join(kind) for kind in model.modalities
            ),
            "prompts": ", ".join(f"`{name}`: `{text}`" for name, text in model.prompts.items() if text),
        }

    def generate_usage_snippet(self) -> str:
        ours = ("stlib.", "sentence_transformers.")
        foreign = [module for module in self.model if not module_type(module).startswith(ours)]
        name = json.dumps(self.reference(), ensure_ascii=False)
        arguments = name + (", trust_remote_code=True" if foreign else "")
        pairs = self._examples()
        labels = self.model.num_labels
        shape = f"({len(pairs)},)" if labels == 1 else f"({len(pairs)}, {labels})"
        printed = (
            "\n".join(f"# {line}" for line in self.similarities.splitlines()) if self.similarities else ""
        )
        lines = "".join(f"    {pair!r},\n" for pair in pairs)
        scoring = f"""from stlib import CrossEncoder

model = CrossEncoder({arguments})
pairs = [
{lines}]
scores = model.predict(pairs)
print(scores.shape)
# {shape}
"""
        if printed:
            scoring += f"print(scores)\n{printed}\n"
        return scoring + (self._ranking(pairs) if labels == 1 else "")

    def run_usage_snippet(self) -> None:
        """Score the example's pairs and keep the scores that it prints, for the card."""
        if "text" in self.model.modalities:
            self.similarities = str(self.model.predict(self._examples()))

    def _examples(self) -> list[list[str]]:
        examples: Any = self.usage_examples
        return examples if examples and isinstance(examples[0], (list, tuple)) else _PAIRS

    def _ranking(self, pairs: list[list[str]]) -> str:
        documents = "".join(f"        {document!r},\n" for _, document in pairs)
        return f"""
# Documents by falling relevance to one query
ranking = model.rank(
    {pairs[0][0]!r},
    [
{documents}    ],
)
"""


def __getattr__(name: str) -> Any:
    # The callback imports the Trainer of transformers, which takes seconds and only training needs.
    if name == "CrossEncoderModelCardCallback":
        from stlib.base.model_card_callback import BaseModelCardCallback

        return BaseModelCardCallback
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
