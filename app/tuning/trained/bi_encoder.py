"""A model that embeds, learning on with the trainer of stlib: a static model whole, a transformer by low-rank
adapters (LoRA; Hu et al., ICLR 2022) that are added to its weights afterwards.

The loss is that of all other passages of a batch being wrong, and of mined wrong ones beside each answer.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.tuning.trained.needs import full_library, need, need_training, torch_library
from app.tuning.trained.reading import TellLoss
from app.tuning.trained.steps import copy_weights, mix_weights, train_quietly
from indexing.errors import BadInput
from indexing.models.encoders import FullModelEncoder, normalise

__all__ = ["ModelTraining", "Row"]

BATCH = 32
SEED = 0
RANK = 8
_QUESTION = "question"


@dataclass(frozen=True)
class Row:
    """A question, a passage that answers, and the same number of wrong ones in every row."""

    question: str
    answer: str
    wrong: tuple[str, ...]


@dataclass(frozen=True)
class _Kind:
    """How a kind of model learns."""

    epochs: int
    learning_rate: float
    folds: int


STATIC = _Kind(epochs=3, learning_rate=1.5e-2, folds=5)
TRANSFORMER = _Kind(epochs=2, learning_rate=2e-4, folds=2)


class ModelTraining:
    """A model that can learn. `source` is its folder or name.

    Raises:
        BadInput: an extra is missing, or the weights are there in a form that cannot learn.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self._stlib = need_training("training a model")
        self.model = self._load()
        self.static = type(self.model[0]).__name__ == "StaticEmbedding"
        self.kind = STATIC if self.static else TRANSFORMER
        if type(self.model[0]).__name__ == "Router":
            raise BadInput(
                f"model {source!r} has routes of its own for questions and documents, and cannot be trained"
                " here: give another with --model"
            )
        if not self.static:
            need("adapters", "training a transformer")
        self.encoder = FullModelEncoder(self.model, source)
        self._start = copy_weights(self.model)

    def _load(self) -> Any:
        try:
            return full_library().SentenceTransformer(self.source)
        except (OSError, ValueError, RuntimeError) as error:
            raise BadInput(
                f"model {self.source!r} cannot be trained: {' '.join(str(error).split())}; a folder with an"
                " ONNX file alone can only be run, give one with the weights of torch"
            ) from error

    def learn(self, rows: Sequence[Row], tell: TellLoss) -> dict[str, Any]:
        """The weights after learning from `rows`. `tell` gets the loss now and then."""
        self._seed()
        model = self._load()
        if not self.static:
            _add_adapter(model)
        self._train(model, rows, tell)
        if not self.static:
            model.merge_and_unload()
        return copy_weights(model)

    def made(self, learned: Mapping[str, Any], share: float) -> Any:
        """A model with `share` of what was learned."""
        model = self._load()
        model.load_state_dict(mix_weights(self._start, learned, share))
        return model.eval()

    @staticmethod
    def encode(
        model: Any, questions: Sequence[str], passages: Sequence[str]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Vectors of length 1, float32."""
        encoder = FullModelEncoder(model)
        return normalise(encoder.encode_query(questions)), normalise(encoder.encode_document(passages))

    def _seed(self) -> None:
        torch_library().manual_seed(SEED)

    def _train(self, model: Any, rows: Sequence[Row], tell: TellLoss) -> None:
        from stlib.losses import MultipleNegativesRankingLoss

        asked, told = model.prompts.get("query", ""), model.prompts.get("document", "")
        columns = [_columns(row) for row in rows]
        prompts = {name: asked if name == _QUESTION else told for name in columns[0]}
        with tempfile.TemporaryDirectory() as folder:
            args = self._stlib.SentenceTransformerTrainingArguments(
                output_dir=folder,
                num_train_epochs=self.kind.epochs,
                per_device_train_batch_size=BATCH,
                learning_rate=self.kind.learning_rate,
                warmup_steps=0.1,
                batch_sampler="no_duplicates",
                prompts=prompts if asked or told else None,
                seed=SEED,
                save_strategy="no",
                logging_steps=0.1,
                report_to="none",
                disable_tqdm=True,
            )
            trainer = self._stlib.SentenceTransformerTrainer(
                model=model, args=args, train_dataset=columns, loss=MultipleNegativesRankingLoss(model)
            )
            train_quietly(trainer, tell)


def _add_adapter(model: Any) -> None:
    from peft import LoraConfig, TaskType

    model.add_adapter(
        LoraConfig(task_type=TaskType.FEATURE_EXTRACTION, r=RANK, lora_alpha=2 * RANK, lora_dropout=0.0)
    )


def _columns(row: Row) -> dict[str, str]:
    wrong = {f"wrong_{number}": text for number, text in enumerate(row.wrong)}
    return {_QUESTION: row.question, "answer": row.answer, **wrong}
