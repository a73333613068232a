"""Evaluators of late-interaction models: metrics, files and settings are the reference's."""

from __future__ import annotations

import importlib
import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from stlib.errors import InvalidInput, InvalidOption
from stlib.multi_vector_encoder import evaluation, scoring

pytestmark = pytest.mark.parity

CORPUS = [
    "sort the list by key", "a brown dog jumps over it", "search is by words", "long text with a key",
    "the lazy dog in the text", "only the answer", "query", "a dictionary", "the fox , the dog",
    "the meaning of a query", "it is short ?", "quick !", "documents with text", "how do i search",
]  # fmt: skip
QUERIES = ["how do i sort a list", "the quick brown fox", "search by meaning", "lazy dog", "short answer"]
RELEVANT = [{0, 7}, {1, 8}, {2, 9, 13}, {4}, {5, 10}]


def collection() -> dict[str, Any]:
    return {
        "queries": {f"q{i}": text for i, text in enumerate(QUERIES)},
        "corpus": {f"d{i}": text for i, text in enumerate(CORPUS)},
        "relevant_docs": {f"q{i}": {f"d{j}" for j in found} for i, found in enumerate(RELEVANT)},
    }


@pytest.fixture
def compare(late_models, tmp_path) -> Any:
    """``compare(kind, **arguments)``: metrics, settings and files of both libraries; returns our metrics."""

    def run(kind: str, /, *args: Any, tolerance: float = 1e-6, **options: Any) -> dict[str, float]:
        packages = ("stlib", "sentence_transformers")
        found = []
        for package, model in zip(packages, late_models, strict=True):
            home = importlib.import_module(f"{package}.multi_vector_encoder.evaluation")
            evaluator = getattr(home, kind)(*args, **options)
            metrics = evaluator(model, str(tmp_path / package), epoch=1, steps=2)
            found.append((evaluator, metrics))
        (ours, metrics), (theirs, expected) = found
        assert metrics == pytest.approx(expected, abs=tolerance)
        assert ours.primary_metric == theirs.primary_metric
        assert ours.get_config_dict() == theirs.get_config_dict()
        assert ours.description == theirs.description
        files = [sorted((tmp_path / package).glob("*")) for package in packages]
        assert [file.name for file in files[0]] == [file.name for file in files[1]]
        for mine, other in zip(*files, strict=True):
            assert (
                mine.read_text().splitlines()[:1] == other.read_text().splitlines()[:1]
                or mine.suffix != ".csv"
            )
        return metrics

    return run


@pytest.mark.parametrize(
    "options",
    [
        {"name": "tiny"},
        {"corpus_chunk_size": 4, "chunk_elements": 50, "write_predictions": True},
        {"query_prompt": "search : ", "corpus_prompt_name": "document", "ndcg_at_k": [3, 5]},
    ],
    ids=str,
)
def test_information_retrieval(compare, options):
    compare("MultiVectorInformationRetrievalEvaluator", **collection(), **options)


def test_predictions_are_the_best_documents(late_models, tmp_path):
    model = late_models[0]
    found = evaluation.MultiVectorInformationRetrievalEvaluator(
        **collection(), corpus_chunk_size=3, write_predictions=True
    )
    found(model, str(tmp_path))
    (file,) = tmp_path.glob("*predictions*.jsonl")
    scores = model.similarity(model.encode_query(QUERIES), model.encode_document(CORPUS))
    for line, row in zip(file.read_text().splitlines(), scores, strict=True):
        best = [hit["corpus_id"] for hit in json.loads(line)["results"]]
        assert best == [f"d{i}" for i in row.argsort(descending=True, stable=True).tolist()]


def test_similarity_of_means_names_the_metrics(compare, late_models):
    for model in late_models:
        model.similarity_fn_name = "meanmaxsim"
    try:
        metrics = compare("MultiVectorInformationRetrievalEvaluator", **collection())
    finally:
        for model in late_models:
            model.similarity_fn_name = "maxsim"
    assert "meanmaxsim_ndcg@10" in metrics


