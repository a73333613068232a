"""Losses that distil a teacher, and the orthogonal regularisation: equal to the reference's."""

from __future__ import annotations

import importlib
import logging

import pytest
import torch

from stlib.errors import InvalidInput, InvalidOption, WeightsMismatch

pytestmark = pytest.mark.parity

QUERIES = [
    "how do i sort a list",
    "the quick brown fox",
    "search by meaning",
    "a short text",
    "lazy dog",
    "the answer is long",
    "in a document",
]
DOCUMENTS = [
    "sort the list by key",
    "a brown dog jumps over it",
    "the search is by words",
    "long passage with a key",
    "the lazy dog in the text",
    "only the answer",
    "query",
]
OTHERS = [
    "a dictionary",
    "fox",
    "the meaning of a query",
    "it is short ?",
    "quick !",
    "a question is not only short",
    "documents with text , and words",
]
COLUMNS = [QUERIES, DOCUMENTS, OTHERS, DOCUMENTS[::-1]]
SIZES = [1, 2, 7]
SIMILARITIES = ["pairwise_dot_score", "pairwise_cos_sim", "pairwise_euclidean_sim"]


def columns(n: int, k: int) -> list[list[str]]:
    return [column[:n] for column in COLUMNS[:k]]


def scores(*shape: int) -> torch.Tensor:
    return 4 * torch.randn(*shape, generator=torch.Generator().manual_seed(12))


# -- MarginMSE


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize(("k", "width"), [(3, None), (3, 1), (3, 2), (4, 2), (4, 3)])
def test_margin_mse(same_loss, n, similarity, k, width):
    same_loss(
        lambda losses, util, model: losses.MarginMSELoss(model, getattr(util, similarity)),
        columns(n, k),
        scores(n) if width is None else scores(n, width),
    )


def test_margin_mse_by_default_compares_dot_products(same_loss):
    same_loss(lambda losses, util, model: losses.MarginMSELoss(model), columns(7, 3), torch.arange(7))


# -- KL divergence


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("k", [3, 4])
@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize(
    "temperatures",
    [
        {},
        {"temperature": 2.0},
        {"student_temperature": 0.5},
        {"teacher_temperature": 3.0},
        {"temperature": 4.0, "student_temperature": 1.5, "teacher_temperature": 0.25},
    ],
)
def test_distill_kl_div(same_loss, n, k, similarity, temperatures):
    same_loss(
        lambda losses, util, model: losses.DistillKLDivLoss(model, getattr(util, similarity), **temperatures),
        columns(n, k),
        scores(n, k - 1),
    )


def test_teacher_may_leave_candidates_out(same_loss, caplog):
    given = torch.tensor([[2.0, -torch.inf], [1.0, 3.0]])
    same_loss(lambda losses, util, model: losses.DistillKLDivLoss(model), columns(2, 3), given)
    assert not [r for r in caplog.records if r.name.startswith("stlib")]


def test_teacher_of_wide_scores_is_reported_once(same_loss, caplog):
    given = torch.tensor([[200.0, 0.0], [1.0, 3.0]])
    loss, _ = same_loss.both(lambda losses, util, model: losses.DistillKLDivLoss(model))
    with caplog.at_level(logging.WARNING, logger="stlib"):
        for _ in range(2):
            same_loss.value(loss, columns(2, 3), given, None)
    assert [r.getMessage() for r in caplog.records] == [
        "DistillKLDivLoss: at teacher_temperature=1.0 1 of 4 probabilities of the teacher are exactly 0, so "
        "their candidates teach nothing. Scores of a row lie up to 200.0 apart; take a temperature above 2."
    ]


def test_teacher_scores_that_are_no_numbers_are_refused(same_loss):
    loss, _ = same_loss.both(lambda losses, util, model: losses.DistillKLDivLoss(model))
    with pytest.raises(InvalidInput, match="not a number"):
        same_loss.value(loss, columns(2, 3), torch.tensor([[1.0, torch.nan], [0.0, 0.0]]), None)


@pytest.mark.parametrize("name", ["temperature", "student_temperature", "teacher_temperature"])
@pytest.mark.parametrize("value", [0, -1.0, float("inf"), float("nan")])
def test_temperatures_are_positive(loss_models, name, value):
    from stlib.losses import DistillKLDivLoss

    with pytest.raises(InvalidOption, match=f"{name} is"):
        DistillKLDivLoss(loss_models[0], **{name: value})


