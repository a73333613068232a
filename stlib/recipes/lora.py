"""Trains a small adapter (LoRA) and leaves the model's own weights as they are; needs ``pip install peft``.

    python -m stlib.recipes.lora --train FOLDER --eval FOLDER --output adapter

Data: folders in BEIR layout, or tables with anchor, positive[, negative]. The saved folder holds the
adapter alone and names the model it belongs to; loading the folder loads both.
"""

from __future__ import annotations

from collections.abc import Sequence

from stlib import SentenceTransformer, SentenceTransformerTrainer, losses
from stlib.errors import MissingDependency
from stlib.recipes._common import Outcome, parser, say, train_and_save, training_arguments
from stlib.recipes._data import read_pairs, retrieval_evaluator
from stlib.recipes._inputs import run
from stlib.recipes._numbers import positive


def main(argv: Sequence[str] | None = None) -> Outcome:
    made = parser(
        __doc__,
        train="BEIR folder or table with anchor, positive",
        evaluate="data as for --train",
        learning_rate=2e-4,
    )
    made.add_argument("--rank", type=positive, default=16, help="size of the adapter (default: 16)")
    made.add_argument("--targets", nargs="+", help="names of the layers to adapt (default: what peft knows)")
    options = made.parse_args(argv)
    try:
        from peft import LoraConfig, TaskType
    except ImportError as error:
        raise MissingDependency("adapters need peft; run: pip install peft") from error

    model = SentenceTransformer(options.model)
    model.add_adapter(
        LoraConfig(
            task_type=TaskType.FEATURE_EXTRACTION,
            r=options.rank,
            lora_alpha=2 * options.rank,
            lora_dropout=0.05,
            target_modules=options.targets,
        )
    )
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    say(f"training {trained:,} of {sum(p.numel() for p in model.parameters()):,} weights")
    trainer = SentenceTransformerTrainer(
        model=model,
        args=training_arguments(options, batch_sampler="no_duplicates"),
        train_dataset=read_pairs(options.train, limit=options.limit),
        loss=losses.MultipleNegativesRankingLoss(model),
    )
    return train_and_save(trainer, retrieval_evaluator(options.eval), options)


if __name__ == "__main__":
    run(main)
