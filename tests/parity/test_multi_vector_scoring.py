"""MaxSim, its forms and XTR beside the reference: values, gradients, masks and forms of input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sentence_transformers.multi_vector_encoder import scoring as theirs
from sentence_transformers.util import similarity as their_similarity

from stlib.multi_vector_encoder import scoring as ours
from stlib.util import similarity as our_similarity

ALL_PAIRS = ("maxsim", "mean_maxsim")
PAIRWISE = ("maxsim_pairwise", "mean_maxsim_pairwise")
GROUPED = ("colbert_scores", "colbert_kd_scores", "mean_colbert_scores", "mean_colbert_kd_scores")
XTR = ("xtr_scores", "xtr_kd_scores")
ALIGNED = ("colbert_scores_pairwise", "mean_colbert_scores_pairwise", "xtr_scores_pairwise")


def texts(seed, lengths, d=6):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, d, generator=generator) for n in lengths]


def padded(seed, *shape):
    """Token vectors ``[…, tokens, d]`` and a mask with holes, in which some token of each text counts."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(*shape[:-1], generator=generator) < 0.7
    mask[..., 0] = True
    return torch.randn(*shape, generator=generator), mask


def both(name, *args, **kwargs):
    """Results of one function here and in the reference."""
    places = (our_similarity, their_similarity) if hasattr(their_similarity, name) else (ours, theirs)
    return [getattr(place, name)(*args, **kwargs) for place in places]


@pytest.mark.parametrize("name", ALL_PAIRS + PAIRWISE)
@pytest.mark.parametrize("lengths", [(3, 3, 3), (5, 1, 4), (2, 0, 6)])
def test_lists_of_texts_score_alike(name, lengths):
    queries, documents = texts(0, (4, 2, 3)), texts(1, lengths)
    result, expected = both(name, queries, documents)
    torch.testing.assert_close(result, expected)
    for form in (lambda rows: [row.numpy() for row in rows], lambda rows: [row.double() for row in rows]):
        result, expected = both(name, form(queries), form(documents))
        torch.testing.assert_close(result, expected)


@pytest.mark.parametrize("name", ALL_PAIRS + PAIRWISE)
@pytest.mark.parametrize("kind", ["tensor", "array", "weights", "rows of zeros", "one query"])
def test_padded_texts_score_alike(name, kind):
    queries, asked = padded(0, 4, 5, 6)
    documents, known = padded(1, 4, 7, 6)
    if kind == "one query" and name in PAIRWISE:
        documents, known = documents[:1], known[:1]
    if kind == "rows of zeros":
        args = {"a": queries * asked.unsqueeze(2), "b": documents * known.unsqueeze(2)}
    elif kind == "array":
        args = {
            "a": queries.numpy(),
            "b": documents.numpy(),
            "a_mask": asked.numpy(),
            "b_mask": known.numpy(),
        }
    elif kind == "one query":
        args = {"a": queries[0], "b": documents, "a_mask": asked[0], "b_mask": known}
    else:
        weights = asked * torch.tensor([0.5, 1, 2, 1, 1]) if kind == "weights" else asked
        args = {"a": queries, "b": documents, "a_mask": weights, "b_mask": known}
    result, expected = both(name, **args)
    torch.testing.assert_close(result, expected)


@pytest.mark.parametrize("name", ALL_PAIRS + PAIRWISE)
def test_a_list_with_a_list_of_masks(name):
    queries, documents = texts(0, (4, 2, 3)), texts(1, (5, 1, 4))
    a_mask = [torch.tensor([1, 0, 1, 1]), torch.tensor([1, 1]), torch.tensor([0, 1, 0])]
    b_mask = [torch.tensor([1, 0, 1, 1, 0]), torch.tensor([0]), torch.tensor([0, 1, 1, 1])]
    result, expected = both(name, queries, documents, a_mask=a_mask, b_mask=b_mask)
    torch.testing.assert_close(result, expected)


