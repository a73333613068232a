"""Facts and the example for the model card of a dense bi-encoder."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, ClassVar

from stlib.base.model_card import BaseModelCardData
from stlib.base.modules.router import Router
from stlib.base.saving import module_type
from stlib.util.older_names import warn_older_name

_SENTENCES = [
    "How do I sort a list?",
    "sorted() returns a new sorted list.",
    "The library is closed on Sundays.",
]


@dataclass
class SentenceTransformerModelCardData(BaseModelCardData):
    """See :class:`~stlib.base.model_card.BaseModelCardData`."""

    task_name: str | None = (
        "semantic textual similarity, semantic search, paraphrase mining, classification, clustering, "
        "and more"
    )
    tags: list[str] = field(
        default_factory=lambda: [
            "sentence-transformers",
            "sentence-similarity",
            "feature-extraction",
            "dense",
        ]
    )
    pipeline_tag: str | None = field(default="sentence-similarity", init=False)

    class_name: ClassVar[str] = "SentenceTransformer"

    def try_to_set_base_model(self) -> None:
        """As in the base class; a static table says itself what it was made from."""
        super().try_to_set_base_model()
        made_from = getattr(self.model[0], "base_model", None) if self.model else None
        if self.base_model is None and isinstance(made_from, str):
            self.set_base_model(made_from)

    def get_model_specific_metadata(self) -> dict[str, Any]:
        model = self.model
        if model is None or len(model) == 0:
            return {}
        length = model.get_max_seq_length()
        prompts = {name: text for name, text in model.prompts.items() if text}
        modalities = _names(model.modalities)
        return {
            "summary": f"This model maps {_inputs(modalities)} to a vector",
            "output_dimensionality": model.get_embedding_dimension(),
            "similarity_fn_name": model.similarity_fn_name,
            # Tokenizers without a limit report a huge number.
            "model_max_length": int(length) if length is not None and length < 1e9 else None,
            "modalities": ", ".join(modalities),
            "prompts": ", ".join(f"`{name}`: `{text}`" for name, text in prompts.items()),
        }

    def generate_usage_snippet(self) -> str:
        if not self._takes_text():
            kinds = _inputs(_names(self.model.modalities))
            inputs = f"inputs = ...  # a list; each is {kinds}"
            return f"{self._loading()}{inputs}\nembeddings = model.encode(inputs)\n"
        texts = self.usage_examples or _SENTENCES
        body = self._pairs(texts) if self._asymmetric() else self._plain(texts)
        shown = "\n".join(f"# {line}" for line in self.similarities.splitlines()) if self.similarities else ""
        return f"{self._loading()}{body}{shown}"

    def run_usage_snippet(self) -> None:
        """Encode the example's texts and keep the similarities that it prints, for the card."""
        if not self._takes_text():
            return
        texts = self.usage_examples or _SENTENCES
        if self._asymmetric():
            left, right = self.model.encode_query(texts[:1]), self.model.encode_document(texts[1:])
        else:
            left = right = self.model.encode(texts)
        self.similarities = str(self.model.similarity(left, right))

    def _takes_text(self) -> bool:
        return self.model is not None and "text" in self.model.modalities

    def _loading(self) -> str:
        ours = ("stlib.", "sentence_transformers.")
        foreign = [module for module in self.model if not module_type(module).startswith(ours)]
        name = json.dumps(self.reference(), ensure_ascii=False)
        arguments = name + (", trust_remote_code=True" if foreign else "")
        kind = self.class_name
        return f"from stlib import {kind}\n\nmodel = {kind}({arguments})\n"

    def _asymmetric(self) -> bool:
        """Whether queries and documents are treated differently."""
        routed = any(isinstance(module, Router) for module in self.model)
        return bool(
            self.ir_model or routed or self.model.prompts.get("query") or self.model.prompts.get("document")
        )

    def _plain(self, texts: list[str]) -> str:
        shape = self._shape(len(texts))
        return f"""sentences = {write_list(texts)}
embeddings = model.encode(sentences)
print(embeddings.shape)
{shape}
similarities = model.similarity(embeddings, embeddings)
print(similarities)
"""

    def _pairs(self, texts: list[str]) -> str:
        queries, documents = texts[:1], texts[1:]
        return f"""queries = {write_list(queries)}
documents = {write_list(documents)}
query_embeddings = model.encode_query(queries)
document_embeddings = model.encode_document(documents)
print(document_embeddings.shape)
{self._shape(len(documents))}
similarities = model.similarity(query_embeddings, document_embeddings)
print(similarities)
"""

    def _shape(self, rows: int) -> str:
        dimension = self.model.get_embedding_dimension()
        return f"# ({rows}, {dimension})\n" if dimension else ""


_CALLBACKS = ("SentenceTransformerModelCardCallback", "ModelCardCallback")


def __getattr__(name: str) -> Any:
    # The callback imports the Trainer of transformers, which takes seconds and only training needs.
    if name in _CALLBACKS:
        from stlib.base.card.callback import BaseModelCardCallback

        if name == "ModelCardCallback":
            warn_older_name(name, "SentenceTransformerModelCardCallback")

        return BaseModelCardCallback
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_CALLBACKS})


def _names(modalities: list[Any]) -> list[str]:
    """A kind of input by its name; a combination of kinds with a plus in between."""
    return [kind if isinstance(kind, str) else "+".join(kind) for kind in modalities]


def _inputs(modalities: list[str]) -> str:
    names = {
        "text": "a text",
        "image": "an image",
        "audio": "a recording",
        "video": "a video",
        "message": "a conversation",
    }
    return " or ".join(names.get(m, m) for m in modalities) or "an input"


def write_list(texts: list[str]) -> str:
    lines = "".join(f"    {text!r},\n" for text in texts)
    return f"[\n{lines}]"
