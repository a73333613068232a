"""Similarities, searches and mining over embeddings equal the reference's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stlib import util

pytestmark = [
    pytest.mark.parity,
    # torch says so about its own sparse products, once per process
    pytest.mark.filterwarnings("ignore:Sparse:UserWarning"),
]


@pytest.fixture(scope="module")
def their(reference):
    return pytest.importorskip("sentence_transformers.util")


def matrix(n, d, seed=0, sparse=False):
    x = torch.randn(n, d, generator=torch.Generator().manual_seed(seed))
    return (x * (x > 0.5)).to_sparse() if sparse else x


PAIRED = ["cos_sim", "dot_score", "euclidean_sim", "manhattan_sim", "pytorch_cos_sim"]
ALIGNED = ["cos_sim", "dot_score", "euclidean_sim", "manhattan_sim", "angle_sim"]


@pytest.mark.parametrize("name", PAIRED)
@pytest.mark.parametrize("layout", ["dense", "sparse", "sparse a", "sparse b"])
def test_similarities_equal(their, name, layout):
    a = matrix(5, 9, 1, sparse=layout in ("sparse", "sparse a"))
    b = matrix(7, 9, 2, sparse=layout in ("sparse", "sparse b"))
    if layout in ("sparse a", "sparse b") and name in ("cos_sim", "pytorch_cos_sim", "dot_score"):
        expected = getattr(their, name)(a.to_dense(), b.to_dense())
    else:
        expected = getattr(their, name)(a, b)
    torch.testing.assert_close(getattr(util, name)(a, b), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ALIGNED)
@pytest.mark.parametrize("layout", ["dense", "sparse", "mixed"])
def test_pairwise_similarities_equal(their, name, layout):
    a, b = matrix(6, 9, 1, sparse=layout != "dense"), matrix(6, 9, 2, sparse=layout == "sparse")
    name = f"pairwise_{name}"
    expected = getattr(their, name)(a.to_dense(), b.to_dense())
    torch.testing.assert_close(getattr(util, name)(a, b), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", PAIRED)
def test_input_forms_equal(their, name):
    a, b = matrix(3, 4, 1).numpy(), matrix(3, 4, 2).numpy()
    function, expected = getattr(util, name), getattr(their, name)(a, b)
    for form in (list(a), a.tolist(), torch.tensor(a), [torch.tensor(row) for row in a]):
        torch.testing.assert_close(function(form, b), expected)
    torch.testing.assert_close(function(a[0], b), expected[:1])
    halves = torch.tensor(a).half(), torch.tensor(b).bfloat16()
    torch.testing.assert_close(function(*halves), getattr(their, name)(*halves))
    frozen = a.copy()
    frozen.setflags(write=False)
    torch.testing.assert_close(function(frozen, b), expected)


@pytest.mark.parametrize("chunks", [(100, 500_000), (2, 3), (1, 100), (7, 7)])
@pytest.mark.parametrize("score", ["cos_sim", "dot_score", "euclidean_sim"])
def test_semantic_search_equals(their, chunks, score):
    queries, corpus = matrix(6, 16, 3), matrix(40, 16, 4)
    options = {"query_chunk_size": chunks[0], "corpus_chunk_size": chunks[1], "top_k": 5}
    ours = util.semantic_search(queries, corpus, score_function=getattr(util, score), **options)
    theirs = their.semantic_search(queries, corpus, score_function=getattr(their, score), **options)
    same_hits(ours, theirs)
    same_hits(
        util.information_retrieval(queries.numpy(), corpus.numpy(), top_k=99),
        their.semantic_search(queries, corpus, top_k=99),
    )
    same_hits(util.semantic_search(queries[0], corpus), their.semantic_search(queries[0], corpus))


def test_sparse_semantic_search_equals(their):
    queries, corpus = matrix(6, 16, 3, sparse=True), matrix(40, 16, 4, sparse=True)
    options = {"query_chunk_size": 4, "corpus_chunk_size": 15, "top_k": 3}
    same_hits(
        util.semantic_search(queries, corpus, **options), their.semantic_search(queries, corpus, **options)
    )


def test_semantic_search_in_nothing():
    assert util.semantic_search(torch.ones(2, 3), torch.ones(0, 3)) == [[], []]
    assert util.semantic_search(torch.ones(0, 3), torch.ones(2, 3)) == []


def same_hits(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        assert [h["corpus_id"] for h in a] == [h["corpus_id"] for h in b]
        np.testing.assert_allclose([h["score"] for h in a], [h["score"] for h in b], atol=1e-5)


@pytest.mark.parametrize(
    "options", [{}, {"top_k": 2}, {"query_chunk_size": 7, "corpus_chunk_size": 9}, {"max_pairs": 5}]
)
def test_paraphrase_mining_equals(their, options):
    x = matrix(30, 8, 5)
    ours, theirs = (
        util.paraphrase_mining_embeddings(x, **options),
        their.paraphrase_mining_embeddings(x, **options),
    )
    assert [pair[1:] for pair in ours] == [pair[1:] for pair in theirs]
    np.testing.assert_allclose([p[0] for p in ours], [p[0] for p in theirs], atol=1e-5)


@pytest.mark.parametrize("size", [1, 3, 5])
def test_community_detection_equals(their, size):
    centres = matrix(4, 16, 6)
    x = torch.cat([c + 0.3 * matrix(9 + i, 16, i) for i, c in enumerate(centres)])
    ours = util.community_detection(x, threshold=0.8, min_community_size=size, batch_size=7)
    theirs = their.community_detection(x, threshold=0.8, min_community_size=size, batch_size=7)
    assert ours == theirs
    assert util.community_detection(x[:2], min_community_size=3) == []


@pytest.mark.parametrize("sparse", [False, True])
def test_tensor_helpers_equal(their, sparse):
    x = matrix(5, 9, 1, sparse=sparse)
    torch.testing.assert_close(
        util.normalize_embeddings(x).to_dense(), their.normalize_embeddings(x).to_dense()
    )
    if sparse:
        assert (util.to_scipy_coo(x) != their.to_scipy_coo(x)).nnz == 0
        torch.testing.assert_close(util.compute_count_vector(x), their.compute_count_vector(x))
    else:
        torch.testing.assert_close(util.truncate_embeddings(x, 3), their.truncate_embeddings(x, 3))
        torch.testing.assert_close(util.select_max_active_dims(x, 2), their.select_max_active_dims(x, 2))


FORMS = {
    "tensor": torch.tensor,
    "float64": lambda x: torch.tensor(x, dtype=torch.float64),
    "int": lambda x: torch.tensor(x).mul(3).round().long(),
    "half": lambda x: torch.tensor(x).half(),
    "bfloat16": lambda x: torch.tensor(x).bfloat16(),
    "array": np.asarray,
    "list": lambda x: np.asarray(x).tolist(),
    "list of tensors": lambda x: list(torch.tensor(x)),
    "list of sparse": lambda x: [row.to_sparse() for row in torch.tensor(x)],
}


@pytest.mark.parametrize("name", [*PAIRED, *(f"pairwise_{name}" for name in ALIGNED)])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_and_type_equals(their, name, form):
    a, b = (FORMS[form](matrix(4, 6, seed).numpy()) for seed in (1, 2))
    # The reference counts whole numbers in their own type, in which sums overflow, or refuses them.
    expected = getattr(their, name)(*((a.float(), b.float()) if form == "int" else (a, b)))
    found = getattr(util, name)(a, b)
    assert found.dtype == expected.dtype
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", PAIRED)
@pytest.mark.parametrize("sparse", [False, True])
def test_single_vectors_equal(their, name, sparse):
    a, b = matrix(3, 9, 1, sparse), matrix(5, 9, 2, sparse)
    for x, y in ((a[0], b), (a, b[1]), (a[0], b[0])):
        torch.testing.assert_close(
            getattr(util, name)(x, y), getattr(their, name)(x, y), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("name", [name for name in ALIGNED if name != "angle_sim"])
def test_pairs_of_single_vectors_equal(their, name):
    a, b = matrix(2, 9, 1)
    name = f"pairwise_{name}"
    torch.testing.assert_close(getattr(util, name)(a, b), getattr(their, name)(a, b))


def test_zero_rows_equal(their):
    a = torch.zeros(2, 4)
    a[1, 2] = 3.0
    for name in (*PAIRED, *(f"pairwise_{name}" for name in ALIGNED)):
        for x in (a, a.to_sparse()):
            torch.testing.assert_close(getattr(util, name)(x, x), getattr(their, name)(x, x))


def test_token_matrices_equal(their):
    generator = torch.Generator().manual_seed(0)
    columns = [torch.randn(2, n, 3, generator=generator) for n in (4, 2, 5)]
    masks = [torch.ones(2, n) for n in (4, 2, 5)]
    for name in ("stack_padded_token_embeddings", "cat_padded_token_embeddings"):
        torch.testing.assert_close(getattr(util, name)(columns, masks), getattr(their, name)(columns, masks))

    def flat():
        return {
            "token_embeddings": torch.arange(21.0).reshape(1, 7, 3),
            "input_ids": torch.arange(7).reshape(1, 7),
            "cu_seq_lens_q": torch.tensor([0, 2, 3, 7]),
            "cu_seq_lens_k": torch.tensor([0, 2, 3, 7]),
            "max_length_q": 4,
            "position_ids": torch.zeros(1, 7),
            "other": 1,
        }

    ours, theirs = util.repad_flattened_features(flat()), their.repad_flattened_features(flat())
    assert set(ours) == set(theirs)
    for key, value in theirs.items():
        torch.testing.assert_close(ours[key], value)


@pytest.mark.parametrize("options", [{}, {"top_k": 3, "max_pairs": 7}, {"query_chunk_size": 4}])
def test_paraphrase_mining_with_a_model_equals(their, reference, tiny_bert, options):
    from stlib import SentenceTransformer

    texts = [f"{a} {b}" for a in ("sort list", "quick fox", "the dog") for b in ("key", "word", "text", "a")]
    options = {**options, "prompt": "query: ", "truncate_dim": 16}
    ours = util.paraphrase_mining(SentenceTransformer(tiny_bert, device="cpu"), texts, **options)
    model = reference.SentenceTransformer(tiny_bert, device="cpu")
    theirs = their.paraphrase_mining(model, texts, **options)
    assert [pair[1:] for pair in ours] == [pair[1:] for pair in theirs]
    np.testing.assert_allclose([p[0] for p in ours], [p[0] for p in theirs], atol=1e-5)


def test_names_of_things_equal(their):
    for thing in (util.LoggingHandler, torch.nn.Linear(1, 1), 3, int):
        if "stlib" not in util.fullname(thing):
            assert util.fullname(thing) == their.fullname(thing)
    assert util.import_from_string("torch.nn.Linear") is torch.nn.Linear
    for bad in ("nodots", "torch.nn.NoSuchThing"):
        for library in (util, their):
            with pytest.raises(ImportError):
                library.import_from_string(bad)
