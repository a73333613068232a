"""Evaluators of mining, translation, distillation and labels beside the reference."""

from __future__ import annotations

import csv
import itertools
import random

import numpy as np
import pytest
import torch

from stlib import SentenceTransformer
from stlib.errors import InvalidInput, InvalidOption
from stlib.evaluation import (
    LabelAccuracyEvaluator,
    MSEEvaluator,
    ParaphraseMiningEvaluator,
    TranslationEvaluator,
)
from stlib.sentence_transformer.evaluation import MSEEvaluatorFromDataFrame, translation

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def model(tiny_bert):
    return SentenceTransformer(tiny_bert, device="cpu")


@pytest.fixture(scope="module")
def theirs(reference):
    return pytest.importorskip("sentence_transformers.sentence_transformer.evaluation")


@pytest.fixture(scope="module")
def their_model(reference, tiny_bert):
    return reference.SentenceTransformer(tiny_bert, device="cpu")


def texts(n: int, seed: int) -> list[str]:
    words = "sort list key dictionary quick brown fox jumps over lazy dog search meaning word text".split()
    picks = random.Random(seed)
    return [" ".join(picks.choices(words, k=picks.randint(2, 6))) for _ in range(n)]


def same_run(ours, their, model, their_model, folder):
    """Two evaluations at different times of a training: the same metrics, names and CSV files."""
    for epoch in (1, 2):
        found = ours(model, str(folder / "ours"), epoch, 30)
        expected = their(their_model, str(folder / "theirs"), epoch, 30)
        assert list(found) == list(expected)
        np.testing.assert_allclose(list(found.values()), list(expected.values()), rtol=2e-6, atol=1e-7)
        assert ours.primary_metric == their.primary_metric
        assert ours.primary_metric in found
    assert ours.get_config_dict() == their.get_config_dict()
    assert ours.description == their.description
    written, should = (
        list(csv.reader((folder / name / their.csv_file).read_text().splitlines()))
        for name in ("ours", "theirs")
    )
    assert written[0] == should[0] == ours.csv_headers
    assert len(written) == len(should) == 3
    for line, expected_line in zip(written[1:], should[1:], strict=True):
        numbers = [[float(cell) for cell in cells] for cells in (line, expected_line)]
        np.testing.assert_allclose(*numbers, rtol=2e-6, atol=1e-7)
    return found


# -- mining


