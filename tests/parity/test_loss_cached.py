"""Losses with cached gradients: equal to the reference's, and to the forms without a cache."""

from __future__ import annotations

import pytest
import torch

from stlib.base.losses import RandContext, has_static_embedding_input, uses_gradient_cache
from stlib.errors import InvalidInput, InvalidOption
from stlib.losses import (
    CachedGISTEmbedLoss,
    CachedMultipleNegativesRankingLoss,
    GISTEmbedLoss,
    MatryoshkaLoss,
    MegaBatchMarginLoss,
    MultipleNegativesRankingLoss,
)

pytestmark = pytest.mark.parity

COLUMNS = [
    "how do i sort a list|the quick fox|search|a short text|lazy dog ?|the answer is long|in it|key",
    "sort the list by key|a brown dog jumps|search is by words|text|the dog|only the answer|query|the key",
    "a dictionary|fox|the meaning of a query , and of words|it|quick !|a question is short|documents|no key",
    "how|jumps over the lazy brown dog|by|is it text ?|the the|long answer|with words|a document . and a key",
]
EVERY_DIRECTION = ("query_to_doc", "query_to_query", "doc_to_query", "doc_to_doc")
SIZES = [
    {"mini_batch_size": 4},
    {"mini_batch_size": 3},
    {"mini_batch_size": 99},
    {"mini_batch_num_tokens": 20},
]
RANKING = [
    {},
    {"scale": 5.0, "directions": EVERY_DIRECTION},
    {"directions": ("query_to_doc", "doc_to_query"), "partition_mode": "per_direction"},
    {"hardness_mode": "in_batch_negatives", "hardness_strength": 9.0},
    {"hardness_mode": "hard_negatives", "hardness_strength": 5.0},
    {"hardness_mode": "all_negatives", "hardness_strength": 2.0, "directions": EVERY_DIRECTION},
]


def columns(rows: int, n: int) -> list[list[str]]:
    return [texts.split("|")[:rows] for texts in COLUMNS[:n]]


@pytest.fixture
def dropping(loss_models):
    """The models as they are trained, with a dropout of 0.1."""
    for model in loss_models:
        model.train()
    yield
    for model in loss_models:
        model.eval()


def gradients_of(model, loss, features, seed=3):
    model.zero_grad()
    torch.manual_seed(seed)
    value = loss(features)
    value.backward()
    return value.detach(), {
        name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None
    }


def assert_same(ours, theirs):
    (value, gradients), (expected, expected_gradients) = ours, theirs
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6)
    assert gradients.keys() == expected_gradients.keys()
    for name, gradient in gradients.items():
        limit = 3e-6 * max(1.0, float(expected_gradients[name].abs().max()))
        torch.testing.assert_close(gradient, expected_gradients[name], rtol=1e-5, atol=limit)


# -- the reference


@pytest.mark.parametrize(("rows", "n"), [(1, 3), (3, 2), (8, 2), (8, 4)])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_sizes_of_ranking(same_loss, rows, n, size):
    same_loss(
        lambda losses, util, model: losses.CachedMultipleNegativesRankingLoss(model, **size), columns(rows, n)
    )


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("options", RANKING, ids=str)
def test_options_of_ranking(same_loss, n, options):
    same_loss(
        lambda losses, util, model: losses.CachedMultipleNegativesRankingLoss(
            model, mini_batch_size=3, **options
        ),
        columns(8, n),
    )


def test_similarity_of_ranking(same_loss):
    same_loss(
        lambda losses, util, model: losses.CachedMultipleNegativesRankingLoss(
            model, 0.05, util.dot_score, mini_batch_size=3
        ),
        columns(8, 3),
    )


@pytest.mark.filterwarnings("ignore:.*SymmetricRankingLoss:DeprecationWarning")
def test_symmetric(same_loss):
    same_loss(
        lambda losses, util, model: losses.CachedMultipleNegativesSymmetricRankingLoss(model, 10.0),
        columns(8, 3),
    )


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("options", [{}, {"positive_margin": 1.0, "negative_margin": -0.5}], ids=str)
def test_mega_batch_margin(same_loss, size, options):
    same_loss(lambda losses, util, model: losses.MegaBatchMarginLoss(model, **options, **size), columns(8, 2))


GUIDED = [
    {"temperature": 0.05},
    {"contrast_anchors": False},
    {"contrast_positives": False},
    {"margin": 0.1},
    {"margin": 0.05, "margin_strategy": "relative"},
]


@pytest.fixture(scope="module")
def guides(reference, loss_models, tmp_path_factory):
    """A guide of each library with other weights and the same tokenizer."""
    from stlib import SentenceTransformer

    folder = tmp_path_factory.mktemp("guide")
    loss_models[0].save(str(folder))
    ours = SentenceTransformer(str(folder), device="cpu").eval()
    torch.manual_seed(8)
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    ours.save(str(folder))
    return ours, reference.SentenceTransformer(str(folder), device="cpu").eval()


