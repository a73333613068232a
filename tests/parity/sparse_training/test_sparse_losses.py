"""Losses of sparse models: value, gradients and settings equal to the reference's."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import nn

from stlib.errors import InvalidInput, InvalidOption, UnusableAlone
from stlib.sparse_encoder import losses as ours

pytestmark = pytest.mark.parity

SCORES = torch.tensor([0.1, 0.9, 0.5, 0.4, 0.0, 1.0])
DIRECTIONS = ("query_to_doc", "query_to_query", "doc_to_query", "doc_to_doc")


def scores(*shape: int) -> torch.Tensor:
    return 4 * torch.randn(*shape, generator=torch.Generator().manual_seed(12))


# What stands inside of SpladeLoss, with the columns and labels that it takes.
INNER = {
    "ranking": (lambda losses, util, m: losses.SparseMultipleNegativesRankingLoss(m), 2, None),
    "ranking, in all directions": (
        lambda losses, util, m: losses.SparseMultipleNegativesRankingLoss(
            m,
            0.1,
            util.dot_score,
            directions=DIRECTIONS,
            hardness_mode="all_negatives",
            hardness_strength=0.2,
        ),
        3,
        None,
    ),
    "order of scores": (lambda losses, util, m: losses.SparseCoSENTLoss(m, 5.0), 2, SCORES),
    "angles": (lambda losses, util, m: losses.SparseAnglELoss(m), 2, SCORES),
    "angles of triplets": (lambda losses, util, m: losses.SparseAnglELoss(m), 3, SCORES),
    "triplets": (lambda losses, util, m: losses.SparseTripletLoss(m), 3, None),
    "margins": (lambda losses, util, m: losses.SparseMarginMSELoss(m), 3, SCORES),
    "margins of scores": (lambda losses, util, m: losses.SparseMarginMSELoss(m), 4, scores(6, 3)),
    "cosines": (lambda losses, util, m: losses.SparseCosineSimilarityLoss(m), 2, SCORES),
    "distributions": (
        lambda losses, util, m: losses.SparseDistillKLDivLoss(m, teacher_temperature=1.5),
        4,
        scores(6, 3),
    ),
}
PENALTIES = {
    "both": {"query_regularizer_weight": 0.3},
    "documents": {},
    "thresholds": {
        "query_regularizer_weight": 0.3,
        "document_regularizer_threshold": 55,
        "query_regularizer_threshold": 52,
    },
    "all documents": {"use_document_regularizer_only": True},
    "ignored": {"use_document_regularizer_only": True, "query_regularizer_weight": 0.3},
}


@pytest.mark.parametrize("inner", INNER)
def test_splade_around_every_loss(same_loss, columns, inner):
    make, n, labels = INNER[inner]
    values = same_loss(
        lambda losses, util, m: losses.SpladeLoss(m, make(losses, util, m), 0.2, 0.3), columns(n), labels
    )
    assert list(values) == ["base_loss", "document_regularizer_loss", "query_regularizer_loss"]


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("cached", [False, True])
def test_penalties(same_loss, columns, n, penalty, cached):
    def make(losses, util, model):
        kind, more = (losses.CachedSpladeLoss, {"mini_batch_size": 4}) if cached else (losses.SpladeLoss, {})
        inner = losses.SparseMultipleNegativesRankingLoss(model)
        return kind(model, inner, 0.2, **PENALTIES[penalty], **more)

    same_loss(make, columns(n))


@pytest.mark.parametrize("shape", [(6, 101), (6, 2, 101)])
def test_embeddings_of_a_teacher(same_loss, splade_models, columns, shape):
    """Alone as the reference. Inside of SpladeLoss it compares a column with a row there; here the loss is
    the same.
    """
    model, labels = splade_models[0], scores(*shape)
    alone = same_loss(lambda losses, util, m: losses.SparseMSELoss(m), columns(2), labels)
    for kind in (ours.SpladeLoss, ours.CachedSpladeLoss):
        inside = same_loss.run(kind(model, ours.SparseMSELoss(model), 0.2, 0.3), model, columns(2), labels, 0)
        torch.testing.assert_close(inside["values"]["base_loss"], alone[""])


def test_a_penalty_of_ones_own(same_loss, columns):
    class Squares(nn.Module):
        threshold = 3

        def compute_loss_from_embeddings(self, embeddings):
            return embeddings.square().mean()

    values = same_loss(
        lambda losses, util, m: losses.SpladeLoss(
            m,
            losses.SparseMultipleNegativesRankingLoss(m),
            document_regularizer_weight=2.0,
            query_regularizer_weight=3.0,
            document_regularizer=Squares(),
            query_regularizer=Squares(),
        ),
        columns(2),
    )
    assert values["document_regularizer_loss"] > 0


def test_flops_are_the_squares_of_mean_activations(splade_models):
    flops = ours.FlopsLoss(splade_models[0])
    embeddings = torch.tensor([[1.0, 0.0, 4.0], [3.0, 0.0, 0.0]])
    assert flops.compute_loss_from_embeddings(embeddings) == 2**2 + 2**2
    flops.threshold = 1
    assert flops.compute_loss_from_embeddings(embeddings) == 0.5**2 + 2**2


@pytest.mark.parametrize("inner", ["distributions", "order of scores"])
@pytest.mark.parametrize("size", [{"mini_batch_size": 4}, {"mini_batch_num_tokens": 20}], ids=str)
def test_cached_splade_around_losses_with_labels(same_loss, columns, inner, size):
    make, n, labels = INNER[inner]
    same_loss(
        lambda losses, util, m: losses.CachedSpladeLoss(m, make(losses, util, m), 0.2, 0.3, **size),
        columns(n),
        labels,
    )


def test_cached_splade_is_splade(same_loss, splade_models, columns):
    """With the dropout of training, which both passes have to draw alike."""
    model = splade_models[0]

    def run(kind, **options):
        inner = ours.SparseMultipleNegativesRankingLoss(model)
        return same_loss.run(kind(model, inner, 0.2, 0.3, **options), model, columns(2), None, seed=3)

    model.train()
    try:
        whole = run(ours.CachedSpladeLoss, mini_batch_size=6)
        plain = run(ours.SpladeLoss)
    finally:
        model.eval()
    torch.testing.assert_close(whole["values"], plain["values"], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(whole["gradients"], plain["gradients"], rtol=1e-4, atol=1e-4)


def test_cached_splade_without_gradients(splade_models, columns):
    model = splade_models[0]
    features = [model.preprocess(texts) for texts in columns(3)]
    inner = ours.SparseMultipleNegativesRankingLoss(model)
    cached = ours.CachedSpladeLoss(model, inner, 0.2, 0.3, mini_batch_size=4)
    with torch.no_grad():
        values = cached(features)
        expected = ours.SpladeLoss(model, inner, 0.2, 0.3)(features)
    torch.testing.assert_close(values, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("training", [False, True])
def test_csr(same_csr_loss, columns, n, training):
    for model in same_csr_loss.models:
        model.train(training)
        model[0].eval()
        model[2].stats_last_nonzero.copy_(torch.arange(64) % 5)
    try:
        values = same_csr_loss(lambda losses, util, m: losses.CSRLoss(m, beta=0.3, gamma=2.0), columns(n))
    finally:
        for model in same_csr_loss.models:
            model.eval()
    assert list(values) == [
        "reconstruction_loss_k",
        "reconstruction_loss_4k",
        "reconstruction_loss_aux",
        "base_loss",
    ]
    used = [model[2].stats_last_nonzero for model in same_csr_loss.models]
    torch.testing.assert_close(*used)


@torch.no_grad()
def test_csr_of_a_real_model(real_csr_models, columns):
    import sentence_transformers.sparse_encoder.losses as theirs

    found, expected = (
        losses.CSRLoss(model)([model.preprocess(texts) for texts in columns(3)])
        for losses, model in zip((ours, theirs), real_csr_models, strict=True)
    )
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_csr_around_another_loss(same_csr_loss, columns):
    same_csr_loss(
        lambda losses, util, m: losses.CSRLoss(m, losses.SparseCosineSimilarityLoss(m)), columns(2), SCORES
    )


def test_error_of_equal_rows_is_not_scaled():
    from stlib.sparse_encoder.losses.csr import normalized_mean_squared_error

    same = torch.full((3, 2), 0.1)
    assert normalized_mean_squared_error(same + 2, same) == pytest.approx(4)
    spread = torch.tensor([[0.0, 0.0], [4.0, 0.0]])
    assert normalized_mean_squared_error(spread + 2, spread) == pytest.approx(4 / 2)


def test_cosines_become_the_models_similarity(splade_models):
    model = splade_models[0]
    for loss in (ours.SparseCoSENTLoss, ours.SparseAnglELoss, ours.SparseCosineSimilarityLoss):
        model.similarity_fn_name = "dot"
        loss(model)
        assert model.similarity_fn_name == "cosine"
    model.similarity_fn_name = "dot"


# -- refusals


def test_parts_are_refused_alone(splade_models, reference):
    import sentence_transformers.sparse_encoder.losses as theirs

    model, their_model = splade_models
    alone = [name for name in ours.__all__ if name not in ("CachedSpladeLoss", "CSRLoss", "SpladeLoss")]
    for name in alone:
        if name == "SparseMSELoss":
            continue
        with pytest.raises(UnusableAlone, match=rf"^{name} .*should not be used alone") as told:
            getattr(ours, name)(model)([], None)
        arguments = [[]] if name == "CSRReconstructionLoss" else [[], None]
        loss = getattr(theirs, name)(their_model)
        with pytest.raises((AttributeError, NotImplementedError)) as expected:
            loss(*arguments)
        assert isinstance(told.value, expected.type)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda m: ours.SpladeLoss(m, nn.Identity(), 1.0), r"the loss of SpladeLoss is .*, which lacks"),
        (lambda m: ours.SpladeLoss(m, ours.FlopsLoss(m), 1.0), "is a FlopsLoss, a penalty"),
        (lambda m: ours.CSRLoss(m, ours.CSRReconstructionLoss(m)), "CSRReconstructionLoss, a penalty"),
        (lambda m: ours.SpladeLoss(m, ours.SparseMSELoss, 1.0), "the class SparseMSELoss, which lacks"),
        (
            lambda m: ours.SpladeLoss(m, ours.SparseMSELoss(m), 1.0, document_regularizer=nn.Identity()),
            "document_regularizer is",
        ),
        (lambda m: ours.SpladeLoss("x/y", ours.SparseMSELoss(m), 1.0), "the model of SpladeLoss is the text"),
        (
            lambda m: ours.CachedSpladeLoss(m, ours.SparseMSELoss(m), 1.0, mini_batch_size=0),
            "mini_batch_size is 0",
        ),
    ],
)
def test_wrong_arguments_are_refused(splade_models, make, message):
    with pytest.raises(InvalidOption, match=message):
        make(splade_models[0])


@pytest.mark.parametrize("kind", [ours.SpladeLoss, ours.CachedSpladeLoss])
def test_a_batch_without_documents_is_refused(splade_models, columns, kind):
    model = splade_models[0]
    features = [model.preprocess(texts) for texts in columns(1)]
    with pytest.raises(InvalidInput, match=r"got 1 column\(s\) .* use_document_regularizer_only=True"):
        kind(model, ours.SparseMSELoss(model), 1.0)(features, scores(6, 101))


def test_csr_needs_an_auto_encoder(splade_models, columns):
    model = splade_models[0]
    with pytest.raises(InvalidInput, match="lack sentence_embedding_backbone"):
        ours.CSRLoss(model)([model.preprocess(texts) for texts in columns(2)])


def test_missing_and_ignored_weights_are_told(splade_models, caplog):
    model = splade_models[0]
    with caplog.at_level(logging.WARNING, logger="stlib"):
        ours.SpladeLoss(model, ours.SparseMSELoss(model), 1.0)
        ours.SpladeLoss(model, ours.SparseMSELoss(model), 1.0, 2.0, use_document_regularizer_only=True)
    assert [r.getMessage()[:45] for r in caplog.records] == [
        "query_regularizer_weight is None, so nothing ",
        "query_regularizer_weight=2.0 is ignored, as u",
    ]
