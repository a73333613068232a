"""Evaluators of sparse models beside the reference: the same numbers, names, settings and files."""

from __future__ import annotations

import csv
import json
import random
from typing import Any

import numpy as np
import pytest
import torch

from stlib.errors import InvalidInput, InvalidOption
from stlib.sparse_encoder import evaluation as ours

pytestmark = [
    pytest.mark.parity,
    # The reference's: torch says these once in a process, whichever test comes first.
    pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state"),
    pytest.mark.filterwarnings("ignore:Sparse invariant checks are implicitly disabled"),
]

ALL = ["cosine", "dot", "euclidean", "manhattan"]
SPARSITY = {"active_dims", "sparsity_ratio"}


@pytest.fixture(scope="module")
def theirs(reference):
    return pytest.importorskip("sentence_transformers.sparse_encoder.evaluation")


def texts(n: int, seed: int) -> list[str]:
    words = "sort list key dictionary quick brown fox jumps over lazy dog search meaning word text".split()
    picks = random.Random(seed)
    return [" ".join(picks.choices(words, k=picks.randint(1, 6))) for _ in range(n)]


def rows(folder) -> dict[str, list[list[str]]]:
    """Every CSV file of a folder by its name."""
    return {
        path.name: list(csv.reader(path.read_text().splitlines())) for path in sorted(folder.glob("*.csv"))
    }


def same_run(mine: Any, their: Any, models: Any, folder: Any) -> dict[str, float]:
    """Two evaluations at different times of a training: the same metrics, names, settings and CSV files."""
    for _ in range(2):
        found = mine(models[0], str(folder / "ours"), 2, 30)
        expected = their(models[1], str(folder / "theirs"), 2, 30)
        assert set(found) == set(expected)
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, rel=2e-6, abs=2e-6), name
        assert mine.primary_metric == their.primary_metric
        assert mine.primary_metric in found
    assert mine.get_config_dict() == their.get_config_dict()
    assert mine.description == their.description
    assert (mine.name, mine.csv_file, mine.csv_headers) == (their.name, their.csv_file, their.csv_headers)
    written, should = rows(folder / "ours"), rows(folder / "theirs")
    assert list(written) == list(should)
    for name, lines in should.items():
        assert written[name][0] == lines[0]
        assert len(written[name]) == len(lines) == 3
        for line, expected_line in zip(written[name][1:], lines[1:], strict=True):
            assert [float(cell) for cell in line] == pytest.approx(
                [float(c) for c in expected_line], 2e-6, 2e-6
            )
    card = [model.model_card_data.eval_results_dict for model in models]
    assert card[0][mine] == found
    assert card[1][their] == expected
    return found


@pytest.mark.parametrize(
    "options",
    [{}, {"name": "sts", "max_active_dims": 8}, {"similarity_fn_names": ALL, "main_similarity": "cosine"}],
    ids=str,
)
def test_correlations(theirs, splade_models, tmp_path, options):
    columns = texts(20, 1), texts(20, 2), np.random.default_rng(3).integers(0, 6, 20).tolist()
    kind = "SparseEmbeddingSimilarityEvaluator"
    found = same_run(
        getattr(ours, kind)(*columns, **options),
        getattr(theirs, kind)(*columns, **options),
        splade_models,
        tmp_path,
    )
    if options.get("max_active_dims"):
        assert found["sts_active_dims"] <= 8


@pytest.mark.parametrize(
    "options", [{}, {"name": "x", "max_active_dims": 8, "similarity_fn_names": ALL}], ids=str
)
def test_decisions(theirs, splade_models, tmp_path, options):
    first, second = texts(20, 1), texts(20, 2)
    second[3], second[5] = first[3], first[0]  # texts that occur twice are counted once
    labels = np.random.default_rng(3).integers(0, 2, 20).tolist()
    kind = "SparseBinaryClassificationEvaluator"
    same_run(
        getattr(ours, kind)(first, second, labels, **options),
        getattr(theirs, kind)(first, second, labels, **options),
        splade_models,
        tmp_path,
    )


