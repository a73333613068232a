"""A training run that was killed goes on from its checkpoint and ends where one ends that was not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

pytestmark = pytest.mark.faults

# Trains in several ways at once, as starting a process is what takes time. The model is a static one with
# dropout and a layer, which needs random states as any other does. Runs are killed in their first epoch, and
# with each sampler in a later one, whose batches are others than those of the first.
SCRIPT = '''
import os, random, signal, sys
import torch
from datasets import Dataset
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import TrainerCallback
from stlib import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from stlib.losses import BatchAllTripletLoss, MultipleNegativesRankingLoss, SoftmaxLoss
from stlib.models import Dense, Dropout, StaticEmbedding

folder = sys.argv[1]
words = "a b c d e f g h i j k l m n o p q r s t".split()
draw = random.Random(0)
texts = lambda n: [" ".join(draw.choices(words, k=4)) for _ in range(n)]
pairs = {"anchor": (texts(20) * 2)[:36], "positive": texts(36)}
classes = {"one": texts(28), "two": texts(28), "label": [draw.randrange(3) for _ in range(28)]}

first = lambda rows, data: {name: column[:rows] for name, column in data.items()}
groups = {"text": texts(24), "label": [i % 4 for i in range(24)]}

CASES = {
    "unique": ({"pairs": pairs}, {"batch_sampler": "no_duplicates"}),
    "accumulated": ({"classes": classes}, {"gradient_accumulation_steps": 2}),
    "several": ({"pairs": pairs, "classes": classes}, {"multi_dataset_batch_sampler": "round_robin"}),
    # Of five steps an epoch at most: the checkpoint is of the second one.
    "later": ({"pairs": first(20, pairs)}, {}),
    "later unique": ({"pairs": first(20, pairs)}, {"batch_sampler": "no_duplicates"}),
    "later hashed": ({"pairs": first(20, pairs)}, {"batch_sampler": "no_duplicates_hashed"}),
    "later groups": ({"groups": first(20, groups)}, {"batch_sampler": "group_by_label"}),
    "later several": ({"pairs": first(12, pairs), "classes": first(8, classes)}, {}),
    "later unique several": (
        {"pairs": first(12, pairs), "classes": first(8, classes)},
        {"multi_dataset_batch_sampler": "round_robin", "batch_sampler": "no_duplicates"},
    ),
}


class Kill(TrainerCallback):
    """End the process as a power cut would, in the middle of an epoch and two steps after a checkpoint."""

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == 8:
            os.kill(os.getpid(), signal.SIGKILL)


def run(name, mode):
    data, settings = CASES[name]
    torch.manual_seed(1)
    tokenizer = Tokenizer(WordLevel({w: i for i, w in enumerate(["[UNK]", *words])}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    modules = [StaticEmbedding(tokenizer, embedding_dim=8), Dropout(0.3), Dense(8, 6)]
    model = SentenceTransformer(modules=modules, device="cpu")
    losses = {
        "pairs": MultipleNegativesRankingLoss(model),
        "classes": SoftmaxLoss(model, 6, num_labels=3),
        "groups": BatchAllTripletLoss(model, margin=0.5),
    }
    several = len(data) > 1
    trainer = SentenceTransformerTrainer(
        model,
        SentenceTransformerTrainingArguments(
            os.path.join(folder, name, "resumed" if mode == "killed" else mode), max_steps=12, save_steps=3,
            per_device_train_batch_size=4, learning_rate=0.05, report_to="none", disable_tqdm=True,
            logging_steps=5, use_cpu=True, lr_scheduler_type="cosine", **settings,
        ),
        train_dataset={n: Dataset.from_dict(d) for n, d in data.items()} if several
        else Dataset.from_dict(next(iter(data.values()))),
        loss=losses if several else losses[next(iter(data))],
        callbacks=[Kill()] if mode == "killed" else [],
    )
    trainer.train(resume_from_checkpoint=mode == "resumed")
    model.save(os.path.join(folder, name, "final-" + mode))
    torch.save([p.detach() for loss in losses.values() for n, p in loss.named_parameters()
                if n.startswith("classifier")], os.path.join(folder, name, "loss-" + mode))


def in_own_process(name, mode):
    """Importing takes seconds, so each run is a copy of this process instead of a new one."""
    child = os.fork()
    if child == 0:
        run(name, mode)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


for name in CASES:
    assert in_own_process(name, "through") == 0
    assert in_own_process(name, "killed") == -signal.SIGKILL
    saved = os.path.join(folder, name, "resumed")
    assert sorted(f for f in os.listdir(saved)) == ["checkpoint-3", "checkpoint-6"]
    # As if the run had died while it wrote the next checkpoint.
    os.mkdir(os.path.join(saved, "checkpoint-8"))
    with open(os.path.join(saved, "checkpoint-8", "trainer_state.json"), "w") as torn:
        torn.write('{"global_step": 8, "log_his')
    assert in_own_process(name, "resumed") == 0
'''
NAMES = (
    "unique",
    "accumulated",
    "several",
    "later",
    "later unique",
    "later hashed",
    "later groups",
    "later several",
    "later unique several",
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Folders of runs that went through, and of ones that were killed and resumed."""
    folder = tmp_path_factory.mktemp("runs")
    env = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    subprocess.run([sys.executable, "-c", SCRIPT, str(folder)], env=env, check=True)
    return folder


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.parametrize("name", NAMES)
def test_a_killed_run_ends_with_the_same_weights(name, runs):
    for file in ("model.safetensors", "2_Dense/model.safetensors"):
        expected = load_file(runs / name / "final-through" / file)
        found = load_file(runs / name / "final-resumed" / file)
        assert expected.keys() == found.keys()
        assert all(torch.equal(found[key], expected[key]) for key in expected)
    through, resumed = (
        torch.load(runs / name / f"loss-{mode}", weights_only=True) for mode in ("through", "resumed")
    )
    assert all(torch.equal(a, b) for a, b in zip(through, resumed, strict=True))
