"""Losses around losses: Matryoshka, adaptive layers, both."""

from __future__ import annotations

import math
import random

import pytest
import torch

from stlib.errors import InvalidOption
from stlib.losses import (
    AdaptiveLayerLoss,
    CachedMultipleNegativesRankingLoss,
    CosineSimilarityLoss,
    Matryoshka2dLoss,
    MatryoshkaLoss,
    MultipleNegativesRankingLoss,
)

pytestmark = pytest.mark.parity

COLUMNS = [
    "how do i sort a list|the quick fox|search|a short text|lazy dog ?|the answer is long",
    "sort the list by key|a brown dog jumps|search is by words|text|the dog|only the answer",
    "a dictionary|fox|the meaning of a query , and of words|it|quick !|a question is short",
]
SCORES = torch.tensor([0.1, 0.9, 0.5, 0.4, 0.0, 1.0])


def columns(n: int, rows: int = 6) -> list[list[str]]:
    return [texts.split("|")[:rows] for texts in COLUMNS[:n]]


@pytest.fixture
def dropping(loss_models):
    """The models as they are trained, with a dropout of 0.1."""
    for model in loss_models:
        model.train()
    yield
    for model in loss_models:
        model.eval()


# Inner losses of each kind, with columns and labels for them
INNER = {
    "ranking of pairs": (lambda losses, m: losses.MultipleNegativesRankingLoss(m), 2, None),
    "ranking of triplets": (lambda losses, m: losses.MultipleNegativesRankingLoss(m), 3, None),
    "scores": (lambda losses, m: losses.CosineSimilarityLoss(m), 2, SCORES),
    "order of scores": (lambda losses, m: losses.CoSENTLoss(m), 2, SCORES),
    "triplets": (lambda losses, m: losses.TripletLoss(m), 3, None),
    "groups": (lambda losses, m: losses.BatchAllTripletLoss(m), 1, torch.tensor([0, 0, 1, 1, 2, 2])),
    "embeddings": (lambda losses, m: losses.MSELoss(m), 1, torch.linspace(-1, 1, 6 * 32).view(6, 32)),
    "guided": (lambda losses, m: losses.GISTEmbedLoss(m, m, temperature=0.1), 2, None),
    "margins": (lambda losses, m: losses.MegaBatchMarginLoss(m, use_mini_batched_version=False), 2, None),
    "cached margins": (lambda losses, m: losses.MegaBatchMarginLoss(m, mini_batch_size=4), 2, None),
    "cached ranking": (
        lambda losses, m: losses.CachedMultipleNegativesRankingLoss(m, mini_batch_size=4),
        3,
        None,
    ),
    "cached guided": (
        lambda losses, m: losses.CachedGISTEmbedLoss(m, m, mini_batch_size=4, temperature=0.1),
        2,
        None,
    ),
}
UNCACHED = [name for name in INNER if "cached" not in name and name != "guided"]
SIZES = [
    {"matryoshka_dims": [32]},
    {"matryoshka_dims": [8, 32, 16]},
    {"matryoshka_dims": (32, 4), "matryoshka_weights": (0.3, 2)},
    {"matryoshka_dims": [32, 24, 16, 8], "n_dims_per_step": 2},
    {"matryoshka_dims": [16, 8], "n_dims_per_step": 5},
]


@pytest.mark.parametrize("options", SIZES, ids=str)
@pytest.mark.parametrize("inner", INNER)
def test_matryoshka(same_loss, inner, options):
    make, n, labels = INNER[inner]
    same_loss(
        lambda losses, util, model: losses.MatryoshkaLoss(model, make(losses, model), **options),
        columns(n),
        labels,
    )


@pytest.mark.usefixtures("dropping")
@pytest.mark.parametrize("inner", INNER)
def test_matryoshka_with_dropout(same_loss, inner):
    make, n, labels = INNER[inner]
    same_loss(
        lambda losses, util, model: losses.MatryoshkaLoss(model, make(losses, model), [32, 8]),
        columns(n),
        labels,
        seed=3,
    )


def test_matryoshka_is_the_weighted_sum_of_cut_losses(loss_models):
    ours = loss_models[0]
    features = [ours.preprocess(texts) for texts in columns(2)]
    inner = CosineSimilarityLoss(ours)
    loss = MatryoshkaLoss(ours, inner, [32, 8], [1.0, 3.0])
    whole = [ours(dict(column))["sentence_embedding"] for column in features]
    expected = inner.compute_loss_from_embeddings(whole, SCORES)
    expected = expected + 3 * inner.compute_loss_from_embeddings([e[:, :8] for e in whole], SCORES)
    torch.testing.assert_close(loss(features, SCORES), expected)


