"""The recipe of the sparse model: gradients, int8 matrices, and how a gain is told from chance."""

from __future__ import annotations

import numpy as np
import torch

from data.sparse.build import choose_words
from data.sparse.export import go_half_way, quantise, silence
from data.sparse.measure import WEIGHTS, Measured, chance, cross_validated
from data.sparse.network import DocumentEncoder
from data.sparse.train import presence


def tiny_model():
    from transformers import BertConfig, BertForMaskedLM

    torch.manual_seed(4)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
    return BertForMaskedLM(BertConfig(vocab_size=50, initializer_range=0.5, **sizes)).eval()


def test_network_has_the_gradients_of_plain_splade():
    model, live = tiny_model(), torch.tensor([3, 7, 20, 21, 40])
    ids = torch.tensor([[1, 7, 9, 30], [1, 20, 0, 0]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    logits = model(input_ids=ids, attention_mask=mask).logits.masked_fill(mask[:, :, None] == 0, -1e9)
    plain = torch.log1p(torch.relu(logits.max(1).values[:, live]))
    found = DocumentEncoder(model, live)(ids, mask)
    dense = torch.zeros(2, 5).index_put((found.rows, found.terms), found.weights)
    torch.testing.assert_close(dense, plain)
    table, asked = torch.tensor([1.0, 2.0, 0.5, 1.0, 3.0]), torch.tensor([[1.0, 0, 1, 0, 1]])
    torch.testing.assert_close(found.scores(table, asked), (asked * table) @ plain.T)
    torch.testing.assert_close(found.flops(5, torch.arange(5)), plain.mean(0).square().sum())

    weight = model.cls.predictions.transform.dense.weight
    (expected,) = torch.autograd.grad(plain.square().sum(), weight, retain_graph=True)
    (gradient,) = torch.autograd.grad(found.weights.square().sum(), weight)
    torch.testing.assert_close(gradient, expected)
    assert (found.weights > 0).all()


def test_only_wanted_words():
    encoder = DocumentEncoder(tiny_model(), torch.tensor([3, 7, 20, 21, 40]))
    ids = torch.tensor([[1, 7, 9, 30]])
    everything, some = encoder(ids, torch.ones_like(ids)), torch.tensor([1, 4])
    found = encoder(ids, torch.ones_like(ids), some)
    kept = torch.isin(everything.terms, some)
    assert found.terms.tolist() == everything.terms[kept].tolist()
    torch.testing.assert_close(found.weights, everything.weights[kept])


def test_presence_is_of_known_words_and_once():
    places = np.array([-1, -1, 0, 1])
    assert presence([[2, 2, 1], [], [3, 2]], places, 2).tolist() == [[1, 0], [0, 0], [1, 1]]


def test_matrices_become_int8_and_words_fall_silent():
    matrix = np.array([[1.27, -0.5], [0.0, 0.0], [-254.0, 2.0]], np.float32)
    coded = quantise({"a.weight": matrix, "b.bias": np.ones(2, np.float32), "weight": np.ones(3, np.float32)})
    assert sorted(coded) == ["a.scale", "a.weight", "b.bias", "weight"]
    assert coded["a.weight"].tolist() == [[127, -50], [0, 0], [-127, 1]]
    np.testing.assert_allclose(coded["a.weight"] * coded["a.scale"], matrix, atol=1e-6)
    model = tiny_model()
    silence(model, np.array([3, 7]))
    assert torch.nonzero(model.cls.predictions.bias > -1_000).squeeze(1).tolist() == [3, 7]


def test_half_way():
    model, start = tiny_model(), tiny_model()
    before = model.cls.predictions.transform.dense.weight.detach().clone()
    with torch.no_grad():
        for value in start.parameters():
            value.zero_()
    go_half_way(model, start)
    torch.testing.assert_close(model.cls.predictions.transform.dense.weight, before / 2)


def test_frequent_words_are_chosen():
    rarity = np.full(1_004, 1.0, np.float32)
    rarity[[5, 1_000, 1_002]] = [0.1, 0.2, 0.3]
    assert choose_words(rarity, 3).tolist() == [1_000, 1_002]


def test_a_weight_is_chosen_on_other_questions_than_it_is_judged_by():
    generator = np.random.default_rng(0)
    values = generator.uniform(size=(len(WEIGHTS), 40))
    values[4] += 2  # the best everywhere
    found, chosen = cross_validated([Measured("set", values)])
    assert chosen == [WEIGHTS[4]] * 5
    np.testing.assert_array_equal(found[0], values[4])


def test_chance():
    assert chance(np.ones(10)) < 0.01  # 2 of 1,024 draws of signs are as far
    assert chance(np.tile([1.0, -1.0], 10)) == 1.0
