"""InformationRetrievalEvaluator beside the reference, on vectors made for the purpose and on a real model."""

from __future__ import annotations

import csv
import json
import logging

import numpy as np
import pytest
import torch

import stlib
from stlib import util
from stlib.errors import InvalidInput, InvalidOption
from stlib.evaluation import InformationRetrievalEvaluator

pytestmark = pytest.mark.parity

N_QUERIES, N_DOCUMENTS, DIMENSION = 23, 160, 12


@pytest.fixture(scope="module")
def theirs(reference):
    return pytest.importorskip("sentence_transformers.sentence_transformer.evaluation")


class Card:
    def __init__(self):
        self.calls = []

    def set_evaluation_metrics(self, evaluator, metrics, epoch=0, step=0):
        self.calls.append((metrics, epoch, step))


class Table:
    """A model whose vectors are looked up; it remembers how it was asked."""

    def __init__(self, vectors, library=util, similarity="cosine", dtype=torch.float32):
        self.vectors = {text: torch.as_tensor(row, dtype=dtype) for text, row in vectors.items()}
        self.similarity_fn_name = similarity
        names = {
            "cosine": "cos_sim",
            "dot": "dot_score",
            "euclidean": "euclidean_sim",
            "manhattan": "manhattan_sim",
        }
        self.similarity = getattr(library, names[similarity])
        self.model_card_data = Card()
        self.calls = []

    def encode(self, sentences, kind="plain", truncate_dim=None, **kwargs):
        self.calls.append((kind, len(sentences), {"truncate_dim": truncate_dim, **kwargs}))
        return torch.stack([self.vectors[text] for text in sentences])[:, :truncate_dim]

    def encode_query(self, sentences, **kwargs):
        return self.encode(sentences, kind="query", **kwargs)

    def encode_document(self, sentences, **kwargs):
        return self.encode(sentences, kind="document", **kwargs)


def task(seed=0, n_queries=N_QUERIES, n_documents=N_DOCUMENTS, whole_numbers=False):
    """Queries, corpus, judgments and vectors. Whole numbers make many equal scores."""
    rng = np.random.default_rng(seed)
    queries = {f"q{i}": f"query {i}" for i in range(n_queries)}
    # Ids in another order than the documents, and where 10 comes before 9.
    ids = [f"d{i}" for i in rng.permutation(n_documents)]
    corpus = {cid: f"text of {cid}" for cid in ids}
    relevant = {
        qid: set(rng.choice(ids, size=rng.integers(1, min(20, n_documents)), replace=False).tolist())
        for qid in queries
    }
    texts = [*queries.values(), *corpus.values()]
    if whole_numbers:
        rows = rng.integers(-1, 2, size=(len(texts), 4)).astype(np.float32)
    else:
        rows = rng.normal(size=(len(texts), DIMENSION)).astype(np.float32)
    return (queries, corpus, relevant), dict(zip(texts, rows, strict=True))


def pair(theirs, reference, data, vectors, similarity="cosine", **options):
    """Ours and the reference's evaluator with their models."""
    ours = InformationRetrievalEvaluator(*data, **options)
    their = theirs.InformationRetrievalEvaluator(*data, **options)
    return (ours, Table(vectors, util, similarity)), (their, Table(vectors, reference.util, similarity))


def close(found, expected):
    assert list(found) == list(expected)
    for key, value in expected.items():
        assert type(found[key]) is float
        assert found[key] == pytest.approx(value, abs=1e-9), key


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