@pytest.mark.parametrize("cached", [True, False])
def test_the_model_is_as_it_was(loss_models, cached):
    ours = loss_models[0]
    kind = CachedMultipleNegativesRankingLoss if cached else MultipleNegativesRankingLoss
    inner = kind(ours)
    features = [ours.preprocess(texts) for texts in columns(2)]
    before = inner([dict(column) for column in features]).detach()
    MatryoshkaLoss(ours, inner, [32, 8])([dict(column) for column in features]).backward()
    torch.testing.assert_close(inner(features).detach(), before)
    assert "forward" not in vars(ours) and "calculate_loss" not in vars(inner)


def test_the_model_is_as_it_was_after_an_error(loss_models):
    ours = loss_models[0]
    loss = Matryoshka2dLoss(ours, MultipleNegativesRankingLoss(ours), [32, 8])
    with pytest.raises(ValueError, match="got 1"):
        loss([ours.preprocess(["a"])])
    assert "forward" not in vars(ours) and "forward" not in vars(ours[0])
    assert not ours[0].auto_model.config.output_hidden_states


def test_matryoshka_of_cached_and_plain_ranking(loss_models):
    ours = loss_models[0]
    values, gradients = [], []
    for inner in (
        MultipleNegativesRankingLoss(ours),
        CachedMultipleNegativesRankingLoss(ours, mini_batch_size=4),
    ):
        ours.zero_grad()
        value = MatryoshkaLoss(ours, inner, [32, 16, 4])([ours.preprocess(texts) for texts in columns(3)])
        value.backward()
        values.append(value.detach())
        gradients.append(torch.cat([p.grad.flatten() for p in ours.parameters() if p.grad is not None]))
    torch.testing.assert_close(*values)
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)


def test_matryoshka_without_gradients(loss_models):
    ours = loss_models[0]
    loss = MatryoshkaLoss(ours, CachedMultipleNegativesRankingLoss(ours, mini_batch_size=4), [32, 8])
    with torch.no_grad():
        value = loss([ours.preprocess(texts) for texts in columns(2)])
    torch.testing.assert_close(value, loss([ours.preprocess(texts) for texts in columns(2)]).detach())


@pytest.mark.parametrize(
    ("dims", "weights", "message"),
    [
        ([], None, "is empty"),
        ([32, 0], None, r"has \[0\]"),
        ([64, 32], None, "between 1 and the model's 32"),
        ([32, 16], [1.0], "1 matryoshka_weights for 2"),
    ],
)
def test_refused_sizes(loss_models, dims, weights, message):
    from sentence_transformers.sentence_transformer import losses

    with pytest.raises(InvalidOption, match=message):
        MatryoshkaLoss(loss_models[0], CosineSimilarityLoss(loss_models[0]), dims, weights)
    with pytest.raises(ValueError):
        losses.MatryoshkaLoss(loss_models[1], losses.CosineSimilarityLoss(loss_models[1]), dims, weights)


def test_a_size_that_is_not_trained_is_told(loss_models, caplog):
    MatryoshkaLoss(loss_models[0], CosineSimilarityLoss(loss_models[0]), [16, 8])
    assert "does not include the whole size 32" in caplog.text


# -- layers

LAYERS = [
    {},
    {"n_layers_per_step": -1},
    {"n_layers_per_step": 2},
    {"n_layers_per_step": -1, "last_layer_weight": 0.5, "prior_layers_weight": 2.0},
    {"n_layers_per_step": -1, "kl_div_weight": 0.3, "kl_temperature": 1.5},
    {"kl_temperature": 0.0},
    {"n_layers_per_step": -1, "layer_weighting": "log"},
    {"n_layers_per_step": -1, "layer_weighting": "linear"},
    {"n_layers_per_step": -1, "layer_weighting": math.exp},
]


@pytest.mark.parametrize("options", LAYERS, ids=str)
@pytest.mark.parametrize("inner", ["ranking of triplets", "scores"])
def test_adaptive_layers(same_loss, inner, options):
    make, n, labels = INNER[inner]
    same_loss(
        lambda losses, util, model: losses.AdaptiveLayerLoss(model, make(losses, model), **options),
        columns(n),
        labels,
    )


