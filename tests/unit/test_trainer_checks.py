"""Data sets that cannot be trained on are refused before the first step, with data set and column named."""

from __future__ import annotations

from typing import Any

import datasets
import pytest
from torch import nn

from stlib import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
    losses,
)
from stlib.errors import InvalidInput, InvalidOption
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
    assert "CoSENTLoss uses the first 2 columns of train_dataset; 'comment' is left unused" in caplog.text


def test_columns_left_unused_are_named_once(trainer, model, caplog):
    data = {"text": ["a b", "c", "d"], "comment": ["x", "y", "z"], "label": [0, 0, 1]}
    inside = losses.MatryoshkaLoss(model, losses.BatchAllTripletLoss(model), [4, 2])
    trainer(data, inside, data, eval_strategy="steps", eval_steps=1).train()
    trainer(data, losses.BatchAllTripletLoss, data).train()
    said = [record.getMessage() for record in caplog.records if "first" in record.getMessage()]
    assert said == [
        f"{loss} uses the first column of train_dataset; 'comment' is left unused"
        for loss in ("MatryoshkaLoss", "BatchAllTripletLoss")
    ]


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


@pytest.mark.parametrize("data", [3, [], {}, {"a": 3}, [1, 2]])
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


@pytest.mark.parametrize("length", [-1, 2])
@pytest.mark.parametrize(
    ("wrong", "said"), [(float("nan"), "NaN or infinity"), (-float("inf"), "NaN or infinity"), (None, "None")]
)
def test_a_number_in_a_list_of_labels_counts_like_a_label(trainer, length, wrong, said):
    numbers = datasets.Sequence(datasets.Value("float32"), length)
    data = datasets.Dataset.from_dict({**PAIRS, "label": [[0.5, 0.0], [wrong, 1.0], [1.0, 0.0]]})
    data = data.cast_column("label", numbers)
    message = f"^the label column 'label' of train_dataset has lists in which 1 of 6 values is {said}; "
    with pytest.raises(InvalidInput, match=message):
        trainer(data, losses.MSELoss)
    trainer(data.select([0, 2]), losses.MSELoss)
    nested = datasets.Dataset.from_dict(
        {**PAIRS, "label": [[[0.5], [wrong]], [[1.0], [0.0]], [[1.0], [1.0]]]}
    )
    with pytest.raises(InvalidInput, match=message):
        trainer(nested, losses.MSELoss)


# -- labels outside of what a loss is about

RATED = {**PAIRS, "score": [0.0, 3.0, 5.0]}


def warned_of_labels(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if "labels from" in record.getMessage()]


def test_scores_that_no_cosine_reaches_are_warned_of_once(trainer, model, caplog):
    trainer(RATED, losses.CosineSimilarityLoss, RATED, eval_strategy="steps", eval_steps=1).train()
    inside = losses.MatryoshkaLoss(model, losses.CosineSimilarityLoss(model), [4, 2])
    trainer({**PAIRS, "label": [-10, 0, 5]}, inside)
    assert warned_of_labels(caplog) == [
        f"the column {column} of train_dataset has labels from {values}; CosineSimilarityLoss compares them "
        f"with cosines, which lie between -1 and 1. Scale them (divide by {divisor}), or use CoSENTLoss, "
        "which looks at their order only"
        for column, values, divisor in (("'score'", "0 to 5", "5"), ("'label'", "-10 to 5", "10"))
    ]


def test_scores_of_a_stream_are_warned_of_at_the_first_batch(trainer, caplog):
    stream = datasets.Dataset.from_dict(RATED).to_iterable_dataset()
    trainer(stream, losses.CosineSimilarityLoss).train()
    assert [message.partition(";")[0] for message in warned_of_labels(caplog)] == [
        "a batch has labels from 0 to 5"
    ]


def test_scores_that_are_fine_are_not_warned_of(trainer, model, caplog):
    trainer({**PAIRS, "score": [-1.0, 0.0, 1.0001]}, losses.CosineSimilarityLoss)
    trainer(RATED, losses.CoSENTLoss)
    trainer(RATED, losses.AnglELoss)
    scaled = losses.CosineSimilarityLoss(model, cos_score_transformation=nn.Hardtanh(0, 5))
    trainer(RATED, scaled).train()
    some = datasets.Dataset.from_dict(RATED).filter(lambda row: row["score"] < 1)
    trainer(some, losses.CosineSimilarityLoss)
    assert warned_of_labels(caplog) == []


