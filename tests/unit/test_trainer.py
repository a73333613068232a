"""What a trainer does with its options, on a static model whose steps take a millisecond."""

from __future__ import annotations

import gc
import json
import weakref
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from transformers import TrainerCallback

from stlib import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
    losses,
)
from stlib.base.evaluation import BaseEvaluator
from stlib.base.sampler import DefaultBatchSampler, ProportionalBatchSampler
from stlib.errors import InvalidInput, InvalidOption, MissingDependency
from stlib.models import Dense, StaticEmbedding

WORDS = "a b c d e f g h".split()
PAIRS = {"one": [f"{a} {b}" for a in WORDS for b in WORDS], "two": [f"{b} a" for a in WORDS for b in WORDS]}
SCORED = {**PAIRS, "score": [i / 64 for i in range(64)]}


def new_model(seed: int = 0) -> SentenceTransformer:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({w: i for i, w in enumerate(["[UNK]", *WORDS])}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    torch.manual_seed(seed)
    modules = [StaticEmbedding(tokenizer, embedding_dim=4), Dense(4, 4)]
    return SentenceTransformer(modules=modules, device="cpu")


@pytest.fixture
def arguments(tmp_path):
    def make(**settings: Any) -> SentenceTransformerTrainingArguments:
        given = {
            "output_dir": str(tmp_path / "run"),
            "max_steps": 4,
            "learning_rate": 0.05,
            "logging_steps": 1,
            "save_strategy": "no",
            "report_to": "none",
            "disable_tqdm": True,
            "use_cpu": True,
        }
        return SentenceTransformerTrainingArguments(**{**given, **settings})

    return make


@pytest.fixture
def trainer(arguments):
    def make(
        data: Any = SCORED, loss: Any = None, model: Any = None, given: Any = None, **settings: Any
    ) -> SentenceTransformerTrainer:
        table = datasets.Dataset.from_dict(data) if isinstance(data, dict) and "one" in data else data
        return SentenceTransformerTrainer(
            model if model is not None else new_model(),
            arguments(**settings),
            train_dataset=table,
            loss=loss,
            **(given or {}),
        )

    return make


def logged(trainer: Any, key: str) -> list[float]:
    return [entry[key] for entry in trainer.state.log_history if key in entry]


class Weight(BaseEvaluator):
    """A metric that is known beforehand: how often it was measured, and falling."""

    primary_metric = "falling"

    def __init__(self, name: str = "") -> None:
        self.calls: list[tuple[Any, Any, Any]] = []
        self.name = name

    def __call__(self, model, output_path=None, epoch=-1, steps=-1):
        self.calls.append((output_path, epoch, steps))
        metrics = {"calls": len(self.calls), "falling": -float(len(self.calls))}
        return {f"{self.name}{key}": value for key, value in metrics.items()}


# -- data in every container


def test_a_stream_gives_the_batches_of_its_order(trainer):
    stream = datasets.Dataset.from_dict(SCORED).to_iterable_dataset()
    made = trainer(stream, per_device_train_batch_size=16)
    labels = torch.cat([batch["label"] for batch in made.get_train_dataloader()])
    assert labels.tolist() == pytest.approx(SCORED["score"])
    assert made.train().global_step == 4


def streams() -> dict[str, Any]:
    first = datasets.Dataset.from_dict({"one": ["a"] * 6, "two": ["b"] * 6, "score": [0.0] * 6})
    second = datasets.Dataset.from_dict({"x": ["c"] * 3, "y": ["d"] * 3, "score": [1.0] * 3})
    return {"p": first.to_iterable_dataset(), "q": second.to_iterable_dataset()}


def test_batches_of_several_streams_alternate(trainer):
    loss = {"p": losses.CoSENTLoss, "q": losses.CosineSimilarityLoss}
    made = trainer(streams(), loss, per_device_train_batch_size=2)
    batches = list(made.get_train_dataloader())
    assert [batch["label"].tolist() for batch in batches] == [[0, 0], [1, 1], [0, 0], [1], [0, 0]]
    assert [batch["dataset_name"] for batch in batches] == ["p", "q", "p", "q", "p"]
    assert made.train().global_step == 4


def test_streams_taken_in_turn_end_with_the_shortest(trainer):
    settings = {"per_device_train_batch_size": 3, "multi_dataset_batch_sampler": "round_robin"}
    made = trainer(streams(), losses.CoSENTLoss, **settings)
    labels = [batch["label"].tolist() for batch in made.get_train_dataloader()]
    assert labels == [[0, 0, 0], [1, 1, 1], [0, 0, 0]]
    longer = trainer(streams(), losses.CoSENTLoss, per_device_train_batch_size=1)
    assert len(list(longer.get_train_dataloader())) == 9


def test_lists_of_rows_and_of_data_sets_are_data(trainer):
    rows = [{"one": one, "two": two} for one, two in zip(*PAIRS.values(), strict=True)]
    made = trainer(rows, losses.MultipleNegativesRankingLoss)
    assert made.train_dataset["one"][:] == PAIRS["one"]
    several = trainer([datasets.Dataset.from_list(rows[:8])] * 2, losses.MultipleNegativesRankingLoss)
    assert list(several.train_dataset) == ["0", "1"]
    assert several.train().global_step == 4


def test_the_callers_data_sets_stay_as_they_were(trainer):
    given = datasets.DatasetDict({"a": datasets.Dataset.from_dict(SCORED)})
    trainer(given, {"a": losses.CoSENTLoss}).train()
    assert given["a"][0] == {"one": "a a", "two": "a a", "score": 0.0}


# -- samplers


def test_a_class_or_a_function_makes_batches(trainer):
    class Backwards(DefaultBatchSampler):
        def __iter__(self):
            yield from ([3, 2], [1, 0])

    made = trainer(batch_sampler=Backwards)
    labels = [batch["label"] for batch in made.get_train_dataloader()]
    torch.testing.assert_close(labels, [torch.tensor([3 / 64, 2 / 64]), torch.tensor([1 / 64, 0.0])])

    def function(dataset, batch_size, drop_last, valid_label_columns, generator, seed):
        assert (batch_size, seed, valid_label_columns[0]) == (8, 42, "label")
        return Backwards(dataset, batch_size, drop_last)

    made = trainer(batch_sampler=function)
    assert len(list(made.get_train_dataloader())) == 2

    class LastFirst(ProportionalBatchSampler):
        def __iter__(self):
            yield from reversed(list(super().__iter__()))

    both = {name: datasets.Dataset.from_dict(SCORED) for name in "ab"}
    made = trainer(datasets.DatasetDict(both), multi_dataset_batch_sampler=LastFirst)
    assert len(list(made.get_train_dataloader())) == 16
    assert "multi_dataset_batch_sampler" not in made.args.to_dict()


# -- losses


class Parts(torch.nn.Module):
    """A loss of two parts, one of which learns by itself."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.scale = torch.nn.Parameter(torch.tensor(2.0))

    def forward(self, features: Any, labels: Any) -> dict[str, torch.Tensor]:
        embeddings = self.model(features[0])["sentence_embedding"]
        return {"size": embeddings.square().mean(), "scaled": self.scale * labels.mean()}


def test_parts_of_a_loss_are_summed_and_logged(trainer):
    made = trainer(loss=Parts, logging_steps=2)
    made.train()
    for total, size, scaled in zip(
        logged(made, "loss"), logged(made, "size"), logged(made, "scaled"), strict=True
    ):
        assert total == pytest.approx(size + scaled, abs=1e-3)
    assert made.loss.scale < 2.0  # learned, though no part of the model


def test_parts_of_losses_on_evaluation_data_go_by_its_name(trainer):
    data = datasets.Dataset.from_dict(SCORED)
    single = trainer(loss=Parts, given={"eval_dataset": data})
    found = single.evaluate()["eval_loss"]
    assert logged(single, "eval_size")[0] + logged(single, "eval_scaled")[0] == pytest.approx(found, abs=1e-3)
    several = trainer(loss=Parts, given={"eval_dataset": {"a": data, "b": data.select(range(32))}})
    several.evaluate()
    assert logged(several, "eval_a_scaled") == pytest.approx([63 / 64], abs=1e-4)  # 2 * mean(label)
    assert logged(several, "eval_b_scaled") == pytest.approx([31 / 64], abs=1e-4)


def test_a_part_that_is_no_number_counts_as_the_average_so_far(trainer):
    made = trainer(loss=Parts)
    made.model.train()
    for value in (1.0, 3.0, float("nan")):
        made.track_loss_components({"part": torch.tensor(value)})
    made.log({"loss": 0.0})
    assert logged(made, "part") == [2.0]
    made.log({"loss": 0.0})
    assert logged(made, "part") == [2.0]  # nothing since


def test_parts_of_losses_by_data_set_are_averages_over_their_own_batches(trainer):
    class Constant(torch.nn.Module):
        def __init__(self, model: Any, name: str) -> None:
            super().__init__()
            self.model, self.name = model, name

        def forward(self, features: Any, labels: Any) -> dict[str, torch.Tensor]:
            embeddings = self.model(features[0])["sentence_embedding"]
            return {self.name: 0 * embeddings.sum() + 1.0, "both": 0 * embeddings.sum() + 2.0}

    table = datasets.Dataset.from_dict(SCORED)
    made = trainer(
        {"a": table.select(range(24)), "b": table.select(range(8))},
        {"a": lambda model: Constant(model, "of_a"), "b": lambda model: Constant(model, "of_b")},
        logging_steps=4,
    )
    made.train()  # three batches of a and one of b
    assert [logged(made, name) for name in ("of_a", "of_b", "both", "loss")] == [[1.0], [1.0], [2.0], [3.0]]
    made.model.train()
    made.track_loss_components({"of_a": torch.tensor(7.0)})
    made.log({"loss": 7.0})
    assert [logged(made, name) for name in ("of_a", "of_b")] == [[1.0, 7.0], [1.0]]  # none of b since


def test_learning_rates_go_to_the_parameters_they_name(trainer):
    mapping = {r"^model\.1\.": 0.2, r"scale": 0.7}
    made = trainer(loss=Parts, learning_rate_mapping=mapping, weight_decay=0.1, max_steps=1)
    made.create_optimizer()
    rates = {id(p): group["lr"] for group in made.optimizer.param_groups for p in group["params"]}
    decays = {id(p): group["weight_decay"] for group in made.optimizer.param_groups for p in group["params"]}
    found = {name: (rates[id(p)], decays[id(p)]) for name, p in made.loss.named_parameters()}
    assert found == {
        "model.0.embedding.weight": (0.05, 0.1),
        "model.1.linear.weight": (0.2, 0.1),
        "model.1.linear.bias": (0.2, 0.0),
        "scale": (0.7, 0.1),
    }


@pytest.mark.parametrize("pattern", ["nothing_is_called_so", "("])
def test_learning_rates_for_nothing_are_refused(trainer, pattern):
    with pytest.raises(InvalidOption, match="learning_rate_mapping has"):
        trainer(learning_rate_mapping={pattern: 0.1}).create_optimizer()


# -- evaluation


class Size(torch.nn.Module):
    """An average over rows, without labels."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: Any, labels: Any) -> torch.Tensor:
        return self.model(features[0])["sentence_embedding"].square().sum(dim=1).mean()


@pytest.mark.parametrize("loss", [losses.CosineSimilarityLoss, Size])
def test_the_loss_on_a_stream_is_an_average_over_its_rows(trainer, loss):
    table = datasets.Dataset.from_dict({name: column[20:29] for name, column in SCORED.items()})
    if loss is Size:
        table = table.remove_columns("score")
    whole = trainer(loss=loss).evaluate(table)["eval_loss"]
    for rows in (9, 4):  # all at once; two batches and one row
        made = trainer(loss=loss, per_device_eval_batch_size=rows)
        found = made.evaluate(table.to_iterable_dataset())["eval_loss"]
        assert found == pytest.approx(whole, rel=1e-5)
        assert logged(made, "eval_loss") == [found]


def test_several_streams_are_evaluated_by_name(trainer):
    table = datasets.Dataset.from_dict(SCORED)
    parts = {"a": table, "b": table.select(range(9))}
    by_name = {"a": losses.CosineSimilarityLoss, "b": Size}
    made = trainer(parts, by_name, per_device_eval_batch_size=4)
    expected = made.evaluate(parts)
    found = made.evaluate({name: part.to_iterable_dataset() for name, part in parts.items()})
    for name in parts:
        assert found[f"eval_{name}_loss"] == pytest.approx(expected[f"eval_{name}_loss"], rel=1e-5)


def test_several_evaluators_run_one_after_the_other(trainer, tmp_path):
    first, second = Weight("first_"), Weight("second_")
    second.primary_metric = "second_falling"
    first.primary_metric = "first_falling"
    made = trainer(given={"evaluator": [first, second]}, eval_strategy="steps", eval_steps=2)
    made.train()
    assert logged(made, "eval_second_calls") == [1, 2]
    assert logged(made, "eval_sequential_score") == [-1.0, -2.0]
    assert first.calls == [
        (str(tmp_path / "run" / "eval"), 0.25, 2),
        (str(tmp_path / "run" / "eval"), 0.5, 4),
    ]
    assert made.evaluate()["eval_first_calls"] == 3


def test_with_several_data_sets_the_evaluator_runs_once(trainer):
    evaluator = Weight()
    both = {name: datasets.Dataset.from_dict(SCORED) for name in "ab"}
    made = trainer(given={"evaluator": evaluator, "eval_dataset": both}, eval_strategy="steps", eval_steps=2)
    made.train()
    assert logged(made, "eval_calls") == [1, 2]
    assert len(logged(made, "eval_a_loss")) == len(logged(made, "eval_b_loss")) == 2


def test_the_best_model_is_what_remains(trainer):
    made = trainer(
        given={"evaluator": Weight()},
        eval_strategy="steps",
        eval_steps=2,
        save_strategy="steps",
        save_steps=2,
        load_best_model_at_end=True,
        metric_for_best_model="falling",
        greater_is_better=True,
    )
    made.train()
    assert made.state.best_metric == -1.0
    best = SentenceTransformer(str(Path(made.args.output_dir) / "checkpoint-2"), device="cpu")
    last = SentenceTransformer(str(Path(made.args.output_dir) / "checkpoint-4"), device="cpu")
    assert torch.equal(made.model[1].linear.weight, best[1].linear.weight)
    assert not torch.equal(made.model[1].linear.weight, last[1].linear.weight)


def test_evaluation_without_anything_to_evaluate_is_refused(trainer):
    with pytest.raises(InvalidOption, match="eval_strategy is 'steps' and there is nothing to evaluate"):
        trainer(eval_strategy="steps")
    with pytest.raises(InvalidInput, match="nothing to train on"):
        trainer(None, losses.CoSENTLoss).train()


# -- models


def test_a_search_starts_each_trial_with_a_new_model_and_loss(trainer):
    pytest.importorskip("optuna", reason="the search needs optuna; run: pip install optuna")
    made_losses = []

    def loss(model):
        made_losses.append(Parts(model))
        return made_losses[-1]

    search = SentenceTransformerTrainer(
        None,
        trainer().args,
        train_dataset=datasets.Dataset.from_dict(SCORED),
        loss=loss,
        evaluator=Weight(),
        model_init=lambda trial=None: new_model(3),
    )
    search.args.eval_strategy = "no"
    best = search.hyperparameter_search(
        hp_space=lambda trial: {"learning_rate": trial.suggest_categorical("learning_rate", [0.1, 0.2])},
        compute_objective=lambda metrics: metrics["eval_falling"],
        direction="maximize",
        backend="optuna",
        n_trials=2,
    )
    assert best.hyperparameters["learning_rate"] in (0.1, 0.2)
    assert len(made_losses) == 3 and len({id(one.model) for one in made_losses}) == 3
    assert all(one.scale != 2.0 for one in made_losses[1:])  # each learned, from the start
    assert search.data_collator.preprocess_fn.__self__ is made_losses[-1].model


def test_models_of_earlier_trainings_are_let_go(arguments):
    made: list[weakref.ref[Any]] = []

    def init(trial: Any = None) -> SentenceTransformer:
        model = new_model()
        made.append(weakref.ref(model))
        return model

    tuned = SentenceTransformerTrainer(
        model_init=init,
        args=arguments(max_steps=1),
        train_dataset=datasets.Dataset.from_dict(SCORED),
        loss=lambda model: losses.CoSENTLoss(model),
    )
    for _ in range(4):
        tuned.train()
    gc.collect()
    assert [reference() for reference in made if reference() is not None] == [tuned.model]


# Where torch's compiler begins in the middle of a model, it looks at the gradient of an inner tensor and only
# keeps the warning of that from being printed, which does not help where warnings are errors.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
def test_a_compiled_model_learns_as_itself(trainer):
    plain = trainer(model=new_model(7), loss=losses.CosineSimilarityLoss)
    plain.train()
    compiled = trainer(
        model=new_model(7),
        loss=losses.CosineSimilarityLoss,
        torch_compile=True,
        torch_compile_backend="eager",
    )
    compiled.train()
    torch.testing.assert_close(compiled.model[1].linear.weight, plain.model[1].linear.weight)
    compiled.save_model()
    SentenceTransformer(compiled.args.output_dir, device="cpu")


def test_neither_or_wrong_arguments_are_refused(trainer):
    with pytest.raises(InvalidOption, match="pass model or model_init"):
        SentenceTransformerTrainer()
    from transformers import TrainingArguments

    with pytest.raises(InvalidOption, match=r"args is a transformers.*pass a stlib\.sentence_transformer"):
        SentenceTransformerTrainer(new_model(), TrainingArguments("unused", use_cpu=True, report_to="none"))


def test_callbacks_see_the_run(trainer):
    class Stop(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            assert isinstance(kwargs["model"], SentenceTransformer)
            control.should_training_stop = state.global_step == 2

    made = trainer(given={"callbacks": [Stop()]})
    assert made.train().global_step == 2


def test_the_tokenizer_may_be_passed_by_its_older_name(trainer):
    class Tokenizer:
        def save_pretrained(self, folder):
            (Path(folder) / "saved_by").write_text("me")

    made = trainer(given={"tokenizer": Tokenizer()})
    made.save_model()
    assert (Path(made.args.output_dir) / "saved_by").read_text() == "me"


def test_the_card_says_what_was_done(trainer):
    made = trainer(loss=losses.CosineSimilarityLoss, learning_rate=0.07)
    made.train()
    made.create_model_card(language="en", license="mit", tags="mine", model_name="A small one")
    card = (Path(made.args.output_dir) / "README.md").read_text()
    for expected in (
        "A small one",
        "license: mit",
        "- mine",
        "learning_rate",
        "0.07",
        "CosineSimilarityLoss",
    ):
        assert expected in card


def test_settings_survive_the_disk(arguments, tmp_path):
    args = arguments(
        batch_sampler=lambda dataset, **given: None, prompts='{"one": "query: "}', warmup_ratio=0.5
    )
    assert args.prompts == {"one": "query: "}
    assert args.get_warmup_steps(10) == 5
    torch.save(args, tmp_path / "args.bin")
    loaded = torch.load(tmp_path / "args.bin", weights_only=False)
    assert loaded.batch_sampler.value == "batch_sampler" and loaded.prompts == args.prompts
    assert json.dumps(args.to_dict()["prompts"]) == '{"one": "query: "}'


def test_sharding_is_a_setting(arguments):
    config = {"transformer_layer_cls_to_wrap": ["BertLayer"]}
    args = arguments(fsdp="full_shard auto_wrap", fsdp_config=config)
    assert [option.value for option in args.fsdp] == ["full_shard", "auto_wrap"]
    assert args.fsdp_config["transformer_layer_cls_to_wrap"] == ["BertLayer"]


@pytest.mark.parametrize(
    ("name", "value"), [("router_mapping", "{"), ("learning_rate_mapping", "[1]"), ("batch_sampler", "none")]
)
def test_settings_of_the_wrong_form_are_refused(arguments, name, value):
    with pytest.raises(InvalidOption, match=name if name != "batch_sampler" else "BatchSamplers"):
        arguments(**{name: value})


@pytest.mark.parametrize("method", ["fit", "old_fit"])
def test_the_older_ways_to_train_name_packages_that_are_missing(monkeypatch, method):
    monkeypatch.setattr("stlib.util.environment.is_accelerate_available", lambda: False)
    with pytest.raises(MissingDependency, match="pip install accelerate datasets"):
        getattr(new_model(), method)([])


def test_a_trainer_takes_models_made_from_its_class_and_no_others():
    class Mine(SentenceTransformer):
        pass

    model = Mine(modules=list(new_model()), device="cpu")
    trainer = SentenceTransformerTrainer(
        model, train_dataset=datasets.Dataset.from_dict(SCORED), loss=losses.CoSENTLoss(model)
    )
    assert trainer.model is model
    with pytest.raises(InvalidOption, match=r"load it: SentenceTransformer\('my-model'\)"):
        SentenceTransformerTrainer("my-model")
