"""The same script for sparse models run by both libraries: same losses, weights of penalties and models."""

from __future__ import annotations

import importlib
import logging
import random
import warnings
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from transformers import TrainerCallback

from stlib.errors import InvalidInput, InvalidOption
from stlib.sparse_encoder import SparseEncoder
from stlib.sparse_encoder.callbacks import SchedulerType, SpladeRegularizerWeightSchedulerCallback
from stlib.sparse_encoder.losses import SparseMultipleNegativesRankingLoss, SpladeLoss

pytestmark = [
    pytest.mark.parity,
    # The reference's: torch says it once in a process, whichever test comes first.
    pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state"),
]

STEPS = 6
WORDS = (
    "the a of to sort list key dictionary how do i quick brown fox jumps over lazy dog search word".split()
)
PACKAGES = {"ours": "stlib", "theirs": "sentence_transformers"}


def sentences(n: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(2, 9))) for _ in range(n)]


def rows(*columns: str, label: int = 0) -> dict[str, list[Any]]:
    """Texts of the columns, and with ``label`` a teacher's scores, so many a row."""
    data: dict[str, list[Any]] = {name: sentences(48, seed) for seed, name in enumerate(columns)}
    if label:
        data["label"] = (4 * torch.rand(48, label, generator=torch.Generator().manual_seed(1))).tolist()
    return data


def splade(library: Any, folder: str) -> Any:
    return library.SparseEncoder(folder, device="cpu")


def inference_free(library: Any, folder: str) -> Any:
    """Queries by a table, documents by a transformer, as the documents show it."""
    modules = importlib.import_module(f"{library.__name__}.modules")
    document = modules.Transformer(folder, transformer_task="fill-mask")
    table = modules.SparseStaticEmbedding(tokenizer=document.tokenizer, frozen=False)
    router = modules.Router.for_query_document(
        query_modules=[table],
        document_modules=[document, modules.SpladePooling("max", activation_function="log1p_relu")],
    )
    return library.SparseEncoder(modules=[router], similarity_fn_name="dot", device="cpu")


def autoencoder(library: Any, folder: str) -> Any:
    modules = importlib.import_module(f"{library.__name__}.modules")
    pooling = importlib.import_module(
        f"{library.__name__.split('.')[0]}.sentence_transformer.modules"
    ).Pooling
    torch.manual_seed(2)
    code = modules.SparseAutoEncoder(32, hidden_dim=64, k=4, k_aux=8, dead_threshold=2)
    transformer = modules.Transformer(folder)
    return library.SparseEncoder(modules=[transformer, pooling(32, "mean"), code], device="cpu")


@dataclass
class Run:
    """A training script: what differs between the cases."""

    model: Any = splade
    loss: Any = None
    """Function of the module of losses and the model; None for the trainer's default."""
    data: dict[str, list[Any]] = field(default_factory=lambda: rows("question", "answer"))
    args: dict[str, Any] = field(default_factory=dict)
    callback: dict[str, Any] | None = None
    """Options of a scheduler of one's own."""


