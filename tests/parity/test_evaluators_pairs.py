"""Evaluators of pairs and triplets beside the reference: the same numbers, names and CSV files."""

from __future__ import annotations

import csv
import random

import numpy as np
import pytest

from stlib import SentenceTransformer, SimilarityFunction
from stlib.errors import InvalidInput, InvalidOption
from stlib.evaluation import (
    BinaryClassificationEvaluator,
    EmbeddingSimilarityEvaluator,
    TripletEvaluator,
)

pytestmark = [
    pytest.mark.parity,
    # The reference's scientific libraries warn about constant input, which is asked for here.
    pytest.mark.filterwarnings("ignore:An input array is constant"),
    pytest.mark.filterwarnings("ignore:No positive class found in y_true"),
    pytest.mark.filterwarnings("ignore:A single label was found in 'y_true'"),
]

ALL = ["cosine", "dot", "euclidean", "manhattan"]


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
    return [" ".join(picks.choices(words, k=picks.randint(1, 6))) for _ in range(n)]


def rows(folder) -> dict[str, list[list[str]]]:
    """Every CSV file of a folder by its name."""
    return {path.name: list(csv.reader(path.read_text().splitlines())) for path in folder.iterdir()}


def same_run(ours, their, model, their_model, folder, tolerance=1e-6):
    """Two evaluations at different times of a training: the same metrics, names and CSV files."""
    for _ in range(2):
        found = ours(model, str(folder / "ours"), 2, 30)
        expected = their(their_model, str(folder / "theirs"), 2, 30)
        assert list(found) == list(expected)
        np.testing.assert_allclose(
            list(found.values()), list(expected.values()), rtol=tolerance, atol=tolerance
        )
        assert ours.primary_metric == their.primary_metric
        assert ours.primary_metric in found
    assert ours.get_config_dict() == their.get_config_dict()
    assert ours.description == their.description
    assert (ours.csv_file, ours.csv_headers) == (their.csv_file, their.csv_headers)
    written, should = rows(folder / "ours"), rows(folder / "theirs")
    assert list(written) == list(should)
    for name, lines in should.items():
        assert written[name][0] == lines[0]
        assert len(written[name]) == len(lines) == 3
        for line, expected_line in zip(written[name][1:], lines[1:], strict=True):
            np.testing.assert_allclose(
                [float(cell) for cell in line], [float(cell) for cell in expected_line], tolerance, tolerance
            )
    return found


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"name": "sts-dev"},
        {"main_similarity": "dot"},
        {"main_similarity": SimilarityFunction.EUCLIDEAN, "name": "x"},
        {"similarity_fn_names": ALL, "name": "x", "batch_size": 3},
        {"similarity_fn_names": ["manhattan", "dot"], "main_similarity": "manhattan"},
        {"truncate_dim": 8, "name": "short"},
        *({"precision": p, "similarity_fn_names": ALL} for p in ("float32", "int8", "uint8")),
        {"precision": "binary", "name": "bits", "similarity_fn_names": ALL},
        {"precision": "ubinary", "truncate_dim": 16, "similarity_fn_names": ALL},
    ],
)
def test_correlations_are_the_references(theirs, model, their_model, tmp_path, options):
    first, second, scores = texts(40, 1), texts(40, 2), np.random.default_rng(3).integers(0, 6, 40).tolist()
    ours = EmbeddingSimilarityEvaluator(first, second, scores, **options)
    if "main_similarity" in options:
        options = {**options, "main_similarity": SimilarityFunction(options["main_similarity"]).value}
    their = theirs.EmbeddingSimilarityEvaluator(first, second, scores, **options)
    # Whole numbers have many near ties, which the last bit of an embedding decides: the same model then.
    exact = options.get("precision") in ("int8", "uint8", "binary", "ubinary")
    same_run(ours, their, their_model if exact else model, their_model, tmp_path)


def test_the_main_similarity_is_measured_in_any_case(model):
    evaluator = EmbeddingSimilarityEvaluator(
        texts(9, 1), texts(9, 2), range(9), main_similarity="cosine", similarity_fn_names=["dot"]
    )
    metrics = evaluator(model)
    assert set(metrics) == {f"{m}_{f}" for m in ("pearson", "spearman") for f in ("dot", "cosine", "max")}
    assert evaluator.primary_metric == "spearman_cosine"