@pytest.mark.parametrize("n", [2, 4])
@pytest.mark.parametrize("size", [SIZES[1], SIZES[3]], ids=str)
@pytest.mark.parametrize("options", GUIDED, ids=str)
def test_gist(same_loss, guides, n, options, size):
    def make(losses, util, model):
        guide = guides[0] if losses.__name__.startswith("stlib") else guides[1]
        return losses.CachedGISTEmbedLoss(model, guide, **options, **size)

    same_loss(make, columns(8, n))


@pytest.mark.usefixtures("dropping")
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", ["CachedMultipleNegativesRankingLoss", "CachedGISTEmbedLoss"])
def test_dropout_draws_what_the_reference_draws(same_loss, guides, name, size):
    def make(losses, util, model):
        guide = guides[0] if losses.__name__.startswith("stlib") else guides[1]
        given = {"guide": guide} if "GIST" in name else {}
        return getattr(losses, name)(model, **given, **size)

    same_loss(make, columns(8, 3), seed=3)


@pytest.mark.usefixtures("dropping")
@pytest.mark.parametrize("mini_batched", [True, False])
def test_margins_with_dropout(same_loss, mini_batched):
    same_loss(
        lambda losses, util, model: losses.MegaBatchMarginLoss(
            model, use_mini_batched_version=mini_batched, mini_batch_size=3
        ),
        columns(8, 2),
        seed=3,
    )


# -- the forms without a cache


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("options", RANKING, ids=str)
def test_ranking_with_and_without_cache(loss_models, options, size):
    ours = loss_models[0]
    features = [ours.preprocess(texts) for texts in columns(8, 3)]
    cached = CachedMultipleNegativesRankingLoss(ours, **options, **size)
    assert_same(
        gradients_of(ours, cached, features),
        gradients_of(ours, MultipleNegativesRankingLoss(ours, **options), features),
    )


@pytest.mark.parametrize("options", GUIDED, ids=str)
def test_gist_with_and_without_cache(loss_models, guides, options):
    ours = loss_models[0]
    features = [ours.preprocess(texts) for texts in columns(8, 3)]
    options = {"temperature": 0.05, **options}
    cached = CachedGISTEmbedLoss(ours, guides[0], mini_batch_size=3, **options)
    assert_same(
        gradients_of(ours, cached, features),
        gradients_of(ours, GISTEmbedLoss(ours, guides[0], **options), features),
    )


@pytest.mark.usefixtures("dropping")
def test_second_pass_drops_what_the_first_dropped(loss_models):
    """Gradients are those of one graph over mini-batches that draw in the same order."""
    ours = loss_models[0]
    texts = columns(8, 3)

    def one_graph(features):
        embedded = [
            torch.cat([ours(ours.preprocess(column[i : i + 4]))["sentence_embedding"] for i in (0, 4)])
            for column in texts
        ]
        return MultipleNegativesRankingLoss(ours).compute_loss_from_embeddings(embedded)

    cached = CachedMultipleNegativesRankingLoss(ours, mini_batch_size=4)
    features = [ours.preprocess(column) for column in texts]
    assert_same(gradients_of(ours, cached, features), gradients_of(ours, one_graph, features))


# -- the passes