class Weights(TrainerCallback):
    """Notes the weights of penalties at each step, and what a service would log."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, float | None]] = []
        self.logged: list[dict[str, float]] = []
        self.loss: Any = None

    def on_pre_optimizer_step(self, args, state, control, **kwargs):
        if hasattr(self.loss, "document_regularizer_weight"):
            self.seen.append((self.loss.document_regularizer_weight, self.loss.query_regularizer_weight))

    def on_log(self, args, state, control, logs=None, **kwargs):
        self.logged.append(dict(logs))


def train(library: str, run: Run, model_path: str, folder: Any, evaluate: bool = False, **more: Any) -> Any:
    package = importlib.import_module(f"{PACKAGES[library]}.sparse_encoder")
    callbacks = importlib.import_module(f"{package.__name__}.callbacks")
    torch.manual_seed(3)
    model = run.model(package, model_path)
    arguments: dict[str, Any] = {
        "output_dir": str(folder / library),
        "max_steps": STEPS,
        "per_device_train_batch_size": 8,
        "learning_rate": 1e-3,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
        **run.args,
        **more,
    }
    from datasets import Dataset

    losses = importlib.import_module(f"{package.__name__}.losses")
    loss = None if run.loss is None else run.loss(losses, model)
    weights = Weights()
    given = [weights]
    if run.callback is not None:
        given.append(callbacks.SpladeRegularizerWeightSchedulerCallback(loss, **run.callback))
    trainer = package.SparseEncoderTrainer(
        model,
        package.SparseEncoderTrainingArguments(**arguments),
        train_dataset=Dataset.from_dict(run.data),
        loss=loss,
        callbacks=given,
        evaluator=judge(package) if evaluate else None,
    )
    weights.loss = trainer.loss
    trainer.weights = weights
    torch.manual_seed(5)
    random.seed(5)
    with warnings.catch_warnings():
        if library == "theirs":
            warnings.simplefilter("ignore")
        trainer.train(resume_from_checkpoint=more.get("resume_from_checkpoint"))
    return trainer


def judge(package: Any) -> Any:
    """An evaluator of retrieval."""
    evaluation = importlib.import_module(f"{package.__name__}.evaluation")
    queries = {f"q{i}": text for i, text in enumerate(sentences(6, 20))}
    corpus = {f"d{i}": text for i, text in enumerate(sentences(20, 30))}
    relevant = {q: {f"d{2 * i}", f"d{i + 7}"} for i, q in enumerate(queries)}
    return evaluation.SparseInformationRetrievalEvaluator(queries, corpus, relevant, name="kept")


def ranking(losses: Any, model: Any, **options: Any) -> Any:
    inner = losses.SparseMultipleNegativesRankingLoss(model)
    return losses.SpladeLoss(model, inner, document_regularizer_weight=0.1, **options)


RUNS = {
    "default": Run(),
    "splade": Run(loss=lambda losses, m: ranking(losses, m, query_regularizer_weight=0.2)),
    "linear": Run(
        loss=lambda losses, m: ranking(losses, m, query_regularizer_weight=0.2),
        callback={"scheduler_type": "linear", "warmup_ratio": 1.0},
    ),
    "cached": Run(
        loss=lambda losses, m: losses.CachedSpladeLoss(
            m, losses.SparseMultipleNegativesRankingLoss(m), 0.1, 0.2, mini_batch_size=3
        )
    ),
    "distillation": Run(
        loss=lambda losses, m: losses.SpladeLoss(m, losses.SparseMarginMSELoss(m), 0.1, 0.2),
        data=rows("query", "positive", "negative_1", "negative_2", label=3),
    ),
    "inference-free": Run(
        inference_free,
        loss=lambda losses, m: ranking(losses, m),
        data=rows("question", "positive", "negative"),
        args={
            "router_mapping": {"question": "query", "positive": "document", "negative": "document"},
            "learning_rate": 2e-5,
            "learning_rate_mapping": {r"sub_modules\.query": 1e-1},
        },
    ),
    "auto-encoder": Run(autoencoder, loss=lambda losses, m: losses.CSRLoss(m, beta=0.1, gamma=1.0)),
}


@pytest.fixture
def folder_of(tiny_mlm, tiny_bert):
    return lambda run: tiny_bert if run.model is autoencoder else tiny_mlm


@pytest.mark.parametrize("name", [name for name in RUNS if name != "splade"])
def test_training_is_the_references(name, folder_of, tmp_path):
    run = RUNS[name]
    ours, theirs = (train(library, run, folder_of(run), tmp_path) for library in PACKAGES)
    logs = [[entry for entry in trainer.state.log_history if "loss" in entry] for trainer in (ours, theirs)]
    assert len(logs[1]) == STEPS
    parts = [key for key in logs[1][0] if key.endswith(("loss", "_k", "_4k", "_aux"))]
    assert len(parts) >= 3
    for key in parts:  # the parts are rounded to four places
        found, expected = ([entry[key] for entry in log] for log in logs)
        torch.testing.assert_close(found, expected, rtol=3e-4, atol=1.5e-4)
    assert ours.weights.seen == theirs.weights.seen
    reported = [
        [{key: log[key] for key in log if key.endswith("_weight")} for log in trainer.weights.logged]
        for trainer in (ours, theirs)
    ]
    assert reported[0] == reported[1]
    expected = theirs.model.state_dict()
    for key, weights in ours.model.state_dict().items():
        if not key.endswith("key.bias"):  # of no effect: rounding, which Adam makes a step of
            torch.testing.assert_close(
                weights, expected[key], rtol=2e-3, atol=2e-4, msg=lambda m, k=key: f"{k}: {m}"
            )


def test_the_best_state_is_kept_by_an_evaluator(tiny_mlm, tmp_path):
    settings = {
        "eval_strategy": "steps",
        "eval_steps": 2,
        "save_strategy": "steps",
        "save_steps": 2,
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_kept_dot_ndcg@10",
    }
    ours, theirs = (
        train(library, RUNS["splade"], tiny_mlm, tmp_path, evaluate=True, **settings) for library in PACKAGES
    )
    measured = [
        [
            {k: v for k, v in entry.items() if "kept" in k}
            for entry in trainer.state.log_history
            if "eval_runtime" in entry
        ]
        for trainer in (ours, theirs)
    ]
    assert len(measured[0]) == 3
    for found, expected in zip(*measured, strict=True):
        assert found.keys() == expected.keys()
        assert {"eval_kept_dot_ndcg@10", "eval_kept_avg_flops", "eval_kept_query_active_dims"} <= found.keys()
        assert found == pytest.approx(expected, rel=1e-3, abs=1e-4)
    assert ours.state.best_metric == pytest.approx(theirs.state.best_metric)
    again = judge(importlib.import_module("stlib.sparse_encoder"))(ours.model)
    assert again["kept_dot_ndcg@10"] == pytest.approx(ours.state.best_metric, rel=1e-6)


def test_a_resumed_training_goes_on_with_its_weights(tiny_mlm, tmp_path):
    """Whole, or stopped at step 2 and resumed: the weights of penalties go on where they were."""
    run = Run(loss=RUNS["linear"].loss, callback={"scheduler_type": "linear", "warmup_ratio": 0.5})
    whole = train("ours", run, tiny_mlm, tmp_path, save_strategy="steps", save_steps=2, save_total_limit=3)
    checkpoint = str(tmp_path / "ours" / "checkpoint-2")
    resumed = train("ours", run, tiny_mlm, tmp_path, resume_from_checkpoint=checkpoint)
    assert whole.weights.seen[0] == (0, 0)
    assert resumed.weights.seen == whole.weights.seen[2:]
    assert resumed.state.log_history[-2]["loss"] == pytest.approx(
        whole.state.log_history[-2]["loss"], rel=1e-4
    )


def test_the_documented_mapping_of_learning_rates(tiny_mlm, tmp_path):
    """``SparseStaticEmbedding`` is a class and in no name of a parameter, so the reference finds nothing."""
    run = RUNS["inference-free"]
    rates = {"learning_rate_mapping": {r"SparseStaticEmbedding\.*": 1e-1}}
    by_class = train("ours", Run(run.model, run.loss, run.data, {**run.args, **rates}), tiny_mlm, tmp_path)
    by_name = train("ours", run, tiny_mlm, tmp_path)
    for ours, expected in zip(by_class.model.parameters(), by_name.model.parameters(), strict=True):
        assert torch.equal(ours, expected)
    moved = by_class.model[0].sub_modules["query"][0].weight.abs().max().item()
    assert moved > 0.1  # six steps of 1e-1, which 2e-5 would not reach
    with pytest.raises(InvalidOption, match="fits no parameter and no class"):
        train(
            "ours", Run(args={"learning_rate_mapping": {"SparseStaticEmbedding": 1e-1}}), tiny_mlm, tmp_path
        )


def test_routes_are_asked_for(tiny_mlm, tmp_path):
    run = RUNS["inference-free"]
    with pytest.raises(InvalidOption, match="set router_mapping"):
        train("ours", Run(run.model, run.loss, run.data), tiny_mlm, tmp_path)


def test_a_frozen_table_stays(tiny_mlm, tmp_path):
    """Queries that are looked up and not learned, in the mini-batches of a cached loss too."""

    def frozen(library: Any, folder: str) -> Any:
        model = inference_free(library, folder)
        for parameter in model[0].sub_modules["query"].parameters():
            parameter.requires_grad_(False)
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):  # drawn otherwise in mini-batches
                module.p = 0.0
        return model

    run = RUNS["inference-free"]
    args = {"router_mapping": run.args["router_mapping"]}
    trained = [
        train("ours", Run(frozen, loss, run.data, args), tiny_mlm, tmp_path).model
        for loss in (run.loss, lambda losses, m: losses.CachedSpladeLoss(m, ranking(losses, m).loss, 0.1))
    ]
    for model in trained:
        torch.testing.assert_close(
            *(m[0].sub_modules["query"][0].weight for m in (model, inference_free_of(tiny_mlm)))
        )
    parameters = [dict(model.named_parameters()) for model in trained]
    for name, weights in parameters[0].items():
        if not name.endswith("key.bias"):
            torch.testing.assert_close(weights, parameters[1][name], rtol=2e-3, atol=2e-4)


def inference_free_of(folder: str) -> Any:
    return inference_free(importlib.import_module("stlib.sparse_encoder"), folder)


# -- what is told


def test_options_of_a_scheduler(splade_models, caplog):
    model = splade_models[0]
    loss = SpladeLoss(model, SparseMultipleNegativesRankingLoss(model), 0.1, 0.2)
    with pytest.raises(InvalidOption, match="it must be a SpladeLoss"):
        SpladeRegularizerWeightSchedulerCallback(SparseMultipleNegativesRankingLoss(model))
    with caplog.at_level(logging.WARNING, logger="stlib"):
        made = SpladeRegularizerWeightSchedulerCallback(loss, "cubic", 0)
    assert (made.scheduler_type, made.warmup_ratio) == (SchedulerType.QUADRATIC, 1 / 3)
    assert [r.getMessage()[:30] for r in caplog.records] == [
        "scheduler_type is 'cubic'; all",
        "warmup_ratio is 0; it must lie",
    ]


def test_data_that_a_loss_cannot_use_is_refused_at_once(tiny_mlm, tmp_path):
    run = Run(loss=lambda losses, m: losses.SpladeLoss(m, losses.SparseMarginMSELoss(m), 0.1, 0.2))
    with pytest.raises(InvalidInput, match=r"^SpladeLoss needs a label .the margins"):
        train("ours", run, tiny_mlm, tmp_path)


def test_weights_rise_by_a_scheduler_that_is_added_and_told(tiny_mlm, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, logger="stlib.sparse_encoder"):
        trainer = train("ours", RUNS["splade"], tiny_mlm, tmp_path)
    assert [r.getMessage()[:45] for r in caplog.records] == ["no SpladeRegularizerWeightSchedulerCallback i"]
    kinds = [type(callback).__name__ for callback in trainer.callback_handler.callbacks]
    assert kinds.count("SpladeRegularizerWeightSchedulerCallback") == 1
    seen = [document for document, _ in trainer.weights.seen]
    assert seen == pytest.approx([0, 0.1 / 4, 0.1, 0.1, 0.1, 0.1])
    # and the card says what it was trained with
    trainer.model.save(str(tmp_path / "model"))
    card = (tmp_path / "model" / "README.md").read_text()
    for told in ("SpladeLoss", "SparseMultipleNegativesRankingLoss(scale=1.0", "document_regularizer_weight"):
        assert told in card
    texts = sentences(5, 1)
    again = SparseEncoder(str(tmp_path / "model"), device="cpu")
    torch.testing.assert_close(again.encode(texts).to_dense(), trainer.model.encode(texts).to_dense())


def test_weights_rise_by_a_scheduler_of_ones_own(tiny_mlm, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, logger="stlib.sparse_encoder"):
        weights = train("ours", RUNS["linear"], tiny_mlm, tmp_path).weights
    assert not caplog.records
    expected = torch.tensor([(0.1 * i / STEPS, 0.2 * i / STEPS) for i in range(STEPS)])
    torch.testing.assert_close(torch.tensor(weights.seen), expected)
