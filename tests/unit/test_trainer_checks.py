"""Data sets that cannot be trained on are refused before the first step, with data set and column named."""

from __future__ import annotations

from typing import Any

import datasets
import pytest

from stlib import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
    losses,
)
from stlib.errors import InvalidInput
from stlib.models import StaticEmbedding

PAIRS = {"one": ["a b", "c", "d"], "two": ["b", "c d", "a"]}
SCORED = {**PAIRS, "score": [0.1, 0.2, 0.3]}


@pytest.fixture(scope="module")
def model() -> SentenceTransformer:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({w: i for i, w in enumerate(["[UNK]", *"abcd"])}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    return SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=4)], device="cpu")


@pytest.fixture
def trainer(model, tmp_path):
    def make(data: Any, loss: Any = None, evaluation: Any = None, **args: Any) -> SentenceTransformerTrainer:
        settings = {"report_to": "none", "use_cpu": True, "disable_tqdm": True, "max_steps": 2, **args}
        return SentenceTransformerTrainer(
            model,
            SentenceTransformerTrainingArguments(str(tmp_path), **settings),
            train_dataset=table(data),
            eval_dataset=table(evaluation),
            loss=loss or losses.MultipleNegativesRankingLoss(model),
        )

    return make


def table(data: Any) -> Any:
    if isinstance(data, dict) and any(isinstance(column, list) for column in data.values()):
        return datasets.Dataset.from_dict(data)
    if isinstance(data, dict):
        return {name: table(one) for name, one in data.items()}
    return data


