"""Losses of rerankers over lists of documents: equal to the reference's, and to values by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from stlib.cross_encoder import losses as ours
from stlib.errors import InvalidInput, InvalidOption

pytestmark = pytest.mark.parity

QUERIES = ["how do i sort a list", "the quick fox", "search", "a short text"]
DOCUMENTS = [
    ["sort the list by key", "a brown dog", "lazy", "a list is a list", "the answer is long"],
    ["a fox jumps", "the dog"],
    ["search is by words", "query", "meaning of a document"],
    ["a short passage"],
]
# With ties, negative and broken ones, not in order
LABELS = [[1.0, 0.0, 1.0, 2.0, -1.0], [0.0, 1.0], [0.5, 0.5, 0.25], [1.0]]
COLUMNS = [QUERIES, DOCUMENTS]
SCHEMES = [
    "NoWeightingScheme",
    "NDCGLoss1Scheme",
    "NDCGLoss2Scheme",
    "LambdaRankScheme",
    "NDCGLoss2PPScheme",
]
LISTWISE = [
    "ADRMSELoss",
    "LambdaLoss",
    "ListMLELoss",
    "ListNetLoss",
    "PListMLELoss",
    "RankNetLoss",
]


def labels(values=LABELS):
    return [torch.tensor(row) for row in values]


@pytest.mark.parametrize("size", [None, -1, 0, 1, 3, 4, 11, 50])
@pytest.mark.parametrize("name", LISTWISE)
def test_mini_batches(same_reranker_loss, name, size):
    same_reranker_loss(
        lambda losses, model: getattr(losses, name)(model, mini_batch_size=size), COLUMNS, labels()
    )


@pytest.mark.parametrize("activation", [None, nn.Sigmoid(), nn.Tanh(), nn.ReLU()], ids=str)
@pytest.mark.parametrize("name", LISTWISE)
def test_activations(same_reranker_loss, name, activation):
    same_reranker_loss(
        lambda losses, model: getattr(losses, name)(model, activation_fn=activation), COLUMNS, labels()
    )


@pytest.mark.parametrize(
    "values",
    [
        [[1, 0, 1, 2, 0], [0, 1], [1, 1, 1], [3]],
        [[0, 0, 0, 0, 0], [0, 0], [0, 0, 0], [0]],
        [[5.5, 3.25, -2.0, 0.0, 3.25], [0.1, 0.9], [0.3, 0.2, 0.1], [0.0]],
    ],
    ids=["graded", "irrelevant", "scores"],
)
@pytest.mark.parametrize("name", LISTWISE)
def test_labels(same_reranker_loss, name, values):
    same_reranker_loss(lambda losses, model: getattr(losses, name)(model), COLUMNS, labels(values))


@pytest.mark.parametrize("rows", [slice(0, 1), slice(1, 3), slice(3, 4)], ids=str)
@pytest.mark.parametrize("name", LISTWISE)
def test_batches(same_reranker_loss, name, rows):
    columns = [column[rows] for column in COLUMNS]
    same_reranker_loss(lambda losses, model: getattr(losses, name)(model), columns, labels()[rows])


@pytest.mark.parametrize("name", LISTWISE)
def test_prompt(same_reranker_loss, name):
    plain = same_reranker_loss(lambda losses, model: getattr(losses, name)(model), COLUMNS, labels())
    asked = same_reranker_loss(
        lambda losses, model: getattr(losses, name)(model), COLUMNS, labels(), prompt="the answer : "
    )
    assert plain.item() != asked.item()


@pytest.mark.parametrize("k", [None, 0, 1, 2, 10])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_lambda_schemes(same_reranker_loss, scheme, k):
    same_reranker_loss(
        lambda losses, model: losses.LambdaLoss(model, getattr(losses, scheme)(), k=k), COLUMNS, labels()
    )


@pytest.mark.parametrize("name", ["LambdaLoss", "RankNetLoss"])
@pytest.mark.parametrize(
    "options",
    [
        {"sigma": 0.3},
        {"sigma": 5.0, "k": 2},
        {"eps": 0.5},
        {"reduction_log": "natural"},
        {"reduction_log": "binary", "sigma": 2.0},
    ],
    ids=str,
)
def test_lambda_options(same_reranker_loss, name, options):
    same_reranker_loss(lambda losses, model: getattr(losses, name)(model, **options), COLUMNS, labels())


def test_lambda_mu_and_no_scheme(same_reranker_loss):
    weighted = same_reranker_loss(
        lambda losses, model: losses.LambdaLoss(model, losses.NDCGLoss2PPScheme(mu=2.5)), COLUMNS, labels()
    )
    bare = same_reranker_loss(lambda losses, model: losses.LambdaLoss(model, None), COLUMNS, labels())
    assert weighted.item() != bare.item()


def by_logarithm(mask):
    return (1 / torch.log1p(mask.cumsum(dim=-1))).masked_fill(~mask, 0)


@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize("discount", ["none", "default", "logarithm"])
def test_plist_mle(same_reranker_loss, discount, in_order):
    def make(losses, model):
        weight = {
            "none": None,
            "default": losses.PListMLELambdaWeight(),
            "logarithm": losses.PListMLELambdaWeight(by_logarithm),
        }[discount]
        return losses.PListMLELoss(model, weight, respect_input_order=in_order)

    same_reranker_loss(make, COLUMNS, labels())


@pytest.mark.parametrize("in_order", [True, False])
def test_list_mle(same_reranker_loss, in_order):
    same_reranker_loss(
        lambda losses, model: losses.ListMLELoss(model, respect_input_order=in_order), COLUMNS, labels()
    )


def test_weights_of_places_of_long_lists(reference):
    import sentence_transformers.cross_encoder.losses as theirs

    mask = torch.arange(300) < torch.tensor([300, 128, 127, 126, 3, 0]).unsqueeze(1)
    weights = ours.PListMLELambdaWeight()(mask)
    torch.testing.assert_close(weights, theirs.PListMLELambdaWeight()(mask))
    assert weights.sum(dim=1).isfinite().all()
    assert weights[4, :4].tolist() == [3.0, 1.0, 0.0, 0.0]


@pytest.mark.parametrize("alpha", [0.2, 1.0, 7.0])
def test_adr_mse(same_reranker_loss, alpha):
    same_reranker_loss(lambda losses, model: losses.ADRMSELoss(model, alpha=alpha), COLUMNS, labels())


# -- by hand


def scored(reranker_models, scores, name, **options):
    """A loss whose model gives these scores."""
    loss = getattr(ours, name)(reranker_models[0], **options)
    left = torch.tensor([score for row in scores for score in row], requires_grad=True)
    loss.score = lambda pairs, prompt=None, task=None: left.unsqueeze(1)
    documents = [["text"] * len(row) for row in scores]
    return loss, [["query"] * len(scores), documents], left


def test_list_net_by_hand(reranker_models):
    loss, columns, scores = scored(reranker_models, [[2.0, 1.0]], "ListNetLoss", mini_batch_size=-1)
    value = loss(columns, labels([[1.0, 0.0]]))
    value.backward()
    p = 1 / (1 + math.exp(-1))  # of the first, by labels and by scores
    assert value.item() == pytest.approx(-(p * math.log(p) + (1 - p) * math.log(1 - p)))
    assert scores.grad.tolist() == pytest.approx([0.0, 0.0], abs=1e-6)


def test_rank_net_by_hand(reranker_models):
    options = {"mini_batch_size": -1, "reduction_log": "natural"}
    loss, columns, scores = scored(reranker_models, [[1.0, 3.0]], "RankNetLoss", **options)
    value = loss(columns, labels([[1.0, 0.0]]))
    value.backward()
    assert value.item() == pytest.approx(math.log(1 + math.exp(2)))
    slope = 1 / (1 + math.exp(-2))
    assert scores.grad.tolist() == pytest.approx([-slope, slope])


def test_places_by_hand(reranker_models):
    loss, columns, _ = scored(reranker_models, [[0.0, 0.0]], "ADRMSELoss", mini_batch_size=-1)
    # Alike by label and by score: both at place 1.5.
    assert loss(columns, labels([[1.0, 1.0]])).item() == pytest.approx(0.0, abs=1e-6)
    # Places 1 and 2, each half a place off.
    expected = (0.25 / math.log2(2) + 0.25 / math.log2(3)) / 2
    assert loss(columns, labels([[1.0, 0.0]])).item() == pytest.approx(expected)


@pytest.mark.parametrize("name", ["ListNetLoss", "LambdaLoss", "PListMLELoss", "ADRMSELoss"])
def test_gradient_is_that_of_finite_differences(reranker_models, name):
    from stlib.cross_encoder.losses.lists import Lists

    loss = getattr(ours, name)(reranker_models[0])
    scores = torch.tensor([[0.3, -1.2, 0.9, 0.1]], dtype=torch.float64, requires_grad=True)
    aims = torch.tensor([[2.0, 0.0, 1.0, 1.0]], dtype=torch.float64)
    mask = torch.ones_like(aims, dtype=torch.bool)
    assert torch.autograd.gradcheck(lambda s: loss.loss_of_lists(Lists(s, aims, mask)), scores)


@pytest.mark.parametrize("name", LISTWISE)
def test_query_without_documents_among_others(reranker_models, name):
    loss, columns, scores = scored(reranker_models, [[1.0, 3.0], []], name, mini_batch_size=-1)
    loss(columns, labels([[1.0, 0.0], []])).backward()
    alone, columns, expected = scored(reranker_models, [[1.0, 3.0]], name, mini_batch_size=-1)
    alone(columns, labels([[1.0, 0.0]])).backward()
    share = 0.5 if "List" in name else 1.0  # mean over queries, or over pairs or documents
    torch.testing.assert_close(scores.grad, share * expected.grad)


def test_labels_as_one_matrix(reranker_models):
    loss, columns, _ = scored(reranker_models, [[1.0, 3.0], [0.0, 2.0]], "ListNetLoss", mini_batch_size=-1)
    values = torch.tensor([[1.0, 0.0], [0.0, 3.0]])
    assert loss(columns, values).item() == loss(columns, list(values)).item()


# -- refusals


@pytest.mark.parametrize("name", LISTWISE)
@pytest.mark.parametrize(
    ("columns", "values", "message"),
    [
        ([QUERIES], LABELS, r"1 column\(s\) of inputs and takes exactly 2"),
        ([*COLUMNS, QUERIES], LABELS, r"3 column\(s\)"),
        (COLUMNS, None, "needs labels and the batch has none"),
        (COLUMNS, [[1.0], *LABELS[1:]], "one for each document.*shape"),
        (COLUMNS, LABELS[1:], "one for each document"),
        ([QUERIES[1:], DOCUMENTS], LABELS, "3 queries and 4 lists"),
        ([QUERIES, QUERIES], LABELS, "list of documents for each query.*str"),
        ([QUERIES[:2], [[], []]], [[], []], "2 queries without any document"),
    ],
)
def test_refused_batches(reranker_models, name, columns, values, message):
    loss = getattr(ours, name)(reranker_models[0])
    with pytest.raises(InvalidInput, match=f"(?s){name}.*{message}"):
        loss(columns, None if values is None else labels(values))


def test_one_label_per_query_is_refused(reranker_models):
    with pytest.raises(InvalidInput, match="LambdaLoss takes as labels a list of numbers"):
        ours.LambdaLoss(reranker_models[0])(COLUMNS, torch.zeros(4))


def test_relevance_whose_gain_is_no_number_is_refused(reranker_models):
    high = labels([[130.0, *LABELS[0][1:]], *LABELS[1:]])
    with pytest.raises(InvalidInput, match=r"^a batch has labels up to 130; LambdaLoss takes 2 \*\* label"):
        ours.LambdaLoss(reranker_models[0])(COLUMNS, high)
    assert ours.RankNetLoss(reranker_models[0])(COLUMNS, high).isfinite()


@pytest.mark.parametrize("name", LISTWISE)
def test_refused_models(classifier_models, name):
    with pytest.raises(InvalidOption, match=f"{name} trains a model with 1 output label, and this one has 3"):
        getattr(ours, name)(classifier_models[0])
    with pytest.raises(InvalidOption, match=f"{name} trains a CrossEncoder, and got a Linear"):
        getattr(ours, name)(nn.Linear(2, 2))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("LambdaLoss", {"k": -1}),
        ("LambdaLoss", {"sigma": 0.0}),
        ("RankNetLoss", {"reduction_log": "decimal"}),
        ("ADRMSELoss", {"alpha": 0.0}),
    ],
)
def test_refused_options(reranker_models, name, options):
    with pytest.raises(InvalidOption, match=next(iter(options))):
        getattr(ours, name)(reranker_models[0], **options)
