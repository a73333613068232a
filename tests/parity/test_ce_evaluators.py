"""Evaluators of rerankers beside the reference: the same numbers, names, files and columns."""

from __future__ import annotations

import csv
import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from stlib import InputExample
from stlib.base.evaluation.bm25 import BM25
from stlib.base.evaluation.statistics import class_f1
from stlib.cross_encoder import evaluation
from stlib.errors import InvalidInput, InvalidOption

pytestmark = pytest.mark.parity

MODULE = "sentence_transformers.cross_encoder.evaluation"


@pytest.fixture(scope="module")
def theirs(reference):
    return pytest.importorskip(MODULE)


class Scorer:
    """A model whose scores are drawn from the text of the pair; it remembers how it was asked."""

    def __init__(self, num_labels=1):
        self.num_labels = num_labels
        self.calls = []
        self.model_card_data = self

    def set_evaluation_metrics(self, evaluator, metrics, epoch=0, step=0):
        self.recorded = list(metrics), epoch, step

    def predict(self, pairs, **options):
        self.calls.append(([tuple(pair) for pair in pairs], options))
        rows = [np.random.default_rng(list("|".join(pair).encode())).normal(size=3) for pair in pairs]
        scores = np.array(rows, dtype=np.float32)
        return scores[:, 0] if self.num_labels == 1 else scores


def both(theirs, name, arguments, options, tmp_path, num_labels=1, positive=None):
    """Run our evaluator and theirs; the metrics, CSV files, primary metric and calls must be the same."""
    results = []
    for library in (evaluation, theirs):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            evaluator = getattr(library, name)(*arguments, **options)
            model, folder = Scorer(num_labels), tmp_path / str(len(results))
            metrics = [evaluator(model, str(folder)), evaluator(model, str(folder), 2, 30)]
        results.append((evaluator, metrics, files(folder), model.calls))
    (mine, my_metrics, my_files, my_calls), (other, expected, its_files, its_calls) = results
    assert [list(one) for one in my_metrics] == [list(one) for one in expected]
    for found, wanted in zip(my_metrics, expected, strict=True):
        assert found == pytest.approx(wanted, abs=1e-6, nan_ok=True)
    assert mine.primary_metric == other.primary_metric
    assert mine.get_config_dict() == other.get_config_dict()
    assert my_calls == its_calls
    assert my_files.keys() == its_files.keys()
    for file, rows in my_files.items():
        assert rows[0] == its_files[file][0]
        for row, wanted in zip(rows[1:], its_files[file][1:], strict=True):
            assert list(map(float, row)) == pytest.approx(list(map(float, wanted)), abs=1e-6, nan_ok=True)
    return mine, my_metrics[0]


def files(folder: Path):
    found = {}
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            found[path.name] = list(csv.reader(file))
    return found


PAIRS = [(f"query {i % 7}", f"document {i}") for i in range(60)]


@pytest.mark.parametrize("options", [{}, {"name": "dev", "batch_size": 4, "prompt_name": "p"}], ids=str)
def test_decisions_about_pairs(theirs, options, tmp_path):
    labels = np.random.default_rng(0).integers(0, 2, len(PAIRS)).tolist()
    both(theirs, "CrossEncoderClassificationEvaluator", (PAIRS, labels), options, tmp_path)
    assert len(files(tmp_path / "0")) == 1


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_classes_of_pairs(theirs, n_classes, tmp_path):
    labels = np.random.default_rng(1).integers(0, n_classes, len(PAIRS)).tolist()
    both(
        theirs,
        "CrossEncoderClassificationEvaluator",
        (PAIRS, labels),
        {"name": "nli"},
        tmp_path,
        num_labels=3,
    )


def test_class_f1_by_hand():
    # Class 0: right 1 of 2, said 1; class 1: right 1 of 1, said 2; class 2: never said, once right.
    found = class_f1([0, 0, 1, 2], [0, 1, 1, 0])
    assert found.micro == 0.5
    assert found.macro == pytest.approx((0.5 + 2 / 3 + 0) / 3)
    assert found.weighted == pytest.approx((2 * 0.5 + 2 / 3) / 4)


@pytest.mark.parametrize("options", [{}, {"name": "sts", "write_csv": False}], ids=str)
def test_correlation(theirs, options, tmp_path):
    scores = np.random.default_rng(2).random(len(PAIRS)).round(1).tolist()
    both(theirs, "CrossEncoderCorrelationEvaluator", (PAIRS, scores), options, tmp_path)


def test_a_correlation_that_is_not_defined(theirs, tmp_path):
    both(theirs, "CrossEncoderCorrelationEvaluator", (PAIRS, [0.5] * len(PAIRS)), {}, tmp_path)


