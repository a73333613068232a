"""NanoBEIREvaluator beside the reference, from a dataset in a folder, and from folders in BEIR's layout."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from stlib import util
from stlib.base.evaluation.beir import read_beir
from stlib.errors import InvalidInput, InvalidOption
from stlib.evaluation import InformationRetrievalEvaluator, NanoBEIREvaluator

pytestmark = pytest.mark.parity

NAMES = ["MSMARCO", "nq"]


@pytest.fixture(scope="module")
def theirs(reference):
    return pytest.importorskip("sentence_transformers.sentence_transformer.evaluation")


class Table:
    """A model whose vectors are drawn from the text."""

    def __init__(self, library=util, similarity="cosine"):
        self.similarity_fn_name = similarity
        self.similarity = {"cosine": library.cos_sim, "dot": library.dot_score}[similarity]
        self.calls, self.cards = [], []
        self.model_card_data = self

    def set_evaluation_metrics(self, evaluator, metrics, epoch=0, step=0):
        self.cards.append((list(metrics), epoch, step))

    def encode_query(self, sentences, truncate_dim=None, **kwargs):
        self.calls.append((len(sentences), truncate_dim, kwargs))
        rows = [np.random.default_rng(list(text.encode())).normal(size=8) for text in sentences]
        return torch.tensor(np.array(rows), dtype=torch.float32)[:, :truncate_dim]

    encode_document = encode_query


def dataset(seed, n_queries=6, n_documents=40):
    """Rows of corpus, queries and judgments, with an empty document and query."""
    rng = np.random.default_rng(seed)
    corpus = [{"_id": f"d{i}", "text": f"document {seed} {i}" if i else ""} for i in range(n_documents)]
    queries = [{"_id": f"q{i}", "text": f"query {seed} {i}" if i else ""} for i in range(n_queries)]
    judgments = [
        {"query-id": f"q{i}", "corpus-id": f"d{j}"}
        for i in range(n_queries)
        for j in sorted(rng.choice(n_documents, size=4, replace=False).tolist())
    ]
    return {"corpus": corpus, "queries": queries, "qrels": judgments}


DATASETS = {"NanoMSMARCO": dataset(0), "NanoNQ": dataset(1)}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A dataset of three subsets and two splits that the package datasets loads from its folder."""
    datasets = pytest.importorskip("datasets")
    folder = tmp_path_factory.mktemp("nano")
    lines = ["---", "configs:"]
    for subset in ("corpus", "queries", "qrels"):
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


@pytest.fixture
def folders(tmp_path):
    """The same data in BEIR's layout, with titles."""
    for name, rows in DATASETS.items():
        write_beir(tmp_path / name, rows)
    return tmp_path


def write_lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_beir(folder, rows, split="test", grade=1):
    corpus = [split_title(row) for row in rows["corpus"]]
    write_lines(folder / "corpus.jsonl", corpus)
    write_lines(folder / "queries.jsonl", rows["queries"])
    lines = [f"{row['query-id']}\t{row['corpus-id']}\t{grade}" for row in rows["qrels"]]
    (folder / "qrels").mkdir(exist_ok=True)
    (folder / "qrels" / f"{split}.tsv").write_text(
        "\n".join(["query-id\tcorpus-id\tscore", *lines, "q1\td9999\t0"])
    )


def split_title(row):
    title, _, text = row["text"].partition(" ")
    return {"_id": row["_id"], "title": title, "text": text}


