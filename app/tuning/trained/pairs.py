"""Cross-encoders, learning on with the trainer of stlib."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from app.tuning.trained.needs import need_training
from app.tuning.trained.reading import Reading, Scores, TellLoss
from app.tuning.trained.steps import copy_weights, mix_weights, train_quietly
from indexing.errors import BadInput
from indexing.models.rerankers import FullModelReranker

__all__ = ["PairTraining"]

EPOCHS = 2
QUESTIONS = 4  # of a step
LEARNING_RATE = 2e-5
LISTED = 12
"""Documents of a list: all that answer, and the wrong ones that it puts highest."""
SEED = 0


class PairTraining:
    """See `app.tuning.trained.reading.Training`. `source` is the folder or name of a cross-encoder.

    Raises:
        BadInput: the extra `train` is missing, or the weights are there in a form that cannot learn.
    """

    shares = (0.5, 1.0)
    folds = 2

    def __init__(self, source: str) -> None:
        self.source = source
        self._stlib = need_training("training a cross-encoder")
        self.base = FullModelReranker(self._load())
        self._start = copy_weights(self.base.model)
        self._known: dict[int, tuple[Reading, Scores]] = {}

    def _load(self) -> Any:
        try:
            return self._stlib.CrossEncoder(self.source)
        except (OSError, ValueError, RuntimeError) as error:
            raise BadInput(
                f"reranker {self.source!r} cannot be trained: {' '.join(str(error).split())}; a folder with"
                " an ONNX file alone can only be run, give one with the weights of torch (--reranker FOLDER)"
            ) from error

    def scores(self, made: FullModelReranker | None, reading: Reading) -> Scores:
        if made is not None:
            return np.asarray(made.scores(reading.text, reading.windows), np.float32)
        if id(reading) not in self._known:
            self._known[id(reading)] = (reading, self.base.scores(reading.text, reading.windows))
        return self._known[id(reading)][1]

    def learn(self, readings: Sequence[Reading], tell: TellLoss) -> dict[float, Any]:
        rows = [row for row in map(self._row, readings) if row is not None]
        if not rows:
            return {}
        model = self._load()
        self._train(model, rows, tell)
        learned = copy_weights(model)
        return {share: self._made(learned, share) for share in self.shares}

    def weighted(self, made: FullModelReranker, weight: float) -> FullModelReranker:
        return _Weighted(made.model, weight)

    def _made(self, learned: Mapping[str, Any], share: float) -> FullModelReranker:
        model = self._load()
        model.load_state_dict(mix_weights(self._start, learned, share))
        return FullModelReranker(model, self.source)

    def _row(self, reading: Reading) -> dict[str, Any] | None:
        scores = self.scores(None, reading)
        best, order = reading.best_windows(scores), np.argsort(-reading.best(scores), kind="stable")
        good = [at for at in order.tolist() if reading.gains[at] > 0][: LISTED // 2]
        wrong = [at for at in order.tolist() if reading.wrong[at]][: LISTED - len(good)]
        if not good or not wrong:
            return None
        gains = reading.gains[[*good, *wrong]]
        return {
            "query": reading.text,
            "docs": [reading.windows[best[at]] for at in (*good, *wrong)],
            # ListNet takes the softmax of labels: so far apart, the wrong ones get next to nothing.
            "labels": (gains + 4 * (gains > 0)).tolist(),
        }

    def _train(self, model: Any, rows: Sequence[dict[str, Any]], tell: TellLoss) -> None:
        from stlib.cross_encoder.losses import ListNetLoss

        with tempfile.TemporaryDirectory() as folder:
            args = self._stlib.CrossEncoderTrainingArguments(
                output_dir=folder,
                num_train_epochs=EPOCHS,
                per_device_train_batch_size=QUESTIONS,
                learning_rate=LEARNING_RATE,
                warmup_steps=0.1,
                seed=SEED,
                save_strategy="no",
                logging_steps=0.1,
                report_to="none",
                disable_tqdm=True,
            )
            trainer = self._stlib.CrossEncoderTrainer(
                model=model, args=args, train_dataset=list(rows), loss=ListNetLoss(model)
            )
            train_quietly(trainer, tell)
        model.eval()


class _Weighted(FullModelReranker):
    """A cross-encoder with a share of the score of its own."""

    def __init__(self, model: Any, weight: float) -> None:
        super().__init__(model)
        self.weight = weight