def samples(key, seed=3, n=20):
    rng = np.random.default_rng(seed)
    made = []
    for i in range(n):
        positive = [f"good {i} {j}" for j in range(rng.integers(0 if key == "documents" else 1, 5))]
        others = [f"bad {i} {j}" for j in range(rng.integers(2, 30))]
        sample = {"query": f"query {i}", "positive": positive[0] if i == 1 and positive else positive}
        if key == "negative":
            sample["negative"] = others
        else:  # some positives are not found, some documents come twice
            found = [*others, *positive[: rng.integers(0, len(positive) + 1)], others[0]]
            sample["documents"] = [found[j] for j in rng.permutation(len(found))]
        made.append(sample)
    return made


@pytest.mark.parametrize("key", ["documents", "negative"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"always_rerank_positives": False},
        {"name": "dev", "at_k": 3, "batch_size": 7, "prompt_name": "p", "show_progress_bar": True},
        {"mrr_at_k": 5, "write_csv": False},
    ],
    ids=str,
)
def test_reranking(theirs, key, options, tmp_path):
    both(theirs, "CrossEncoderRerankingEvaluator", (samples(key),), options, tmp_path)


def test_samples_by_name_are_a_list_too(theirs, tmp_path):
    both(theirs, "CrossEncoderRerankingEvaluator", (dict(enumerate(samples("negative"))),), {}, tmp_path)


def test_equal_scores_have_no_order():
    class Same(Scorer):
        def predict(self, pairs, **options):
            return np.zeros(len(pairs), dtype=np.float32)

    sample = {"query": "q", "positive": ["a"], "negative": ["b", "c"]}
    found = evaluation.CrossEncoderRerankingEvaluator([sample])(Same())
    assert found["mrr@10"] == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert found["map"] == pytest.approx(1 / 3)


# -- NanoBEIR


def dataset(seed, n_queries=6, n_documents=40):
    rng = np.random.default_rng(seed)
    corpus = [{"_id": f"d{i}", "text": f"document {seed} {i}" if i else ""} for i in range(n_documents)]
    queries = [{"_id": f"q{i}", "text": f"document {seed} {i}"} for i in range(n_queries)]
    judgments, found = [], []
    for i in range(n_queries):
        order = rng.permutation(n_documents).tolist()
        found.append({"query-id": f"q{i}", "corpus-ids": [f"d{j}" for j in order[:20]]})
        relevant = rng.choice(n_documents, size=4, replace=False).tolist()
        judgments += [{"query-id": f"q{i}", "corpus-id": f"d{j}"} for j in sorted(relevant)]
    return {"corpus": corpus, "queries": queries, "qrels": judgments, "bm25": found}


DATASETS = {"NanoMSMARCO": dataset(0), "NanoNQ": dataset(1)}


