"""Steps per second of training beside the reference's: same batches, same seed, taking turns.

    python tests/benchmarks/bench_trainer.py [--steps 30] [--rounds 3] [--model FOLDER]

One step of each trainer is timed from its start to the start of the next, so that reading rows, tokenizing,
forward, backward and the optimizer all count. Runs of the two libraries alternate, and the order changes from
round to round. Without ``--model`` there are a static model, on which everything but arithmetic shows, and
a small BERT of random weights.
"""

from __future__ import annotations

import argparse
import importlib
import platform
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import BertConfig, BertModel, BertTokenizerFast, TrainerCallback
from transformers.utils import logging as transformers_logging

PACKAGES = ("stlib", "sentence_transformers")
LOSSES = ("MultipleNegativesRankingLoss", "CachedMultipleNegativesRankingLoss")
WORDS = (
    "the a of to sort list key dictionary how do i quick brown fox jumps over lazy dog search meaning word "
    "text query document passage only short long and in is it by with for"
).split()


class Clock(TrainerCallback):
    """Seconds that each step took."""

    def __init__(self) -> None:
        self.starts: list[float] = []

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.starts.append(time.perf_counter())

    def seconds(self) -> list[float]:
        """Without the first steps, in which memory is taken."""
        pairs = zip(self.starts, self.starts[1:], strict=False)
        return [after - before for before, after in pairs][3:]


def small_bert(folder: Path) -> str:
    """A random BERT of 4 layers and 128 dimensions, over whole words."""
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=64)
    tokenizer.save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=512,
        max_position_embeddings=64,
    )
    torch.manual_seed(0)
    BertModel(config).save_pretrained(folder)
    return str(folder)


def make_model(package: str, kind: str, folder: str) -> Any:
    lib = importlib.import_module(package)
    if kind != "static":
        return lib.SentenceTransformer(folder, device="cpu")
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({w: i for i, w in enumerate(["[UNK]", *WORDS])}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    modules = importlib.import_module(f"{package}.sentence_transformer.modules")
    torch.manual_seed(0)
    return lib.SentenceTransformer(
        modules=[modules.StaticEmbedding(tokenizer, embedding_dim=128)], device="cpu"
    )


def run(package: str, kind: str, folder: str, loss: str, data: Dataset, steps: int, batch: int) -> Any:
    lib = importlib.import_module(package)
    losses = importlib.import_module(f"{package}.sentence_transformer.losses")
    model = make_model(package, kind, folder)
    with tempfile.TemporaryDirectory() as output:
        args = lib.SentenceTransformerTrainingArguments(
            output,
            max_steps=steps + 4,
            per_device_train_batch_size=batch,
            logging_steps=10,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            dataloader_pin_memory=False,
            batch_sampler="no_duplicates",
        )
        clock = Clock()
        trainer = lib.SentenceTransformerTrainer(
            model, args, train_dataset=data, loss=getattr(losses, loss)(model), callbacks=[clock]
        )
        torch.manual_seed(1)
        result = trainer.train()
    return clock.seconds(), result.training_loss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--model", help="folder of a model to train instead")
    given = parser.parse_args()
    transformers_logging.set_verbosity_error()
    draw = random.Random(0)
    texts = [[" ".join(draw.choices(WORDS, k=draw.randint(5, 25))) for _ in range(4096)] for _ in range(2)]
    data = Dataset.from_dict({"anchor": texts[0], "positive": texts[1]})
    versions = {
        name: importlib.import_module(name).__version__ for name in (*PACKAGES, "torch", "transformers")
    }
    print(platform.processor() or platform.machine(), torch.get_num_threads(), "threads", versions)
    with tempfile.TemporaryDirectory() as folder:
        kinds = {"model": given.model} if given.model else {"static": "", "bert": small_bert(Path(folder))}
        for kind, path in kinds.items():
            for loss in LOSSES[: 1 if kind == "static" else 2]:  # a static model has no mini-batches
                seconds: dict[str, list[float]] = {package: [] for package in PACKAGES}
                ends: dict[str, float] = {}
                for turn in range(given.rounds):
                    for package in PACKAGES if turn % 2 else PACKAGES[::-1]:
                        times, ends[package] = run(package, kind, path, loss, data, given.steps, given.batch)
                        seconds[package] += times
                ours, theirs = (1 / statistics.median(seconds[package]) for package in PACKAGES)
                print(
                    f"{kind:6} {loss:36} batch {given.batch}: {ours:7.1f} steps/s, reference {theirs:7.1f}, "
                    f"ratio {ours / theirs:.2f}x; loss {ends['stlib']:.5f} and "
                    f"{ends['sentence_transformers']:.5f}"
                )


if __name__ == "__main__":
    main()
