"""Losses of rerankers over pairs and tuples of texts: equal to the reference's, cached or not."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from stlib.base.losses import uses_gradient_cache
from stlib.cross_encoder import losses as ours
from stlib.errors import InvalidInput, InvalidOption

pytestmark = pytest.mark.parity

COLUMNS = [
    "how do i sort a list|the quick fox|search|a short text|lazy dog ?|the answer is long",
    "sort the list by key|a brown dog jumps|search is by words|text|the dog|only the answer",
    "a dictionary|fox|the meaning of a query , and of words|it|quick !|a question is short",
    "how|jumps over the lazy brown dog|by|is it text ?|the the|long answer with words",
]
ACTIVATIONS = [None, nn.Identity(), nn.Sigmoid(), nn.Tanh()]
BINARY = torch.tensor([1, 0, 1, 1, 0, 0])
SCORES = torch.tensor([0.9, 0.1, 0.45, 1.0, 0.0, 0.3])
CLASSES = torch.tensor([0, 2, 1, 1, 0, 2])


def columns(n: int, rows: int = 6) -> list[list[str]]:
    return [texts.split("|")[:rows] for texts in COLUMNS[:n]]


def numbers(*shape: int) -> torch.Tensor:
    return 4 * torch.randn(*shape, generator=torch.Generator().manual_seed(12))


# -- one label per pair


@pytest.mark.parametrize("labels", [BINARY, BINARY.unsqueeze(1), SCORES], ids=["classes", "column", "scores"])
@pytest.mark.parametrize("activation", ACTIVATIONS[1:], ids=str)
def test_binary_cross_entropy(same_reranker_loss, labels, activation):
    same_reranker_loss(
        lambda losses, model: losses.BinaryCrossEntropyLoss(model, activation), columns(2), labels
    )


@pytest.mark.parametrize(
    "options",
    [
        {"pos_weight": torch.tensor(4.0)},
        {"pos_weight": torch.tensor([2]), "reduction": "sum"},
        {"weight": torch.tensor([1.0, 2.0, 3.0, 0.5, 0.1, 0.2])},
    ],
    ids=str,
)
def test_options_of_binary_cross_entropy(same_reranker_loss, options):
    same_reranker_loss(
        lambda losses, model: losses.BinaryCrossEntropyLoss(model, **options), columns(2), BINARY
    )


@pytest.mark.parametrize("labels", [BINARY, SCORES.unsqueeze(1), numbers(6)], ids=["int", "column", "float"])
@pytest.mark.parametrize("activation", ACTIVATIONS[1:], ids=str)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_mse(same_reranker_loss, labels, activation, reduction):
    same_reranker_loss(
        lambda losses, model: losses.MSELoss(model, activation, reduction=reduction), columns(2), labels
    )


@pytest.mark.parametrize(
    ("n", "shape"), [(3, (6,)), (3, (6, 1)), (3, (6, 2)), (4, (6, 2)), (4, (6, 3))], ids=str
)
@pytest.mark.parametrize("activation", [nn.Identity(), nn.Sigmoid()], ids=str)
@pytest.mark.parametrize("as_list", [False, True])
def test_margin_mse(same_reranker_loss, n, shape, activation, as_list):
    # The collator makes a list of tensors of labels that are lists.
    labels = list(numbers(*shape)) if as_list and len(shape) > 1 else numbers(*shape)
    same_reranker_loss(lambda losses, model: losses.MarginMSELoss(model, activation), columns(n), labels)


def test_reduction_of_margin_mse(same_reranker_loss):
    same_reranker_loss(
        lambda losses, model: losses.MarginMSELoss(model, reduction="sum"), columns(3), numbers(6, 2)
    )


# -- classes


@pytest.mark.parametrize("activation", ACTIVATIONS[1:], ids=str)
@pytest.mark.parametrize(
    "labels", [CLASSES, CLASSES.unsqueeze(1), numbers(6, 3).softmax(1)], ids=["classes", "column", "chances"]
)
def test_cross_entropy(same_classifier_loss, labels, activation):
    same_classifier_loss(lambda losses, model: losses.CrossEntropyLoss(model, activation), columns(2), labels)


@pytest.mark.parametrize(
    "options",
    [{"label_smoothing": 0.1}, {"weight": torch.tensor([1.0, 2.0, 0.5])}, {"ignore_index": 2}],
    ids=str,
)
def test_options_of_cross_entropy(same_classifier_loss, options):
    same_classifier_loss(lambda losses, model: losses.CrossEntropyLoss(model, **options), columns(2), CLASSES)


# -- documents of other rows as negatives


@pytest.mark.parametrize("name", ["MultipleNegativesRankingLoss", "CachedMultipleNegativesRankingLoss"])
@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("negatives", [None, 1, 4, 100])
def test_negatives(same_reranker_loss, name, n, negatives):
    same_reranker_loss(
        lambda losses, model: getattr(losses, name)(model, num_negatives=negatives), columns(n), seed=5
    )


@pytest.mark.parametrize("name", ["MultipleNegativesRankingLoss", "CachedMultipleNegativesRankingLoss"])
@pytest.mark.parametrize(
    "options",
    [
        {"scale": 1.0},
        {"scale": 5.0, "activation_fn": nn.Tanh()},
        {"scale": 0, "activation_fn": nn.Identity()},
    ],
    ids=str,
)
def test_options_of_ranking(same_reranker_loss, name, options):
    same_reranker_loss(lambda losses, model: getattr(losses, name)(model, **options), columns(3), seed=5)


@pytest.mark.parametrize("rows", [1, 2])
def test_few_rows(same_reranker_loss, rows):
    same_reranker_loss(lambda losses, model: losses.MultipleNegativesRankingLoss(model), columns(3, rows))


def test_ranking_without_activation(reranker_models):
    loss, expected = (
        ours.MultipleNegativesRankingLoss(reranker_models[0], activation_fn=activation, num_negatives=None)
        for activation in (None, nn.Identity())
    )
    assert loss(columns(2)).item() == expected(columns(2)).item()


@pytest.mark.parametrize("size", [1, 4, 7, 12, 1000])
def test_mini_batches_of_the_cached_form(same_reranker_loss, size):
    same_reranker_loss(
        lambda losses, model: losses.CachedMultipleNegativesRankingLoss(model, mini_batch_size=size),
        columns(3),
        seed=5,
        prompt="the answer : ",
    )


def result(model, loss, seed=5, factor=1.0):
    model.zero_grad()
    torch.manual_seed(seed)
    value = loss(columns(3), None)
    (factor * value).backward()
    return value.detach(), [p.grad.clone() for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize("size", [4, 5, 1000])
def test_cached_is_uncached(reranker_models, size):
    model = reranker_models[0]
    cached = ours.CachedMultipleNegativesRankingLoss(model, mini_batch_size=size)
    value, gradients = result(model, cached, factor=3.0)
    expected, wanted = result(model, ours.MultipleNegativesRankingLoss(model), factor=3.0)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(gradients, wanted, rtol=1e-5, atol=3e-5)
    assert uses_gradient_cache(cached)


def test_cached_draws_the_same_dropout_twice(reranker_models, reference):
    """With dropout only equal random numbers in both passes give the gradient of the value."""
    import sentence_transformers.cross_encoder.losses as theirs

    outcomes = []
    for losses, model in zip((ours, theirs), reranker_models, strict=True):
        model.train()
        outcomes.append(result(model, losses.CachedMultipleNegativesRankingLoss(model, mini_batch_size=5)))
        model.eval()
    torch.testing.assert_close(outcomes[0][0], outcomes[1][0])
    torch.testing.assert_close(outcomes[0][1], outcomes[1][1], rtol=1e-5, atol=3e-5)


def test_uncached_draws_dropout_as_the_reference(reranker_models, reference):
    import sentence_transformers.cross_encoder.losses as theirs

    outcomes = []
    for losses, model in zip((ours, theirs), reranker_models, strict=True):
        model.train()
        outcomes.append(result(model, losses.MultipleNegativesRankingLoss(model)))
        model.eval()
    torch.testing.assert_close(outcomes[0], outcomes[1], rtol=1e-5, atol=3e-5)


def test_cached_without_gradients(reranker_models):
    loss = ours.CachedMultipleNegativesRankingLoss(reranker_models[0], num_negatives=None, mini_batch_size=5)
    with torch.no_grad():
        value = loss(columns(3))
    assert not value.requires_grad
    assert value.item() == pytest.approx(loss(columns(3)).item())


def test_each_negative_is_of_another_row(reranker_models):
    loss = ours.MultipleNegativesRankingLoss(reranker_models[0], num_negatives=5)
    rows = 4
    candidates = [[(column, row) for row in range(rows)] for column in range(2)]
    drawn = list(zip(*loss.get_in_batch_negatives(["anchor"] * rows, candidates), strict=True))
    for row, documents in enumerate(drawn):
        assert len(set(documents)) == 5
        assert all(origin != row for _, origin in documents)


def test_no_negatives_of_other_rows(reranker_models):
    loss = ours.MultipleNegativesRankingLoss(reranker_models[0], num_negatives=0)
    assert list(loss.get_in_batch_negatives(["a", "b"], [["c", "d"]])) == []
    assert loss(columns(2)).item() == 0.0  # the positive is all there is to choose from


# -- refusals

ONE_LABEL = [
    "BinaryCrossEntropyLoss",
    "MSELoss",
    "MarginMSELoss",
    "MultipleNegativesRankingLoss",
    "CachedMultipleNegativesRankingLoss",
]


@pytest.mark.parametrize("name", ONE_LABEL)
def test_refused_models(classifier_models, name):
    with pytest.raises(InvalidOption, match=f"{name} trains a model with 1 output label, and this one has 3"):
        getattr(ours, name)(classifier_models[0])
    with pytest.raises(InvalidOption, match=f"{name} trains a CrossEncoder, and got a str"):
        getattr(ours, name)("a model")


def test_classes_need_several_labels(reranker_models):
    with pytest.raises(InvalidOption, match="several output labels, and this one has 1"):
        ours.CrossEntropyLoss(reranker_models[0])


@pytest.mark.parametrize(
    ("name", "n", "labels", "message"),
    [
        ("BinaryCrossEntropyLoss", 3, BINARY, "takes exactly 2"),
        ("BinaryCrossEntropyLoss", 2, None, "batch has none"),
        ("BinaryCrossEntropyLoss", 2, BINARY[:4], "takes 6 labels for 6 rows"),
        ("BinaryCrossEntropyLoss", 2, [torch.zeros(2), torch.zeros(3)], "as many numbers in each row"),
        ("BinaryCrossEntropyLoss", 2, 5 * BINARY, "0 to 1"),
        ("MSELoss", 1, SCORES, "takes exactly 2"),
        ("MSELoss", 2, numbers(6, 2), "takes 6 labels for 6 rows"),
        ("MarginMSELoss", 2, SCORES, "at least one negative"),
        ("MarginMSELoss", 3, None, "batch has none"),
        ("MarginMSELoss", 4, SCORES, r"shape \(6,\) for 6 rows with 2"),
        ("MultipleNegativesRankingLoss", 1, None, "needs 2: anchor, positive"),
        ("CachedMultipleNegativesRankingLoss", 1, None, "needs 2: anchor, positive"),
    ],
)
def test_refused_batches(reranker_models, name, n, labels, message):
    loss = getattr(ours, name)(reranker_models[0])
    with pytest.raises(InvalidInput, match=f"{name}.*{message}"):
        loss(columns(n), labels)


@pytest.mark.parametrize(
    ("n", "labels", "message"),
    [
        (3, CLASSES, "takes exactly 2"),
        (2, None, "batch has none"),
        (2, CLASSES[:3], "takes 6 labels for 6 rows"),
        (2, CLASSES + 1, "the label 3, and the model has the classes 0 to 2"),
        (2, SCORES, r"probabilities of shape \(6, 3\), and got torch.float32"),
    ],
)
def test_refused_classes(classifier_models, n, labels, message):
    with pytest.raises(InvalidInput, match=f"CrossEntropyLoss.*{message}"):
        ours.CrossEntropyLoss(classifier_models[0])(columns(n), labels)


def test_refused_options(reranker_models):
    with pytest.raises(InvalidOption, match="num_negatives is -1"):
        ours.MultipleNegativesRankingLoss(reranker_models[0], num_negatives=-1)
    with pytest.raises(InvalidOption, match="mini_batch_size is 0"):
        ours.CachedMultipleNegativesRankingLoss(reranker_models[0], mini_batch_size=0)


# -- what the model card shows


def test_names_and_citations(reference):
    import sentence_transformers.cross_encoder.losses as theirs

    assert set(ours.__all__) == set(theirs.__all__)
    for name in ours.__all__:
        citation = getattr(getattr(theirs, name), "citation", None)
        assert (getattr(getattr(ours, name), "citation", None) is None) == (citation is None), name
        if citation is not None:
            key = citation.fget(None).strip().splitlines()[0]
            assert getattr(ours, name).citation.fget(None).strip().splitlines()[0] == key
