"""Losses over triplets, given ones and those of a labelled batch: equal to the reference's, and to a loop."""

from __future__ import annotations

import itertools

import pytest
import torch

from stlib.errors import InvalidInput

pytestmark = pytest.mark.parity

ANCHORS = [
    "how do i sort a list",
    "the quick brown fox",
    "search by meaning",
    "a short text",
    "lazy dog",
    "the answer is long",
    "in a document",
]
POSITIVES = [
    "sort the list by key",
    "a brown dog jumps over it",
    "the search is by words",
    "long passage with a key",
    "the lazy dog in the text",
    "only the answer",
    "query",
]
NEGATIVES = [
    "a dictionary",
    "fox",
    "the meaning of a query",
    "it is short ?",
    "quick !",
    "a question is not only short",
    "documents with text , and words",
]
CLASSES = {
    "mixed": [0, 1, 0, 1, 2, 2, 0],
    "one class": [4] * 7,
    "no positives": [0, 1, 2, 3, 4, 5, 6],
    "one pair": [0, 0, 1, 2, 3, 4, 5],
}
BATCH = [
    "BatchHardTripletLoss",
    "BatchAllTripletLoss",
    "BatchSemiHardTripletLoss",
    "BatchHardSoftMarginTripletLoss",
]
WITH_MARGIN = BATCH[:3]
SIZES = [1, 2, 7]


# -- given triplets


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("metric", ["COSINE", "EUCLIDEAN", "MANHATTAN"])
@pytest.mark.parametrize("options", [{}, {"triplet_margin": 0.2}])
def test_triplet(same_loss, n, metric, options):
    same_loss(
        lambda losses, util, model: losses.TripletLoss(
            model, getattr(losses.TripletDistanceMetric, metric), **options
        ),
        [ANCHORS[:n], POSITIVES[:n], NEGATIVES[:n]],
    )


def test_triplet_defaults_and_own_metric(same_loss):
    texts = [ANCHORS, POSITIVES, NEGATIVES]
    same_loss(lambda losses, util, model: losses.TripletLoss(model), texts)

    def squared(x, y):
        return (x - y).square().sum(dim=1)

    same_loss(lambda losses, util, model: losses.TripletLoss(model, squared, 50), texts, torch.ones(7))


def test_anchor_equal_to_its_positive_has_a_gradient(same_loss):
    same_loss(lambda losses, util, model: losses.TripletLoss(model), [ANCHORS, ANCHORS, NEGATIVES])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("name", ["TripletLoss", *BATCH])
def test_other_precisions(same_loss, name, dtype):
    torch.manual_seed(7)
    embeddings = list(torch.randn(3, 7, 8).to(dtype).unbind(0))
    labels = torch.tensor(CLASSES["mixed"])
    values = [
        loss.compute_loss_from_embeddings(embeddings, labels)
        for loss in same_loss.both(lambda losses, util, model: getattr(losses, name)(model))
    ]
    torch.testing.assert_close(*values, rtol=1e-6, atol=0)


# -- triplets of a batch


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("name", BATCH)
@pytest.mark.parametrize("metric", ["euclidean_distance", "eucledian_distance", "cosine_distance"])
@pytest.mark.parametrize("classes", CLASSES)
def test_batch_triplets(same_loss, n, name, metric, classes):
    same_loss(
        lambda losses, util, model: getattr(losses, name)(
            model, getattr(losses.BatchHardTripletLossDistanceFunction, metric)
        ),
        [ANCHORS[:n]],
        torch.tensor(CLASSES[classes][:n]),
    )


@pytest.mark.parametrize("name", WITH_MARGIN)
@pytest.mark.parametrize("margin", [0.05, 2.0])
@pytest.mark.parametrize("metric", ["euclidean_distance", "cosine_distance"])
def test_margins(same_loss, name, margin, metric):
    for classes in CLASSES.values():
        same_loss(
            lambda losses, util, model: getattr(losses, name)(
                model, getattr(losses.BatchHardTripletLossDistanceFunction, metric), margin
            ),
            [ANCHORS],
            torch.tensor(classes),
        )