def write_beir(folder: Path) -> None:
    (folder / "qrels").mkdir(parents=True)
    data = collection()
    for name in ("queries", "corpus"):
        lines = [json.dumps({"_id": i, "text": text}) for i, text in data[name].items()]
        (folder / f"{name}.jsonl").write_text("\n".join(lines))
    rows = [f"{q}\t{d}\t1" for q, found in data["relevant_docs"].items() for d in sorted(found)]
    (folder / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *rows]))


def test_nano_beir_is_the_mean_of_its_datasets(late_models, tmp_path):
    for name in ("one", "two"):
        write_beir(tmp_path / "beir" / name)
    options = {"corpus_chunk_size": 4, "chunk_elements": 100}
    evaluator = evaluation.MultiVectorNanoBEIREvaluator(dataset_id=str(tmp_path / "beir"), **options)
    metrics = evaluator(late_models[0])
    single = evaluation.MultiVectorInformationRetrievalEvaluator(**collection())(late_models[0])
    assert evaluator.primary_metric == "NanoBEIR_mean_maxsim_ndcg@10"
    assert metrics[evaluator.primary_metric] == pytest.approx(single["maxsim_ndcg@10"])
    assert [e.chunk_elements for e in evaluator.evaluators] == [100, 100]


@pytest.mark.parametrize(
    "options",
    [
        {"name": "tiny"},
        {"margin": 0.3, "similarity_fn_names": ["maxsim", "meanmaxsim"]},
        {"margin": {"meanmaxsim": 0.01}, "main_similarity_function": "meanmaxsim"},
    ],
    ids=str,
)
def test_triplets(compare, options):
    compare("MultiVectorTripletEvaluator", QUERIES, CORPUS[:5], CORPUS[5:10], **options)


SAMPLES = [
    {
        "query": query,
        "positive": [CORPUS[j] for j in sorted(found)],
        "negative": [CORPUS[j] for j in range(3, 14, 3) if j not in found],
    }
    for query, found in zip(QUERIES, RELEVANT, strict=True)
]


@pytest.mark.parametrize("options", [{"name": "tiny"}, {"at_k": 2, "use_batched_encoding": False}], ids=str)
def test_reranking(compare, options):
    compare("MultiVectorRerankingEvaluator", SAMPLES, **options)


def test_reranking_by_another_function(late_models):
    def backwards(query: Any, documents: Any) -> torch.Tensor:
        return -late_models[0].similarity([query], documents)

    sample = {"query": "the lazy dog", "positive": ["the lazy dog"], "negative": ["quick !", "a key"]}
    plain = evaluation.MultiVectorRerankingEvaluator([sample])(late_models[0])
    turned = evaluation.MultiVectorRerankingEvaluator([sample], similarity_fct=backwards)(late_models[0])
    assert (plain["mrr@10"], turned["mrr@10"]) == (1.0, pytest.approx(1 / 3))


CANDIDATES = [CORPUS[i : i + 3] for i in range(5)]
TEACHER = [[3.0, 1.0, 2.0], [0.5, 0.25, 4.0], [1.0, 0.0, 1.0], [-2.0, 6.0, 1.0], [9.0, 8.0, 1.5]]


@pytest.mark.parametrize(
    "options",
    [
        {"name": "tiny"},
        {"temperature": 0.25},
        {"temperature": 2.0, "student_temperature": 1.5, "teacher_temperature": 3.0},
    ],
    ids=str,
)
def test_distillation(compare, options):
    compare("MultiVectorDistillationEvaluator", QUERIES, CANDIDATES, TEACHER, tolerance=1e-5, **options)


def test_distillation_of_single_documents(compare):
    teacher = [row[1] for row in TEACHER]
    compare("MultiVectorDistillationEvaluator", QUERIES, CORPUS[:5], teacher, tolerance=1e-5)


def test_distillation_measures_the_loss_of_training(late_models):
    from stlib.multi_vector_encoder.losses import MultiVectorDistillKLDivLoss

    model = late_models[0]
    options = {"temperature": 2.0, "teacher_temperature": 3.0}
    measured = evaluation.MultiVectorDistillationEvaluator(QUERIES, CANDIDATES, TEACHER, **options)(model)
    texts = [QUERIES, *map(list, zip(*CANDIDATES, strict=True))]
    features = [
        model.preprocess(column, task="document" if place else "query") for place, column in enumerate(texts)
    ]
    loss = MultiVectorDistillKLDivLoss(model, **options)(features, torch.tensor(TEACHER))
    assert measured["kl_divergence"] == pytest.approx(loss.item(), rel=1e-5)


