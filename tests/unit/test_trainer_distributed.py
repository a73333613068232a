"""Training by two processes on CPUs, started as a user would: with torchrun."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

# Losses that are averages over rows: two processes with four rows each must step like one with eight.
SCRIPT = """
import json, os, random, sys
import torch
from datasets import Dataset
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from stlib import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from stlib.evaluation import EmbeddingSimilarityEvaluator
from stlib.losses import CosineSimilarityLoss, SoftmaxLoss
from stlib.models import Dense, StaticEmbedding

folder = sys.argv[1]
world = int(os.environ.get("WORLD_SIZE", 1))
words = "a b c d e f g h i j k l m n o p q r s t".split()
draw = random.Random(0)
texts = lambda n: [" ".join(draw.choices(words, k=4)) for _ in range(n)]
one, two = texts(48), texts(48)
scored = Dataset.from_dict({"one": one, "two": two, "score": [draw.random() for _ in one]})
classes = Dataset.from_dict({"one": one, "two": two, "label": [draw.randrange(3) for _ in one]})

for name, data in {"cosine": scored, "softmax": classes}.items():
    torch.manual_seed(1)
    tokenizer = Tokenizer(WordLevel({w: i for i, w in enumerate(["[UNK]", *words])}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    modules = [StaticEmbedding(tokenizer, embedding_dim=8), Dense(8, 6)]
    model = SentenceTransformer(modules=modules, device="cpu")
    loss = CosineSimilarityLoss(model) if name == "cosine" else SoftmaxLoss(model, 6, num_labels=3)
    args = SentenceTransformerTrainingArguments(
        os.path.join(folder, f"{name}-{world}"), max_steps=6, per_device_train_batch_size=8 // world,
        learning_rate=0.01, max_grad_norm=0.0, optim="sgd", report_to="none", disable_tqdm=True,
        logging_steps=1, use_cpu=True, save_strategy="steps", save_steps=6, eval_strategy="steps",
        eval_steps=6, ddp_backend="gloo" if world > 1 else None,
    )
    evaluator = EmbeddingSimilarityEvaluator(one[:9], two[:9], [i / 9 for i in range(9)], write_csv=False)
    trainer = SentenceTransformerTrainer(
        model, args, train_dataset=data, eval_dataset=data, loss=loss, evaluator=evaluator
    )
    trainer.train()
    state = {n: p.detach().tolist() for n, p in [*model.named_parameters(), *loss.named_parameters()]
             if "model" not in n}
    log = [{k: v for k, v in e.items() if k in ("loss", "eval_loss", "eval_spearman_cosine")}
           for e in trainer.state.log_history]
    with open(os.path.join(folder, f"{name}-{world}-{args.process_index}.json"), "w") as file:
        json.dump({"state": state, "log": [e for e in log if e]}, file)


class Parts(torch.nn.Module):
    # Parts that are known beforehand.

    def __init__(self, model, parts):
        super().__init__()
        self.model, self.parts = model, parts

    def forward(self, features, labels):
        nothing = 0 * self.model(features[0])["sentence_embedding"].sum()
        return {name: nothing + value for name, value in self.parts.items()}


# Taken in turn by two processes, one of them sees only the first data set and the other only the second.
args = SentenceTransformerTrainingArguments(
    os.path.join(folder, f"parts-{world}"), max_steps=4, per_device_train_batch_size=4, logging_steps=2,
    report_to="none", disable_tqdm=True, use_cpu=True, save_strategy="no",
    multi_dataset_batch_sampler="round_robin", ddp_backend="gloo" if world > 1 else None,
)
trainer = SentenceTransformerTrainer(
    model, args, train_dataset={"scored": scored, "classes": classes},
    loss={"scored": Parts(model, {"first": 1.0}), "classes": Parts(model, {"second": 3.0, "third": 5.0})},
)
trainer.train()
log = [{k: v for k, v in e.items() if k in ("loss", "first", "second", "third")}
       for e in trainer.state.log_history]
with open(os.path.join(folder, f"parts-{world}-{args.process_index}.json"), "w") as file:
    json.dump([e for e in log if e], file)
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    (folder / "script.py").write_text(SCRIPT)
    env = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    alone = [sys.executable, "script.py", str(folder)]
    together = [
        sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone", *alone[1:]
    ]  # fmt: skip
    path = os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])
    for command in (alone, together):
        done = subprocess.run(
            command,
            env={**env, "PYTHONPATH": path},
            cwd=folder,
            check=False,
            capture_output=True,
            text=True,
            timeout=200,  # processes that wait for each other would do so for ever
        )
        assert done.returncode == 0, done.stderr[-3000:]
    return folder


def result(folder: Path, name: str) -> dict:
    return json.loads((folder / f"{name}.json").read_text())


@pytest.mark.parametrize("loss", ["cosine", "softmax"])
def test_two_processes_step_like_one_with_both_batches(loss, runs):
    alone, first, second = (result(runs, f"{loss}-{which}") for which in ("1-0", "2-0", "2-1"))
    assert first["state"] == second["state"]
    for name, weights in alone["state"].items():
        torch.testing.assert_close(
            torch.tensor(first["state"][name]), torch.tensor(weights), rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("loss", ["cosine", "softmax"])
def test_two_processes_report_what_one_reports(loss, runs):
    alone, first = (result(runs, f"{loss}-{which}")["log"] for which in ("1-0", "2-0"))
    assert len(alone) == len(first) == 7
    for one, two in zip(alone, first, strict=True):
        assert one.keys() == two.keys()
        assert [*two.values()] == pytest.approx([*one.values()], rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("which", ["1-0", "2-0", "2-1"])
def test_parts_of_losses_are_averages_over_the_processes_that_saw_them(which, runs):
    average = {"loss": 4.5, "first": 1.0, "second": 3.0, "third": 5.0}
    assert result(runs, f"parts-{which}") == [average, average]


def test_one_of_the_processes_writes_the_model(runs):
    from stlib import SentenceTransformer

    model = SentenceTransformer(str(runs / "cosine-2" / "checkpoint-6"), device="cpu")
    trained = result(runs, "cosine-2-0")["state"]
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter, torch.tensor(trained[name]))
