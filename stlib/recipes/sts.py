"""Fine-tunes a model on pairs of sentences with a similarity (semantic textual similarity).

    python -m stlib.recipes.sts --train sts-train.csv --eval sts-test.csv --output model

Data: tables with the columns sentence1, sentence2, score, or the files of the STS benchmark as they come.
CoSENT and AnglE learn the order of the scores, which is what Spearman measures; the cosine loss learns the
scores themselves. With ``--dev`` the epoch that was best there is kept.
"""

from __future__ import annotations

from collections.abc import Sequence

from stlib import SentenceTransformer, SentenceTransformerTrainer, losses
from stlib.recipes._common import Outcome, parser, train_and_save, training_arguments
from stlib.recipes._data import read_similarities, similarity_evaluator
from stlib.recipes._inputs import place, run

LOSSES = {
    "cosent": losses.CoSENTLoss,
    "angle": losses.AnglELoss,
    "cosine": losses.CosineSimilarityLoss,
}


def main(argv: Sequence[str] | None = None) -> Outcome:
    made = parser(
        __doc__, train="table with sentence1, sentence2, score", evaluate="table as for --train", epochs=4
    )
    made.add_argument("--loss", choices=sorted(LOSSES), default="cosent", help="(default: cosent)")
    made.add_argument("--dev", type=place, metavar="DATA", help="table that the best epoch is chosen on")
    options = made.parse_args(argv)

    model = SentenceTransformer(options.model)
    train = read_similarities(options.train, limit=options.limit)
    dev = similarity_evaluator(options.dev, name="dev")
    choose = {}
    if dev:
        choose = {
            "eval_strategy": "epoch",
            "save_strategy": "epoch",
            "load_best_model_at_end": True,
            "metric_for_best_model": "eval_dev_spearman_cosine",
        }
    trainer = SentenceTransformerTrainer(
        model=model,
        args=training_arguments(options, **choose),
        train_dataset=train,
        loss=LOSSES[options.loss](model),
        evaluator=dev,
    )
    return train_and_save(trainer, similarity_evaluator(options.eval), options)


if __name__ == "__main__":
    run(main)
