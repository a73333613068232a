"""Sparse models of both libraries with the same weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch

TEXTS = [
    "how do i sort a list ?",
    "short",
    "",
    "the quick brown fox jumps over the lazy dog , the fox and the dog",
    "is the meaning of a document in its words ?",
    "sort sort sort",
]


@pytest.fixture(scope="session")
def texts() -> list[str]:
    return TEXTS


@pytest.fixture(scope="session")
def both(reference) -> Any:
    """``both(build)``: what ``build(library, modules)`` makes of ours and of the reference, weights alike."""
    import sentence_transformers.sentence_transformer.modules as their_dense
    import sentence_transformers.sparse_encoder.modules as theirs

    import stlib
    import stlib.models as our_dense
    import stlib.sparse_encoder.modules as ours

    def build(make: Any) -> tuple[Any, Any]:
        made = []
        for library, modules, dense in ((stlib, ours, our_dense), (reference, theirs, their_dense)):
            torch.manual_seed(5)
            made.append(make(library, modules, dense))
        return made[0], made[1]

    return build


@pytest.fixture(scope="session")
def splade(both, tiny_mlm) -> tuple[Any, Any]:
    return both(lambda library, _modules, _dense: library.SparseEncoder(tiny_mlm, device="cpu"))


@pytest.fixture(scope="session")
def inference_free(both, tiny_mlm) -> tuple[Any, Any]:
    """Queries by a table, documents by a transformer, as documented at the Router."""

    def make(library: Any, M: Any, _dense: Any) -> Any:
        document = M.Transformer(tiny_mlm, transformer_task="fill-mask")
        weight = torch.rand(len(document.tokenizer.get_vocab()))
        router = M.Router.for_query_document(
            query_modules=[M.SparseStaticEmbedding(tokenizer=document.tokenizer, weight=weight)],
            document_modules=[document, M.SpladePooling("max", activation_function="log1p_relu")],
        )
        return library.SparseEncoder(modules=[router], similarity_fn_name="dot", device="cpu")

    return both(make)


@pytest.fixture(scope="session")
def csr(both, tiny_bert) -> tuple[Any, Any]:
    """A dense model with an auto-encoder behind."""

    def make(library: Any, M: Any, dense: Any) -> Any:
        encoder = M.SparseAutoEncoder(32, hidden_dim=96, k=7, k_aux=9)
        modules = [M.Transformer(tiny_bert), dense.Pooling(32, "mean"), encoder]
        return library.SparseEncoder(modules=modules, device="cpu")

    return both(make)


@pytest.fixture(params=["splade", "inference_free", "csr"])
def models(request) -> tuple[Any, Any]:
    return request.getfixturevalue(request.param)
