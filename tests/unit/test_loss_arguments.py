"""Losses say at once what they cannot be made of."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from stlib import SentenceTransformer, losses
from stlib.errors import InvalidOption
from stlib.models import StaticEmbedding

OF_A_MODEL = {
    name: options
    for name, *options in [
        ("AnglELoss",),
        ("BatchAllTripletLoss",),
        ("BatchHardSoftMarginTripletLoss",),
        ("BatchHardTripletLoss",),
        ("BatchSemiHardTripletLoss",),
        ("CachedGISTEmbedLoss", nn.Identity()),
        ("CachedMultipleNegativesRankingLoss",),
        ("CachedMultipleNegativesSymmetricRankingLoss",),
        ("CoSENTLoss",),
        ("ContrastiveLoss",),
        ("ContrastiveTensionLoss",),
        ("ContrastiveTensionLossInBatchNegatives",),
        ("CosineSimilarityLoss",),
        ("DenoisingAutoEncoderLoss",),
        ("DistillKLDivLoss",),
        ("EmbedDistillLoss",),
        ("GISTEmbedLoss", nn.Identity()),
        ("GlobalOrthogonalRegularizationLoss",),
        ("MSELoss",),
        ("MarginMSELoss",),
        ("MegaBatchMarginLoss",),
        ("MultipleNegativesRankingLoss",),
        ("MultipleNegativesSymmetricRankingLoss",),
        ("OnlineContrastiveLoss",),
        ("SoftmaxLoss", 4, 3),
        ("TripletLoss",),
        ("MatryoshkaLoss", nn.Identity(), [4]),
        ("AdaptiveLayerLoss", nn.Identity()),
        ("Matryoshka2dLoss", nn.Identity(), [4]),
    ]
}


@pytest.fixture(scope="module")
def model() -> SentenceTransformer:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    tokenizer = Tokenizer(WordLevel({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    return SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=4)], device="cpu")


def test_every_loss_is_tried():
    there = {name for name in losses.__all__ if name.endswith(("Loss", "Negatives"))}
    assert OF_A_MODEL.keys() == there


@pytest.mark.filterwarnings("ignore:.* is an older name:DeprecationWarning")
@pytest.mark.parametrize("name", OF_A_MODEL)
def test_the_name_of_a_model_is_no_model(name):
    wrapped = "MatryoshkaLoss" if name == "Matryoshka2dLoss" else name
    told = f"^the model of {wrapped} is "
    with pytest.raises(InvalidOption, match=rf"{told}the text 'x/y'; .* SentenceTransformer\('x/y'\)$"):
        getattr(losses, name)("x/y", *OF_A_MODEL[name])
    with pytest.raises(InvalidOption, match=rf"{told}the class SentenceTransformer; pass a loaded model"):
        getattr(losses, name)(SentenceTransformer, *OF_A_MODEL[name])


def test_the_name_of_a_guide_is_no_guide(model):
    with pytest.raises(InvalidOption, match=r"^the guide of GISTEmbedLoss is the text 'x'; pass a loaded"):
        losses.GISTEmbedLoss(model, "x")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda model: "x", "the loss of MatryoshkaLoss is the text 'x'; pass a loss"),
        (lambda model: losses.CoSENTLoss, "the loss of MatryoshkaLoss is the class CoSENTLoss; pass a loss"),
        (
            lambda model: losses.SoftmaxLoss(model, 4, 3),
            "SoftmaxLoss has weights for embeddings of 4 dimensions .* matryoshka_dims are 4, 2;",
        ),
        (
            lambda model: losses.MSELoss(model, projection_dim=3),
            "MSELoss has weights for embeddings of 4 dimensions and reads no smaller ones",
        ),
        (losses.GlobalOrthogonalRegularizationLoss, "gives two terms, and MatryoshkaLoss weighs one number"),
        (losses.ContrastiveTensionLoss, "^ContrastiveTensionLoss embeds with a copy of the model"),
        (losses.ContrastiveTensionLossInBatchNegatives, "^ContrastiveTensionLossInBatchN.* with a copy of"),
    ],
)
def test_losses_that_smaller_embeddings_do_not_suit_are_refused(make, message, model):
    with pytest.raises(InvalidOption, match=message):
        losses.MatryoshkaLoss(model, make(model), [4, 2])


def test_a_classifier_serves_its_own_size(model):
    softmax = losses.SoftmaxLoss(model, 4, 3)
    features = [model.preprocess(texts) for texts in (["a"], ["a a"])]
    labels = torch.tensor([1])
    wrapped = losses.MatryoshkaLoss(model, softmax, [4])(features, labels)
    embeddings = [nn.functional.normalize(model(one)["sentence_embedding"], dim=-1) for one in features]
    both = torch.cat([*embeddings, (embeddings[0] - embeddings[1]).abs()], dim=1)
    torch.testing.assert_close(wrapped, nn.functional.cross_entropy(softmax.classifier(both), labels))
