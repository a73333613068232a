"""Mined negatives equal the reference's, option by option, and a brute-force search."""

from __future__ import annotations

import random
from functools import cache

import numpy as np
import pytest
import torch

from stlib.util import mine_hard_negatives
from stlib.util import similarity as ours_similarity

datasets = pytest.importorskip("datasets", reason="run: pip install '.[train]'")

pytestmark = [pytest.mark.parity]

DIMENSION = 12


class Vectors:
    """A model that looks vectors of texts up; queries and documents have their own."""

    device = torch.device("cpu")

    def __init__(self, library, similarity="cos_sim"):
        self.similarity = getattr(library, similarity)
        self.similarity_pairwise = getattr(library, f"pairwise_{similarity}")
        self.calls = []

    def get_embedding_dimension(self):
        return DIMENSION

    def encode_query(self, texts, **options):
        return self._encode("query", texts, options)

    def encode_document(self, texts, **options):
        return self._encode("document", texts, options)

    def _encode(self, task, texts, options):
        prompt = f"{options.get('prompt')}/{options.get('prompt_name')}"
        self.calls.append((task, len(texts), prompt))
        return np.stack([vector(text, task, prompt) for text in texts])


@cache
def vector(text, task, prompt):
    """Texts with near numbers lie near each other."""
    topic = np.random.default_rng(int(text.split()[1]) // 3)
    own = np.random.default_rng(list(f"{task} {text} {prompt}".encode()))
    row = topic.standard_normal(DIMENSION) + own.standard_normal(DIMENSION)
    return (row / np.linalg.norm(row)).astype(np.float32)


class Judge:
    """A cross-encoder that looks scores up."""

    def __init__(self):
        self.pairs = []

    def predict(self, pairs, batch_size=32, convert_to_tensor=False, pool=None):
        assert convert_to_tensor
        self.pairs.extend(pairs)
        return torch.tensor([verdict(a, b) for a, b in pairs], dtype=torch.float32)


@cache
def verdict(a, b):
    return np.random.default_rng(list(f"{a}|{b}".encode())).uniform(-1, 1)


def pairs(n=40, positives=1, repeated=0):
    """Anchors with several positives each; the last rows repeat the first."""
    anchors = [f"question {i}" for i in range(n) for _ in range(1 + i % positives)]
    answers = [f"answer {i} part {j}" for i in range(n) for j in range(1 + i % positives)]
    anchors, answers = anchors + anchors[:repeated], answers + answers[:repeated]
    order = np.random.default_rng(3).permutation(len(anchors)) if positives > 1 else range(len(anchors))
    return datasets.Dataset.from_dict(
        {"query": [anchors[i] for i in order], "answer": [answers[i] for i in order]}
    )


CORPUS = [f"document {i}" for i in range(90)]
DATA = {
    "one positive": lambda: pairs(),
    "several positives": lambda: pairs(positives=3),
    "repeated rows": lambda: pairs(positives=2, repeated=7),
    "fewer documents than wanted": lambda: pairs(n=6, positives=2),
    "documents of two anchors": lambda: datasets.Dataset.from_dict(
        {"query": ["question 0", "question 1", "question 0"], "answer": ["answer 0", "answer 0", "answer 1"]}
    ),
}
OPTIONS = {
    "defaults": {},
    "corpus": {"corpus": CORPUS},
    "corpus holding positives twice": {"corpus": ["answer 3 part 0", *CORPUS, "answer 0 part 0", CORPUS[0]]},
    "range": {"range_min": 4, "range_max": 9},
    "range_min": {"range_min": 2, "corpus": CORPUS},
    "num_negatives": {"num_negatives": 7},
    "max_score": {"max_score": 0.4, "corpus": CORPUS},
    "min_score": {"min_score": 0.2},
    "absolute_margin": {"absolute_margin": 0.1, "corpus": CORPUS},
    "absolute margin of zero": {"absolute_margin": 0, "corpus": CORPUS},
    "relative_margin": {"relative_margin": 0.3, "corpus": CORPUS},
    "all limits": {
        "absolute_margin": 0.05,
        "relative_margin": 0.05,
        "max_score": 0.7,
        "min_score": -0.1,
        "corpus": CORPUS,
        "range_min": 1,
        "range_max": 40,
    },
    "random": {"sampling_strategy": "random", "range_max": 12},
    "random with limits": {
        "sampling_strategy": "random",
        "max_score": 0.5,
        "relative_margin": 0.1,
        "corpus": CORPUS,
    },
    "random among few": {"sampling_strategy": "random", "min_score": 0.5, "num_negatives": 4},
    "include_positives": {"include_positives": True, "range_max": 6, "num_negatives": 6, "corpus": CORPUS},
    "prompts": {"query_prompt": "q: ", "corpus_prompt": "d: "},
    "prompt names": {"query_prompt_name": "query", "corpus_prompt_name": "passage"},
    "small blocks": {"faiss_batch_size": 7, "max_score": 0.6},
    "faiss": {"use_faiss": True, "corpus": CORPUS, "faiss_batch_size": 11},
    "faiss with limits": {"use_faiss": True, "relative_margin": 0.2, "range_max": 20},
    "as_triplets": {"as_triplets": False},
    "as triplets": {"as_triplets": True, "output_format": "n-tuple"},
    "margin": {"margin": 0.1, "corpus": CORPUS},
    "n-tuple-scores": {"output_format": "n-tuple-scores"},
}
# Here no anchor is a document: the reference would take it as a negative of itself, ours does not.
FORMATS = ["triplet", "n-tuple", "labeled-pair", "labeled-list"]


@pytest.fixture(scope="module")
def their(reference):
    return pytest.importorskip("sentence_transformers.util")


def both(their, data, similarity="cos_sim", **options):
    """Results of ours and of the reference, with the same draws."""
    rows = []
    for library, mine in ((ours_similarity, mine_hard_negatives), (their, their.mine_hard_negatives)):
        if "cross_encoder" in options:
            options["cross_encoder"] = Judge()
        random.seed(5)
        rows.append(mine(data, Vectors(library, similarity), verbose=False, **options))
    return rows


def assert_equal(ours, theirs):
    assert ours.column_names == theirs.column_names
    scored = [name for name in ours.column_names if name in ("score", "scores")]
    assert ours.remove_columns(scored).to_dict() == theirs.remove_columns(scored).to_dict()
    for name in scored:
        for mine, reference in zip(ours[name], theirs[name], strict=True):
            np.testing.assert_allclose(mine, reference, atol=1e-6)
    if len(theirs):
        assert ours.features == theirs.features


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("data", DATA.values(), ids=DATA)
def test_options_equal(their, data, options):
    assert_equal(*both(their, data(), **{"output_scores": True, **options}))


def test_anchors_among_the_documents_differ_by_themselves_only(their):
    """The reference makes an anchor its own best negative; without these rows, the results are equal."""
    anchors = [f"question {i}" for i in range(12)]
    answers = [f"question {i ^ 1}" for i in range(12)]
    data = datasets.Dataset.from_dict({"query": anchors, "answer": answers})
    ours, theirs = both(their, data, corpus=CORPUS, num_negatives=4, range_max=20)
    expected = list(zip(theirs["query"], theirs["answer"], theirs["negative"], strict=True))
    itself = [row for row in expected if row[0] == row[2]]
    assert itself
    found = list(zip(ours["query"], ours["answer"], ours["negative"], strict=True))
    assert not [row for row in found if row[0] == row[2]]
    # Where the reference took an anchor, ours has the next candidate.
    assert [row for row in expected if row not in itself] == [row for row in found if row in expected]


@pytest.mark.parametrize("with_scores", [False, True])
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("data", DATA.values(), ids=DATA)
def test_formats_equal(their, data, name, with_scores):
    limits = {"max_score": 0.35, "min_score": -0.3, "num_negatives": 4, "corpus": CORPUS, "range_max": 9}
    chosen = {"output_format": name, "output_scores": with_scores, **limits}
    assert_equal(*both(their, data(), **chosen))


LIMITS = [
    {"max_score": 0.5},
    {"min_score": 0.0, "range_min": 2},
    {"absolute_margin": 0.2},
    {"relative_margin": 0.4, "sampling_strategy": "random", "num_negatives": 5},
    {"min_score": 0.1, "include_positives": True, "num_negatives": 4},
    {"max_score": 0.5, "use_faiss": True},
    {},
]


@pytest.mark.parametrize("limits", LIMITS, ids=map(str, LIMITS))
@pytest.mark.parametrize("data", DATA.values(), ids=DATA)
def test_rescored_candidates_equal(their, data, limits):
    assert_equal(
        *both(their, data(), cross_encoder=None, output_scores=True, output_format="n-tuple", **limits)
    )


@pytest.mark.parametrize("similarity", ["dot_score", "euclidean_sim", "manhattan_sim"])
@pytest.mark.parametrize("options", [{}, {"absolute_margin": 0.2}, {"relative_margin": 0.1}], ids=str)
def test_similarities_equal(their, similarity, options):
    found = both(their, pairs(positives=2), similarity, output_scores=True, corpus=CORPUS, **options)
    assert_equal(*found)
