"""Facts and the example for the model card of a sparse encoder."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from stlib.base.modules.router import Router
from stlib.sentence_transformer.model_card import SentenceTransformerModelCardData
from stlib.sparse_encoder.modules.sparse_auto_encoder import SparseAutoEncoder
from stlib.sparse_encoder.modules.sparse_static_embedding import SparseStaticEmbedding
from stlib.sparse_encoder.modules.splade_pooling import SpladePooling

# What makes a model of a kind, and what the kind is called.
_KINDS = (
    (Router, "Asymmetric"),
    (SparseStaticEmbedding, "Inference-free"),
    (SpladePooling, "SPLADE"),
    (SparseAutoEncoder, "CSR"),
)


@dataclass
class SparseEncoderModelCardData(SentenceTransformerModelCardData):
    """See :class:`~stlib.base.model_card.BaseModelCardData`. The kind of model (SPLADE, CSR, …), its purpose
    and its tags follow from its modules.
    """

    task_name: str | None = None
    tags: list[str] = field(default_factory=lambda: ["sentence-transformers", "sparse-encoder", "sparse"])
    pipeline_tag: str | None = field(default=None, init=False)
    model_type: str = field(default="Sparse Encoder", init=False, repr=False)

    class_name: ClassVar[str] = "SparseEncoder"

    def register_model(self, model: Any) -> None:
        super().register_model(model)
        self.task_name = self.task_name or "semantic search and sparse retrieval"
        self.pipeline_tag = self.pipeline_tag or "feature-extraction"
        there = {type(module) for module in model.modules()}
        kinds = [name for kind, name in _KINDS if kind in there]
        self.add_tags([name.lower() for name in kinds])
        self.model_type = " ".join([*kinds, "Sparse Encoder"])

    def get_default_model_name(self) -> str:
        return f"{self.model_type} based on {self.base_model}" if self.base_model else self.model_type

    def get_model_specific_metadata(self) -> dict[str, Any]:
        facts = super().get_model_specific_metadata()
        if not facts:
            return facts
        summary = facts["summary"].replace("to a vector", "to a sparse vector")
        return {**facts, "summary": summary, "max_active_dims": self.model.max_active_dims}

    def _shape(self, rows: int) -> str:
        dimension = self.model.get_embedding_dimension()
        return f"# torch.Size([{rows}, {dimension}])\n" if dimension else ""


def __getattr__(name: str) -> Any:
    # The callback imports the Trainer of transformers, which takes seconds and only training needs.
    if name == "SparseEncoderModelCardCallback":
        from stlib.base.card.callback import BaseModelCardCallback

        return BaseModelCardCallback
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), "SparseEncoderModelCardCallback"})