def test_undefined_correlations_are_nan(theirs, model, their_model):
    columns = ["a", "b"], ["c", "d"], [1, 1]
    found = EmbeddingSimilarityEvaluator(*columns)(model)
    np.testing.assert_equal(found, theirs.EmbeddingSimilarityEvaluator(*columns)(their_model))
    assert np.isnan(list(found.values())).all()
    # The reference refuses a single pair, as SciPy does.
    assert np.isnan(list(EmbeddingSimilarityEvaluator(["a"], ["b"], [1])(model).values())).all()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"name": "quora"},
        {"similarity_fn_names": ["euclidean"]},
        {"similarity_fn_names": ALL, "name": "quora", "batch_size": 3},
        {"truncate_dim": 8},
    ],
)
@pytest.mark.parametrize("labels", ["mixed", "floats", "all", "none"])
def test_decisions_are_the_references(theirs, model, their_model, tmp_path, options, labels):
    first, second = texts(40, 1), texts(20, 2) + texts(20, 1)
    picks = np.random.default_rng(3).integers(0, 2, 40)
    column = {"mixed": picks, "floats": picks.astype(float), "all": picks * 0 + 1, "none": picks * 0}[labels]
    ours = BinaryClassificationEvaluator(first, second, column.tolist(), **options)
    their = theirs.BinaryClassificationEvaluator(first, second, column.tolist(), **options)
    same_run(ours, their, model, their_model, tmp_path, 2e-6)


def test_decisions_by_hand(theirs, model):
    """Two pairs of the same text are alike, two are not."""
    evaluator = BinaryClassificationEvaluator(
        ["dog", "fox", "dog", "list"], ["dog", "fox", "sort", "word"], [1, 1, 0, 0]
    )
    metrics = evaluator(model)
    for name in ("accuracy", "f1", "precision", "recall", "ap", "mcc"):
        assert metrics[f"cosine_{name}"] == 1.0
    others = model.similarity_pairwise(model.encode(["dog", "list"]), model.encode(["sort", "word"]))
    closest = float(others.max())
    assert metrics["cosine_accuracy_threshold"] == pytest.approx((1 + closest) / 2, rel=1e-6)
    assert evaluator.compute_metrices(model) == evaluator.compute_metrics(model)
    assert theirs.BinaryClassificationEvaluator.find_best_f1_and_threshold(
        [0.9, 0.5, 0.1], [1, 0, 1], True
    ) == pytest.approx(
        BinaryClassificationEvaluator.find_best_f1_and_threshold([0.9, 0.5, 0.1], [1, 0, 1], True)
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"name": "nli"},
        {"main_similarity_function": "dot", "name": "nli"},
        {"main_similarity_function": SimilarityFunction.MANHATTAN},
        {"main_distance_function": "euclidean"},
        {"similarity_fn_names": ALL, "batch_size": 3},
        {"similarity_fn_names": ALL, "margin": 0.05, "name": "nli"},
        {"similarity_fn_names": ALL, "margin": {"cosine": 0.1, "manhattan": -3}},
        {"similarity_fn_names": ["dot", "cosine"], "main_similarity_function": "cosine"},
        {"truncate_dim": 8},
    ],
)
def test_orders_of_triplets_are_the_references(theirs, model, their_model, tmp_path, options, caplog):
    columns = texts(40, 1), texts(40, 2), texts(40, 3)
    ours = TripletEvaluator(*columns, **options)
    assert ("older name" in caplog.text) == ("main_distance_function" in options)
    if isinstance(options.get("main_similarity_function"), SimilarityFunction):
        options = {**options, "main_similarity_function": options["main_similarity_function"].value}
    same_run(ours, theirs.TripletEvaluator(*columns, **options), model, their_model, tmp_path)


def test_prompts_of_queries_and_documents_are_used_for_triplets(reference, theirs, tiny_bert, tmp_path):
    prompts = {"query": "search : ", "document": "text : the "}
    model = SentenceTransformer(tiny_bert, prompts=prompts, device="cpu")
    their_model = reference.SentenceTransformer(tiny_bert, prompts=prompts, device="cpu")
    columns = texts(60, 1), texts(60, 2), texts(60, 3)
    found = same_run(
        TripletEvaluator(*columns), theirs.TripletEvaluator(*columns), model, their_model, tmp_path
    )
    assert found != TripletEvaluator(*columns)(SentenceTransformer(tiny_bert, device="cpu"))


