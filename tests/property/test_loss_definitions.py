"""Losses equal their definitions, term by term, for labels and distances with many ties."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stlib import losses
from stlib.sentence_transformer.losses.same_inputs import same_inputs

MODEL = torch.nn.Identity()  # losses of embeddings do not run their model
MARGIN = 1.5

# Small integers make equal scores, equal rows and rows of zeros.
labelled = st.integers(1, 7).flatmap(
    lambda n: st.tuples(
        st.lists(st.lists(st.integers(-2, 2), min_size=3, max_size=3), min_size=n, max_size=n),
        st.lists(st.integers(0, 2), min_size=n, max_size=n),
    )
)


def tensors(batch):
    rows, labels = batch
    return torch.tensor(rows, dtype=torch.float64), torch.tensor(labels)


def absolute_distances(rows):
    """Whole numbers, so that ties are ties."""
    return (rows.unsqueeze(0) - rows.unsqueeze(1)).abs().sum(dim=-1)


def batch_loss(name, rows, labels):
    loss = getattr(losses, name)(MODEL, absolute_distances, MARGIN)
    return loss.compute_loss_from_embeddings([rows], labels)


def mean(terms):
    return torch.stack(terms).mean() if terms else torch.zeros((), dtype=torch.float64)


def of_class(labels, a, same):
    return [i for i in range(len(labels)) if i != a and bool(labels[i] == labels[a]) is same]


@settings(max_examples=150, deadline=None)
@given(labelled)
def test_all_triplets(batch):
    rows, labels = tensors(batch)
    d = absolute_distances(rows)
    terms = [
        d[a, p] - d[a, n] + MARGIN
        for a in range(len(rows))
        for p in of_class(labels, a, True)
        for n in of_class(labels, a, False)
    ]
    expected = mean([term for term in terms if term > 0])
    torch.testing.assert_close(batch_loss("BatchAllTripletLoss", rows, labels), expected)


@settings(max_examples=150, deadline=None)
@given(labelled)
def test_hardest_triplets(batch):
    rows, labels = tensors(batch)
    d = absolute_distances(rows)
    terms = []
    for a in range(len(rows)):
        farthest = max((d[a, p] for p in of_class(labels, a, True)), default=d[a, a])
        # Without any negative the row counts its largest distance: it has the class of all others.
        closest = min((d[a, n] for n in of_class(labels, a, False)), default=d[a].max())
        terms.append((farthest - closest + MARGIN).clamp(min=0))
    torch.testing.assert_close(batch_loss("BatchHardTripletLoss", rows, labels), mean(terms))


@settings(max_examples=150, deadline=None)
@given(labelled)
def test_semi_hard_triplets(batch):
    rows, labels = tensors(batch)
    d = absolute_distances(rows)
    terms = []
    for a in range(len(rows)):
        negatives = [d[a, n] for n in of_class(labels, a, False)]
        for p in of_class(labels, a, True):
            behind = [distance for distance in negatives if distance > d[a, p]]
            negative = min(behind) if behind else max(negatives, default=d[a].min())
            terms.append((d[a, p] - negative + MARGIN).clamp(min=0))
    torch.testing.assert_close(batch_loss("BatchSemiHardTripletLoss", rows, labels), mean(terms))


pairs = st.integers(1, 8).flatmap(
    lambda n: st.tuples(
        st.lists(st.lists(st.integers(-2, 2), min_size=4, max_size=4), min_size=n, max_size=n),
        st.lists(st.sampled_from([0.0, 0.25, 0.25, 1.0]), min_size=n, max_size=n),
    )
)


def product(x, y):
    return (x * y).sum(dim=-1)


@settings(max_examples=150, deadline=None)
@given(pairs, st.sampled_from([0.1, 1.0, 20.0]))
def test_cosent(batch, scale):
    rows, labels = tensors(batch)
    first, second = rows.chunk(2, dim=1)
    s = scale * product(first, second)
    higher = [(i, j) for i, j in itertools.product(range(len(s)), repeat=2) if labels[i] > labels[j]]
    terms = [torch.zeros((), dtype=s.dtype), *(s[j] - s[i] for i, j in higher)]
    loss = losses.CoSENTLoss(MODEL, scale, product).compute_loss_from_embeddings([first, second], labels)
    torch.testing.assert_close(loss, torch.stack(terms).logsumexp(dim=0))


@settings(max_examples=150, deadline=None)
@given(pairs)
def test_online_contrastive(batch):
    rows, scores = tensors(batch)
    first, second = rows.chunk(2, dim=1)
    labels = (scores > 0.2).int()
    d = (first - second).abs().sum(dim=1).tolist()
    positives = [x for x, label in zip(d, labels, strict=True) if label]
    negatives = [x for x, label in zip(d, labels, strict=True) if not label]
    closest = min(negatives) if negatives else sum(positives) / len(positives)
    farthest = max(positives) if positives else sum(negatives) / len(negatives)
    expected = sum(x**2 for x in positives if x > closest)
    expected += sum(max(MARGIN - x, 0) ** 2 for x in negatives if x < farthest)
    metric = losses.SiameseDistanceMetric.MANHATTAN
    exact = losses.OnlineContrastiveLoss(MODEL, lambda x, y: (x - y).abs().sum(dim=1), MARGIN)
    assert exact.compute_loss_from_embeddings([first, second], labels).item() == pytest.approx(expected)
    assert metric(first, second).tolist() == pytest.approx(d, abs=1e-4)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=4), min_size=1, max_size=5),
    st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=4), min_size=5, max_size=5),
    st.sampled_from(["left", "right"]),
)
def test_padding_does_not_tell_inputs_apart(first, second, side):
    second = second[: len(first)]

    def padded(rows, width, side):
        fill = [[0] * (width - len(row)) for row in rows]
        whole = [pad + row if side == "left" else row + pad for pad, row in zip(fill, rows, strict=True)]
        ids = torch.tensor(whole)
        return {"input_ids": ids, "attention_mask": (ids > 0).long()}

    same = same_inputs(padded(first, 4, "right"), padded(second, 6, side))
    assert same.tolist() == [float(a == b) for a, b in zip(first, second, strict=True)]