OPTIONS = [
    {},
    {"name": "dev"},
    {"corpus_chunk_size": 37},
    {"corpus_chunk_size": 1},
    {"mrr_at_k": [1, 5], "ndcg_at_k": [3, 200], "map_at_k": [1, 7], "accuracy_at_k": [2]},
    {"precision_recall_at_k": [4, 30, 500], "name": "a_b"},
    {"truncate_dim": 5, "name": "cut"},
    {"main_score_function": "cosine"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("similarity", ["cosine", "dot", "euclidean", "manhattan"])
def test_the_same_numbers(theirs, reference, options, similarity, tmp_path):
    if "main_score_function" in options:
        options = {"main_score_function": similarity}
    data, vectors = task()
    results = []
    for (evaluator, model), folder in zip(
        pair(theirs, reference, data, vectors, similarity, **options), ("ours", "theirs"), strict=True
    ):
        assert evaluator.primary_metric is None
        metrics = [evaluator(model, tmp_path / folder, *when) for when in ((-1, -1), (2, 30))]
        cards = [(list(m), epoch, step) for m, epoch, step in model.model_card_data.calls]
        results.append((evaluator, metrics, cards, model.calls))
    ours, expected = results
    for found, wanted in zip(ours[1], expected[1], strict=True):
        close(found, wanted)
    assert ours[0].primary_metric == expected[0].primary_metric
    assert ours[0].get_config_dict() == expected[0].get_config_dict()
    assert ours[0].csv_file == expected[0].csv_file
    assert ours[2:] == expected[2:]  # what the card got, how encode was called
    found, wanted = (rows_of(tmp_path / folder / ours[0].csv_file) for folder in ("ours", "theirs"))
    assert found[0] == wanted[0] == ours[0].csv_headers
    np.testing.assert_allclose(np.array(found[1:], float), np.array(wanted[1:], float), atol=1e-9)


@pytest.mark.parametrize("chunk", [7, 50, 1000])
@pytest.mark.parametrize("seed", range(3))
def test_equal_scores_are_ordered_by_id(theirs, reference, chunk, seed, tmp_path):
    data, vectors = task(seed, n_documents=120, whole_numbers=True)
    options = {
        "corpus_chunk_size": chunk,
        "map_at_k": [20],
        "ndcg_at_k": [1, 10],
        "write_predictions": True,
        "name": "ties",
    }
    (ours, model), (their, their_model) = pair(theirs, reference, data, vectors, "dot", **options)
    close(ours(model, tmp_path / "ours"), their(their_model, tmp_path / "theirs"))
    name = "Information-Retrieval_evaluation_ties_predictions_dot.jsonl"
    assert (tmp_path / "ours" / name).read_text() == (tmp_path / "theirs" / name).read_text()
    assert ours.get_corpus_id_ranks().tolist() == their.get_corpus_id_ranks().tolist()


def test_all_scores_equal(theirs, reference):
    data, vectors = task(n_documents=300)
    vectors = {text: np.ones(3, dtype=np.float32) for text in vectors}
    options = {"corpus_chunk_size": 64, "map_at_k": [5], "ndcg_at_k": [100]}
    (ours, model), (their, their_model) = pair(theirs, reference, data, vectors, "dot", **options)
    close(ours(model), their(their_model))


@pytest.mark.parametrize("main", [None, "dot"])
def test_several_score_functions(theirs, reference, main, tmp_path):
    data, vectors = task(3)
    results = []
    for module, library in (
        (InformationRetrievalEvaluator, util),
        (theirs.InformationRetrievalEvaluator, reference.util),
    ):
        functions = {
            "dot": library.dot_score,
            "cosine": library.cos_sim,
            "cubed": lambda a, b: (a @ b.T) ** 3,
        }
        evaluator = module(*data, score_functions=functions, main_score_function=main, write_predictions=True)
        metrics = evaluator(Table(vectors, library), tmp_path / library.__name__.split(".")[0], 1)
        results.append((metrics, evaluator))
    close(results[0][0], results[1][0])
    assert results[0][1].primary_metric == results[1][1].primary_metric
    files = [
        sorted(path.name for path in (tmp_path / n).iterdir()) for n in ("stlib", "sentence_transformers")
    ]
    assert files[0] == files[1]
    assert len(files[0]) == 4


def test_prompts_reach_the_model(theirs, reference):
    data, vectors = task()
    prompts = {"query_prompt": "find: ", "corpus_prompt_name": "passage", "batch_size": 7}
    (ours, model), (their, their_model) = pair(theirs, reference, data, vectors, **prompts)
    close(ours(model), their(their_model))
    assert model.calls == their_model.calls
    assert (
        ours.get_config_dict()
        == their.get_config_dict()
        == {
            "query_prompt": "find: ",
            "corpus_prompt_name": "passage",
        }
    )


def test_another_model_renames_the_columns(theirs, reference, tmp_path):
    data, vectors = task()
    for module, library in (
        (InformationRetrievalEvaluator, util),
        (theirs.InformationRetrievalEvaluator, reference.util),
    ):
        evaluator = module(*data, name="x")
        evaluator(Table(vectors, library))
        metrics = evaluator(Table(vectors, library, "dot"))
        assert {name.split("_")[1] for name in metrics} == {"dot"}
        assert evaluator.primary_metric == "x_dot_ndcg@10"
        assert evaluator.csv_headers[2] == "dot-Accuracy@1"


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
def test_vectors_given_and_two_models(theirs, reference):
    data, vectors = task()
    corpus = torch.stack([torch.as_tensor(vectors[text]) for text in data[1].values()])
    found = []
    for (evaluator, model), library in zip(
        pair(theirs, reference, data, vectors, corpus_chunk_size=50), (util, reference.util), strict=True
    ):
        evaluator(model)
        other = Table({text: -row for text, row in vectors.items()}, library)
        found.append(
            [
                evaluator.compute_all_metrics(model, corpus_embeddings=corpus),
                evaluator.compute_all_metrics(model, corpus_embeddings=corpus.to_sparse()),
                evaluator.compute_metrices(model, corpus_model=other),
                evaluator(model, None, -1, -1, other),
            ]
        )
    for ours, their in zip(*found, strict=True):
        assert flat(ours) == pytest.approx(flat(their), abs=1e-9)


def flat(values, prefix=""):
    if not isinstance(values, dict):
        return {prefix: values}
    return {k: v for key, value in values.items() for k, v in flat(value, f"{prefix}/{key}").items()}


def test_metrics_of_given_results(theirs):
    data, _ = task(5)
    rng = np.random.default_rng(0)
    ids = list(data[1])
    results = [
        [{"corpus_id": ids[i], "score": float(rng.integers(0, 4))} for i in rng.permutation(160)[: 5 * n]]
        for n in range(N_QUERIES)
    ]
    ours, their = (e(*data) for e in (InformationRetrievalEvaluator, theirs.InformationRetrievalEvaluator))
    assert flat(ours.compute_metrics(results)) == pytest.approx(
        flat(their.compute_metrics(results)), abs=1e-9
    )
    assert ours.compute_dcg_at_k([1, 0, 1, 1], 3) == pytest.approx(their.compute_dcg_at_k([1, 0, 1, 1], 3))


def test_a_real_model(theirs, reference, tiny_bert, tmp_path):
    words = "how do i sort a list the quick brown fox jumps over lazy dog short".split()
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(words, size=rng.integers(1, 12))) for _ in range(60)]
    queries = {f"q{i}": text for i, text in enumerate(texts[:10])}
    corpus = {f"d{i}": text for i, text in enumerate(texts[10:])}
    relevant = {qid: set(rng.choice(list(corpus), size=3).tolist()) for qid in queries}
    found = []
    for library, module in (
        (stlib, InformationRetrievalEvaluator),
        (reference, theirs.InformationRetrievalEvaluator),
    ):
        prompts = {"query": "how ", "document": "the "}
        model = library.SentenceTransformer(tiny_bert, device="cpu", prompts=prompts)
        evaluator = module(queries, corpus, relevant, truncate_dim=16, query_prompt="sort ", name="bert")
        found.append(model.evaluate(evaluator, str(tmp_path)))
    close(*found)