@pytest.mark.parametrize("name", BATCH)
def test_equal_texts_and_columns_of_labels(same_loss, name):
    """Distances of exactly 0 within a class and between classes; labels ``[n, 1]``; the defaults."""
    texts = ["lazy dog", "lazy dog", "lazy dog", "fox", "fox", "a list"]
    labels = torch.tensor([[0], [0], [1], [1], [2], [2]])
    same_loss(lambda losses, util, model: getattr(losses, name)(model), [texts], labels)


@pytest.mark.parametrize("labels", [torch.tensor(CLASSES["mixed"]), torch.tensor([0.0, 1, 0, 1, 0, 0, 1])])
def test_masks(reference, labels):
    import sentence_transformers.sentence_transformer.losses as theirs

    from stlib import losses as ours

    for mask in ("get_triplet_mask", "get_anchor_positive_triplet_mask", "get_anchor_negative_triplet_mask"):
        expected = getattr(theirs.BatchHardTripletLoss, mask)(labels)
        assert torch.equal(getattr(ours.BatchHardTripletLoss, mask)(labels), expected)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("squared", [False, True])
def test_euclidean_distances(reference, dtype, squared):
    import sentence_transformers.sentence_transformer.losses as theirs

    from stlib import losses as ours

    torch.manual_seed(2)
    rows = torch.randn(6, 5, dtype=torch.float64).to(dtype)
    rows[3] = rows[1]
    expected = theirs.BatchHardTripletLossDistanceFunction.euclidean_distance(rows, squared)
    torch.testing.assert_close(
        ours.BatchHardTripletLossDistanceFunction.eucledian_distance(rows, squared), expected
    )


def test_methods_by_name(same_loss):
    torch.manual_seed(4)
    embeddings, labels = torch.randn(7, 6), torch.tensor(CLASSES["mixed"])
    methods = (
        "batch_hard_triplet_loss",
        "batch_all_triplet_loss",
        "batch_semi_hard_triplet_loss",
        "batch_hard_triplet_soft_margin_loss",
    )
    for name, method in zip(BATCH, methods, strict=True):
        ours, theirs = same_loss.both(lambda losses, util, model, name=name: getattr(losses, name)(model))
        expected = getattr(theirs, method)(labels, embeddings)
        torch.testing.assert_close(getattr(ours, method)(labels, embeddings), expected)
        torch.testing.assert_close(ours.compute_loss_from_embeddings([embeddings], labels), expected)
        assert ours.sentence_embedder is ours.model is same_loss.models[0]


# -- the definitions, triplet by triplet


def triplets(labels: list[int]) -> list[tuple[int, int, int]]:
    rows = range(len(labels))
    return [
        (a, p, n)
        for a, p, n in itertools.product(rows, rows, rows)
        if a != p and labels[a] == labels[p] and labels[a] != labels[n]
    ]


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(6)
    embeddings = torch.randn(8, 3)
    return embeddings, torch.cdist(embeddings, embeddings), torch.tensor([0, 0, 0, 1, 1, 2, 2, 2])


def test_all_triplets_by_loop(loss_models, batch):
    from stlib.losses import BatchAllTripletLoss

    embeddings, distances, labels = batch
    terms = [distances[a, p] - distances[a, n] + 0.5 for a, p, n in triplets(labels.tolist())]
    positive = torch.stack([term for term in terms if term > 0])
    loss = BatchAllTripletLoss(loss_models[0], margin=0.5).compute_loss_from_embeddings([embeddings], labels)
    torch.testing.assert_close(loss, positive.mean())