@pytest.mark.parametrize(
    "options",
    [{}, {"name": "x", "max_active_dims": 8, "similarity_fn_names": ALL, "margin": {"dot": 0.1}}],
    ids=str,
)
def test_triplets(theirs, splade_models, tmp_path, options):
    columns = texts(20, 1), texts(20, 2), texts(20, 3)
    kind = "SparseTripletEvaluator"
    found = same_run(
        getattr(ours, kind)(*columns, **options),
        getattr(theirs, kind)(*columns, **options),
        splade_models,
        tmp_path,
    )
    assert len([name for name in found if "active_dims" in name]) == 3


@pytest.mark.parametrize("options", [{}, {"name": "x", "max_active_dims": 8}], ids=str)
def test_errors_and_translations(theirs, splade_models, tmp_path, options):
    sources, targets = texts(20, 1), texts(20, 2)
    targets[:10] = sources[:10]
    for place, kind in enumerate(("SparseMSEEvaluator", "SparseTranslationEvaluator")):
        mine, their = (
            getattr(package, kind)(
                sources, targets, **({"teacher_model": model} if place == 0 else {}), **options
            )
            for package, model in zip((ours, theirs), splade_models, strict=True)
        )
        same_run(mine, their, splade_models, tmp_path / kind)


@pytest.mark.parametrize(
    "options",
    [{}, {"name": "x", "max_active_dims": 8, "at_k": 3, "use_batched_encoding": False}],
    ids=str,
)
def test_reranking(theirs, splade_models, tmp_path, options):
    def made(seed: int) -> dict[str, Any]:
        return {
            "query": texts(1, seed)[0],
            "positive": texts(2, seed + 10),
            "negative": texts(seed + 2, seed + 20),
        }

    samples = [made(seed) for seed in range(1, 7)]
    kind = "SparseRerankingEvaluator"
    same_run(
        getattr(ours, kind)(samples, **options),
        getattr(theirs, kind)(samples, **options),
        splade_models,
        tmp_path,
    )


def retrieval(n_queries: int = 6, n_documents: int = 30, seed: int = 1) -> tuple[Any, Any, Any]:
    queries = {f"q{i}": text for i, text in enumerate(texts(n_queries, seed))}
    corpus = {
        f"d{i}": f"{text} {i % 7}" for i, text in enumerate(dict.fromkeys(texts(n_documents, seed + 1)))
    }
    picks = random.Random(seed + 2)
    return queries, corpus, {q: set(picks.sample(list(corpus), 3)) for q in queries}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"name": "x", "max_active_dims": 8, "corpus_chunk_size": 7},
        {"query_prompt": "search ", "corpus_prompt": "text ", "main_score_function": "dot"},
    ],
    ids=str,
)
def test_retrieval(theirs, splade_models, tmp_path, options):
    data = retrieval()
    kind = "SparseInformationRetrievalEvaluator"
    evaluators = getattr(ours, kind)(*data, **options), getattr(theirs, kind)(*data, **options)
    found = same_run(*evaluators, splade_models, tmp_path)
    assert {name.removeprefix("x_") for name in found} >= {
        "query_active_dims",
        "corpus_sparsity_ratio",
        "avg_flops",
    }


def test_retrieval_with_embeddings_at_hand(theirs, splade_models):
    data = retrieval()
    kind = "SparseInformationRetrievalEvaluator"
    found = []
    for package, model in zip((ours, theirs), splade_models, strict=True):
        made = getattr(package, kind)(*data, corpus_chunk_size=7)
        vectors = model.encode_document(list(data[1].values()))
        found.append(made(model, corpus_embeddings=vectors))
        assert found[-1] == pytest.approx(made(model), rel=1e-6)
    assert found[0] == pytest.approx(found[1], rel=2e-6)


def test_operations_are_counted_by_hand():
    from stlib.sparse_encoder.evaluation.sparse_information_retrieval import count_active

    dense = torch.tensor([[1.0, 0, 2], [0, 0, 3]])
    assert count_active(dense).tolist() == count_active(dense.to_sparse()).tolist() == [1, 0, 2]
    data = retrieval(3, 9)
    evaluator = ours.SparseInformationRetrievalEvaluator(*data)
    evaluator.record(_Counting(), dense, "query")
    evaluator.record(_Counting(), torch.tensor([[1.0, 1, 1]] * 3), "corpus")
    evaluator.record(_Counting(), torch.tensor([[0.0, 1, 0]]), "corpus")
    found = evaluator.summarize_sparsity()
    assert found["query_active_dims"] == 1.5
    assert found["corpus_active_dims"] == 10 / 4
    assert found["avg_flops"] == pytest.approx(0.5 * 0.75 + 1.0 * 0.75)


