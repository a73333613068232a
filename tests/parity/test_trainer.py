"""The same script trained by both libraries: same seed, same data, same losses, same weights."""

from __future__ import annotations

import importlib
import random
import warnings
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer

pytestmark = pytest.mark.parity

WORDS = (
    "the a of to sort list key dictionary how do i quick brown fox jumps over lazy dog search meaning word"
).split()
LONG, SHORT = 20, 4


def sentences(n: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(2, 9))) for _ in range(n)]


def rows(n: int = 64, columns: int = 2, label: str | None = None, seed: int = 0) -> dict[str, list[Any]]:
    data: dict[str, list[Any]] = {f"text{i}": sentences(n, seed + i) for i in range(columns)}
    draw = random.Random(seed)
    if label == "number":
        data["score"] = [round(draw.random(), 3) for _ in range(n)]
    elif label == "class":
        data["label"] = [draw.randrange(4) for _ in range(n)]
    return data


def repeated(n: int = 64) -> dict[str, list[str]]:
    """Pairs in which a quarter of the anchors repeat."""
    data = rows(n)
    data["text0"] = [data["text0"][i % (3 * n // 4)] for i in range(n)]
    return data


@dataclass
class Run:
    """A training script: what differs between the cases."""

    data: Any
    loss: Any
    """Function of the module of losses and the model."""
    args: dict[str, Any] = field(default_factory=dict)
    evaluate: Any = None
    steps: int = SHORT
    change: Any = None
    """What is done to the model first: function of the package and the model, which returns a model."""


def package(library: str) -> Any:
    import stlib

    return stlib if library == "ours" else pytest.importorskip("sentence_transformers")


def losses_of(library: str) -> Any:
    package = "stlib" if library == "ours" else "sentence_transformers"
    return importlib.import_module(f"{package}.sentence_transformer.losses")


def as_datasets(data: Any) -> Any:
    from datasets import Dataset, DatasetDict

    if isinstance(next(iter(data.values())), dict):
        return DatasetDict({name: Dataset.from_dict(one) for name, one in data.items()})
    return Dataset.from_dict(data)


def train(library: str, run: Run, model_path: str, folder: Any) -> Any:
    lib = package(library)
    model = lib.SentenceTransformer(model_path, device="cpu")
    torch.manual_seed(3)
    model = model if run.change is None else run.change(lib, model)
    arguments: dict[str, Any] = {
        "output_dir": str(folder / library),
        "max_steps": run.steps,
        "per_device_train_batch_size": 8,
        "learning_rate": 1e-3,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
        **run.args,
    }
    args = lib.SentenceTransformerTrainingArguments(**arguments)
    torch.manual_seed(4)  # for weights of losses
    evaluation = None if run.evaluate is None else as_datasets(run.evaluate)
    trainer = lib.SentenceTransformerTrainer(
        model,
        args,
        train_dataset=as_datasets(run.data),
        eval_dataset=evaluation,
        loss=run.loss(losses_of(library), model),
    )
    torch.manual_seed(5)
    random.seed(5)
    with warnings.catch_warnings():
        if library == "theirs":
            warnings.simplefilter("ignore")
        trainer.train()
    return trainer


def curve(trainer: Any, key: str = "loss") -> list[float]:
    return [entry[key] for entry in trainer.state.log_history if key in entry]


def assert_same(run: Run, model_path: str, folder: Any) -> None:
    ours, theirs = (train(library, run, model_path, folder) for library in ("ours", "theirs"))
    assert len(curve(theirs)) == run.steps
    torch.testing.assert_close(curve(ours), curve(theirs), rtol=2e-4, atol=1e-5)
    expected = theirs.model.state_dict()
    for name, weights in ours.model.state_dict().items():
        # The bias of keys does not change attention: its gradient is rounding, which Adam makes a step of.
        if not name.endswith("key.bias"):
            torch.testing.assert_close(weights, expected[name], rtol=1e-3, atol=1e-4)


def cached(losses: Any, model: Any) -> Any:
    return losses.CachedMultipleNegativesRankingLoss(model, mini_batch_size=5)


def matryoshka(losses: Any, model: Any) -> Any:
    return losses.MatryoshkaLoss(model, losses.MultipleNegativesRankingLoss(model), [32, 16, 8])


SINGLE = {
    "ranking_no_duplicates": Run(
        repeated(),
        lambda losses, model: losses.MultipleNegativesRankingLoss(model),
        {"batch_sampler": "no_duplicates", "warmup_ratio": 0.2},
        steps=LONG,
    ),
    "ranking_hashed": Run(
        repeated(),
        lambda losses, model: losses.MultipleNegativesRankingLoss(model),
        {"batch_sampler": "no_duplicates_hashed", "warmup_steps": 0.2},
    ),
    "triples_accumulated": Run(
        rows(columns=3),
        lambda losses, model: losses.MultipleNegativesRankingLoss(model),
        {"gradient_accumulation_steps": 2, "gradient_checkpointing": True},
    ),
    "cosent": Run(rows(label="number"), lambda losses, model: losses.CoSENTLoss(model), steps=LONG),
    "cosent_by_default": Run(rows(label="number"), lambda losses, model: None),
    "loss_class": Run(rows(label="number"), lambda losses, model: losses.CosineSimilarityLoss),
    "cached": Run(rows(columns=3), cached, {"weight_decay": 0.1}, steps=LONG),
    "matryoshka": Run(rows(), matryoshka, steps=LONG),
    "batch_hard": Run(
        rows(columns=1, label="class"),
        lambda losses, model: losses.BatchHardTripletLoss(model),
        {"batch_sampler": "group_by_label"},
        steps=LONG,
    ),
    "softmax_with_own_weights": Run(
        rows(label="class"),
        lambda losses, model: losses.SoftmaxLoss(model, 32, num_labels=4),
        {"learning_rate_mapping": {"classifier": 1e-2, r"layer\.0": 1e-5}},
    ),
    "prompt_for_all": Run(
        rows(), lambda losses, model: losses.MultipleNegativesRankingLoss(model), {"prompts": "query : "}
    ),
    "prompts_by_column": Run(
        rows(),
        lambda losses, model: losses.MultipleNegativesRankingLoss(model),
        {"prompts": {"text0": "query : ", "text1": "document : "}},
    ),
    "bf16": Run(rows(label="number"), lambda losses, model: losses.CoSENTLoss(model), {"bf16": True}),
}


@pytest.mark.parametrize("name", SINGLE)
def test_one_data_set_gives_the_same_curve_and_weights(name, reference, tiny_bert, tmp_path):
    assert_same(SINGLE[name], tiny_bert, tmp_path)


def adapted(lib: Any, model: Any) -> Any:
    peft = pytest.importorskip("peft", reason="adapters need peft; run: pip install '.[adapters]'")
    model.add_adapter(peft.LoraConfig(r=2, lora_dropout=0.1, target_modules=["query", "value"]))
    return model


def test_an_adapter_learns_and_is_saved_alone(reference, tiny_bert, tmp_path):
    run = Run(
        rows(),
        lambda losses, model: losses.MultipleNegativesRankingLoss(model),
        {"save_strategy": "steps", "save_steps": 2},
        change=adapted,
    )
    assert_same(run, tiny_bert, tmp_path)
    stlib = package("ours")
    before = stlib.SentenceTransformer(tiny_bert, device="cpu").state_dict()
    folder = tmp_path / "ours" / "checkpoint-2"
    assert (folder / "adapter_model.safetensors").is_file()
    assert not (folder / "model.safetensors").exists()
    trained = stlib.SentenceTransformer(str(folder), device="cpu").state_dict()
    base = {name.replace(".base_layer", ""): value for name, value in trained.items() if "lora_" not in name}
    assert all(torch.equal(base[name], value) for name, value in before.items())
    assert any(value.any() for name, value in trained.items() if "lora_B" in name)
    # The checkpoint is read into a running trainer, too.
    trainer = train("ours", run, tiny_bert, tmp_path)
    trainer._load_from_checkpoint(str(folder))
    state = trainer.model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in trained.items())


def routed(lib: Any, model: Any) -> Any:
    modules = importlib.import_module(f"{lib.__name__}.sentence_transformer.modules")
    # A copy: the reference would pad the queries as it pads the documents if both shared the tokenizer.
    tokenizer = Tokenizer.from_str(model.tokenizer.backend_tokenizer.to_str())
    static = modules.StaticEmbedding(tokenizer, embedding_dim=32)
    router = importlib.import_module(f"{lib.__name__}.base.modules").Router
    routes = router.for_query_document(query_modules=[static], document_modules=list(model.children()))
    return lib.SentenceTransformer(modules=[routes], device="cpu")


def test_routes_learn_at_their_own_rates(reference, tiny_bert, tmp_path):
    run = Run(
        rows(columns=3),
        lambda losses, model: losses.MultipleNegativesRankingLoss(model),
        {
            "router_mapping": {"text0": "query", "text1": "document", "text2": "document"},
            "learning_rate_mapping": {r"sub_modules\.query": 0.1},
        },
        change=routed,
    )
    assert_same(run, tiny_bert, tmp_path)


TWO = {"pairs": rows(48), "scored": rows(32, label="number", seed=9)}


def two_losses(losses: Any, model: Any) -> Any:
    return {"pairs": losses.MultipleNegativesRankingLoss(model), "scored": losses.CoSENTLoss(model)}


SEVERAL = {
    "losses_proportional": Run(TWO, two_losses, steps=LONG),
    "losses_round_robin": Run(TWO, two_losses, {"multi_dataset_batch_sampler": "round_robin"}),
    "loss_functions": Run(
        TWO,
        lambda losses, model: {
            "pairs": losses.MultipleNegativesRankingLoss,
            "scored": lambda model: losses.CosineSimilarityLoss(model),
        },
    ),
    "one_loss": Run(
        {"a": rows(40), "b": rows(24, seed=3)},
        lambda losses, model: losses.MultipleNegativesRankingLoss(model),
        {"batch_sampler": "no_duplicates"},
    ),
    "prompts_by_data_set": Run(TWO, two_losses, {"prompts": {"pairs": "query : ", "scored": "text : "}}),
    "prompts_by_both": Run(
        TWO, two_losses, {"prompts": {"pairs": {"text0": "query : "}, "scored": {"text1": "text : "}}}
    ),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_several_data_sets_give_the_same_curve_and_weights(name, reference, tiny_bert, tmp_path):
    assert_same(SEVERAL[name], tiny_bert, tmp_path)


def test_losses_on_evaluation_data_are_the_same(reference, tiny_bert, tmp_path):
    run = Run(
        TWO,
        two_losses,
        {"eval_strategy": "steps", "eval_steps": SHORT // 2, "per_device_eval_batch_size": 5},
        evaluate={"pairs": rows(16, seed=20), "scored": rows(16, label="number", seed=30)},
    )
    ours, theirs = (train(library, run, tiny_bert, tmp_path) for library in ("ours", "theirs"))
    for key in ("eval_pairs_loss", "eval_scored_loss"):
        assert len(curve(theirs, key)) == 2
        torch.testing.assert_close(curve(ours, key), curve(theirs, key), rtol=1e-4, atol=1e-5)


def test_each_library_loads_the_checkpoint_of_the_other(reference, tiny_bert, tmp_path):
    run = Run(
        rows(label="number"),
        lambda losses, model: losses.CoSENTLoss(model),
        {"save_strategy": "steps", "save_steps": SHORT},
    )
    texts = sentences(5, 77)
    for maker, reader in (("ours", "theirs"), ("theirs", "ours")):
        trained = train(maker, run, tiny_bert, tmp_path).model
        folder = tmp_path / maker / f"checkpoint-{SHORT}"
        loaded = package(reader).SentenceTransformer(str(folder), device="cpu")
        torch.testing.assert_close(
            torch.tensor(loaded.encode(texts)), torch.tensor(trained.encode(texts)), rtol=1e-5, atol=1e-6
        )