def sentences_with_duplicates() -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Thirty sentences in three wordings, of which neighbours are known as duplicates."""
    base = texts(30, 5)
    wordings = [text for line in base for text in (line, f"the {line}", f"{line} .")]
    sentences = {f"q{i}": text for i, text in enumerate(wordings)}
    return sentences, [(f"q{3 * i}", f"q{3 * i + 1}") for i in range(30)] + [
        (f"q{3 * i + 1}", f"q{3 * i + 2}") for i in range(30)
    ]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"name": "quora", "add_transitive_closure": True},
        {"max_pairs": 25, "batch_size": 3},
        {"top_k": 1, "add_transitive_closure": True},
        {"query_chunk_size": 7, "corpus_chunk_size": 11, "top_k": 3, "name": "small"},
        {"truncate_dim": 8},
    ],
)
@pytest.mark.parametrize("form", ["list", "dict", "both"])
def test_mined_paraphrases_are_the_references(theirs, model, their_model, tmp_path, options, form):
    sentences, pairs = sentences_with_duplicates()
    pairs.append(("q1", "unknown"))

    def duplicates():
        table = {key: dict.fromkeys(sentences, False) for key in [*sentences, "unknown"]}
        for a, b in pairs[:20]:
            table[a][b] = table[b][a] = True
        given = {"duplicates_list": pairs, "duplicates_dict": table}
        return {
            "list": {"duplicates_list": pairs},
            "dict": {"duplicates_dict": table},
            "both": given,
        }[form]

    ours = ParaphraseMiningEvaluator(sentences, **duplicates(), **options)
    their = theirs.ParaphraseMiningEvaluator(sentences, **duplicates(), **options)
    assert ours.total_num_duplicates == their.total_num_duplicates
    same_run(ours, their, model, their_model, tmp_path)


def test_the_transitive_closure_connects_all_and_only_what_is_connected():
    graph = {"a": {"b": True}, "b": {"a": True, "c": True, "x": False}, "d": {"e": True}, "x": {}}
    closed = ParaphraseMiningEvaluator.add_transitive_closure(graph)
    found = {frozenset((a, b)) for a, others in closed.items() for b, yes in others.items() if yes}
    assert found == {frozenset(pair) for pair in itertools.combinations("abc", 2)} | {frozenset("de")}
    assert all(closed[b][a] for a, b in map(sorted, found))
    evaluator = ParaphraseMiningEvaluator(
        dict(zip("abcdef", texts(6, 1), strict=True)),
        [("a", "b"), ("b", "c"), ("c", "d"), ("e", "e")],
        add_transitive_closure=True,
    )
    # Four sentences, each a duplicate of the three others; a sentence is not its own.
    assert evaluator.total_num_duplicates == 6


def test_duplicates_that_are_not_found_are_missed(model):
    """By hand: one of two duplicates is found, as the best of all pairs."""
    sentences = {"a": "the quick fox", "b": "The QUICK fox", "c": "list of words", "d": "dog"}
    metrics = ParaphraseMiningEvaluator(sentences, [("a", "b"), ("a", "d")], max_pairs=1)(model)
    assert metrics["average_precision"] == 0.5
    assert (metrics["precision"], metrics["recall"]) == (1.0, 0.5)
    assert metrics["f1"] == pytest.approx(2 / 3)
    nothing = ParaphraseMiningEvaluator(sentences, [])(model)
    assert set(nothing.values()) == {0.0}


# -- translation


@pytest.mark.parametrize("options", [{}, {"name": "en-x", "batch_size": 3}, {"truncate_dim": 4}])
@pytest.mark.parametrize("block", [2**24, 50, 1])
def test_translations_are_the_references(theirs, model, their_model, tmp_path, options, block, monkeypatch):
    """Also when similarities are computed for a few, or single, sentences at a time."""
    monkeypatch.setattr(translation, "_BLOCK", block)
    sources = texts(25, 1)
    targets = [" ".join(reversed(text.split())) for text in sources]
    targets[3], targets[7] = targets[7], targets[3]
    targets[9] = targets[8]  # a match by its text, at another position
    found = same_run(
        TranslationEvaluator(sources, targets, **options),
        theirs.TranslationEvaluator(sources, targets, **options),
        model,
        their_model,
        tmp_path,
    )
    assert 0 < next(iter(found.values())) < 1


class Numbers:
    """Texts are numbers; their vectors are angles."""

    similarity_fn_name = "cosine"

    def encode(self, sentences, **options):
        angles = torch.tensor([float(text) for text in sentences])
        return torch.stack([angles.cos(), angles.sin()], dim=1)


@pytest.mark.parametrize("block", [2**24, 1])
def test_sentences_without_a_vector_match_nothing(block, monkeypatch, caplog, capsys):
    monkeypatch.setattr(translation, "_BLOCK", block)
    # The first target has no vector, and neither has the last source.
    evaluator = TranslationEvaluator(["0", "1", "nan"], ["nan", "1.1", "2"], print_wrong_matches=True)
    metrics = evaluator(Numbers())
    assert metrics == {"src2trg_accuracy": 1 / 3, "trg2src_accuracy": 1 / 3, "mean_accuracy": 1 / 3}
    assert caplog.text.count("5 of 9 similarities are not numbers") == 1
    assert "Wrong match of source 2: nan\n  found nothing" in capsys.readouterr().out
    metrics = TranslationEvaluator(["nan", "nan"], ["nan", "nan"])(Numbers())
    assert set(metrics.values()) == {0.0}


def test_sentences_without_a_vector_are_no_paraphrases(caplog):
    sentences = {"x": "nan", "a": "0", "y": "nan", "b": "0.1", "c": "2"}
    evaluator = ParaphraseMiningEvaluator(sentences, [("a", "b"), ("x", "y")])
    metrics = evaluator(Numbers())
    # Pairs in order: ab (right), bc, ac; xy is missed.
    assert metrics["average_precision"] == 0.5
    assert (metrics["precision"], metrics["recall"]) == (1.0, 0.5)
    assert caplog.text.count("2 of 5 embeddings are not numbers") == 1
    broken = ParaphraseMiningEvaluator(dict.fromkeys("abc", "nan"), [("a", "b")])
    assert set(broken(Numbers()).values()) == {0.0}


def test_wrong_matches_are_printed(model, capsys):
    words = ["fox", "dog", "list"]
    evaluator = TranslationEvaluator(words, ["dog", "fox", "list"], print_wrong_matches=True)
    assert set(evaluator(model).values()) == {1 / 3}
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "Wrong match of source 0: fox"
    assert printed[1] == "  found target 1 (1.0000): fox"
    score = float(model.similarity(model.encode("fox"), model.encode("dog")))
    assert printed[2] == f"  translation ({score:.4f}): dog"
    assert printed[3] == "    1. target 1 (1.0000): fox"
    assert len([line for line in printed if line.startswith("Wrong")]) == 2


# -- distillation


@pytest.mark.parametrize("options", [{}, {"name": "dev", "batch_size": 3}, {"truncate_dim": 8}])
def test_distances_from_a_teacher_are_the_references(theirs, model, their_model, tmp_path, options):
    sources, targets = texts(25, 1), texts(25, 2)
    ours = MSEEvaluator(sources, targets, teacher_model=model, **options)
    their = theirs.MSEEvaluator(sources, targets, teacher_model=their_model, **options)
    same_run(ours, their, model, their_model, tmp_path)
    width = options.get("truncate_dim", 32)
    difference = model.encode(sources)[:, :width] - model.encode(targets)[:, :width]
    metrics = ours(model)
    assert metrics[ours.primary_metric] == pytest.approx(-100 * float((difference**2).mean()), rel=1e-6)


@pytest.mark.parametrize("options", [{}, {"name": "dev", "batch_size": 3}, {"truncate_dim": 8}])
def test_distances_of_many_languages_are_the_references(theirs, model, their_model, tmp_path, options):
    columns = [texts(12, seed) for seed in (1, 2, 3)]
    table = [dict(zip(("en", "de", "fr"), row, strict=True)) for row in zip(*columns, strict=True)]
    table[4]["de"] = " "
    table[5]["en"] = ""
    pairs = [("en", "de"), ("en", "fr"), ("fr", "de")]
    same_run(
        MSEEvaluatorFromDataFrame(table, model, pairs, **options),
        theirs.MSEEvaluatorFromDataFrame(table, their_model, pairs, **options),
        model,
        their_model,
        tmp_path,
    )


def test_teachers_that_do_not_fit_are_refused(model, tiny_bert):
    with pytest.raises(InvalidOption, match="teacher_model is None"):
        MSEEvaluator(["a"], ["b"])
    with pytest.raises(InvalidInput, match="source_sentences has 2, target_sentences has 1"):
        MSEEvaluator(["a", "b"], ["c"], teacher_model=model)
    narrow = SentenceTransformer(tiny_bert, truncate_dim=1, device="cpu")
    with pytest.raises(InvalidInput, match="teacher's embeddings have 32 dimensions and the student's 1"):
        MSEEvaluator(["a"], ["b"], teacher_model=model)(narrow)
    with pytest.raises(InvalidInput, match="row 0 of dataframe has no 'fr', only 'en', 'de'"):
        MSEEvaluatorFromDataFrame([{"en": "a", "de": "b"}], model, [("en", "fr")])
    with pytest.raises(InvalidInput, match="no row of dataframe has a text in both 'en' and 'de'"):
        MSEEvaluatorFromDataFrame([{"en": "a", "de": ""}], model, [("en", "de")])
    with pytest.raises(InvalidInput, match="combinations is empty"):
        MSEEvaluatorFromDataFrame([{"en": "a"}], model, [])


# -- labels


@pytest.mark.parametrize("name", ["", "nli"])
def test_accuracies_of_labels_are_the_references(reference, theirs, model, their_model, tmp_path, name):
    from torch.utils.data import DataLoader

    from stlib.losses import SoftmaxLoss
    from stlib.readers import InputExample

    their_losses = pytest.importorskip("sentence_transformers.sentence_transformer.losses")
    torch.manual_seed(3)
    ours = SoftmaxLoss(model, 32, 3)
    their = their_losses.SoftmaxLoss(their_model, 32, 3)
    their.classifier.load_state_dict(ours.classifier.state_dict())
    labels = np.random.default_rng(1).integers(0, 3, 20).tolist()
    rows = list(zip(texts(20, 1), texts(20, 2), labels, strict=True))

    def loader(example):
        return DataLoader([example(texts=[a, b], label=label) for a, b, label in rows], batch_size=6)

    found = same_run(
        LabelAccuracyEvaluator(loader(InputExample), name, ours),
        theirs.LabelAccuracyEvaluator(loader(reference.InputExample), name, their),
        model,
        their_model,
        tmp_path,
    )
    assert 0 < next(iter(found.values())) < 1


def test_labels_need_a_classifier_and_examples(model):
    from torch.utils.data import DataLoader

    with pytest.raises(InvalidOption, match="softmax_model is None"):
        LabelAccuracyEvaluator(DataLoader([1]))
    with pytest.raises(InvalidInput, match="the dataloader has no examples"):
        LabelAccuracyEvaluator(DataLoader([]), softmax_model=torch.nn.Linear(1, 1))(model)


def test_columns_that_do_not_fit_are_refused():
    with pytest.raises(InvalidInput, match="source_sentences has 1, target_sentences has 2"):
        TranslationEvaluator(["a"], ["b", "c"])
    with pytest.raises(InvalidInput, match="nothing to evaluate"):
        TranslationEvaluator([], [])
    with pytest.raises(InvalidInput, match="sentences_map has no sentences"):
        ParaphraseMiningEvaluator({})