class _Counting:
    def sparsity(self, embeddings):
        active = (embeddings != 0).sum(dim=1).float().mean().item()
        return {"active_dims": active, "sparsity_ratio": 1 - active / embeddings.shape[1]}


def test_sparse_errors_need_no_dense_copy():
    from stlib.sentence_transformer.evaluation.mse import mean_squared_error

    a, b = torch.relu(torch.randn(5, 40)), torch.relu(torch.randn(5, 40))
    expected = 100 * float((a - b).square().mean())
    assert mean_squared_error(a.to_sparse(), b.to_sparse()) == pytest.approx(expected, rel=1e-6)
    assert mean_squared_error(a.to_sparse(), a.to_sparse()) == 0


# -- several datasets


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """Two small datasets in BEIR's layout, and what the reference reads of each."""
    folder = tmp_path_factory.mktemp("beir")
    data = {"NanoMSMARCO": retrieval(4, 20, 1), "NanoNQ": retrieval(6, 30, 5)}
    for name, (queries, corpus, relevant) in data.items():
        (folder / name / "qrels").mkdir(parents=True)
        for file, given in (("queries", queries), ("corpus", corpus)):
            lines = [json.dumps({"_id": i, "text": text}) for i, text in given.items()]
            (folder / name / f"{file}.jsonl").write_text("\n".join(lines))
        judged = [f"{q}\t{d}\t1" for q, found in relevant.items() for d in sorted(found)]
        (folder / name / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *judged]))
    return folder, data


@pytest.mark.parametrize("options", [{}, {"max_active_dims": 8, "aggregate_key": "middle"}], ids=str)
def test_nano_beir(theirs, splade_models, hub, tmp_path, monkeypatch, options):
    folder, data = hub

    def load(self, name, **settings):
        settings["max_active_dims"] = self.max_active_dims
        settings.pop("truncate_dim", None)
        readable = self._get_human_readable_name(name)
        given = data[readable.removesuffix(f"_{self.max_active_dims}")]
        return theirs.SparseInformationRetrievalEvaluator(*given, name=readable, **settings)

    monkeypatch.setattr(theirs.SparseNanoBEIREvaluator, "_load_dataset", load)
    names = ["msmarco", "nq"]
    mine = ours.SparseNanoBEIREvaluator(names, dataset_id=str(folder), **options)
    their = theirs.SparseNanoBEIREvaluator(names, **options)
    for _ in range(2):
        found = mine(splade_models[0], str(tmp_path / "ours"))
        expected = their(splade_models[1], str(tmp_path / "theirs"))
        assert set(found) == set(expected)
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, rel=2e-6, abs=2e-6), name
    assert (mine.name, mine.csv_headers, mine.primary_metric) == (
        their.name,
        their.csv_headers,
        their.primary_metric,
    )
    written, should = rows(tmp_path / "ours"), rows(tmp_path / "theirs")
    assert {name: lines[0] for name, lines in written.items()} == {
        name: lines[0] for name, lines in should.items()
    }
    for name, lines in should.items():
        assert [float(c) for c in written[name][2]] == pytest.approx([float(c) for c in lines[2]], 2e-6, 2e-6)
    stored = [model.model_card_data.eval_results_dict for model in splade_models]
    assert stored[0][mine] == pytest.approx(stored[1][their], 2e-6, 2e-6)


# -- fusion


def sample(place: int, documents: list[str], **more: Any) -> dict[str, Any]:
    return {
        "query_id": str(place),
        "query": f"query {place}",
        "positive": ["b", "e"],
        "documents": documents,
        **more,
    }


DENSE = [sample(1, ["a", "b", "c"]), sample(2, ["x", "y"]), sample(3, ["e", "q", "b"]), sample(4, ["u", "v"])]
SPARSE = [sample(1, ["b", "d", "e"]), sample(2, ["x", "e"]), sample(3, ["q", "z"]), sample(4, ["w", "u"])]


