"""Facts and the example for the model card of a late-interaction encoder."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from stlib.base.modules.transformer import Transformer
from stlib.sentence_transformer.model_card import SentenceTransformerModelCardData, write_list

_TEXTS = [
    "Which planet is known as the Red Planet?",
    "Mars, whose soil holds much iron oxide, is called the Red Planet.",
    "Saturn is known for its rings.",
]

_SIMILARITIES = {"maxsim": "MaxSim", "meanmaxsim": "MeanMaxSim"}


@dataclass
class MultiVectorEncoderModelCardData(SentenceTransformerModelCardData):
    """See :class:`~stlib.base.model_card.BaseModelCardData`."""

    task_name: str | None = None
    tags: list[str] = field(
        default_factory=lambda: ["sentence-transformers", "multi-vector", "colbert", "late-interaction"]
    )
    pipeline_tag: str | None = field(default=None, init=False)
    model_type: str = field(default="Multi-Vector Encoder", init=False, repr=False)

    class_name: ClassVar[str] = "MultiVectorEncoder"

    def register_model(self, model: Any) -> None:
        super().register_model(model)
        self.task_name = self.task_name or "semantic search with late interaction"
        self.pipeline_tag = self.pipeline_tag or "feature-extraction"
        if self.ir_model is None:
            self.ir_model = True  # late interaction compares queries with documents

    def get_model_specific_metadata(self) -> dict[str, Any]:
        facts = super().get_model_specific_metadata()
        if not facts:
            return facts
        name = self.model.similarity_fn_name
        return {
            **facts,
            "summary": facts["summary"].replace("to a vector", "token by token to vectors"),
            "similarity_fn_name": _SIMILARITIES.get(name, name),
            **self._lengths(),
        }

    def _lengths(self) -> dict[str, int | None]:
        """Tokens of a query and of a document, where they are set."""
        first = next((module for module in self.model if isinstance(module, Transformer)), None)
        if first is None:
            return {}
        expansion = first.query_expansion or {}
        fixed = expansion.get("length") if expansion.get("strategy") == "fixed" else None
        return {"query_length": fixed or first.query_length, "document_length": first.document_length}

    def generate_usage_snippet(self) -> str:
        if not self._takes_text():
            return super().generate_usage_snippet()
        texts = self.usage_examples or _TEXTS
        printed = self.similarities or ""
        shown = "".join(f"# {line}\n" for line in printed.splitlines())
        return f"""{self._loading()}queries = {write_list(texts[:1])}
documents = {write_list(texts[1:])}
query_embeddings = model.encode_query(queries)
document_embeddings = model.encode_document(documents)
print(document_embeddings[0].shape)
# torch.Size([tokens of the first document, {self.model.get_embedding_dimension()}])
similarities = model.similarity(query_embeddings, document_embeddings)
print(similarities)
{shown}"""

    def run_usage_snippet(self) -> None:
        """Encode the example's texts and keep the scores that it prints, for the card."""
        if not self._takes_text():
            return
        texts = self.usage_examples or _TEXTS
        queries, documents = self.model.encode_query(texts[:1]), self.model.encode_document(texts[1:])
        self.similarities = str(self.model.similarity(queries, documents))


def __getattr__(name: str) -> Any:
    # The callback imports the Trainer of transformers, which takes seconds and only training needs.
    if name == "MultiVectorEncoderModelCardCallback":
        from stlib.base.card.callback import BaseModelCardCallback

        return BaseModelCardCallback
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), "MultiVectorEncoderModelCardCallback"})