def test_columns_come_from_input_examples_and_data_sets(theirs, model):
    datasets = pytest.importorskip("datasets", reason="needs the extra [train]")
    examples = pytest.importorskip("stlib.readers").InputExample
    first, second, third = texts(9, 1), texts(9, 2), texts(9, 3)
    labels = [0, 1, 1] * 3
    table = datasets.Dataset.from_dict({"a": first, "b": second, "c": third, "label": labels})
    for evaluator in (EmbeddingSimilarityEvaluator, BinaryClassificationEvaluator):
        expected = evaluator(first, second, labels)(model)
        pairs = [examples(texts=[a, b], label=y) for a, b, y in zip(first, second, labels, strict=True)]
        assert evaluator.from_input_examples(pairs)(model) == expected
        assert evaluator(table["a"], table["b"], table["label"])(model) == expected
    triplets = [examples(texts=list(row)) for row in zip(first, second, third, strict=True)]
    expected = TripletEvaluator(first, second, third)(model)
    assert TripletEvaluator.from_input_examples(triplets, name="")(model) == expected
    assert TripletEvaluator(table["a"], table["b"], table["c"])(model) == expected
    with pytest.raises(InvalidInput, match="example 0 has 2 texts; 3 are needed"):
        TripletEvaluator.from_input_examples([examples(texts=["a", "b"])])


def test_metrics_are_kept_for_the_model_card(tiny_bert, tmp_path):
    model = SentenceTransformer(tiny_bert, device="cpu")
    evaluator = EmbeddingSimilarityEvaluator(texts(9, 1), texts(9, 2), range(9), name="dev", write_csv=False)
    metrics = model.evaluate(evaluator, str(tmp_path))
    assert model.model_card_data.eval_results_dict[evaluator] == metrics
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("evaluator", "names"),
    [
        (EmbeddingSimilarityEvaluator, ("sentences1", "sentences2", "scores")),
        (BinaryClassificationEvaluator, ("sentences1", "sentences2", "labels")),
        (TripletEvaluator, ("anchors", "positives", "negatives")),
    ],
)
def test_columns_that_do_not_fit_are_refused(evaluator, names):
    message = f"{names[0]} has 2, {names[1]} has 2, {names[2]} has 1; row i"
    with pytest.raises(InvalidInput, match=message):
        evaluator(["a", "b"], ["c", "d"], [1])
    with pytest.raises(InvalidInput, match="nothing to evaluate"):
        evaluator([], [], [])
    with pytest.raises(InvalidOption, match="similarity_fn_names has 'cos'; allowed are: cosine, dot"):
        evaluator(["a"], ["b"], [1], similarity_fn_names=["cos"])


def test_bad_options_are_refused(model):
    with pytest.raises(InvalidInput, match=r"labels\[1\] is 2; a label is 1 .* or 0"):
        BinaryClassificationEvaluator(["a", "b"], ["c", "d"], [1, 2])
    with pytest.raises(InvalidOption, match="precision is 'int4'; allowed are: float32"):
        EmbeddingSimilarityEvaluator(["a"], ["b"], [1], precision="int4")
    with pytest.raises(InvalidOption, match="main_similarity is 'cos'"):
        EmbeddingSimilarityEvaluator(["a"], ["b"], [1], main_similarity="cos")
    with pytest.raises(InvalidOption, match=r"margin has the keys \['cos'\]"):
        TripletEvaluator(["a"], ["b"], ["c"], margin={"cos": 1})
    with pytest.raises(InvalidOption, match="margin is a str"):
        TripletEvaluator(["a"], ["b"], ["c"], margin="0.1")


@pytest.mark.parametrize("function", ["cosine", "manhattan"])
def test_a_diverged_model_decides_nothing_rightly(tiny_bert, function, caplog):
    model = SentenceTransformer(tiny_bert, device="cpu")
    for parameter in model.parameters():
        parameter.data.fill_(float("nan"))
    evaluator = BinaryClassificationEvaluator(["a", "b"], ["c", "d"], [1, 0], similarity_fn_names=[function])
    metrics = evaluator(model)
    for name in ("accuracy", "f1", "precision", "recall", "ap", "mcc"):
        assert metrics[f"{function}_{name}"] == 0.0
    assert caplog.text.count(f"2 of 2 {function} scores are not numbers") == 1


def test_pairs_without_a_score_are_missed():
    class Table:
        similarity_fn_name = "dot"

        def encode(self, sentences, **options):
            return np.array([[float(text)] for text in sentences], dtype=np.float32)

    # Scores 3, nan, 1, nan of labels 1, 1, 0, 0.
    metrics = BinaryClassificationEvaluator(["3", "nan", "1", "nan"], ["1"] * 4, [1, 1, 0, 0])(Table())
    assert metrics["dot_accuracy"] == 0.5
    assert (metrics["dot_precision"], metrics["dot_recall"]) == (1.0, 0.5)
    assert metrics["dot_ap"] == 0.5