def test_two_losses_before_their_backward_passes(loss_models):
    ours = loss_models[0]
    first, second = ([ours.preprocess(texts) for texts in half] for half in (columns(8, 2), columns(5, 3)))
    loss = CachedMultipleNegativesRankingLoss(ours, mini_batch_size=3)
    separate = [gradients_of(ours, loss, features) for features in (first, second)]
    ours.zero_grad()
    together = loss(first) + 0.5 * loss(second)
    together.backward()
    for name, parameter in ours.named_parameters():
        if parameter.grad is not None:
            expected = separate[0][1][name] + 0.5 * separate[1][1][name]
            torch.testing.assert_close(parameter.grad, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("dropping")
def test_backward_pass_leaves_the_random_numbers_that_follow(loss_models):
    ours = loss_models[0]
    loss = CachedMultipleNegativesRankingLoss(ours, mini_batch_size=3)
    value = loss([ours.preprocess(texts) for texts in columns(8, 2)])
    state = torch.get_rng_state()
    value.backward()
    assert torch.equal(torch.get_rng_state(), state)


def test_random_state_is_replayed():
    torch.manual_seed(1)
    state = RandContext(torch.ones(1), "not a tensor")
    first, between = torch.rand(3), torch.rand(2)
    with state:
        again = torch.rand(3)
        with state:
            assert torch.equal(torch.rand(3), first)
        assert torch.equal(torch.rand(2), between)
    assert torch.equal(again, first)
    with pytest.raises(ZeroDivisionError), state:
        1 / 0  # noqa: B018
    torch.manual_seed(1)
    torch.rand(5)
    expected = torch.rand(2)
    torch.manual_seed(1)
    torch.rand(5)
    with state:
        torch.rand(7)
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize("loss", [CachedMultipleNegativesRankingLoss, MegaBatchMarginLoss])
def test_without_gradients_the_loss_alone(loss_models, loss):
    ours = loss_models[0]
    made = loss(ours, mini_batch_size=3)
    with torch.no_grad():
        value = made([ours.preprocess(texts) for texts in columns(8, 2)])
    assert not value.requires_grad
    expected, _ = gradients_of(ours, made, [ours.preprocess(texts) for texts in columns(8, 2)])
    torch.testing.assert_close(value, expected)


def test_what_the_loss_does_not_use_is_named(loss_models):
    ours = loss_models[0]

    class FirstOnly(CachedMultipleNegativesRankingLoss):
        def calculate_loss(self, reps, labels=None, *, with_backward=False):
            value = sum(rep.sum() for rep in reps[0])
            value.backward()
            return value

    with pytest.raises(InvalidInput, match="FirstOnly made no use of the embeddings of column 1, 2"):
        FirstOnly(ours)([ours.preprocess(texts) for texts in columns(3, 3)])


def test_tokens_have_to_be_told(loss_models):
    loss = CachedMultipleNegativesRankingLoss(loss_models[0], mini_batch_num_tokens=8)
    features = [loss_models[0].preprocess(texts) for texts in columns(3, 2)]
    del features[0]["attention_mask"]
    with pytest.raises(InvalidInput, match="use mini_batch_size instead"):
        loss(features)


@pytest.mark.parametrize("loss", [CachedMultipleNegativesRankingLoss, MegaBatchMarginLoss])
@pytest.mark.parametrize("sizes", [{"mini_batch_size": 0}, {"mini_batch_num_tokens": -1}], ids=str)
def test_sizes_are_positive(loss_models, loss, sizes):
    with pytest.raises(InvalidOption, match="positive"):
        loss(loss_models[0], **sizes)


def test_inputs_without_a_batch_dimension_are_refused(tiny_bert, loss_models):
    from tokenizers import Tokenizer

    from stlib import SentenceTransformer
    from stlib.models import Pooling, Router, StaticEmbedding, Transformer

    static = StaticEmbedding(Tokenizer.from_file(f"{tiny_bert}/tokenizer.json"), embedding_dim=32)
    alone = SentenceTransformer(modules=[static], device="cpu")
    route = Router.for_query_document([static], [Transformer(tiny_bert), Pooling(32)])
    behind = SentenceTransformer(modules=[route], device="cpu")
    for model in (alone, behind):
        assert has_static_embedding_input(model)
        with pytest.raises(InvalidOption, match="use MultipleNegativesRankingLoss"):
            CachedMultipleNegativesRankingLoss(model)
        with pytest.raises(InvalidOption, match="use_mini_batched_version=False"):
            MegaBatchMarginLoss(model)
    assert not has_static_embedding_input(loss_models[0])
    features = [alone.preprocess(texts) for texts in columns(3, 2)]
    whole = MegaBatchMarginLoss(alone, use_mini_batched_version=False)(features)
    assert whole > 0


def test_which_losses_cache(loss_models):
    ours = loss_models[0]
    assert uses_gradient_cache(CachedMultipleNegativesRankingLoss(ours))
    assert uses_gradient_cache(MegaBatchMarginLoss(ours))
    assert not uses_gradient_cache(MegaBatchMarginLoss(ours, use_mini_batched_version=False))
    assert not uses_gradient_cache(MultipleNegativesRankingLoss(ours))
    assert uses_gradient_cache(MatryoshkaLoss(ours, CachedMultipleNegativesRankingLoss(ours), [32, 8]))


def test_progress_is_shown(loss_models, capsys):
    ours = loss_models[0]
    loss = CachedMultipleNegativesRankingLoss(ours, mini_batch_size=4, show_progress_bar=True)
    loss([ours.preprocess(texts) for texts in columns(8, 2)])
    shown = capsys.readouterr().err
    assert "Embed mini-batches" in shown and "Calculate loss" in shown


def test_half_precision_gradients_are_scaled_in_full(loss_models):
    """A gradient scaler's factor would take small gradients out of the range of float16."""
    from stlib.base.losses.replay import _scale

    small = torch.tensor([1e-7], dtype=torch.float16)
    scaled = _scale(small, torch.tensor(65536.0), torch.float16)
    torch.testing.assert_close(scaled, (small.float() * 65536).half())