def test_hardest_triplets_by_loop(loss_models, batch):
    from stlib.losses import BatchHardSoftMarginTripletLoss, BatchHardTripletLoss

    embeddings, distances, labels = batch
    margins = []
    for a in range(len(labels)):
        mine = [t for t in triplets(labels.tolist()) if t[0] == a]
        farthest = max(distances[a, p] for _, p, _ in mine)
        margins.append(farthest - min(distances[a, n] for _, _, n in mine))
    hardest = torch.stack(margins)
    loss = BatchHardTripletLoss(loss_models[0], margin=0.5)
    torch.testing.assert_close(
        loss.compute_loss_from_embeddings([embeddings], labels), (hardest + 0.5).clamp(min=0).mean()
    )
    soft = BatchHardSoftMarginTripletLoss(loss_models[0])
    torch.testing.assert_close(
        soft.compute_loss_from_embeddings([embeddings], labels), torch.log1p(hardest.exp()).mean()
    )


def test_semi_hard_triplets_by_loop(loss_models, batch):
    from stlib.losses import BatchSemiHardTripletLoss

    embeddings, distances, labels = batch
    terms = []
    for a, p in itertools.permutations(range(len(labels)), 2):
        if labels[a] == labels[p]:
            negatives = [distances[a, n] for n in range(len(labels)) if labels[n] != labels[a]]
            behind = [d for d in negatives if d > distances[a, p]]
            terms.append((distances[a, p] - (min(behind) if behind else max(negatives)) + 0.5).clamp(min=0))
    loss = BatchSemiHardTripletLoss(loss_models[0], margin=0.5)
    expected = torch.stack(terms).mean()
    torch.testing.assert_close(loss.compute_loss_from_embeddings([embeddings], labels), expected)


@pytest.mark.parametrize("name", BATCH)
def test_finite_differences(loss_models, name):
    from stlib import losses

    torch.manual_seed(8)
    embeddings = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 0, 1, 1, 1, 2])
    loss = getattr(losses, name)(loss_models[0])
    assert torch.autograd.gradcheck(lambda e: loss.compute_loss_from_embeddings([e], labels), (embeddings,))


# -- dropout, and what is refused


@pytest.mark.parametrize("name", ["TripletLoss", *BATCH])
def test_dropout_draws_the_same_masks(same_loss, name):
    for model in same_loss.models:
        model.train()
    try:
        texts = [ANCHORS, POSITIVES, NEGATIVES] if name == "TripletLoss" else [ANCHORS]
        same_loss(
            lambda losses, util, model: getattr(losses, name)(model),
            texts,
            torch.tensor(CLASSES["mixed"]),
            seed=23,
        )
    finally:
        for model in same_loss.models:
            model.eval()


def test_wrong_input_is_refused(loss_models, caplog):
    from stlib import losses

    model = loss_models[0]
    rows = torch.ones(2, 4)
    with pytest.raises(InvalidInput, match=r"TripletLoss got 2 .* exactly 3: anchor"):
        losses.TripletLoss(model).compute_loss_from_embeddings([rows, rows])
    for name in BATCH:
        loss = getattr(losses, name)(model)
        with pytest.raises(InvalidInput, match=f"{name} takes 2 labels"):
            loss.compute_loss_from_embeddings([rows], torch.tensor([1]))
        with pytest.raises(InvalidInput, match=rf"{name} needs labels .* class"):
            loss([model.preprocess(["a", "b"])])
        with pytest.raises(InvalidInput, match="needs 1"):
            loss([], torch.tensor([1, 0]))
        pairwise = getattr(losses, name)(model, losses.SiameseDistanceMetric.EUCLIDEAN.__get__(rows))
        with pytest.raises(InvalidInput, match="distance_metric"):
            pairwise.compute_loss_from_embeddings([rows], torch.tensor([1, 0]))
    losses.BatchAllTripletLoss(model)([model.preprocess(["a", "b"])] * 2, torch.tensor([1, 0]))
    assert "ignores the other 1" in caplog.text