@pytest.mark.parametrize(
    "options", [{}, {"at_k": 2, "rrf_k": 1, "name": "mixed", "write_predictions": True}], ids=str
)
def test_fusion(theirs, tmp_path, options):
    kind = "ReciprocalRankFusionEvaluator"
    mine, their = (
        getattr(ours, kind)(DENSE, SPARSE, **options),
        getattr(theirs, kind)(DENSE, SPARSE, **options),
    )
    found = mine(str(tmp_path / "ours"), 1, 2)
    expected = their(str(tmp_path / "theirs"), 1, 2)
    assert found == pytest.approx(expected)
    assert list(found) == list(expected)
    assert (mine.csv_file, mine.csv_headers, mine.primary_metric) == (
        their.csv_file,
        their.csv_headers,
        their.primary_metric,
    )
    assert mine.get_config_dict() == their.get_config_dict()
    written, should = rows(tmp_path / "ours"), rows(tmp_path / "theirs")
    assert written[mine.csv_file][0] == should[mine.csv_file][0]
    assert [float(c) for c in written[mine.csv_file][1]] == pytest.approx(
        [float(c) for c in should[mine.csv_file][1]]
    )
    if options:
        lines = [(tmp_path / side / mine.predictions_file).read_text() for side in ("ours", "theirs")]
        assert lines[0] == lines[1]


def test_points_of_a_fusion_by_hand():
    evaluator = ours.ReciprocalRankFusionEvaluator(DENSE, SPARSE, rrf_k=1)
    # b: 1/3 + 1/2, a: 1/2, d: 1/3, c and e: 1/4
    assert evaluator.fuse(["a", "b", "c"], ["b", "d", "e"]) == ["b", "a", "d", "c", "e"]
    assert evaluator.compute_metrics([0, 1, 1], [3, 2, 1]) == pytest.approx(
        (0.5, 0.6934, (1 / 2 + 2 / 3) / 2), abs=1e-4
    )


def test_fusion_of_other_queries_is_refused():
    kind = ours.ReciprocalRankFusionEvaluator
    with pytest.raises(InvalidInput, match="4 dense_samples and 3 sparse_samples"):
        kind(DENSE, SPARSE[:3])
    with pytest.raises(
        InvalidInput, match=r"dense_samples\[0\] is of the query '1' and sparse_samples\[0\] of '2'"
    ):
        kind(DENSE[:2], SPARSE[1::-1])
    with pytest.raises(InvalidInput, match=r"sparse_samples\[0\] lacks query_id"):
        kind(DENSE[:1], [{"documents": []}])
    with pytest.raises(InvalidInput, match="no samples"):
        kind([], [])
    with pytest.raises(InvalidOption, match="takes no model"):
        kind(DENSE, SPARSE)(object())


def test_hybrid_search_of_two_models(splade_models, tiny_bert, tmp_path):
    """Rankings that the evaluators of retrieval write are fused; the measures of each alone stay what they
    were.
    """
    from stlib import SentenceTransformer
    from stlib.evaluation import InformationRetrievalEvaluator

    queries, corpus, relevant = retrieval(8, 40)
    settings = {"write_predictions": True, "name": "both", "map_at_k": [10]}
    sides = {
        "dense": (InformationRetrievalEvaluator, SentenceTransformer(tiny_bert, device="cpu"), "cosine"),
        "sparse": (ours.SparseInformationRetrievalEvaluator, splade_models[0], "dot"),
    }
    samples, alone = {}, {}
    for side, (kind, model, function) in sides.items():
        measured = kind(queries, corpus, relevant, **settings)(model, str(tmp_path / side))
        alone[side] = measured[f"both_{function}_mrr@10"]
        path = tmp_path / side / f"Information-Retrieval_evaluation_both_predictions_{function}.jsonl"
        samples[side] = [
            {
                "query_id": found["query_id"],
                "query": found["query"],
                "positive": sorted(relevant[found["query_id"]]),
                "documents": [hit["corpus_id"] for hit in found["results"]],
            }
            for found in map(json.loads, path.read_text().splitlines())
        ]
    fusion = ours.ReciprocalRankFusionEvaluator(samples["dense"], samples["sparse"])
    found = fusion()
    for side in sides:
        assert found[f"{side}_mrr@10"] == pytest.approx(alone[side])
    fused = [fusion.fuse(*(samples[side][i]["documents"] for side in sides)) for i in range(8)]
    ranks = [
        next((rank for rank, i in enumerate(documents[:10], 1) if i in relevant[f"q{q}"]), np.inf)
        for q, documents in enumerate(fused)
    ]
    assert found["mrr@10"] == pytest.approx(np.mean([1 / rank for rank in ranks]))
