"""Losses of scored and labelled pairs: value, gradients and configuration equal to the reference's."""

from __future__ import annotations

import pytest
import torch

from stlib.errors import InvalidInput, InvalidOption

pytestmark = pytest.mark.parity

FIRST = [
    "how do i sort a list",
    "the quick brown fox",
    "search by meaning",
    "a short text",
    "lazy dog",
    "the answer is long",
    "in a document",
]
SECOND = [
    "sort the list by key",
    "a brown dog jumps over it",
    "the search is by words",
    "long passage with a key",
    "the lazy dog in the text",
    "only the answer",
    "query",
]
THIRD = [
    "a dictionary",
    "fox",
    "the meaning of a query",
    "it is short ?",
    "quick !",
    "a question is not only short",
    "documents with text , and words",
]
SCORES = [0.1, 0.9, 0.5, 0.5, 0.0, 1.0, 0.3]
SIZES = [1, 2, 7]


def columns(n: int, *texts: list[str]) -> list[list[str]]:
    return [column[:n] for column in texts or (FIRST, SECOND)]


# -- cosine similarity, CoSENT, AnglE


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("options", ["plain", "loss_fct", "transformed"])
def test_cosine_similarity(same_loss, n, options):
    given = {
        "plain": {},
        "loss_fct": {"loss_fct": torch.nn.L1Loss()},
        "transformed": {"cos_score_transformation": torch.nn.Sigmoid()},
    }[options]
    same_loss(
        lambda losses, util, model: losses.CosineSimilarityLoss(model, **given),
        columns(n),
        torch.tensor(SCORES[:n]),
    )


@pytest.mark.parametrize(
    "labels", [torch.tensor([[1.0], [0.0]]), torch.tensor([1, 0]), torch.tensor([True, False])]
)
@pytest.mark.parametrize("name", ["CosineSimilarityLoss", "CoSENTLoss", "AnglELoss"])
def test_shapes_and_types_of_scores(same_loss, name, labels):
    same_loss(lambda losses, util, model: getattr(losses, name)(model), columns(2), labels)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("similarity", ["pairwise_cos_sim", "pairwise_dot_score", "pairwise_manhattan_sim"])
@pytest.mark.parametrize("scale", [20.0, 0.7])
def test_cosent(same_loss, n, similarity, scale):
    same_loss(
        lambda losses, util, model: losses.CoSENTLoss(model, scale, getattr(util, similarity)),
        columns(n),
        torch.tensor(SCORES[:n]),
    )


def test_cosent_without_order_is_zero(same_loss):
    value = same_loss(lambda losses, util, model: losses.CoSENTLoss(model), columns(7), torch.full((7,), 0.5))
    assert value.item() == 0


def test_cosent_is_the_sum_over_all_misorders(loss_models):
    """The definition, pair by pair."""
    from stlib.losses import CoSENTLoss

    torch.manual_seed(3)
    first, second = torch.randn(2, 9, 5)
    labels = torch.tensor([3, 1, 1, 2, 0, 3, 2, 2, 1])
    similarities = 20 * torch.cosine_similarity(first, second)
    total = torch.ones(())
    for i in range(9):
        for j in range(9):
            if labels[i] > labels[j]:
                total = total + torch.exp(similarities[j] - similarities[i])
    loss = CoSENTLoss(loss_models[0]).compute_loss_from_embeddings([first, second], labels)
    torch.testing.assert_close(loss, total.log())


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("scale", [20.0, 1.5])
def test_angle_of_pairs(same_loss, n, scale):
    same_loss(
        lambda losses, util, model: losses.AnglELoss(model, scale), columns(n), torch.tensor(SCORES[:n])
    )


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("labels", [None, SCORES])
@pytest.mark.parametrize("texts", [(FIRST, SECOND, THIRD), (FIRST, SECOND, THIRD, SECOND)])
def test_angle_of_tuples(same_loss, n, labels, texts):
    given = None if labels is None else torch.tensor(labels[:n])
    same_loss(lambda losses, util, model: losses.AnglELoss(model), columns(n, *texts), given)


# -- contrastive


METRICS = ["EUCLIDEAN", "MANHATTAN", "COSINE_DISTANCE"]
LABELS = {"mixed": [1, 0, 0, 1, 1, 0, 1], "positives": [1] * 7, "negatives": [0] * 7}


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("options", [{}, {"size_average": False, "margin": 3.0}])
def test_contrastive(same_loss, n, metric, labels, options):
    same_loss(
        lambda losses, util, model: losses.ContrastiveLoss(
            model, getattr(losses.SiameseDistanceMetric, metric), **options
        ),
        columns(n),
        torch.tensor(LABELS[labels][:n]),
    )


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("margin", [0.5, 3.0])
def test_online_contrastive(same_loss, n, metric, labels, margin):
    same_loss(
        lambda losses, util, model: losses.OnlineContrastiveLoss(
            model, getattr(losses.SiameseDistanceMetric, metric), margin
        ),
        columns(n),
        torch.tensor(LABELS[labels][:n]),
    )