@pytest.mark.parametrize(("labels", "found"), [([0, 1, 3], "0 to 3"), ([-1, 0, 1], "-1 to 1")])
def test_classes_that_a_classifier_lacks_are_refused(trainer, model, labels, found):
    loss = losses.SoftmaxLoss(model, 4, num_labels=3)
    data = datasets.Dataset.from_dict({**PAIRS, "label": labels})
    message = (
        f"has labels from {found}; SoftmaxLoss has num_labels=3, the classes 0 to 2. Number the classes from "
        "0, and pass how many there are as num_labels"
    )
    with pytest.raises(InvalidInput, match=f"the column 'label' of train_dataset {message}"):
        trainer(data, loss)
    with pytest.raises(InvalidInput, match=rf"the column 'label' of eval_dataset\['x'\] {message}"):
        trainer(data.select([1]), loss, {"x": data})
    with pytest.raises(InvalidInput, match=f"a batch {message}"):
        trainer(data.to_iterable_dataset(), loss).train()


def test_classes_that_are_left_out_may_be_any(trainer, model):
    trainer({**PAIRS, "label": [0, -100, 2]}, losses.SoftmaxLoss(model, 4, num_labels=3)).train()
    ignoring = losses.SoftmaxLoss(model, 4, 3, loss_fct=nn.CrossEntropyLoss(ignore_index=9))
    trainer({**PAIRS, "label": [0, 9, 2]}, ignoring).train()
    own = losses.SoftmaxLoss(
        model, 4, 3, loss_fct=lambda logits, labels: (logits.sum(1) - labels).square().sum()
    )
    trainer({**PAIRS, "label": [5, 9, 2]}, own).train()
    with pytest.raises(InvalidInput, match="has labels from 0 to 9;"):
        trainer({**PAIRS, "label": [0, -100, 9]}, losses.SoftmaxLoss(model, 4, num_labels=3))


# -- parts for evaluation


def parts_warned_of(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if "is trained on" in record.getMessage()]


def test_parts_that_look_like_those_for_evaluation_are_warned_of(trainer, caplog):
    data = datasets.DatasetDict({name: table(PAIRS) for name in ("train", "test", "validation_matched")})
    trainer(data)
    assert parts_warned_of(caplog) == [
        "train_dataset is a dict, and each of its data sets is trained on, also 'test', "
        "'validation_matched'; if those are for evaluation, pass the others as train_dataset and one of them "
        "as eval_dataset"
    ]


def test_data_sets_of_other_names_are_not_warned_of(trainer, caplog):
    trainer({"nli": PAIRS, "testimony": PAIRS, "devices": PAIRS}, evaluation={"test": PAIRS, "dev": PAIRS})
    assert parts_warned_of(caplog) == []


# -- runs that go on


def test_a_stream_resumes_exactly_in_its_first_pass_and_says_where_not(trainer, tmp_path, caplog):
    class Seen(losses.CoSENTLoss):
        def forward(self, features, labels):
            seen.append(labels.tolist())
            return super().forward(features, labels)

    words = list("abcdefgh")
    rows = {"one": words, "two": words[::-1], "score": [i / 8 for i in range(8)]}
    settings = {"max_steps": 4, "per_device_train_batch_size": 4, "save_strategy": "steps", "save_steps": 1}
    orders = []
    for checkpoint in (None, 1, 2, 3):  # a pass is two batches
        seen: list[list[float]] = []
        stream = datasets.Dataset.from_dict(rows).to_iterable_dataset().shuffle(seed=1, buffer_size=8)
        made = trainer(stream, Seen, **settings)
        made.train(checkpoint and str(tmp_path / f"checkpoint-{checkpoint}"))
        orders.append(seen)
    through, *resumed = orders
    assert resumed[:2] == [through[1:], through[2:]]
    assert resumed[2] == [through[2]]
    warned = [record.getMessage() for record in caplog.records if "a stream" in record.getMessage()]
    assert warned == [
        f"{tmp_path / 'checkpoint-3'} was written after the first pass over train_dataset, a stream "
        "without known length: training goes on with a new pass from its start; a Dataset goes on exactly "
        "where it was"
    ]