def close(found, expected):
    assert list(found) == list(expected)
    assert found == pytest.approx(expected, abs=1e-9)
    assert {type(value) for value in found.values()} == {float}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"query_prompts": "q: ", "corpus_prompts": {"MSMARCO": "a: ", "nq": "b: "}},
        {"truncate_dim": 4, "aggregate_fn": max, "aggregate_key": "max", "main_score_function": "cosine"},
        {
            "mrr_at_k": [3],
            "ndcg_at_k": [2, 5],
            "accuracy_at_k": [1],
            "precision_recall_at_k": [7],
            "map_at_k": [4],
        },
        {"write_predictions": True, "batch_size": 3},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_same_numbers(theirs, reference, stored, options, tmp_path):
    results = []
    for module, library in ((NanoBEIREvaluator, util), (theirs.NanoBEIREvaluator, reference.util)):
        evaluator = module(NAMES, dataset_id=stored, **options)
        model, folder = Table(library), tmp_path / str(len(results))
        metrics = [evaluator(model, folder), evaluator(model, folder, 3, 4)]
        with (folder / evaluator.csv_file).open(newline="") as file:
            rows = list(csv.reader(file))
        files = sorted(path.name for path in folder.iterdir())
        results.append((metrics, rows, files, model, evaluator))
    (metrics, rows, files, model, ours), (wanted, their_rows, their_files, their_model, their) = results
    for found, expected in zip(metrics, wanted, strict=True):
        close(found, expected)
    assert ours.primary_metric == their.primary_metric
    assert ours.get_config_dict() == their.get_config_dict()
    assert model.calls == their_model.calls
    assert model.cards == their_model.cards
    assert files == their_files
    assert rows[0] == their_rows[0] == ours.csv_headers
    np.testing.assert_allclose(np.array(rows[1:], float), np.array(their_rows[1:], float), atol=1e-9)


def test_one_dataset_reaches_the_card_once(theirs, reference, stored):
    for module, library in ((NanoBEIREvaluator, util), (theirs.NanoBEIREvaluator, reference.util)):
        model = Table(library)
        module(["nq"], dataset_id=stored)(model)
        (card,) = model.cards
        assert all(name.startswith("NanoNQ_") for name in card[0])


@pytest.mark.parametrize("names", [["NanoMSMARCO", "NanoNQ"], ["msmarco", "NQ"], None])
def test_folders_in_beir_layout(stored, folders, names):
    expected = NanoBEIREvaluator(NAMES, dataset_id=stored)(Table())
    close(NanoBEIREvaluator(names, dataset_id=folders)(Table()), expected)


def test_folders_by_name(folders):
    by_name = {"first one": folders / "NanoNQ", "second": folders / "NanoMSMARCO"}
    evaluator = NanoBEIREvaluator(dataset_id=by_name, corpus_prompts={"first one": "a", "second": "b"})
    metrics = evaluator(Table())
    whole = NanoBEIREvaluator(dataset_id=folders)(Table())
    assert evaluator.primary_metric == "NanoBEIR_mean_cosine_ndcg@10"
    assert metrics["first one_cosine_map@100"] == whole["NanoNQ_cosine_map@100"]
    assert metrics["NanoBEIR_mean_cosine_map@100"] == pytest.approx(whole["NanoBEIR_mean_cosine_map@100"])


def test_a_single_folder(folders):
    evaluator = NanoBEIREvaluator(dataset_id=str(folders / "NanoNQ"), aggregate_key="the_mean")
    assert evaluator.dataset_names == ["NanoNQ"]
    metrics = evaluator(Table())
    assert metrics["NanoBEIR_the_mean_cosine_ndcg@10"] == metrics["NanoNQ_cosine_ndcg@10"]


def test_several_score_functions_and_another_model(folders):
    functions = {"cosine": util.cos_sim, "dot": util.dot_score}
    both = NanoBEIREvaluator(dataset_id=folders, score_functions=functions, main_score_function="dot")
    metrics = both(Table())
    assert both.primary_metric == "NanoBEIR_mean_dot_ndcg@10"
    follower = NanoBEIREvaluator(dataset_id=folders)
    follower(Table())
    again = follower(Table(similarity="dot"))
    assert follower.primary_metric == "NanoBEIR_mean_dot_ndcg@10"
    assert again == {name: value for name, value in metrics.items() if "dot" in name}


