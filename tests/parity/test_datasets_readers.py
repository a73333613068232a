"""Readers, datasets of the older fit, and looking identifiers up: the same as the reference."""

from __future__ import annotations

import csv
import gzip
import importlib
import pickle
import random

import numpy as np
import pytest

from stlib.errors import InvalidInput, InvalidOption, MissingDependency
from stlib.sentence_transformer import datasets as our_datasets
from stlib.sentence_transformer import readers as our_readers
from stlib.sentence_transformer.datasets import (
    DenoisingAutoEncoderDataset,
    NoDuplicatesDataLoader,
    ParallelSentencesDataset,
    SentenceLabelDataset,
    SentencesDataset,
)
from stlib.sentence_transformer.readers import InputExample, LabelSentenceReader, NLIDataReader, STSDataReader
from stlib.util import resolve_ids
from stlib.util.decorators import save_to_hub_args_decorator
from stlib.util.row_index import RowIndex

LINES = 'x\tthe first é\ty\t1.5\ny\t"unpaired\tx\t5\nx\t日本\t\t0\n'


@pytest.fixture(scope="module")
def their_readers(reference):
    return importlib.import_module("sentence_transformers.sentence_transformer.readers")


@pytest.fixture(scope="module")
def their_datasets(reference):
    return importlib.import_module("sentence_transformers.sentence_transformer.datasets")


def facts(examples):
    return [(example.guid, list(example.texts), example.label) for example in examples]


def write(folder, name, text):
    data = text.encode()
    (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)


