"""Sparse encoders: embeddings, options and what is read out of them, as in the reference."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch

from stlib import SparseEncoder, errors
from stlib.base import pool
from stlib.sparse_encoder.encoding import SparseEncodeOptions, collect, pools_all_logits
from stlib.sparse_encoder.modules import Router, SpladePooling, Transformer

pytestmark = [
    pytest.mark.parity,
    # Of the reference's own use of torch
    pytest.mark.filterwarnings("ignore:Sparse invariant checks are implicitly disabled"),
    pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta"),
]


def same(ours: Any, theirs: Any) -> None:
    """Equal shapes and layouts, values to rounding."""
    assert ours.shape == theirs.shape
    assert ours.layout == theirs.layout
    torch.testing.assert_close(ours.to_dense(), theirs.to_dense(), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("method", ["encode", "encode_query", "encode_document"])
def test_embeddings(models, texts, method):
    ours, theirs = (getattr(model, method)(texts) for model in models)
    same(ours, theirs)
    assert ours.is_coalesced()
    same(getattr(models[0], method)(texts[0]), getattr(models[1], method)(texts[0]))


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("as_tensor", [True, False])
@pytest.mark.parametrize("limit", [None, 1, 3, 10_000])
def test_forms_and_limits(models, texts, sparse, as_tensor, limit):
    if limit == 10_000 and models[0].max_active_dims is not None:
        limit = 20  # the reference fails beyond the number of latents
    options = {"convert_to_sparse_tensor": sparse, "convert_to_tensor": as_tensor, "max_active_dims": limit}
    ours, theirs = (model.encode(texts, **options) for model in models)
    assert type(ours) is type(theirs)
    for pair in zip(ours, theirs, strict=True):
        same(*pair)
    same(*(model.encode(texts[3], **options) for model in models))


def test_more_dimensions_than_there_are_is_all(csr, texts):
    limit = {"max_active_dims": 10_000, "convert_to_sparse_tensor": False}
    whole = csr[0].encode(texts, **limit)
    torch.testing.assert_close(whole, csr[0].encode(texts, max_active_dims=96).to_dense())


def test_csr_layout(models, texts):
    found = models[0].encode(texts, convert_to_sparse_tensor="csr")
    assert found.layout == torch.sparse_csr
    assert torch.equal(found.to_dense(), models[0].encode(texts).to_dense())
    same(models[0].similarity(found, found), models[1].similarity(*[models[1].encode(texts)] * 2))


def test_no_inputs(models):
    for options in ({}, {"convert_to_sparse_tensor": False}, {"convert_to_tensor": False}):
        ours, theirs = (model.encode([], **options) for model in models)
        assert type(ours) is type(theirs)
        assert list(ours) == list(theirs) == []


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_rows_do_not_depend_on_the_batch(models, texts, batch_size):
    many = [text for text in texts for _ in range(3)]
    ours = models[0].encode(many, batch_size=batch_size).to_dense()
    torch.testing.assert_close(ours, models[0].encode(many).to_dense(), rtol=1e-5, atol=2e-6)
    same(ours, models[1].encode(many, batch_size=2).to_dense())


def test_prompts(both, tiny_mlm, texts):
    prompts = {"query": "search : ", "passage": "text : "}
    models = both(lambda library, _m, _d: library.SparseEncoder(tiny_mlm, device="cpu", prompts=prompts))
    for method in ("encode", "encode_query", "encode_document"):
        for options in ({}, {"prompt_name": "passage"}, {"prompt": "is it ? "}):
            same(*(getattr(model, method)(texts, **options) for model in models))
    with pytest.raises(errors.UnknownPrompt):
        models[0].encode(texts, prompt_name="nope")


@pytest.mark.parametrize("name", ["dot", "cosine", "euclidean", "manhattan"])
def test_similarity(models, texts, name):
    scores = []
    for model in models:
        before, model.similarity_fn_name = model.similarity_fn_name, name
        queries, documents = model.encode_query(texts[:2]), model.encode_document(texts)
        pairs = model.similarity_pairwise(documents, documents)
        mixed = model.similarity(queries, model.encode_document(texts, convert_to_sparse_tensor=False))
        scores.append((model.similarity(queries, documents), pairs, mixed))
        model.similarity_fn_name = before
    for ours, theirs in zip(*scores, strict=True):
        # The distance of a vector to itself is what rounding leaves, in the reference as well.
        tolerance = {"euclidean": 1e-2, "manhattan": 1e-4}.get(name, 2e-5)
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=tolerance)


def test_similarity_name(splade, inference_free):
    assert [model.similarity_fn_name for model in (*splade, *inference_free)] == ["dot"] * 4
    with pytest.raises(errors.InvalidOption, match="similarity_fn_name is 'maxsim'"):
        splade[0].similarity_fn_name = "maxsim"


def test_decoding(splade, inference_free, texts):
    for models in (splade, inference_free):
        for top_k in (None, 1, 4):
            for method in ("encode_query", "encode_document"):
                whole, single = [], []
                for model in models:
                    found = getattr(model, method)(texts)
                    whole.append(model.decode(found, top_k=top_k))
                    single.append(model.decode(found[3], top_k=top_k))
                for ours, theirs in (*zip(*whole, strict=True), single):
                    assert [word for word, _ in ours] == [word for word, _ in theirs]
                    np.testing.assert_allclose([w for _, w in ours], [w for _, w in theirs], atol=1e-5)
    dense = splade[0].encode(texts[:2], convert_to_sparse_tensor=False)
    assert splade[0].decode(dense, top_k=3) == splade[0].decode(dense.to_sparse(), top_k=3)
    with pytest.raises(errors.InvalidOption, match="top_k is 0"):
        splade[0].decode(dense, top_k=0)


def test_sparsity_and_intersection(models, texts):
    ours, theirs = (model.encode(texts) for model in models)
    assert models[0].sparsity(ours) == pytest.approx(models[1].sparsity(theirs))
    assert models[0].sparsity(ours[0]) == pytest.approx(models[1].sparsity(theirs[0]))
    assert models[0].sparsity(ours.to_dense()) == models[0].sparsity(ours)
    assert models[0].sparsity(torch.empty(0, 5)) == models[1].sparsity(torch.empty(0, 5))
    same(models[0].intersection(ours[3], ours), models[1].intersection(theirs[3], theirs))
    same(models[0].intersection(ours[3], ours[0]), models[1].intersection(theirs[3], theirs[0]))
    with pytest.raises(errors.InvalidInput, match="dimensions"):
        models[0].intersection(ours[0], torch.ones(3))


def test_settings(models):
    ours, theirs = models
    assert ours.get_embedding_dimension() == theirs.get_embedding_dimension()
    assert ours.max_seq_length == theirs.max_seq_length
    assert ours.max_active_dims == theirs.max_active_dims
    assert set(ours.get_model_kwargs()) == set(theirs.get_model_kwargs())
    assert ours.prompts == theirs.prompts
    assert ours.splade_pooling_chunk_size == theirs.splade_pooling_chunk_size
    assert ours.model_card_data.model_type == theirs.model_card_data.model_type
    assert set(ours.model_card_data.tags) == set(theirs.model_card_data.tags)
    assert type(ours.transformers_model).__name__ == type(theirs.transformers_model).__name__


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"max_active_dims": 0}, "max_active_dims is 0"),
        ({"max_active_dims": True}, "max_active_dims is True"),
        ({"convert_to_sparse_tensor": "csc"}, "convert_to_sparse_tensor is 'csc'"),
        ({"temperature": 1}, "no module of this model takes: temperature"),
    ],
)
def test_options_without_meaning(splade, options, message):
    with pytest.raises(errors.InvalidOption, match=message):
        splade[0].encode(["a text"], **options)


@pytest.mark.parametrize("value", [0, -1, True, 1.5, "many"])
def test_limits_without_meaning(splade, value):
    with pytest.raises(errors.InvalidOption, match="max_active_dims"):
        SparseEncoder(modules=list(splade[0]), max_active_dims=value)


@pytest.mark.parametrize(("layout", "limit"), [("coo", None), ("coo", 2), (None, None)])
def test_results_travel_between_processes(models, texts, layout, limit):
    """What a worker sends, and what is made of it: as if this process had computed it."""
    model = models[0]
    options = SparseEncodeOptions(max_active_dims=limit, sparse=layout is not None)
    reply = pickle.loads(pickle.dumps(pool._encode(model, 0, 0, texts, 32, options)))
    assert reply.error is None
    rows = reply.values if layout is None else [pool._as_tensors(row) for row in reply.values]
    values = torch.from_numpy(rows) if layout is None else rows
    found = collect(values, layout, True, model.device)
    same(found, model.encode(texts, convert_to_sparse_tensor=layout is not None, max_active_dims=limit))


class Doubled(torch.nn.Module):
    """A module of a user's own between the head and the pooling."""

    def forward(self, features: dict[str, Any]) -> dict[str, Any]:
        return {**features, "token_embeddings": features["token_embeddings"] * 2}


