"""Losses of late-interaction models: value, gradients and settings are the reference's."""

from __future__ import annotations

import functools
import importlib
import logging
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from stlib.base.losses import uses_gradient_cache
from stlib.errors import InvalidInput, InvalidOption

pytestmark = pytest.mark.parity

COLUMNS = [
    "how do i sort a list|the quick fox|search|a short text|lazy dog ?|the answer is long|in it",
    "sort the list by key|a brown dog jumps|search is by words|text|the dog|only the answer|query",
    "a dictionary|fox|the meaning of a query , and of words|it|quick !|a question is short|documents",
    "how|jumps over the lazy brown dog|by|is it text ?|the the|long answer|with words",
]
PACKAGES = ("stlib.multi_vector_encoder", "sentence_transformers.multi_vector_encoder")


def columns(rows: int, n: int) -> list[list[str]]:
    return [texts.split("|")[:rows] for texts in COLUMNS[:n]]


def scores(*shape: int) -> torch.Tensor:
    return 4 * torch.randn(*shape, generator=torch.Generator().manual_seed(12))


@pytest.fixture(scope="module")
def compare(late_models) -> Any:
    """``compare(make, columns, labels)``: value, gradients and settings of both libraries; returns ours."""

    def run(make: Any, texts: list[list[str]], labels: Any = None, seed: int | None = None) -> Any:
        found = []
        for package, model in zip(PACKAGES, late_models, strict=True):
            losses = importlib.import_module(f"{package}.losses")
            scoring = importlib.import_module(f"{package}.scoring")
            loss = make(losses, scoring, model)
            model.zero_grad()
            tasks = ["query", *["document"] * (len(texts) - 1)]
            features = [
                {**model.preprocess(column, task=task), "task": task}
                for column, task in zip(texts, tasks, strict=True)
            ]
            if seed is not None:
                torch.manual_seed(seed)
            value = loss(features, labels)
            value.backward()
            gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
            found.append(
                SimpleNamespace(
                    loss=loss, value=value.detach(), gradients={k: v.clone() for k, v in gradients.items()}
                )
            )
        ours, theirs = found
        assert ours.loss.get_config_dict() == theirs.loss.get_config_dict()
        assert list(ours.loss.get_config_dict()) == list(theirs.loss.get_config_dict())
        assert_alike(ours, theirs)
        return ours

    return run


def assert_alike(ours: Any, theirs: Any) -> None:
    torch.testing.assert_close(ours.value, theirs.value, rtol=1e-5, atol=1e-5)
    assert ours.gradients.keys() == theirs.gradients.keys()
    for name, gradient in ours.gradients.items():
        limit = 5e-6 * max(1.0, float(theirs.gradients[name].abs().max()))
        torch.testing.assert_close(gradient, theirs.gradients[name], rtol=1e-5, atol=limit)


# -- the positive among the documents of the batch

RANKING = [
    {},
    {"scale": 3.0, "mini_batch_size": 2, "score_mini_batch_size": 3},
    {"mini_batch_size": 99},
]


@pytest.mark.parametrize(("rows", "n"), [(1, 3), (7, 2), (5, 4)])
@pytest.mark.parametrize("options", RANKING, ids=str)
@pytest.mark.parametrize("cached", [False, True])
def test_ranking(compare, rows, n, options, cached):
    name = f"{'Cached' if cached else ''}MultiVectorMultipleNegativesRankingLoss"
    compare(lambda losses, scoring, model: getattr(losses, name)(model, **options), columns(rows, n))


@pytest.mark.parametrize("scorer", ["mean_colbert_scores", "xtr_scores", "XTRScores", "partial"])
@pytest.mark.parametrize("cached", [False, True])
def test_scores_of_ranking(compare, scorer, cached):
    name = f"{'Cached' if cached else ''}MultiVectorMultipleNegativesRankingLoss"

    def make(losses, scoring, model):
        function = {
            "partial": lambda: functools.partial(scoring.colbert_scores, chunk_elements=500),
            "XTRScores": lambda: scoring.XTRScores(top_k=4),
        }.get(scorer, lambda: getattr(scoring, scorer))()
        return getattr(losses, name)(model, similarity_fct=function)

    compare(make, columns(6, 3))


def test_cached_by_tokens_equals_plain_also_with_dropout(compare, late_models):
    loss = "CachedMultiVectorMultipleNegativesRankingLoss"
    for model in late_models:
        model.train()
    try:
        compare(
            lambda losses, scoring, model: getattr(losses, loss)(model, mini_batch_num_tokens=20),
            columns(7, 3),
            seed=5,
        )
    finally:
        for model in late_models:
            model.eval()
    plain = compare(lambda losses, s, m: losses.MultiVectorMultipleNegativesRankingLoss(m), columns(7, 3))
    cached = compare(lambda losses, s, m: getattr(losses, loss)(m, mini_batch_size=2), columns(7, 3))
    assert_alike(cached, plain)
    assert uses_gradient_cache(cached.loss)
    assert not uses_gradient_cache(plain.loss)