def test_distillation_by_another_score(late_models):
    options = {"similarity_fct": scoring.mean_colbert_scores_pairwise}
    model = late_models[0]
    ours = evaluation.MultiVectorDistillationEvaluator(QUERIES, CANDIDATES, TEACHER, **options)
    assert ours.get_config_dict() == {"similarity_fct": "mean_colbert_scores_pairwise"}
    found = ours(model)
    model.similarity_fn_name = "meanmaxsim"
    try:
        assert found == evaluation.MultiVectorDistillationEvaluator(QUERIES, CANDIDATES, TEACHER)(model)
    finally:
        model.similarity_fn_name = "maxsim"


def test_queries_of_equal_scores_have_no_correlation(late_models):
    distillation = evaluation.MultiVectorDistillationEvaluator
    alone = distillation(QUERIES[:1], CANDIDATES[:1], TEACHER[:1])(late_models[0])
    equal = [TEACHER[0], [1.0, 1.0, 1.0]]
    assert distillation(QUERIES[:2], CANDIDATES[:2], equal)(late_models[0])["spearman"] == alone["spearman"]
    assert distillation(QUERIES[:1], CANDIDATES[:1], equal[1:])(late_models[0])["spearman"] == 0.0


# -- what is refused


def test_options_without_a_meaning():
    data = collection()
    retrieval = evaluation.MultiVectorInformationRetrievalEvaluator
    for make in (
        lambda: retrieval(**data, truncate_dim=4),
        lambda: evaluation.MultiVectorNanoBEIREvaluator(truncate_dim=4),
        lambda: evaluation.MultiVectorTripletEvaluator(["a"], ["b"], ["c"], truncate_dim=4),
    ):
        with pytest.raises(InvalidOption, match="not trained to be shortened"):
            make()
    with pytest.raises(InvalidOption, match="is an XTR score"):
        retrieval(**data, score_functions={"xtr": scoring.XTRScores(top_k=3)})
    with pytest.raises(InvalidOption, match="bind it into your own"):
        retrieval(**data, score_functions={"own": lambda a, b: a}, chunk_elements=5)
    with pytest.raises(InvalidOption, match="'cosine'; allowed are: maxsim, meanmaxsim"):
        evaluation.MultiVectorTripletEvaluator(["a"], ["b"], ["c"], similarity_fn_names=["cosine"])
    with pytest.raises(InvalidOption, match=r"margin has the keys \['dot'\]"):
        evaluation.MultiVectorTripletEvaluator(["a"], ["b"], ["c"], margin={"dot": 1.0})
    with pytest.raises(InvalidOption, match="teacher_temperature is 0"):
        evaluation.MultiVectorDistillationEvaluator(["a"], ["b"], [1.0], teacher_temperature=0)


def test_columns_that_do_not_fit():
    distillation = evaluation.MultiVectorDistillationEvaluator
    with pytest.raises(InvalidInput, match="queries has 2, documents has 1, scores has 1"):
        distillation(["a", "b"], ["c"], [1.0])
    with pytest.raises(InvalidInput, match=r"candidates for each query it has to be \(1, 2\)"):
        distillation(["a"], [["b", "c"]], [[1.0]])
    with pytest.raises(InvalidInput, match="1 to 2 candidate documents"):
        distillation(["a", "d"], [["b", "c"], ["e"]], [[1.0, 2.0], [1.0, 2.0]])
    with pytest.raises(InvalidInput, match=r"one document for each query it has to be \(1,\)"):
        distillation(["a"], ["b"], [[1.0]])


def test_a_prompt_in_place_of_the_models_own_is_told_of(late_models, caplog, monkeypatch):
    model = late_models[0]
    monkeypatch.setitem(model.prompts, "query", "[Q] ")
    retrieval = evaluation.MultiVectorInformationRetrievalEvaluator
    with caplog.at_level(logging.WARNING):
        retrieval(**collection(), query_prompt="[Q] find: ")(model)
        assert "takes the place" not in caplog.text
        retrieval(**collection(), query_prompt="find: ")(model)
    assert "takes the place of the model's own '[Q] '" in caplog.text