def test_logits_that_others_read_are_made(tiny_mlm, texts):
    """What stands between head and pooling, or watches them, gets the logits themselves."""
    plain = SparseEncoder(tiny_mlm, device="cpu").eval()
    assert pools_all_logits(plain)
    doubled = SparseEncoder(modules=[plain[0], Doubled(), plain[1]], device="cpu").eval()
    assert not pools_all_logits(doubled)
    weights = torch.expm1(plain.encode(texts).to_dense())
    torch.testing.assert_close(
        torch.expm1(doubled.encode(texts).to_dense()), 2 * weights, rtol=1e-4, atol=1e-4
    )
    seen = []
    handle = plain[0].register_forward_hook(
        lambda _m, _i, out: seen.append(out["token_embeddings"].shape[-1])
    )
    try:
        torch.testing.assert_close(torch.expm1(plain.encode(texts).to_dense()), weights, rtol=1e-4, atol=1e-4)
    finally:
        handle.remove()
    assert seen == [plain.get_embedding_dimension()]
    features = plain(plain.preprocess(texts))
    assert features["token_embeddings"].shape[2] == plain.get_embedding_dimension()


def test_logits_of_routes_are_pooled_where_they_are(inference_free, tiny_mlm):
    assert pools_all_logits(inference_free[0].eval())
    head = Transformer(tiny_mlm, transformer_task="fill-mask")
    router = Router.for_query_document([head, SpladePooling()], [head, Doubled(), SpladePooling()])
    assert not pools_all_logits(SparseEncoder(modules=[router], device="cpu").eval())