def test_log(theirs, reference, caplog):
    data, vectors = task()
    lines = []
    for evaluator, model in pair(theirs, reference, data, vectors, truncate_dim=5, name="dev"):
        with caplog.at_level(logging.INFO):
            evaluator(model, None, 2, 30)
        lines.append([record.getMessage() for record in caplog.records])
        caplog.clear()
    assert lines[0] == lines[1]


# -- what is left out or refused


def test_queries_without_relevant_documents_are_left_out(theirs, reference, caplog):
    (queries, corpus, relevant), vectors = task()
    relevant = {**relevant, "q3": set(), "unknown": {"d1"}}
    del relevant["q5"]
    with caplog.at_level(logging.INFO):
        (ours, model), (their, their_model) = pair(theirs, reference, (queries, corpus, relevant), vectors)
    assert "2 of 23 queries have no relevant document" in caplog.text
    assert ours.queries_ids == their.queries_ids
    close(ours(model), their(their_model))


def test_relevant_documents_outside_the_corpus_are_never_found(theirs, reference, caplog):
    (queries, corpus, relevant), vectors = task()
    relevant = {qid: {*found, "elsewhere"} for qid, found in relevant.items()}
    (ours, model), (their, their_model) = pair(theirs, reference, (queries, corpus, relevant), vectors)
    assert "23 relevant documents are not in the corpus" in caplog.text
    close(ours(model), their(their_model))


