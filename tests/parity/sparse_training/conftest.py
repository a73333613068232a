"""Sparse models of both libraries with the same weights, and a comparison of their losses."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from torch import nn

TEXTS = [
    "how do i sort a list|the quick brown fox|search by meaning|a short text|lazy dog ?|the answer is long",
    "sort the list by key|a brown dog jumps|search is by words|text|the dog|only the answer in a passage",
    "a dictionary|fox|the meaning of a query , and of words|it|quick !|a question is short",
    "how|jumps over the lazy brown dog|by|is it text ?|the the|long answer",
]


@pytest.fixture(scope="session")
def columns() -> Any:
    """``columns(n, rows)``: so many columns of texts."""
    return lambda n, rows=6: [texts.split("|")[:rows] for texts in TEXTS[:n]]


@pytest.fixture(scope="session")
def splade_models(reference, tiny_mlm) -> tuple[Any, Any]:
    """Our and the reference's SPLADE model, without dropout unless set to train."""
    from stlib import SparseEncoder

    return SparseEncoder(tiny_mlm, device="cpu").eval(), reference.SparseEncoder(
        tiny_mlm, device="cpu"
    ).eval()


@pytest.fixture(scope="session")
def csr_models(reference, tiny_bert) -> tuple[Any, Any]:
    """Our and the reference's model that ends in a sparse auto-encoder, with the same weights."""
    return _csr(reference, tiny_bert, 32)


@pytest.fixture(scope="session")
def real_csr_models(reference, minilm) -> tuple[Any, Any]:
    """The same on top of all-MiniLM-L6-v2."""
    return _csr(reference, minilm, 384)


def _csr(reference: Any, folder: str, width: int) -> tuple[Any, Any]:
    from sentence_transformers.sentence_transformer import modules as their_models
    from sentence_transformers.sparse_encoder import modules as their_sparse_models

    from stlib import SparseEncoder, models
    from stlib.sparse_encoder import modules as sparse_models

    made = []
    for encoder, dense, sparse in (
        (SparseEncoder, models, sparse_models),
        (reference.SparseEncoder, their_models, their_sparse_models),
    ):
        torch.manual_seed(5)
        # Latents count as out of use after two passes, so that the auxiliary part has something to say.
        code = sparse.SparseAutoEncoder(width, hidden_dim=2 * width, k=4, k_aux=8, dead_threshold=1)
        modules = [dense.Transformer(folder), dense.Pooling(width, "mean"), code]
        made.append(encoder(modules=modules, device="cpu").eval())
    made[0].load_state_dict(made[1].state_dict())
    return made[0], made[1]


@pytest.fixture
def same_loss(splade_models) -> Any:
    for model in splade_models:
        model.eval()
        model[1].train()  # outside of training the reference pools in place, which has no gradient
    return SparseLossComparison(*splade_models)


@pytest.fixture
def same_csr_loss(csr_models) -> Any:
    return SparseLossComparison(*csr_models)


class SparseLossComparison:
    """``same_loss(make, columns, labels)`` asserts equal values, gradients and settings, and returns ours.

    ``make(losses, util, model)`` builds the loss from the ``losses`` and ``util`` of either library.
    """

    def __init__(self, ours: Any, theirs: Any) -> None:
        self.models = ours, theirs

    def __call__(self, make: Any, columns: Any, labels: Any = None, seed: int = 0) -> Any:
        import sentence_transformers.sparse_encoder.losses as their_losses
        import sentence_transformers.util as their_util

        import stlib.sparse_encoder.losses as our_losses
        import stlib.util as our_util

        ours, theirs = (
            self.run(make(losses, util, model), model, columns, labels, seed)
            for losses, util, model in zip(
                (our_losses, their_losses), (our_util, their_util), self.models, strict=True
            )
        )
        assert ours["settings"] == theirs["settings"]
        assert list(ours["values"]) == list(theirs["values"])
        for kind in ("values", "gradients"):
            assert ours[kind].keys() == theirs[kind].keys()
            for name, expected in theirs[kind].items():
                torch.testing.assert_close(
                    ours[kind][name],
                    expected,
                    rtol=2e-5,
                    atol=5e-6 * max(1.0, float(expected.abs().max())),
                    msg=lambda m, n=name: f"{n}: {m}",
                )
        return ours["values"]

    def run(self, loss: nn.Module, model: Any, columns: Any, labels: Any, seed: int) -> dict[str, Any]:
        features = [model.preprocess(texts) for texts in columns]
        model.zero_grad()
        random.seed(seed)
        torch.manual_seed(seed)
        value = loss(features, labels)
        values = value if isinstance(value, dict) else {"": value}
        torch.stack(list(values.values())).sum().backward()
        return {
            "values": {name: part.detach() for name, part in values.items()},
            "gradients": {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None},
            "settings": {k: describe(v) for k, v in loss.get_config_dict().items()},
        }


def describe(value: Any) -> Any:
    """A setting without the library that it is of."""
    return (type(value).__name__, value.get_config_dict()) if isinstance(value, nn.Module) else value
