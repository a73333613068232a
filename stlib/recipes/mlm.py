"""Goes on pre-training a model on texts of your own by guessing masked words (masked-language modelling).

    python -m stlib.recipes.mlm --model FOLDER --train texts.txt --output model

Data: plain texts, one per line. The model learns the words of a field, not what makes two texts alike:
train it on pairs afterwards (``adaptive_pretraining`` does both). The figure is the loss on texts held out
(negated); ``--eval`` gives Spearman on scored pairs in its place.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForMaskedLM, DataCollatorForLanguageModeling, Trainer, TrainingArguments

from stlib import SentenceTransformer
from stlib.recipes._common import Outcome, measure, parser, say
from stlib.recipes._data import read_texts, similarity_evaluator
from stlib.recipes._inputs import run
from stlib.recipes._numbers import part, positive_part


def main(argv: Sequence[str] | None = None) -> Outcome:
    made = parser(
        __doc__,
        train="texts, one per line",
        evaluate="table with sentence1, sentence2, score",
        epochs=3,
        learning_rate=5e-5,
    )
    add_masking(made)
    options = made.parse_args(argv)

    model = SentenceTransformer(options.model)
    evaluator = similarity_evaluator(options.eval)
    before = measure(evaluator, model, "before training")
    outcome = pretrain(model, read_texts(options.train, limit=options.limit), options)
    after = measure(evaluator, model, "after training")
    model.save_pretrained(options.output)
    say(f"Saved to {options.output}")
    return outcome if evaluator is None else Outcome(before, after, outcome.losses)


def add_masking(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--mask", type=positive_part, default=0.15, help="part of the tokens to guess (default: 0.15)"
    )
    made.add_argument("--held-out", type=part, default=0.05, help="part of the texts not trained on (0.05)")


def pretrain(model: Any, texts: list[str], options: argparse.Namespace) -> Outcome:
    """Trains the transformer inside the model, in place; before and after are negated losses on held-out
    texts."""
    transformer, tokenizer = model[0], model.tokenizer
    network = AutoModelForMaskedLM.from_pretrained(options.model)
    # The head stays, the body becomes the model's own, so that training changes the model itself.
    setattr(network, network.base_model_prefix, transformer.auto_model)
    network.tie_weights()
    cut = len(texts) - max(1, round(len(texts) * options.held_out))
    trainer = Trainer(
        model=network,
        args=TrainingArguments(
            output_dir=str(Path(options.output) / "checkpoints"),
            num_train_epochs=options.epochs,
            max_steps=options.max_steps,
            per_device_train_batch_size=options.batch_size,
            learning_rate=options.learning_rate,
            seed=options.seed,
            bf16=options.bf16,
            save_strategy="no",
            logging_steps=0.05,
            dataloader_pin_memory=torch.cuda.is_available(),
            report_to="none",
        ),
        data_collator=DataCollatorForLanguageModeling(
            tokenizer, mlm_probability=options.mask, seed=options.seed
        ),
        train_dataset=tokenize(texts[:cut], tokenizer, model.max_seq_length),
        eval_dataset=tokenize(texts[cut:], tokenizer, model.max_seq_length),
    )
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    after = trainer.evaluate()["eval_loss"]
    say(f"masked-word loss on held-out texts: {before:.3f} before, {after:.3f} after")
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    return Outcome(-before, -after, losses)


def tokenize(texts: list[str], tokenizer: Any, max_length: int | None) -> Dataset:
    encoded = tokenizer(texts, truncation=True, max_length=max_length, return_special_tokens_mask=True)
    return Dataset.from_dict(dict(encoded))


if __name__ == "__main__":
    run(main)