def test_cached_loss_without_gradients_is_the_value(late_models):
    from stlib.multi_vector_encoder import losses

    features = [late_models[0].preprocess(texts) for texts in columns(5, 3)]
    loss = losses.CachedMultiVectorMultipleNegativesRankingLoss(late_models[0], mini_batch_size=2)
    with torch.no_grad():
        value = loss(features)
    assert not value.requires_grad
    torch.testing.assert_close(
        value, losses.MultiVectorMultipleNegativesRankingLoss(late_models[0])(features)
    )


# -- distillation


@pytest.mark.parametrize(("rows", "n"), [(1, 3), (7, 3), (5, 4)])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"temperature": 2.0, "mini_batch_size": 3},
        {"temperature": 4.0, "student_temperature": 1.5, "teacher_temperature": 0.25},
    ],
    ids=str,
)
def test_distill_kl_div(compare, rows, n, options):
    compare(
        lambda losses, scoring, model: losses.MultiVectorDistillKLDivLoss(model, **options),
        columns(rows, n),
        scores(rows, n - 1),
    )


@pytest.mark.parametrize("scorer", ["mean_colbert_kd_scores", "XTRKDScores"])
def test_scores_of_distill_kl_div(compare, scorer):
    def make(losses, scoring, model):
        function = scoring.XTRKDScores(top_k=4) if scorer == "XTRKDScores" else getattr(scoring, scorer)
        return losses.MultiVectorDistillKLDivLoss(model, similarity_fct=function)

    compare(make, columns(5, 4), scores(5, 3))


def test_candidates_that_a_teacher_rules_out_do_not_spoil_the_loss(late_models):
    from stlib.multi_vector_encoder.losses import MultiVectorDistillKLDivLoss

    features = [late_models[0].preprocess(texts) for texts in columns(2, 4)]
    ruled_out = torch.tensor([[2.0, 1.0, -torch.inf], [1.0, 3.0, -torch.inf]])
    assert torch.isfinite(MultiVectorDistillKLDivLoss(late_models[0])(features, ruled_out))


@pytest.mark.parametrize("scorer", [None, "mean_colbert_scores_pairwise", "xtr_scores_pairwise"])
@pytest.mark.parametrize(("n", "width"), [(3, None), (3, 1), (3, 2), (4, 2), (4, 3)])
def test_margin_mse(compare, scorer, n, width):
    compare(
        lambda losses, scoring, model: losses.MultiVectorMarginMSELoss(
            model, similarity_fct=scorer and getattr(scoring, scorer), mini_batch_size=None if scorer else 4
        ),
        columns(6, n),
        scores(6) if width is None else scores(6, width),
    )


# -- what is refused


def test_options_without_a_meaning(late_models):
    from stlib.multi_vector_encoder import losses as family

    for name, option in (
        ("MultiVectorMultipleNegativesRankingLoss", {"scale": 0}),
        ("MultiVectorMultipleNegativesRankingLoss", {"score_mini_batch_size": 0}),
        ("CachedMultiVectorMultipleNegativesRankingLoss", {"mini_batch_size": 0}),
        ("CachedMultiVectorMultipleNegativesRankingLoss", {"mini_batch_num_tokens": -1}),
        ("MultiVectorDistillKLDivLoss", {"teacher_temperature": float("inf")}),
        ("MultiVectorMarginMSELoss", {"mini_batch_size": -3}),
    ):
        with pytest.raises(InvalidOption, match=next(iter(option))):
            getattr(family, name)(late_models[0], **option)
    with pytest.raises(InvalidOption, match="pass a loaded model"):
        family.MultiVectorMarginMSELoss("colbert")


def test_batches_of_another_form(late_models):
    from stlib.multi_vector_encoder import losses as family

    features = [late_models[0].preprocess(texts) for texts in columns(2, 3)]
    with pytest.raises(InvalidInput, match="needs 2: a query"):
        family.MultiVectorMultipleNegativesRankingLoss(late_models[0])(features[:1])
    with pytest.raises(InvalidInput, match="needs 2: a query"):
        family.CachedMultiVectorMultipleNegativesRankingLoss(late_models[0])(features[:1])
    with pytest.raises(InvalidInput, match="needs 3: a query and two candidates"):
        family.MultiVectorDistillKLDivLoss(late_models[0])(features[:2], scores(2, 1))
    with pytest.raises(InvalidInput, match=r"of shape \(2, 2\); got \(2, 3\)"):
        family.MultiVectorDistillKLDivLoss(late_models[0])(features, scores(2, 3))
    with pytest.raises(InvalidInput, match="needs labels"):
        family.MultiVectorMarginMSELoss(late_models[0])(features)


def test_a_teacher_that_is_too_sure_is_told_of(late_models, caplog):
    from stlib.multi_vector_encoder.losses import MultiVectorDistillKLDivLoss

    features = [late_models[0].preprocess(texts) for texts in columns(2, 3)]
    with caplog.at_level(logging.WARNING):
        MultiVectorDistillKLDivLoss(late_models[0])(features, torch.tensor([[900.0, 1.0], [800.0, 3.0]]))
    assert "teacher" in caplog.text