# -- arguments of the wrong type


def test_a_loss_that_nobody_chose_is_said_to_be_the_default(model, tmp_path):
    args = SentenceTransformerTrainingArguments(str(tmp_path), report_to="none", use_cpu=True)
    for data, needs in ((PAIRS, "a label"), ({"text": ["a"], "label": [1]}, "2 input columns")):
        with pytest.raises(InvalidInput) as caught:
            SentenceTransformerTrainer(model, args, train_dataset=table(data))
        assert str(caught.value).startswith(f"CoSENTLoss needs {needs}")
        assert str(caught.value).endswith(
            ". It is the default, as no loss was passed: pass the one that fits the data, e.g. "
            "MultipleNegativesRankingLoss for pairs and triplets without labels"
        )


def test_a_table_of_pandas_is_refused_with_the_way_to_convert_it(trainer):
    pandas = pytest.importorskip("pandas", reason="datasets brings it")
    frame = pandas.DataFrame(SCORED)
    way = r"is a pandas DataFrame; convert it: Dataset.from_pandas\(frame, preserve_index=False\)"
    with pytest.raises(InvalidInput, match=f"train_dataset {way}"):
        trainer(frame)
    with pytest.raises(InvalidInput, match=f"eval_dataset {way}"):
        trainer(SCORED, evaluation=frame)
    with pytest.raises(InvalidInput, match=rf"train_dataset\['a'\] {way}"):
        trainer({"a": frame})
    with pytest.raises(InvalidInput, match="train_dataset is a numpy ndarray; pass a Dataset"):
        trainer(frame.to_numpy())


def test_the_name_of_a_file_is_refused_with_the_way_to_read_it(trainer):
    with pytest.raises(InvalidInput, match=r"train_dataset is the text 'train.csv'; load it .*load_dataset"):
        trainer("train.csv")


@pytest.mark.parametrize(
    ("loss", "came"),
    [
        ("CoSENTLoss", "is the text 'CoSENTLoss'"),
        (3, "is an int"),
        (lambda model: None, "is a function that returned None"),
        (losses, "is a module"),
    ],
)
def test_what_is_no_loss_is_refused(loss, came, trainer):
    with pytest.raises(InvalidOption, match=f"^loss {came}; pass a loss, e.g. Multiple"):
        trainer(SCORED, loss)
    with pytest.raises(InvalidOption, match=f"^loss {came}; pass a loss, e.g. Multiple"):
        trainer({"a": SCORED}, {"a": loss})


@pytest.mark.parametrize(
    ("model", "came"),
    [
        (
            "all-MiniLM-L6-v2",
            r"is the text 'all-MiniLM-L6-v2'; load it: SentenceTransformer\('all-MiniLM-L6-v2'\)",
        ),
        (nn.Linear(2, 2), "is a torch.nn.modules.linear.Linear; pass a SentenceTransformer of stlib"),
        (SentenceTransformer, "is the class SentenceTransformer; pass a SentenceTransformer of stlib"),
    ],
)
def test_what_is_no_model_is_refused(model, came, tmp_path):
    args = SentenceTransformerTrainingArguments(str(tmp_path), report_to="none", use_cpu=True)
    with pytest.raises(InvalidOption, match=f"^model {came}"):
        SentenceTransformerTrainer(model, args, train_dataset=table(SCORED))
    with pytest.raises(InvalidOption, match=f"^what model_init returned {came}"):
        SentenceTransformerTrainer(args=args, train_dataset=table(SCORED), model_init=lambda: model)


def test_what_is_no_evaluator_is_refused(model, tmp_path):
    args = SentenceTransformerTrainingArguments(str(tmp_path), report_to="none", use_cpu=True)
    for wrong in ("sts", ["sts"]):
        with pytest.raises(InvalidOption, match="evaluator is the text 'sts'; pass an evaluator"):
            SentenceTransformerTrainer(model, args, train_dataset=table(SCORED), evaluator=wrong)