@pytest.mark.parametrize("inner", UNCACHED)
def test_adaptive_layers_of_each_kind(same_loss, inner):
    make, n, labels = INNER[inner]
    same_loss(
        lambda losses, util, model: losses.AdaptiveLayerLoss(
            model, make(losses, model), n_layers_per_step=-1
        ),
        columns(n),
        labels,
    )


@pytest.mark.usefixtures("dropping")
@pytest.mark.parametrize("inner", UNCACHED)
def test_both_with_dropout(same_loss, inner):
    make, n, labels = INNER[inner]
    same_loss(
        lambda losses, util, model: losses.Matryoshka2dLoss(
            model, make(losses, model), [32, 16, 4], n_layers_per_step=-1, n_dims_per_step=2
        ),
        columns(n),
        labels,
        seed=3,
    )


@pytest.mark.parametrize("options", LAYERS, ids=str)
def test_both(same_loss, options):
    make, n, labels = INNER["ranking of pairs"]
    same_loss(
        lambda losses, util, model: losses.Matryoshka2dLoss(
            model, make(losses, model), [32, 8], matryoshka_weights=[1, 0.5], **options
        ),
        columns(n),
        labels,
    )


def test_layers_by_hand(loss_models):
    """The loss on each layer is that of a model that ends there."""
    ours = loss_models[0]
    inner = CosineSimilarityLoss(ours)
    features = [ours.preprocess(texts) for texts in columns(2)]
    bert = ours.transformers_model
    expected = inner([dict(column) for column in features], SCORES)
    every_layer = bert.encoder.layer
    for kept in (0, 1):
        bert.encoder.layer = every_layer[:kept]
        expected = expected + inner([dict(column) for column in features], SCORES) / 2
    bert.encoder.layer = every_layer
    loss = AdaptiveLayerLoss(ours, inner, n_layers_per_step=-1, kl_temperature=0)
    torch.testing.assert_close(loss(features, SCORES), expected)


def test_layer_weights(loss_models):
    inner = CosineSimilarityLoss(loss_models[0])
    weights = {
        way: [
            AdaptiveLayerLoss(loss_models[0], inner, layer_weighting=way).get_layer_weight(i) for i in (0, 3)
        ]
        for way in ("uniform", "log", "linear")
    }
    assert weights == {
        "uniform": [1.0, 1.0],
        "log": [1.0, pytest.approx(1 / (1 + math.log(4)))],
        "linear": [1.0, 0.25],
    }


def test_steps_draw_layers_and_sizes(loss_models):
    ours = loss_models[0]
    loss = Matryoshka2dLoss(ours, MultipleNegativesRankingLoss(ours), [32, 16, 8, 4])
    features = [ours.preprocess(texts) for texts in columns(2)]

    def values(seed):
        random.seed(seed)
        return [round(loss([dict(column) for column in features]).item(), 4) for _ in range(6)]

    first = values(1)
    assert len(set(first)) > 1
    assert values(1) == first


def test_adaptive_layers_refuse(loss_models):
    from stlib import SentenceTransformer
    from stlib.models import BoW

    ours = loss_models[0]
    with pytest.raises(InvalidOption, match="uniform, log, linear"):
        AdaptiveLayerLoss(ours, CosineSimilarityLoss(ours), layer_weighting="steep")
    bag = SentenceTransformer(modules=[BoW(["a", "b"])], device="cpu")
    with pytest.raises(InvalidOption, match="starts with a BoW"):
        AdaptiveLayerLoss(bag, CosineSimilarityLoss(bag))
    with pytest.warns(UserWarning, match="without a cache"):
        AdaptiveLayerLoss(ours, CachedMultipleNegativesRankingLoss(ours))


@pytest.mark.parametrize("name", ["MatryoshkaLoss", "AdaptiveLayerLoss", "Matryoshka2dLoss"])
def test_citations(loss_models, name):
    import sentence_transformers.sentence_transformer.losses as theirs

    import stlib.losses as ours

    sizes = [] if name == "AdaptiveLayerLoss" else [[32]]
    made = [
        getattr(losses, name)(model, losses.CosineSimilarityLoss(model), *sizes)
        for losses, model in zip((ours, theirs), loss_models, strict=True)
    ]
    assert made[0].citation.split() == made[1].citation.split()