def test_read_beir(tmp_path):
    rows = {
        "corpus": [{"_id": "a", "text": "One two"}, {"_id": 7, "text": "Three"}],
        "queries": [{"_id": "q1", "text": "question"}],
        "qrels": [{"query-id": "q1", "corpus-id": "a"}],
    }
    write_beir(tmp_path, rows, "train", grade=3)
    data = read_beir(tmp_path)  # the only split
    assert data.corpus == {"a": "One two", "7": "Three"}
    assert data.queries == {"q1": "question"}
    assert data.relevant_docs == {"q1": {"a": 3}}
    write_beir(tmp_path, rows, "test")
    assert read_beir(tmp_path).relevant_docs == {"q1": {"a"}}
    assert read_beir(tmp_path, "train").relevant_docs == {"q1": {"a": 3}}
    InformationRetrievalEvaluator(data.queries, data.corpus, data.relevant_docs)(Table())
    with pytest.raises(InvalidInput, match=r"dev\.tsv is missing; there are judgments of: test, train"):
        read_beir(tmp_path, "dev")


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [
        ("corpus.jsonl", "{", r"corpus.jsonl, line 1: expected a JSON object"),
        ("queries.jsonl", '{"_id": 1}', r"queries.jsonl, line 1: .*'text'"),
        ("queries.jsonl", '{"_id": 1, "text": 2}', r"queries.jsonl, line 1: text is of type int"),
        ("qrels/test.tsv", "q1\td1", r"test.tsv, line 1: expected query-id, corpus-id and a whole number"),
        ("qrels/test.tsv", "q1\td1\thigh", r"test.tsv, line 1: expected query-id"),
    ],
)
def test_broken_lines_are_named(folders, file, line, message):
    (folders / "NanoNQ" / file).write_text(line)
    with pytest.raises(InvalidInput, match=message):
        read_beir(folders / "NanoNQ")


def test_a_missing_file_is_named(folders):
    (folders / "NanoNQ" / "queries.jsonl").unlink()
    with pytest.raises(InvalidInput, match=r"queries\.jsonl is missing"):
        read_beir(folders / "NanoNQ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dataset_names": []}, "dataset_names is empty"),
        ({"dataset_names": "nq"}, r"use a list, such as \['nq'\]"),
        ({"dataset_names": ["nq", "nope"]}, "no dataset nope; there are: NanoMSMARCO, NanoNQ"),
        ({"query_prompts": {"NanoNQ": "x"}}, "query_prompts has no prompt for: NanoMSMARCO"),
        ({"ndcg_at_k": []}, "ndcg_at_k is empty"),
    ],
)
def test_refused(folders, options, message):
    with pytest.raises(InvalidOption, match=message):
        NanoBEIREvaluator(**{"dataset_id": folders, **options})


@pytest.mark.parametrize("given", [str, Path, lambda folder: {"mine": folder}])
def test_a_folder_that_is_not_there_is_said(tmp_path, given):
    with pytest.raises(InvalidInput, match=f"^there is no folder {tmp_path / 'nano'}[;,]"):
        NanoBEIREvaluator(dataset_id=given(tmp_path / "nano"))


def test_a_relative_folder_that_is_not_there_is_said():
    with pytest.raises(InvalidInput, match=r"^there is no folder \./no-such;"):
        NanoBEIREvaluator(dataset_id="./no-such")


def test_a_folder_without_datasets_says_what_was_looked_for(tmp_path):
    with pytest.raises(InvalidInput) as caught:
        NanoBEIREvaluator(dataset_id=tmp_path)
    assert str(caught.value).startswith(
        f"neither the folder {tmp_path} nor a folder in it has a corpus.jsonl, the sign of a dataset in "
        "BEIR's layout, and the package datasets cannot load the subset 'corpus', split 'NanoClimateFEVER' "
        "from it"
    )


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_stored_dataset_with_fewer_splits_asks_for_their_names(stored):
    with pytest.raises(InvalidInput, match=r"'NanoClimateFEVER'.*name the datasets it has in dataset_names"):
        NanoBEIREvaluator(dataset_id=stored)


def test_unknown_names_of_the_hub_are_refused():
    with pytest.raises(InvalidOption, match="no dataset nope; there are: climatefever, dbpedia"):
        NanoBEIREvaluator(["nope"])


def test_no_connection_is_said(monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        InvalidInput, match=r"'corpus', split 'NanoNQ' of the dataset 'some/where' .*connection"
    ):
        NanoBEIREvaluator(["nq"], dataset_id="some/where")


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_missing_columns_are_named(stored, tmp_path):
    write_lines(tmp_path / "NanoNQ.jsonl", [{"id": 1, "text": "x"}])
    card = [
        "---",
        "configs:",
        "- config_name: corpus",
        "  data_files:",
        "  - split: NanoNQ",
        "    path: NanoNQ.jsonl",
    ]
    (tmp_path / "README.md").write_text("\n".join([*card, "---", ""]))
    with pytest.raises(InvalidInput, match="lacks the columns _id; it has id, text"):
        NanoBEIREvaluator(["nq"], dataset_id=str(tmp_path))