@pytest.mark.parametrize("name", ["ContrastiveLoss", "OnlineContrastiveLoss"])
def test_labels_between_0_and_1_warn_once(same_loss, name):
    def value(loss):
        return same_loss.value(loss, columns(3), torch.tensor([1.0, 0.4, 0.0]), None)

    ours, theirs = same_loss.both(lambda losses, util, model: getattr(losses, name)(model))
    with pytest.warns(UserWarning, match=f"{name} expects labels 0"):
        mine = value(ours)
    with pytest.warns(UserWarning, match="binary labels"):
        torch.testing.assert_close(mine, value(theirs))
    value(ours)  # a second warning would be an error


def test_own_metrics_go_by_their_name(same_loss):
    def halved(x, y):
        return (x - y).square().mean(dim=1) / 2

    for name in ("ContrastiveLoss", "OnlineContrastiveLoss"):
        same_loss(
            lambda losses, util, model, name=name: getattr(losses, name)(model, halved),
            columns(7),
            torch.tensor(LABELS["mixed"]),
        )


# -- softmax


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("rep", [True, False])
@pytest.mark.parametrize("difference", [True, False])
@pytest.mark.parametrize("product", [True, False])
def test_softmax(same_loss, n, rep, difference, product):
    if not (rep or difference or product):
        with pytest.raises(InvalidOption, match="concatenation_sent_rep"):
            same_loss.both(
                lambda losses, util, model: losses.SoftmaxLoss(model, 32, 3, rep, difference, product)
            )
        return
    same_loss(
        lambda losses, util, model: losses.SoftmaxLoss(model, 32, 3, rep, difference, product),
        columns(n),
        torch.tensor([0, 2, 1, 1, 0, 2, 2][:n]),
    )


def test_softmax_of_probabilities_and_other_losses(same_loss):
    probabilities = torch.tensor([[0.2, 0.8], [1.0, 0.0]])
    same_loss(lambda losses, util, model: losses.SoftmaxLoss(model, 32, 2), columns(2), probabilities)
    smooth = torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    same_loss(
        lambda losses, util, model: losses.SoftmaxLoss(model, 32, 3, loss_fct=smooth),
        columns(2),
        torch.tensor([[2], [0]]),
    )
    same_loss(
        lambda losses, util, model: losses.SoftmaxLoss(model, 32, num_labels=2, loss_fct=torch.nn.MSELoss()),
        columns(2),
        probabilities,
    )


def test_softmax_without_labels_gives_logits(same_loss):
    ours, theirs = same_loss.both(lambda losses, util, model: losses.SoftmaxLoss(model, 32, 3))
    (mine, my_logits), (other, other_logits) = (
        same_loss.value(x, columns(4), None, None) for x in (ours, theirs)
    )
    torch.testing.assert_close(mine, other)
    torch.testing.assert_close(my_logits, other_logits)


def test_softmax_takes_the_older_name(loss_models, caplog):
    from stlib.losses import SoftmaxLoss

    loss = SoftmaxLoss(loss_models[0], sentence_embedding_dimension=32, num_labels=2)
    assert loss.classifier.in_features == 96
    assert "embedding_dimension" in caplog.text


# -- contrastive tension


CT_SECOND = ["how do i sort a list", "the quick brown fox jumps", *SECOND[2:4], "lazy dog", *FIRST[5:]]


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("labels", [None, [1, 1, 0, 0, 1, 0, 1]])
def test_contrastive_tension(same_loss, n, labels):
    given = None if labels is None else torch.tensor(labels[:n])
    same_loss(
        lambda losses, util, model: losses.ContrastiveTensionLoss(model), columns(n, FIRST, CT_SECOND), given
    )


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("options", [{}, {"scale": 1.0, "similarity_fct": "dot_score"}])
def test_contrastive_tension_in_batch(same_loss, n, options):
    def make(losses, util, model):
        given = {**options, "similarity_fct": getattr(util, options["similarity_fct"])} if options else {}
        return losses.ContrastiveTensionLossInBatchNegatives(model, **given)

    same_loss(make, columns(n, FIRST))


def test_contrastive_tension_trains_a_copy_apart(loss_models):
    from stlib.losses import ContrastiveTensionLoss

    loss = ContrastiveTensionLoss(loss_models[0])
    assert loss.model is loss.model2 is loss_models[0]
    ours, copied = (next(model.parameters()) for model in (loss.model, loss.model1))
    assert ours is not copied
    torch.testing.assert_close(ours, copied)


