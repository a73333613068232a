"""Merged models have the weights that the formulas of the methods give."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import tensor

from stlib import SentenceTransformer, errors
from stlib.base import merging
from stlib.models import Dense, Pooling, Transformer

pytestmark = pytest.mark.parity

SOME = ["How do I sort a list?", "short"]


@pytest.fixture(scope="module")
def family(tiny_bert):
    """An ancestor and two models that were tuned from it (here: by noise)."""

    def tuned(seed: int) -> SentenceTransformer:
        model = SentenceTransformer(modules=[Transformer(tiny_bert), Pooling(32), Dense(32, 4)], device="cpu")
        torch.manual_seed(seed)
        with torch.no_grad():
            model[2].linear.weight.copy_(torch.randn(4, 32))
            for parameter in model.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        return model

    return [tuned(seed) for seed in (1, 2, 3)]


def weights(model) -> torch.Tensor:
    return torch.cat([p.detach().float().flatten() for p in model.parameters()])


def test_linear_is_the_weighted_mean(family):
    _, a, b = family
    before = weights(a).clone()
    merged = SentenceTransformer.merge([a, b], parameters={"weight": [3, 1]})
    torch.testing.assert_close(weights(merged), 0.75 * weights(a) + 0.25 * weights(b))
    assert torch.equal(weights(a), before)
    assert not merged.training
    even = SentenceTransformer.merge([a, b])
    torch.testing.assert_close(weights(even), (weights(a) + weights(b)) / 2)
    total = SentenceTransformer.merge([a, b], parameters={"weight": {1: 0.5}, "normalize": False})
    torch.testing.assert_close(weights(total), weights(a) + 0.5 * weights(b))


def test_a_model_merged_with_itself_is_itself(family):
    _, a, b = family
    for method, options in (
        ("linear", {}),
        ("slerp", {}),
        ("ties", {"base_model": b}),
        ("task_arithmetic", {"base_model": b}),
    ):
        if method == "task_arithmetic":
            options = {**options, "parameters": {"weight": 0.5}}
        merged = SentenceTransformer.merge([a, a], method, **options)
        np.testing.assert_allclose(merged.encode(SOME), a.encode(SOME), atol=1e-5)


def test_task_arithmetic_adds_differences(family):
    base, a, b = family
    options = {"weight": [0.5, 0.25], "lambda": 2.0}
    for models in ([a, b], [a, base, b]):
        merged = SentenceTransformer.merge(models, "task_arithmetic", base_model=base, parameters=options)
        moved = weights(base) + 2 * (0.5 * (weights(a) - weights(base)) + 0.25 * (weights(b) - weights(base)))
        torch.testing.assert_close(weights(merged), moved)


def test_slerp_by_hand():
    a, b = tensor([1.0, 0.0]), tensor([0.0, 2.0])
    half = float(np.sin(np.pi / 4))
    torch.testing.assert_close(merging.slerp([a, b], None, {"t": 0.5}), tensor([half, 2 * half]))
    torch.testing.assert_close(merging.slerp([a, b], None, {"t": 0.0}), a)
    torch.testing.assert_close(merging.slerp([a, b], None, {"t": 1.0}), b)
    # parallel, and nothing at all
    torch.testing.assert_close(merging.slerp([a, 3 * a], None, {"t": 0.25}), 1.5 * a)
    torch.testing.assert_close(merging.slerp([0 * a, a], None, {"t": 0.25}), 0.25 * a)


def test_ties_by_hand():
    base = tensor([1.0, 1.0, 1.0, 1.0])
    # differences: the first model's smallest half is dropped
    a, b = base + tensor([4.0, -3.0, 1.0, 0.5]), base + tensor([2.0, 5.0, -2.0, 0.0])
    options = {"weight": [1.0, 1.0], "density": [0.5, 1.0], "normalize": True, "lambda": 1.0}
    # signs of the sums: +, +, -, none; entries that agree: (4 + 2) / 2, 5, -2, nothing
    torch.testing.assert_close(merging.ties([a, b], base, options), base + tensor([3.0, 5.0, -2.0, 0.0]))
    summed = merging.ties([a, b], base, {**options, "normalize": False, "lambda": 0.5})
    torch.testing.assert_close(summed, base + tensor([3.0, 2.5, -1.0, 0.0]))


def test_density_is_rounded_down_as_by_the_reference():
    base = torch.zeros(4)
    options = {"weight": [1.0], "density": [0.45], "normalize": True, "lambda": 1.0}  # of 1.8 entries
    torch.testing.assert_close(
        merging.ties([tensor([3.0, -5.0, 4.0, 1.0])], base, options), tensor([0.0, -5.0, 0.0, 0.0])
    )
    options["density"] = [0.01]  # one stays in any case
    torch.testing.assert_close(
        merging.ties([tensor([3.0, -5.0, 4.0, 1.0])], base, options), tensor([0.0, -5.0, 0.0, 0.0])
    )


def test_slerp_starts_from_its_base(family):
    _, a, b = family
    far = {"parameters": {"t": 0.25}}
    from_b = SentenceTransformer.merge([a, b], "slerp", base_model=b, **far)
    torch.testing.assert_close(weights(from_b), weights(SentenceTransformer.merge([b, a], "slerp", **far)))
    from_a = SentenceTransformer.merge([a, b], "slerp", base_model=a, **far)
    torch.testing.assert_close(weights(from_a), weights(SentenceTransformer.merge([a, b], "slerp", **far)))
    with pytest.raises(errors.InvalidOption, match="base_model is none of the models"):
        SentenceTransformer.merge([a, b], "slerp", base_model=family[0])


def test_paths_and_dtypes(family, tmp_path):
    _, a, b = family
    a.save(tmp_path / "a")
    merged = SentenceTransformer.merge([tmp_path / "a", b], out_dtype="bfloat16", dtype="float64")
    assert merged.dtype == torch.bfloat16
    expected = ((weights(a) + weights(b)) / 2).bfloat16().float()
    torch.testing.assert_close(weights(merged), expected)
    merged.save(tmp_path / "merged")
    again = SentenceTransformer(tmp_path / "merged", device="cpu", model_kwargs={"dtype": "auto"})
    torch.testing.assert_close(weights(again), expected)
    assert merged.model_card_data is not a.model_card_data


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"method": "dare"}, "unknown; use one of: linear, slerp, task_arithmetic, ties"),
        ({"method": "ties"}, "needs base_model"),
        ({"base_model": "x"}, "takes no base_model"),
        ({"parameters": {"t": 1}}, "has no parameter t; it has: weight, normalize"),
        ({"parameters": {"weight": [1]}}, "1 values for 2 models"),
        ({"parameters": {"weight": [1, -1]}}, "add up to 0"),
        ({"dtype": "int8"}, "dtype is 'int8'; use None or one of: float16"),
        ({"batch_options": 1}, "leave it out"),
    ],
)
def test_options_without_meaning_are_refused(family, options, said):
    with pytest.raises(errors.InvalidOption, match=said):
        SentenceTransformer.merge(family[:2], **options)


def test_models_of_other_builds_are_refused(family, tiny_bert, save_tokenizer):
    a = family[1]

    def build(*rest):
        return SentenceTransformer(modules=[Transformer(tiny_bert), *rest], device="cpu")

    for other, said in (
        (build(Pooling(32)), "other modules"),
        (build(Pooling(32, "cls"), Dense(32, 4)), "other settings of its Pooling"),
        (build(Pooling(32), Dense(32, 5)), "other settings of its Dense"),
    ):
        with pytest.raises(errors.InvalidOption, match=f"model 1 has {said}"):
            SentenceTransformer.merge([a, other])
    with pytest.raises(errors.InvalidOption, match="two or more"):
        SentenceTransformer.merge([a])
    with pytest.raises(errors.InvalidOption, match="models of the class SentenceTransformer"):
        SentenceTransformer.merge([a, 3])
    softer = build(Pooling(32), Dense(32, 4))
    softer[0].auto_model.config.layer_norm_eps = 0.1
    with pytest.raises(errors.InvalidOption, match="another configuration of its"):
        SentenceTransformer.merge([a, softer])
    marked = build(Pooling(32), Dense(32, 4))
    marked.tokenizer.mask_token = marked.tokenizer.unk_token
    with pytest.raises(errors.InvalidOption, match="other special tokens"):
        SentenceTransformer.merge([a, marked])
    vocabulary = build(Pooling(32), Dense(32, 4))
    vocabulary.tokenizer.add_tokens(["newword"])
    with pytest.raises(errors.InvalidOption, match="another vocabulary"):
        SentenceTransformer.merge([a, vocabulary])
