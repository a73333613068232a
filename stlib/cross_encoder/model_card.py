"""Facts and the example for the model card of a reranker."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from stlib.base.card.columns import LONGEST_EXAMPLE, is_media_file
from stlib.base.model_card import BaseModelCardData
from stlib.base.saving import module_type

_MOST_EXAMPLES = 5

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

    def set_widget_examples(self, dataset: Any) -> None:
        """Take pairs of the first rows for the example of the card; of a list of documents, those of the
        first row. The hub has no widget for pairs.
        """
        if not self.generate_widget_examples or self.usage_examples:
            return
        first = next(iter(dataset.values())) if isinstance(dataset, Mapping) else dataset
        if not hasattr(first, "__len__"):  # rows of a stream that are read here would be missed in training
            return
        rows = [first[i] for i in range(min(len(first), _MOST_EXAMPLES))]
        pairs: Any = [pair for row in rows if len(pair := _first_two(row)) == 2]
        if pairs and isinstance(pairs[0][1], list):
            query, documents = pairs[0]
            pairs = [(query, document) for document in documents[:_MOST_EXAMPLES]]
        shown = [[text[:LONGEST_EXAMPLE] for text in pair] for pair in pairs if _are_texts(pair)]
        self.usage_examples = shown or None  # type: ignore[assignment]

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


def _first_two(row: Mapping[str, Any]) -> list[Any]:
    """The first two inputs of a row: texts, or lists of texts."""
    inputs = [
        value
        for name, value in row.items()
        if name != "dataset_name"
        and (isinstance(value, str) or (isinstance(value, list) and value and isinstance(value[0], str)))
    ]
    return inputs[:2]


def _are_texts(pair: Any) -> bool:
    return all(isinstance(text, str) and text.strip() and not is_media_file(text) for text in pair)


_CALLBACKS = ("CrossEncoderModelCardCallback",)


def __getattr__(name: str) -> Any:
    # The callback imports the Trainer of transformers, which takes seconds and only training needs.
    if name in _CALLBACKS:
        from stlib.base.card.callback import BaseModelCardCallback

        return BaseModelCardCallback
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_CALLBACKS})