def test_a_corpus_smaller_than_k(theirs, reference):
    data, vectors = task(n_documents=3)
    (ours, model), (their, their_model) = pair(theirs, reference, data, vectors)
    close(ours(model), their(their_model))


def test_grades_are_gains():
    data = ({"q": "q"}, {"a": "a", "b": "b", "c": "c"}, {"q": {"a": 1, "b": 3, "c": 0}})
    vectors = {"q": [1.0, 0.0], "a": [0.9, 0.1], "b": [0.8, 0.2], "c": [0.85, 0.1]}
    metrics = InformationRetrievalEvaluator(*data, ndcg_at_k=[2], map_at_k=[10])(
        Table(vectors, similarity="dot")
    )
    # The order is a (1), c (0), b (3).
    assert metrics["dot_ndcg@2"] == pytest.approx(1 / (3 + 1 / np.log2(3)))
    assert metrics["dot_recall@1"] == 0.5
    assert metrics["dot_map@10"] == pytest.approx((1 + 2 / 3) / 2)


def test_a_diverged_model_finds_nothing(caplog, tmp_path):
    data, vectors = task()
    broken = {text: np.full(DIMENSION, np.nan) for text in vectors}
    evaluator = InformationRetrievalEvaluator(*data, write_predictions=True)
    metrics = evaluator(Table(broken), tmp_path)
    assert set(metrics.values()) == {0.0}
    assert caplog.text.count("3680 of 3680 scores are not numbers") == 1
    (path,) = tmp_path.glob("*.jsonl")
    assert {str(json.loads(line)["results"]) for line in path.read_text().splitlines()} == {"[]"}


def test_scores_of_minus_infinity_are_scores():
    data = ({"q": "q"}, {"a": "a", "b": "b"}, {"q": {"b"}})
    functions = {"masked": lambda a, b: torch.tensor([[1.0, -torch.inf]])}
    found = InformationRetrievalEvaluator(*data, score_functions=functions)(
        Table({text: [1.0] for text in "qab"})
    )
    assert found["masked_mrr@10"] == 0.5


def test_scores_that_are_no_numbers_are_not_found(caplog):
    data = ({"q": "q"}, {"a": "a", "b": "b"}, {"q": {"b"}})
    vectors = {"q": [1.0], "a": [np.nan], "b": [-1.0]}
    metrics = InformationRetrievalEvaluator(*data)(Table(vectors, similarity="dot"))
    assert metrics["dot_mrr@10"] == 1.0
    assert "not numbers" in caplog.text