@pytest.mark.parametrize("name", ALL_PAIRS + PAIRWISE)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int8])
def test_other_types_score_alike(name, dtype):
    queries = [(row * 9).to(dtype) for row in texts(0, (4, 2))]
    documents = [(row * 9).to(dtype) for row in texts(1, (5, 3))]
    result, expected = both(name, queries, documents)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, expected, rtol=2e-2 if dtype == torch.bfloat16 else 2e-3, atol=0.5)


def test_no_texts_have_no_scores():
    for args in (([], texts(0, (2,))), (texts(0, (2,)), []), ([], [])):
        result, expected = both("maxsim", *args)
        assert result.shape == expected.shape
    assert both("maxsim_pairwise", [], [])[0].shape == (0,)


@pytest.mark.parametrize("name", GROUPED + XTR + ALIGNED)
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("chunk_elements", [None, 40])
def test_scores_of_losses_and_their_gradients(name, masked, chunk_elements):
    queries, asked = padded(0, 3, 4, 6)
    documents, known = padded(1, 3, 2, 5, 6)
    if name in ALIGNED:
        documents, known = documents[:, 0], known[:, 0]
    masks = {"queries_mask": asked, "documents_mask": known} if masked else {}
    if name.startswith("xtr"):
        masks["top_k"] = 7
    found = []
    for place in (ours, theirs):
        inputs = queries.clone().requires_grad_(), documents.clone().requires_grad_()
        scores = getattr(place, name)(*inputs, chunk_elements=chunk_elements, **masks)
        (scores * torch.linspace(1, 2, scores.numel()).view(scores.shape)).sum().backward()
        found.append((scores.detach(), *(one.grad for one in inputs)))
    for result, expected in zip(*found, strict=True):
        torch.testing.assert_close(result, expected)


@pytest.mark.parametrize("top_k", [1, 4, 1000])
def test_xtr_retrieves_as_many_tokens(top_k):
    queries, documents = padded(2, 3, 4, 6)[0], padded(3, 3, 2, 5, 6)[0]
    known = torch.ones(3, 2, 5, dtype=torch.bool)
    known[1, 1] = False
    for name in XTR:
        result, expected = both(name, queries, documents, documents_mask=known, top_k=top_k)
        torch.testing.assert_close(result, expected)
    result = ours.XTRScores(top_k)(queries, documents, None, known)
    torch.testing.assert_close(result, theirs.XTRScores(top_k)(queries, documents, None, known))
    assert ours.XTRKDScores(top_k, chunk_elements=9).get_config_dict() == {
        "top_k": top_k,
        "chunk_elements": 9,
    }


@pytest.mark.parametrize(
    ("kwargs", "error"),
    [
        ({"a": torch.zeros(2, 3, 4), "b": torch.zeros(2, 3, 4), "a_mask": torch.ones(2, 4)}, ValueError),
        ({"a": torch.zeros(2, 3, 4), "b": torch.zeros(2, 3, 4), "b_mask": "x"}, TypeError),
    ],
)
def test_what_does_not_fit_is_refused_by_both(kwargs, error):
    for place in (our_similarity, their_similarity):
        for name in ALL_PAIRS + PAIRWISE:
            with pytest.raises(error):
                getattr(place, name)(**kwargs)
    with pytest.raises(ValueError, match="2 queries and b 1"):
        our_similarity.maxsim_pairwise(torch.ones(2, 1, 4), torch.ones(1, 1, 4))
    with pytest.raises(ValueError, match=r"\[tokens, d\]"):
        our_similarity.maxsim([torch.ones(4)], [torch.ones(1, 4)])
    with pytest.raises(ValueError, match="top_k is 0"):
        ours.xtr_scores(torch.ones(1, 1, 4), torch.ones(1, 1, 1, 4), top_k=0)


def test_arrays_that_cannot_be_written_are_read(tmp_path):
    documents = np.random.default_rng(0).normal(size=(5, 3, 4)).astype(np.float32)
    np.save(tmp_path / "documents.npy", documents)
    mapped = np.load(tmp_path / "documents.npy", mmap_mode="r")
    query = torch.ones(2, 4)
    torch.testing.assert_close(our_similarity.maxsim(query, mapped), our_similarity.maxsim(query, documents))