def test_contrastive_tension_compares_tokens_of_static_models():
    from stlib.sentence_transformer.losses.same_inputs import same_inputs

    first = {"input_ids": torch.tensor([1, 2, 3, 4]), "offsets": torch.tensor([0, 2, 3])}
    second = {"input_ids": torch.tensor([1, 2, 9, 4, 5]), "offsets": torch.tensor([0, 2, 3])}
    assert same_inputs(first, second).tolist() == [1, 0, 0]
    flat = {"input_ids": torch.tensor([[1, 2, 3, 4]]), "cu_seq_lens_q": torch.tensor([0, 2, 3, 4])}
    assert same_inputs(flat, first).tolist() == [1, 1, 1]
    with pytest.raises(InvalidInput, match="'label'"):
        same_inputs({"pixel_values": torch.ones(1, 2)}, {"pixel_values": torch.ones(1, 2)})


def test_contrastive_tension_batches(reference):
    import random

    import sentence_transformers.sentence_transformer.losses as theirs

    from stlib import losses as ours

    def epochs(loader):
        random.seed(5)
        batches = [batch for _ in range(3) for batch in loader]
        return len(loader), [[(pair.texts, pair.label) for pair in batch] for batch in batches]

    texts = [f"text {i}" for i in range(70)]
    expected = epochs(theirs.ContrastiveTensionDataLoader(texts.copy(), 8, 4))
    assert epochs(ours.ContrastiveTensionDataLoader(texts, 8, 4)) == expected
    assert texts[0] == "text 0"
    collated = ours.ContrastiveTensionDataLoader(texts, 8, 4)
    collated.collate_fn = len
    assert list(collated) == [8] * len(collated)
    with pytest.raises(InvalidOption, match="multiple"):
        ours.ContrastiveTensionDataLoader(texts, 8, 3)


# -- dropout, and what is refused


@pytest.mark.parametrize(
    ("name", "n_columns"),
    [
        ("CosineSimilarityLoss", 2),
        ("CoSENTLoss", 2),
        ("AnglELoss", 4),
        ("ContrastiveLoss", 2),
        ("OnlineContrastiveLoss", 2),
        ("ContrastiveTensionLoss", 2),
        ("ContrastiveTensionLossInBatchNegatives", 1),
    ],
)
def test_dropout_draws_the_same_masks(same_loss, name, n_columns):
    for model in same_loss.models:
        model.train()
    try:
        same_loss(
            lambda losses, util, model: getattr(losses, name)(model),
            columns(7, FIRST, SECOND, THIRD, SECOND)[:n_columns],
            torch.tensor(LABELS["mixed"]),
            seed=23,
        )
    finally:
        for model in same_loss.models:
            model.eval()


PAIRED = [
    "CosineSimilarityLoss",
    "CoSENTLoss",
    "AnglELoss",
    "ContrastiveLoss",
    "OnlineContrastiveLoss",
    "SoftmaxLoss",
]


def made(loss_models, name):
    from stlib import losses

    return getattr(losses, name)(loss_models[0], *((32, 3) if name == "SoftmaxLoss" else ()))


@pytest.mark.parametrize("name", PAIRED)
def test_too_few_columns_are_refused(loss_models, name):
    features = [loss_models[0].preprocess(FIRST[:2])]
    with pytest.raises(InvalidInput, match=rf"{name} got 1 column.* 2"):
        made(loss_models, name)(features, torch.tensor([0, 1]))


@pytest.mark.parametrize("name", PAIRED)
def test_labels_of_another_size_are_refused(loss_models, name):
    features = [loss_models[0].preprocess(texts) for texts in columns(2)]
    with pytest.raises(InvalidInput, match=f"{name} takes 2 labels .* got 3"):
        made(loss_models, name)(features, torch.tensor([0, 1, 1]))


@pytest.mark.parametrize("name", PAIRED[:-1])
def test_missing_labels_are_refused(loss_models, name):
    features = [loss_models[0].preprocess(texts) for texts in columns(2)]
    with pytest.raises(InvalidInput, match=f"{name} needs labels"):
        made(loss_models, name)(features, None)


def test_other_wrong_input_is_refused(loss_models):
    from stlib import losses, util

    model = loss_models[0]
    pair = [torch.ones(2, 4), torch.ones(2, 4)]
    with pytest.raises(InvalidInput, match="integer"):
        made(loss_models, "SoftmaxLoss")([model.preprocess(FIRST[:2])] * 2, torch.tensor([0.3, 0.7]))
    with pytest.raises(InvalidInput, match="cos_sim"):
        losses.CoSENTLoss(model, similarity_fct=util.cos_sim).compute_loss_from_embeddings(
            pair, torch.ones(2)
        )
    with pytest.raises(InvalidInput, match="exactly 2"):
        losses.ContrastiveLoss(model).compute_loss_from_embeddings([*pair, pair[0]], torch.ones(2))
    with pytest.raises(InvalidOption, match="scale"):
        losses.ContrastiveTensionLossInBatchNegatives(model, scale=0.0)


def test_columns_without_use_are_reported_once(loss_models, caplog):
    loss = made(loss_models, "CosineSimilarityLoss")
    for _ in range(2):
        loss.compute_loss_from_embeddings([torch.ones(2, 4)] * 3, torch.ones(2))
    assert caplog.text.count("ignores the other 1") == 1