REFUSED = {
    "numbers": ({**PAIRS, "size": [1, 2, 3]}, r"'size' of train_dataset holds numbers.*rename it to 'label'"),
    "two_labels": ({**SCORED, "label": [1, 0, 1]}, r"'score' of train_dataset holds numbers.*is 'label'"),
    "none": ({"one": ["a", None, "b"], "two": ["a", "b", "c"]}, r"'one' of train_dataset has 1 rows without"),
    "all_none": ({"one": [None], "two": ["a"]}, r"'one' of train_dataset has 1 rows without a value"),
    "text_label": ({**PAIRS, "label": ["yes", "no", "no"]}, r"column 'label' of train_dataset holds texts"),
    "label_gap": ({**PAIRS, "label": [1.0, None, 0.0]}, r"column 'label' of train_dataset has 1 rows"),
    "empty": ({"one": [], "two": []}, r"train_dataset is empty"),
    "one_column": (
        {"one": ["a", "b"]},
        r"MultipleNegativesRankingLoss needs at least 2 input columns.*'one'",
    ),
    "reserved": ({**PAIRS, "dataset_name": ["a", "b", "c"]}, r"'dataset_name' of train_dataset.*rename"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_broken_data_is_refused_with_its_column(name, trainer):
    data, message = REFUSED[name]
    with pytest.raises(InvalidInput, match=message):
        trainer(data)


def test_the_data_set_of_a_dict_is_named(trainer):
    with pytest.raises(InvalidInput, match=r"'size' of eval_dataset\['b'\] holds numbers"):
        trainer(PAIRS, evaluation={"a": PAIRS, "b": {**PAIRS, "size": [1, 2, 3]}})


def test_a_missing_label_is_refused(trainer, model):
    for loss in (losses.CoSENTLoss, losses.CosineSimilarityLoss, losses.AnglELoss, losses.ContrastiveLoss):
        with pytest.raises(
            InvalidInput, match=rf"{loss.__name__} needs a label .* 'label', 'labels', 'score'"
        ):
            trainer(PAIRS, loss)
    with pytest.raises(InvalidInput, match=r"SoftmaxLoss needs a label .the number of the pair's class"):
        trainer(PAIRS, losses.SoftmaxLoss(model, 4, num_labels=2))
    with pytest.raises(InvalidInput, match="BatchAllTripletLoss needs a label"):
        trainer({"one": ["a", "b"]}, losses.BatchAllTripletLoss)


def test_the_loss_inside_a_wrapper_is_what_counts(trainer, model):
    inside = losses.MatryoshkaLoss(model, losses.CoSENTLoss(model), [4, 2])
    with pytest.raises(InvalidInput, match=r"CoSENTLoss needs a label|MatryoshkaLoss needs a label"):
        trainer(PAIRS, inside)


def test_triplets_have_three_columns(trainer):
    with pytest.raises(InvalidInput, match="TripletLoss needs 3 input columns"):
        trainer(PAIRS, losses.TripletLoss)
    with pytest.raises(InvalidInput, match=r"TripletLoss takes 3 input columns.*select_columns"):
        trainer({**PAIRS, "three": ["a"] * 3, "four": ["b"] * 3}, losses.TripletLoss)


def test_columns_that_a_loss_leaves_unused_are_named(trainer, caplog):
    trainer({**SCORED, "comment": ["x", "y", "z"]}, losses.CoSENTLoss)
    assert "CoSENTLoss uses the first 2 columns of train_dataset; 'comment' are left unused" in caplog.text


def test_rows_that_were_filtered_out_do_not_count(trainer):
    data = datasets.Dataset.from_dict({"one": ["a", None, "b"], "two": ["a", "b", "c"]})
    trainer(data.filter(lambda row: row["one"] is not None))


def test_what_a_transform_makes_is_what_counts(trainer):
    data = datasets.Dataset.from_dict({"n": [1, 2, 3]})
    texts = data.with_transform(
        lambda rows: {"one": [str(n) for n in rows["n"]], "two": ["a"] * len(rows["n"])}
    )
    trainer(texts).train()
    with pytest.raises(InvalidInput, match="'n' of train_dataset holds numbers"):
        trainer(data.with_transform(lambda rows: {**rows, "two": ["a"] * len(rows["n"])}))


def test_data_sets_and_losses_have_the_same_names(trainer, model):
    loss = {"a": losses.MultipleNegativesRankingLoss(model)}
    with pytest.raises(InvalidInput, match=r"train_dataset has 'b', for which loss has nothing; it has: 'a'"):
        trainer({"a": PAIRS, "b": PAIRS}, loss)
    with pytest.raises(InvalidInput, match="train_dataset is a single data set"):
        trainer(PAIRS, loss)


@pytest.mark.parametrize("argument", ["prompts", "router_mapping"])
@pytest.mark.parametrize(
    ("data", "mapping", "unknown"),
    [
        (PAIRS, {"three": "query"}, "'three'"),
        ({"a": PAIRS}, {"x": {"one": "query"}}, "'x'"),
        ({"a": PAIRS}, {"a": {"one": "query", "three": "query"}}, "'three'"),
    ],
)
def test_settings_for_what_is_not_there_are_named(argument, data, mapping, unknown, trainer, caplog):
    trainer(data, **{argument: mapping})
    assert f"{argument} names {unknown}, which has no effect: columns are 'one', 'two'" in caplog.text


def test_prompts_may_be_for_columns_of_any_data_set(trainer):
    trainer({"a": PAIRS}, evaluation={"b": {"x": ["a"], "y": ["b"]}}, prompts={"x": "query: ", "a": "text: "})


@pytest.mark.parametrize("data", [3, "train.csv", [], {}, {"a": 3}, [1, 2]])
def test_what_is_no_data_is_refused(data, trainer):
    with pytest.raises(InvalidInput, match="pass a Dataset"):
        trainer(data)


def test_streams_are_checked_by_their_schema(trainer):
    stream = datasets.Dataset.from_dict({**PAIRS, "size": [1, 2, 3]}).to_iterable_dataset()
    with pytest.raises(InvalidInput, match="'size' of train_dataset holds numbers"):
        trainer(stream)
    undeclared = datasets.IterableDataset.from_generator(lambda: iter([{"one": "a", "two": 3.0}]))
    with pytest.raises(
        InvalidInput, match=r"cast\(Features\(\{'one': Value\('string'\), 'two': Value\('float32'\)"
    ):
        trainer(undeclared)


def test_streams_and_tables_are_not_mixed(trainer):
    with pytest.raises(InvalidInput, match="Datasets only, or IterableDatasets only"):
        trainer({"a": table(PAIRS), "b": table(PAIRS).to_iterable_dataset()})


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_labels_that_would_spoil_all_weights_are_refused(trainer, wrong):
    data = {**PAIRS, "score": [0.5, wrong, 1.0]}
    with pytest.raises(InvalidInput, match="'score' of train_dataset has 1 rows with NaN or infinity"):
        trainer(data, losses.CosineSimilarityLoss)
    selected = datasets.Dataset.from_dict(data).select([0, 2])
    trainer(selected, losses.CosineSimilarityLoss)
