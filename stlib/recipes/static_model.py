"""Trains a static model from scratch: one vector per token, no transformer, hundreds of times faster to run.

    python -m stlib.recipes.static_model --tokenizer bert-base-uncased --train pairs.tsv \\
        --eval sts-dev.csv --output model

Data: tables with anchor, positive[, negative]; the more the better, as the vectors start random. Each batch
is large (more in-batch negatives) and the learning rate ten thousand times that of a transformer. The
embeddings can be cut short: see ``matryoshka``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from stlib import SentenceTransformer, SentenceTransformerTrainer, losses
from stlib.models import StaticEmbedding
from stlib.recipes._common import Outcome, parser, seed_everything, train_and_save, training_arguments
from stlib.recipes._data import read_pairs, similarity_evaluator
from stlib.recipes._inputs import place, run
from stlib.recipes._numbers import positive


def main(argv: Sequence[str] | None = None) -> Outcome:
    made = parser(
        __doc__,
        train="BEIR folder or table with anchor, positive",
        evaluate="table with sentence1, sentence2, score",
        model=None,
        batch_size=2048,
        learning_rate=0.2,
    )
    made.add_argument(
        "--tokenizer", type=place, required=True, help="folder with tokenizer.json, that file, or a hub id"
    )
    made.add_argument("--dimension", type=positive, default=1024, help="of the embeddings (default: 1024)")
    options = made.parse_args(argv)

    seed_everything(options.seed)
    embedding = StaticEmbedding(load_tokenizer(options.tokenizer), embedding_dim=options.dimension)
    model = SentenceTransformer(modules=[embedding])
    loss = losses.MultipleNegativesRankingLoss(model)
    dims = [options.dimension // part for part in (1, 2, 4, 8, 16) if options.dimension // part >= 8]
    trainer = SentenceTransformerTrainer(
        model=model,
        args=training_arguments(options, batch_sampler="no_duplicates"),
        train_dataset=read_pairs(options.train, limit=options.limit),
        loss=losses.MatryoshkaLoss(model, loss, matryoshka_dims=dims),
    )
    return train_and_save(trainer, similarity_evaluator(options.eval), options)


def load_tokenizer(source: str) -> Tokenizer:
    path = Path(source).expanduser()
    file = path / "tokenizer.json" if path.is_dir() else path
    return Tokenizer.from_file(str(file)) if file.is_file() else Tokenizer.from_pretrained(source)


if __name__ == "__main__":
    run(main)