def test_ids_of_different_types():
    data = ({1: "q"}, {"b": "b", 2: "a", 1: "a"}, {1: {2}})
    vectors = {"q": [1.0], "a": [1.0], "b": [1.0]}
    metrics = InformationRetrievalEvaluator(*data)(Table(vectors, similarity="dot"))
    assert metrics["dot_mrr@10"] == 0.5  # 1, 2, "b"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"queries": {}}, InvalidInput, "none of the 0 queries"),
        ({"relevant_docs": {"x": {"d"}}}, InvalidInput, r"like|such as \['x'\]"),
        ({"corpus": {}}, InvalidInput, "corpus is empty"),
        ({"corpus": ["a"]}, InvalidInput, "corpus is of type list"),
        ({"relevant_docs": {"q": "d"}}, InvalidInput, "use a set"),
        ({"ndcg_at_k": []}, InvalidOption, "ndcg_at_k is empty"),
        ({"map_at_k": [0]}, InvalidOption, "every k must be 1"),
        ({"corpus_chunk_size": 0}, InvalidOption, "corpus_chunk_size is 0"),
        ({"main_score_function": "wrong"}, InvalidOption, "wrong"),
        (
            {"main_score_function": "dot", "score_functions": {"cosine": util.cos_sim}},
            InvalidOption,
            "not among the score functions: cosine",
        ),
    ],
)
def test_refused(change, error, message):
    data = {"queries": {"q": "q"}, "corpus": {"d": "d"}, "relevant_docs": {"q": {"d"}}}
    with pytest.raises(error, match=message):
        InformationRetrievalEvaluator(**{**data, **change})


def test_embeddings_of_another_corpus_are_refused():
    data, vectors = task()
    evaluator = InformationRetrievalEvaluator(*data)
    with pytest.raises(InvalidInput, match="3 corpus_embeddings for 160 documents"):
        evaluator.compute_all_metrics(Table(vectors), corpus_embeddings=torch.zeros(3, DIMENSION))


def test_scores_of_a_wrong_shape_are_refused():
    data, vectors = task()
    evaluator = InformationRetrievalEvaluator(*data, score_functions={"sum": lambda a, b: (a @ b.T).sum(1)})
    with pytest.raises(InvalidInput, match=r"\[23, 160\]"):
        evaluator(Table(vectors))


@pytest.mark.parametrize("name", ["BeIR/nf", "a/../../../esc", "a\\b", "/tmp"])
def test_files_stay_in_the_folder_whatever_the_name(name, tmp_path):
    data = ({"q": "q"}, {"a": "a"}, {"q": {"a"}})
    functions = {"a/dot": lambda a, b: a @ b.T}
    evaluator = InformationRetrievalEvaluator(
        *data, name=name, write_predictions=True, score_functions=functions
    )
    folder = tmp_path / "deep" / "folder"
    metrics = evaluator(Table({text: [1.0] for text in "qa"}), folder)
    assert metrics[f"{name}_a/dot_mrr@10"] == 1.0
    changed = name.replace("/", "_").replace("\\", "_")
    assert sorted(path.name for path in folder.iterdir()) == [
        f"Information-Retrieval_evaluation_{changed}_predictions_a_dot.jsonl",
        f"Information-Retrieval_evaluation_{changed}_results.csv",
    ]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [*folder.glob("*")]
    assert (folder / evaluator.csv_file).is_file()


def test_predictions_that_cannot_be_written_leave_the_scores(tmp_path):
    class Unprintable:
        def __str__(self):
            raise RuntimeError("no text")

    query = Unprintable()
    evaluator = InformationRetrievalEvaluator({"q": query}, {"a": "a"}, {"q": {"a"}}, write_predictions=True)
    model = Table({"a": [1.0]})
    model.vectors[query] = torch.ones(1)
    with pytest.raises(RuntimeError, match="no text"):
        evaluator(model, tmp_path)
    (path,) = tmp_path.iterdir()
    assert path.name == evaluator.csv_file


def test_predictions_hold_queries_and_results(tmp_path):
    data = ({"q": "q"}, {"a": "a", "b": "b"}, {"q": {"b"}})
    vectors = {"q": [1.0], "a": [0.5], "b": [2.0]}
    evaluator = InformationRetrievalEvaluator(*data, write_predictions=True, write_csv=False)
    evaluator(Table(vectors, similarity="dot"), tmp_path / "new" / "folder")
    (path,) = (tmp_path / "new" / "folder").iterdir()
    assert json.loads(path.read_text()) == {
        "query_id": "q",
        "query": "q",
        "results": [{"corpus_id": "b", "score": 2.0}, {"corpus_id": "a", "score": 0.5}],
    }