def write_lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A dataset of four subsets and two splits that the package datasets loads from its folder."""
    datasets = pytest.importorskip("datasets")
    folder = tmp_path_factory.mktemp("nano")
    lines = ["---", "configs:"]
    for subset in ("corpus", "queries", "qrels", "bm25"):
        lines += [f"- config_name: {subset}", "  data_files:"]
        for name, rows in DATASETS.items():
            lines += [f"  - split: {name}", f"    path: {subset}/{name}.jsonl"]
            write_lines(folder / subset / f"{name}.jsonl", rows[subset])
    (folder / "README.md").write_text("\n".join([*lines, "---", ""]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
        datasets.disable_progress_bars()
        yield str(folder)
        datasets.enable_progress_bars()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rerank_k": 7, "at_k": 3, "always_rerank_positives": False, "aggregate_fn": max},
        {"aggregate_key": "best", "write_csv": False, "prompt_name": "p", "batch_size": 5},
    ],
    ids=str,
)
def test_nano_beir(theirs, stored, options, tmp_path):
    results = []
    for library in (evaluation, theirs):
        evaluator = library.CrossEncoderNanoBEIREvaluator(["MSMARCO", "nq"], stored, **options)
        folder = tmp_path / str(len(results))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results.append((evaluator, evaluator(Scorer(), str(folder)), files(folder)))
    (mine, found, my_files), (other, expected, its_files) = results
    assert list(found) == list(expected)
    assert found == pytest.approx(expected, abs=1e-6)
    assert mine.primary_metric == other.primary_metric
    assert mine.get_config_dict() == other.get_config_dict()
    assert my_files.keys() == its_files.keys()
    for file, rows in my_files.items():
        assert rows[0] == its_files[file][0]
        assert list(map(float, rows[1])) == pytest.approx(list(map(float, its_files[file][1])), abs=1e-6)


def test_nano_beir_of_a_folder_finds_its_own_candidates(tmp_path):
    texts = {"a": "red fox", "b": "blue fox", "c": "red red apple", "d": "nothing here"}
    folder = tmp_path / "fruit"
    write_lines(folder / "corpus.jsonl", [{"_id": i, "text": text} for i, text in texts.items()])
    write_lines(
        folder / "queries.jsonl", [{"_id": "q", "text": "Red fox?"}, {"_id": "unjudged", "text": "x"}]
    )
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\tb\t1\n")
    evaluator = evaluation.CrossEncoderNanoBEIREvaluator(dataset_id=tmp_path, rerank_k=3)
    [reranking] = evaluator.evaluators
    assert reranking.samples == [
        {"query": "Red fox?", "positive": ["blue fox"], "documents": ["red fox", "red red apple", "blue fox"]}
    ]
    metrics = evaluator(Scorer())
    assert metrics["fruit_R3_base_mrr@10"] == metrics["NanoBEIR_R3_mean_base_mrr@10"] == 1 / 3
    assert evaluator.primary_metric == "NanoBEIR_R3_mean_ndcg@10"


def test_bm25_by_hand():
    corpus = {"a": "x y", "b": "X x z z", "c": "y"}
    bm25 = BM25(corpus, k1=1.2, b=0.75)

    def weight(documents_with_it, times, length):
        rarity = np.log(1 + (3 - documents_with_it + 0.5) / (documents_with_it + 0.5))
        return rarity * times * 2.2 / (times + 1.2 * (0.25 + 0.75 * length / (7 / 3)))

    found = {word: dict(zip(*(part.tolist() for part in bm25._weights[word]), strict=True)) for word in "xyz"}
    assert found == {
        "x": {0: pytest.approx(weight(2, 1, 2)), 1: pytest.approx(weight(2, 2, 4))},
        "y": {0: pytest.approx(weight(2, 1, 2)), 2: pytest.approx(weight(2, 1, 1))},
        "z": {1: pytest.approx(weight(1, 2, 4))},
    }
    assert bm25.search("Y?", 5) == ["c", "a"]  # the shorter one
    assert bm25.search("x", 5) == ["b", "a"]
    assert bm25.search("x y", 5) == ["a", "c", "b"]  # 0.998, 0.613, 0.538
    assert bm25.search("x y y", 1) == ["a"]
    assert bm25.search("unknown", 5) == []
    assert BM25({}).search("x", 3) == []
    assert BM25({"b": "x", "a": "x"}).search("x", 5) == ["b", "a"]  # alike: in the order of the corpus


# -- older names, wrong input


@pytest.mark.parametrize(
    "name",
    [
        "CEBinaryAccuracyEvaluator",
        "CEBinaryClassificationEvaluator",
        "CEF1Evaluator",
        "CESoftmaxAccuracyEvaluator",
        "CECorrelationEvaluator",
    ],
)
def test_older_names_take_examples(theirs, name, reference):
    classes, found = 3 if "Softmax" in name else 2, []
    for library, example in ((evaluation, InputExample), (theirs, reference.InputExample)):
        examples = [example(texts=list(pair), label=i % classes) for i, pair in enumerate(PAIRS)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            evaluator = getattr(library, name).from_input_examples(examples, name="old")
            found.append(evaluator(Scorer(3 if classes == 3 else 1)))
    assert list(found[0]) == list(found[1])
    assert found[0] == pytest.approx(found[1], abs=1e-6)


def test_the_older_reranking_evaluator(theirs, tmp_path):
    both(theirs, "CERerankingEvaluator", (samples("negative"),), {"name": "old", "mrr_at_k": 4}, tmp_path)


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        ({"query": "q", "negative": []}, r"sample 0 lacks positive; it has query, negative"),
        ({"query": "q", "positive": []}, r"sample 0 needs either negative or documents"),
        ({"query": "q", "positive": [], "negative": [], "documents": []}, r"either negative or documents"),
    ],
)
def test_samples_that_lack_something(sample, message):
    with pytest.raises(InvalidInput, match=message):
        evaluation.CrossEncoderRerankingEvaluator([sample])


def test_wrong_input_is_said():
    with pytest.raises(InvalidInput, match="there is no sample"):
        evaluation.CrossEncoderRerankingEvaluator([])
    with pytest.raises(InvalidInput, match=r"sentence_pairs has 60, labels has 1"):
        evaluation.CrossEncoderClassificationEvaluator(PAIRS, [1])
    for labels, other in (([0.9, 0.1] * 30, "0.9"), ([0, 1, 2] * 20, "2")):
        with pytest.raises(InvalidInput, match=f"the label {other} is neither 0 nor 1"):
            evaluation.CrossEncoderClassificationEvaluator(PAIRS, labels)(Scorer())
    with pytest.raises(InvalidOption, match="needs a model with one label, this one has 3"):
        evaluation.CrossEncoderCorrelationEvaluator(PAIRS, list(range(60)))(Scorer(3))

    class Diverged(Scorer):
        def predict(self, pairs, **options):
            return np.full(len(pairs), np.nan)

    with pytest.raises(InvalidInput, match="60 scores are not a number"):
        evaluation.CrossEncoderCorrelationEvaluator(PAIRS, list(range(60)))(Diverged())
    with pytest.raises(InvalidOption, match="there is no dataset nothing"):
        evaluation.CrossEncoderNanoBEIREvaluator(["nothing"])
    with pytest.raises(InvalidOption, match="rerank_k is 0"):
        evaluation.CrossEncoderNanoBEIREvaluator(["nq"], rerank_k=0)