# -- embeddings


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("metric", ["cosine", "l2", "mse"])
@pytest.mark.parametrize("projection", [None, 20])
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("own", [True, False])
def test_embed_distill(same_loss, n, metric, projection, k, own):
    width = projection or 32
    same_loss(
        lambda losses, util, model: losses.EmbedDistillLoss(model, metric, projection),
        columns(n, k),
        scores(n, k, width) if own else scores(n, width),
    )


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("projection", [None, 40])
def test_mse(same_loss, n, projection):
    width = projection or 32
    for k, labels in ((1, scores(n, width)), (2, scores(n, width)), (2, scores(n, 2, width).double())):
        same_loss(lambda losses, util, model: losses.MSELoss(model, projection), columns(n, k), labels)


def test_projections_are_exchanged(same_loss, tmp_path):
    ours, theirs = same_loss.both(lambda losses, util, model: losses.EmbedDistillLoss(model, "l2", 20))
    with torch.no_grad():
        ours.projection.weight.normal_()
    ours.save_projection(tmp_path / "ours.safetensors")
    theirs.load_projection(tmp_path / "ours.safetensors")
    assert torch.equal(theirs.projection.weight, ours.projection.weight)
    theirs.save_projection(tmp_path / "theirs.safetensors")
    without, _ = same_loss.both(lambda losses, util, model: losses.MSELoss(model))
    without.load_projection(str(tmp_path / "theirs.safetensors"))
    assert without.get_config_dict() == {"projection_dim": 20}
    assert torch.equal(without.projection.bias, ours.projection.bias)


def test_projections_that_do_not_fit_are_refused(loss_models, tmp_path):
    from safetensors.torch import save_file

    from stlib.losses import EmbedDistillLoss

    model, file = loss_models[0], tmp_path / "p.safetensors"
    with pytest.raises(InvalidOption, match="no projection"):
        EmbedDistillLoss(model).save_projection(file)
    save_file({"weight": torch.ones(8, 16), "bias": torch.ones(8)}, file)
    for loss in (EmbedDistillLoss(model), EmbedDistillLoss(model, projection_dim=8)):
        with pytest.raises(WeightsMismatch, match=r"from 16 to 8 .* from 32 to 8"):
            loss.load_projection(file)
    save_file({"other": torch.ones(2)}, file)
    with pytest.raises(WeightsMismatch, match="'other'"):
        EmbedDistillLoss(model).load_projection(file)


# -- orthogonal regularisation


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("similarity", ["cos_sim", "dot_score"])
@pytest.mark.parametrize("aggregation", ["mean", "sum"])
@pytest.mark.parametrize("weights", [(1.0, 1.0), (0.3, None), (0, 2.5)])
def test_global_orthogonal_regularization(same_loss, n, k, similarity, aggregation, weights):
    terms = same_loss(
        lambda losses, util, model: losses.GlobalOrthogonalRegularizationLoss(
            model, getattr(util, similarity), *weights, aggregation
        ),
        columns(n, k),
    )
    names = ("gor_mean", "gor_second_moment")
    assert tuple(terms) == tuple(name for name, weight in zip(names, weights, strict=True) if weight)


def test_global_orthogonal_regularization_options(loss_models):
    from stlib.losses import GlobalOrthogonalRegularizationLoss

    with pytest.raises(InvalidOption, match="at least one"):
        GlobalOrthogonalRegularizationLoss(loss_models[0], mean_weight=0, second_moment_weight=None)
    with pytest.raises(InvalidOption, match="'max'"):
        GlobalOrthogonalRegularizationLoss(loss_models[0], aggregation="max")


# -- finite differences, dropout, and what is refused


def finite(function, *shapes: tuple[int, ...]) -> bool:
    torch.manual_seed(8)
    given = [torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    return torch.autograd.gradcheck(function, given)


def test_finite_differences(loss_models):
    from stlib import losses

    model, three = loss_models[0], [(4, 3)] * 3
    kl = losses.DistillKLDivLoss(model, temperature=1.5)
    assert finite(lambda *e: kl.compute_loss_from_embeddings(e, scores(4, 2).double()), *three)
    margin = losses.MarginMSELoss(model)
    assert finite(lambda *e: margin.compute_loss_from_embeddings(list(e), scores(4).double()), *three)
    spread = losses.GlobalOrthogonalRegularizationLoss(model)
    assert finite(lambda *e: tuple(spread.compute_loss_from_embeddings(list(e)).values()), *three)
    cosent = losses.CoSENTLoss(model)
    assert finite(lambda *e: cosent.compute_loss_from_embeddings(list(e), scores(4)), *three[:2])


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("MarginMSELoss", scores(7, 3)),
        ("DistillKLDivLoss", scores(7, 3)),
        ("EmbedDistillLoss", scores(7, 32)),
        ("MSELoss", scores(7, 4, 32)),
        ("GlobalOrthogonalRegularizationLoss", None),
    ],
)
def test_dropout_draws_the_same_masks(same_loss, name, labels):
    for model in same_loss.models:
        model.train()
    try:
        same_loss(lambda losses, util, model: getattr(losses, name)(model), columns(7, 4), labels, seed=23)
    finally:
        for model in same_loss.models:
            model.eval()