CASES = {
    "labels": ("LabelSentenceReader", "a.tsv", LINES, {}),
    "labels of another column": (
        "LabelSentenceReader",
        "a.csv",
        LINES.replace("\t", "|"),
        {"label_col_idx": 2, "sentence_col_idx": 0, "separator": "|"},
    ),
    "scores": ("STSDataReader", "a.tsv", LINES, {"score_col_idx": 3}),
    "scores, packed": ("STSDataReader", "a.tsv.gz", LINES, {"score_col_idx": 3, "s2_col_idx": 2}),
    "scores as they are": (
        "STSDataReader",
        "a.csv",
        '"a, b",c,3\n"d ""e""",f,-1\n',
        {"delimiter": ",", "quoting": csv.QUOTE_MINIMAL, "normalize_scores": False},
    ),
    "scores of a range": ("STSDataReader", "a.tsv", "a\tb\t3\n", {"min_score": 1, "max_score": 4}),
    "the benchmark": ("STSBenchmarkDataReader", "b.tsv", "g\tf\ty\t1\t2.5\tone\ttwo\textra\n" * 3, {}),
    "triplets": ("TripletReader", "t.tsv", LINES, {"s3_col_idx": 3}),
    "triplets, header": (
        "TripletReader",
        "t.csv",
        "1,2,3\na,b,c\nd,e,f\n",
        {"has_header": True, "delimiter": ",", "s1_col_idx": 2, "s3_col_idx": 0, "quoting": csv.QUOTE_ALL},
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("max_examples", [0, 1, 2, 10])
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # of the reference
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_files_of_rows(tmp_path, their_readers, case, max_examples):
    reader, name, text, options = CASES[case]
    write(tmp_path, name, text)
    examples = [
        facts(
            getattr(readers, reader)(str(tmp_path), **options).get_examples(name, max_examples=max_examples)
        )
        for readers in (our_readers, their_readers)
    ]
    assert examples[0] == examples[1]
    assert len(examples[0]) == min(max_examples or 99, text.count("\n") - options.get("has_header", False))


def test_labels_go_on_from_file_to_file(tmp_path):
    write(tmp_path, "a.tsv", "x\t1\ny\t2\n")
    write(tmp_path, "b.tsv.gz", "z\t3\nx\t4\n")
    reader = LabelSentenceReader(str(tmp_path))
    labels = [example.label for name in ("a.tsv", "b.tsv.gz") for example in reader.get_examples(name)]
    assert labels == [0, 1, 2, 0]
    assert reader.label_map == {"x": 0, "y": 1, "z": 2}


@pytest.mark.parametrize("max_examples", [0, 2])
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # of the reference
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_files_that_belong_together(tmp_path, their_readers, max_examples):
    for part, text in {
        "s1": "a\nb\nc\n",
        "s2": "d\ne\nf\n",
        "labels": "Neutral\n contradiction\nentailment",
    }.items():
        write(tmp_path, f"{part}.train.gz", text)
    write(tmp_path, "short.txt", "one\ntwo\n")
    paths = [str(tmp_path / name) for name in ("s1.train.gz", "short.txt", "s2.train.gz")]
    for results in zip(
        *(
            (
                facts(readers.NLIDataReader(str(tmp_path)).get_examples("train.gz", max_examples)),
                facts(readers.PairedFilesReader(paths).get_examples(max_examples)),
                readers.NLIDataReader("").get_num_labels(),
                str(readers.InputExample("g", ["a", "b"], 1.5)),
            )
            for readers in (our_readers, their_readers)
        ),
        strict=True,
    ):
        assert results[0] == results[1]


def test_broken_files_name_the_row(tmp_path):
    write(tmp_path, "a.tsv", "a\tb\t1\na\tb\n")
    with pytest.raises(InvalidInput, match=r"a.tsv, row 2: column 2 is missing, the row has 2"):
        STSDataReader(str(tmp_path)).get_examples("a.tsv")
    write(tmp_path, "b.tsv", "a\tb\tgood\n")
    with pytest.raises(InvalidInput, match=r"b.tsv, row 1: 'good' is no float"):
        STSDataReader(str(tmp_path)).get_examples("b.tsv")
    with pytest.raises(InvalidOption, match="range of 0"):
        STSDataReader("", min_score=1, max_score=1)
    for part, text in {"s1": "a\nb\n", "s2": "c\n", "labels": "neutral\n"}.items():
        write(tmp_path, f"{part}.dev", text)
    with pytest.raises(InvalidInput, match="differ in their number of lines after 1"):
        NLIDataReader(str(tmp_path)).get_examples("dev")
    write(tmp_path, "s1.dev", "a\n")
    write(tmp_path, "labels.dev", "maybe\n")
    with pytest.raises(InvalidInput, match=r"labels.dev, row 1: 'maybe\\n'"):
        NLIDataReader(str(tmp_path)).get_examples("dev")


# -- datasets


def examples_of(n_texts, n_labels, n=60):
    return [InputExample(str(i), [f"t{i % n_texts}", f"u{i % 11}"], i * i % n_labels) for i in range(n)]


@pytest.mark.parametrize("samples", [2, 3, 5])
@pytest.mark.parametrize("replace", [False, True])
def test_rows_of_one_label_together(their_datasets, samples, replace):
    orders = []
    for kind in (SentenceLabelDataset, their_datasets.SentenceLabelDataset):
        np.random.seed(4)
        dataset = kind(examples_of(60, 7), samples, replace)
        orders.append(([[example.guid for example in dataset] for _ in range(3)], len(dataset)))
    assert orders[0] == orders[1]
    first = SentenceLabelDataset(examples_of(60, 7), samples)
    rows = list(first)
    for start in range(0, len(rows) - samples + 1, samples):
        assert len({example.label for example in rows[start : start + samples]}) == 1
        assert len({example.guid for example in rows[start : start + samples]}) == samples


@pytest.mark.parametrize(("batch_size", "n_texts"), [(4, 5), (6, 7), (8, 60)])
def test_batches_without_duplicates(their_datasets, batch_size, n_texts):
    batches = []
    for kind in (NoDuplicatesDataLoader, their_datasets.NoDuplicatesDataLoader):
        random.seed(4)
        loader = kind(examples_of(n_texts, 2), batch_size)
        batches.append(([[[e.guid for e in batch] for batch in loader] for _ in range(3)], len(loader)))
    assert batches[0] == batches[1]


def test_batches_that_cannot_be_filled():
    examples = [InputExample(texts=["same", str(i)]) for i in range(6)]
    given = list(examples)
    with pytest.raises(InvalidInput, match="after 1 every other example shares one"):
        list(NoDuplicatesDataLoader(examples, 2))
    assert examples == given


class Teacher:
    """Counts what it is asked for; a sentence's vector is its length."""

    def __init__(self):
        self.asked = []

    def encode(self, sentences, batch_size, show_progress_bar, convert_to_numpy):
        assert (batch_size, show_progress_bar, convert_to_numpy) == (3, False, True)
        self.asked += sentences
        return np.array([[len(text), batch_size] for text in sentences], dtype=np.float32)


@pytest.mark.parametrize("cache", [True, False])
def test_translations_with_the_vector_of_the_original(tmp_path, their_datasets, cache):
    write(tmp_path, "a.tsv.gz", "one\teins\tun\ntwo\tzwei\n" + "x" * 20 + "\tlong\none\tuno\n")
    drawn = []
    for kind in (ParallelSentencesDataset, their_datasets.ParallelSentencesDataset):
        random.seed(0)
        teacher = Teacher()
        dataset = kind(None, teacher, batch_size=3, use_embedding_cache=cache)
        dataset.load_data(str(tmp_path / "a.tsv.gz"), weight=2, max_sentence_length=15)
        dataset.add_dataset(
            [["three", "drei"], ["four", "vier"], ["five", "fünf"]], weight=1, max_sentences=2
        )
        dataset.add_dataset([["y" * 200, "z"]])
        assert len(dataset) == 10
        turn = [dataset[0] for _ in range(8)]
        drawn.append(sorted((example.texts[0], example.label.tolist()) for example in turn))
        assert len(teacher.asked) == 3
        for _ in range(40):
            dataset[0]
        assert len(teacher.asked) == 4 or not cache
    assert drawn[0] == drawn[1]
    assert drawn[0][1] == ("eins", [3.0, 3.0])


def test_a_dataset_without_sentences():
    with pytest.raises(InvalidInput, match="load_data or add_dataset"):
        ParallelSentencesDataset(None, Teacher())[0]


def test_sentences_with_noise():
    dataset = DenoisingAutoEncoderDataset(["a b", "c"], noise_fn=str.upper)
    assert [example.texts for example in (dataset[0], dataset[1])] == [["A B", "a b"], ["C", "c"]]
    assert len(dataset) == 2
    plain = SentencesDataset(examples_of(2, 2, n=3), model=None)
    assert len(plain) == 3 and plain[1].texts == ["t1", "u1"]


def test_noise_of_nltk(their_datasets, monkeypatch):
    nltk = pytest.importorskip("nltk", reason="nltk is missing; run: pip install nltk")
    monkeypatch.setattr(nltk, "word_tokenize", str.split)
    text = "the quick brown fox does n't jump over the lazy dog ."
    for ratio in (0.6, 0.0, 1.0):
        results = []
        for kind in (DenoisingAutoEncoderDataset, their_datasets.DenoisingAutoEncoderDataset):
            np.random.seed(1)
            results.append([kind.delete(text, ratio) for _ in range(5)])
        assert results[0] == results[1]
    assert DenoisingAutoEncoderDataset.delete("") == ""
    np.random.seed(1)
    first = DenoisingAutoEncoderDataset([text])[0].texts
    np.random.seed(1)
    assert first == [DenoisingAutoEncoderDataset.delete(text), text]


def test_noise_without_nltk(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "nltk", None)
    with pytest.raises(MissingDependency, match="pip install nltk"):
        our_datasets.DenoisingAutoEncoderDataset(["a"])
    assert our_datasets.DenoisingAutoEncoderDataset(["a"], noise_fn=str)[0].texts == ["a", "a"]


# -- identifiers


@pytest.fixture
def tables():
    hf = pytest.importorskip("datasets", reason="datasets is missing; run: pip install '.[train]'")
    return {
        "queries": hf.Dataset.from_dict({"query_id": [3, 1, 2, 1], "text": ["q3", "old", "q2", "q1"]}),
        "documents": hf.Dataset.from_dict({"id": ["a", "c", "b"], "text": ["A", "C", "B"]}),
        "wide": hf.Dataset.from_dict(
            {"doc_id": ["b", "a", "c"], "title": ["tb", "ta", "tc"], "text": ["B", "A", "C"]}
        ),
        "mixed": hf.Dataset.from_dict({"id": ["x" * 200, "a\0", "a"], "text": ["long", "zero", "none"]}),
        "pairs": hf.Dataset.from_dict({"query_id": [1, 2], "document_id": ["b", "a"], "label": [0.5, 1.0]}),
        "lists": hf.Dataset.from_dict(
            {
                "q_idx": [1, 2],
                "entity_ids": [["a", "b", "c"], ["c", "b", "a"]],
                "scores": [[1, 2, 3], [4, 5, 6]],
            }
        ),
        "ragged": hf.Dataset.from_dict({"document_ids": [["a"], [], ["b", "c"]], "label": ["x", "y", "z"]}),
        "written": hf.Dataset.from_dict(
            {"document_ids": ["['a', 'b']", " ['c', 'a']"], "score": ["[1, 2]", "[3, 4]"]}
        ),
        "odd": hf.Dataset.from_dict({"document_id": ["a", "a\0"]}),
    }


RESOLUTIONS = {
    "pairs": ("pairs", {"query_id": "queries", "document_id": "documents"}, {}),
    "order": ("pairs", {"document_id": "documents", "query_id": "queries"}, {"keep_columns": ["query_id"]}),
    "named id": ("pairs", {"document_id": ("wide", "doc_id", "title")}, {"keep_columns": []}),
    "one dataset twice": ("pairs", {"document_id": ("documents", "id")}, {}),
    "lists as columns": ("lists", {"q_idx": "queries", "entity_ids": "documents"}, {}),
    "fewer": ("lists", {"entity_ids": "documents"}, {"max_list_length": 2}),
    "lists as lists": ("lists", {"entity_ids": "documents"}, {"output_format": "lists"}),
    "fewer in lists": (
        "lists",
        {"entity_ids": "documents"},
        {"output_format": "lists", "max_list_length": 1},
    ),
    "ragged": ("ragged", {"document_ids": "documents"}, {"output_format": "lists"}),
    "written": ("written", {"document_ids": "documents"}, {}),
    "written, fewer": ("written", {"document_ids": "documents"}, {"max_list_length": 1}),
    "odd identifiers": ("odd", {"document_id": "mixed"}, {}),
}


def resolved(tables, function, case):
    rows, lookups, options = RESOLUTIONS[case]
    given = {
        name: (tables[table[0]], *table[1:]) if isinstance(table, tuple) else tables[table]
        for name, table in lookups.items()
    }
    return tables[rows], function(given, **options)


@pytest.mark.parametrize("case", RESOLUTIONS)
def test_identifiers_become_values(tables, reference, case):
    results = []
    for function in (resolve_ids, importlib.import_module("sentence_transformers.util").resolve_ids):
        rows, transform = resolved(tables, function, case)
        transform = pickle.loads(pickle.dumps(transform))
        lazy = rows.with_transform(transform)
        eager = rows.map(transform, batched=True, remove_columns=rows.column_names)
        results.append((list(lazy[:].items()), lazy[0], [eager[i] for i in range(len(eager))]))
    assert results[0] == results[1]


def test_identifiers_that_are_unknown_or_unclear(tables):
    rows, transform = resolved(tables, resolve_ids, "pairs")
    with pytest.raises(KeyError, match=r"9 of column 'query_id' is not in its lookup dataset"):
        transform({"query_id": [1, 9], "document_id": ["a", "b"]})
    with pytest.raises(KeyError, match="'1' of column 'query_id'"):
        transform({"query_id": ["1"], "document_id": ["a"]})
    with pytest.raises(TypeError, match="with_format"):
        rows.with_format("numpy").map(transform, batched=True)
    with pytest.raises(TypeError, match="came as str, not as a dict"):
        transform("query_id")
    lists = resolve_ids({"document_ids": tables["documents"]})
    with pytest.raises(InvalidInput, match=r"have \[0, 1, 2\] items"):
        lists(tables["ragged"][:])
    with pytest.raises(InvalidInput, match="no list"):
        lists({"document_ids": ["[1, 2"]})
    with pytest.raises(InvalidInput, match="called 'document'"):
        resolve_ids({"document_id": tables["documents"], "document_idx": tables["documents"]})(
            {"document_id": ["a"], "document_idx": ["a"]}
        )
    for options, message in (
        ({"max_list_length": 0}, "at least 1"),
        ({"output_format": "rows"}, "'rows'"),
    ):
        with pytest.raises(InvalidOption, match=message):
            resolve_ids({}, **options)
    for table, message in (
        ("wide", "value_column"),
        (("wide", "nothing"), "no column 'nothing'"),
        (("wide", "doc_id", "nothing"), "no column 'nothing'"),
        ("pairs", "which of"),
    ):
        given = (tables[table[0]], *table[1:]) if isinstance(table, tuple) else tables[table]
        with pytest.raises(InvalidOption, match=message):
            resolve_ids({"a_id": given})
    with pytest.raises(InvalidOption, match="has 1 parts"):
        resolve_ids({"a_id": (tables["wide"],)})
    with pytest.raises(TypeError, match="of a DatasetDict, one split"):
        resolve_ids({"a_id": {"train": tables["wide"]}})
    with pytest.raises(TypeError, match="list of column names"):
        resolve_ids({}, keep_columns="label")


def test_rows_by_identifier():
    for ids in (
        list(range(50, 0, -1)),
        [f"k{i % 7}" for i in range(20)],
        [1.5, 2.5],
        [1, "1", None],
        [2**70, 1],
    ):
        index = RowIndex(ids)
        expected = {value: row for row, value in enumerate(ids)}
        assert len(index) == len(expected)
        assert index.find(ids) == [expected[value] for value in ids]
        with pytest.raises(KeyError):
            index.find([ids[0], "unknown"])
    with pytest.raises(KeyError):
        RowIndex([]).find(["a"])


# -- older arguments


def test_older_arguments_of_save_to_hub(reference):
    theirs = importlib.import_module("sentence_transformers.util.decorators").save_to_hub_args_decorator

    def save_to_hub(self, repo_id, organization=None, token=None, private=None):
        return repo_id, organization, token, private

    for args, kwargs in (
        (("a",), {}),
        (("a", "org", True), {}),
        ((), {"repo_name": "a", "private": False}),
        ((), {"repo_id": "a", "repo_name": "b", "token": "t"}),
    ):
        expected = theirs(save_to_hub)(None, *args, **kwargs)
        assert save_to_hub_args_decorator(save_to_hub)(None, *args, **kwargs) == expected