@pytest.mark.parametrize(
    ("name", "k", "labels", "said"),
    [
        ("MarginMSELoss", 2, scores(2), "MarginMSELoss got 2 .* needs 3"),
        ("MarginMSELoss", 3, None, "MarginMSELoss needs labels"),
        ("MarginMSELoss", 4, scores(2), r"shape \(2,\) for 2 rows with 2 negative"),
        ("DistillKLDivLoss", 2, scores(2, 1), "needs at least 3"),
        ("DistillKLDivLoss", 3, scores(2), r"shape \(2, 2\); got \(2,\)"),
        ("DistillKLDivLoss", 3, None, "DistillKLDivLoss needs labels"),
        ("EmbedDistillLoss", 1, None, "EmbedDistillLoss needs labels"),
        ("EmbedDistillLoss", 2, scores(2), r"shape \(2,\) for 2 column"),
        ("EmbedDistillLoss", 2, scores(2, 3, 32), r"\(2, 3, 32\) for 2 column"),
        ("MSELoss", 1, scores(2, 24), "projection_dim=24"),
    ],
)
def test_wrong_input_is_refused(loss_models, name, k, labels, said):
    from stlib import losses

    features = [loss_models[0].preprocess(texts) for texts in columns(2, k)]
    with pytest.raises(InvalidInput, match=said):
        getattr(losses, name)(loss_models[0])(features, labels)


def test_unknown_distance_is_refused(loss_models):
    from stlib.losses import EmbedDistillLoss

    with pytest.raises(InvalidOption, match="'dot'; choose one of 'mse', 'l2', 'cosine'"):
        EmbedDistillLoss(loss_models[0], distance_metric="dot")


# -- all losses of pairs, labels and distillation

NAMES = [
    "AnglELoss",
    "BatchAllTripletLoss",
    "BatchHardSoftMarginTripletLoss",
    "BatchHardTripletLoss",
    "BatchSemiHardTripletLoss",
    "CoSENTLoss",
    "ContrastiveLoss",
    "ContrastiveTensionLoss",
    "ContrastiveTensionLossInBatchNegatives",
    "CosineSimilarityLoss",
    "DistillKLDivLoss",
    "EmbedDistillLoss",
    "GlobalOrthogonalRegularizationLoss",
    "MSELoss",
    "MarginMSELoss",
    "OnlineContrastiveLoss",
    "SoftmaxLoss",
    "TripletLoss",
]


@pytest.mark.parametrize("name", NAMES)
def test_signatures_and_citations(reference, name):
    import inspect
    import re

    ours, theirs = (
        getattr(importlib.import_module(f"{package}.sentence_transformer.losses"), name)
        for package in ("stlib", "sentence_transformers")
    )
    signatures = [inspect.signature(loss.__init__).parameters.values() for loss in (ours, theirs)]
    mine, other = [
        [
            (p.name, p.kind, p.default if isinstance(p.default, int | float | str | type(None)) else "object")
            for p in s
        ]
        for s in signatures
    ]
    assert mine == other
    assert hasattr(ours, "citation") == hasattr(theirs, "citation")
    if hasattr(ours, "citation"):
        keys = [re.findall(r"@\w+\{([^,]+),", loss.citation.fget(None)) for loss in (ours, theirs)]
        assert keys[0] == keys[1]


@pytest.mark.parametrize("name", NAMES)
def test_docstrings(name):
    from stlib import losses

    text = getattr(losses, name).__doc__
    for section in ("Args", "References", "Requirements", "Inputs", "Relations", "Example"):
        assert f"\n    {section}:\n" in text, section
    example = text.split("    Example:\n        ::\n")[1].split("\n    Raises:")[0]
    compile("\n".join(line[12:] for line in example.splitlines()), name, "exec")
