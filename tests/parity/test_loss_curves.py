"""Losses with weights of their own, with parts, and with a second model, trained by both libraries."""

from __future__ import annotations

import importlib
import random
from typing import Any

import pytest
import torch

pytest.importorskip("datasets", reason="training needs datasets; run: pip install '.[train]'")
pytest.importorskip("accelerate", reason="training needs accelerate; run: pip install '.[train]'")

pytestmark = pytest.mark.parity

WORDS = "the a of to sort list key dictionary how do i quick brown fox jumps over lazy dog search".split()
STEPS = 5


def texts(seed: int, n: int = 32) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(2, 9))) for _ in range(n)]


def numbers(*shape: int) -> list[Any]:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3)).tolist()


ALIKE = [a if i % 3 else b for i, (a, b) in enumerate(zip(texts(0), texts(1), strict=True))]
CASES = {
    "ContrastiveTensionLoss": ({"a": texts(0), "b": ALIKE}, {}),
    "ContrastiveTensionLossInBatchNegatives": ({"a": texts(0)}, {"scale": 5.0}),
    "EmbedDistillLoss": ({"a": texts(0), "b": texts(1), "label": numbers(32, 20)}, {"projection_dim": 20}),
    "DistillKLDivLoss": ({"a": texts(0), "b": texts(1), "c": texts(2), "label": numbers(32, 2)}, {}),
    "GlobalOrthogonalRegularizationLoss": ({"a": texts(0), "b": texts(1)}, {}),
}


def trained(
    library: str, name: str, folder: str, output: str
) -> tuple[list[dict[str, float]], list[torch.Tensor]]:
    from datasets import Dataset

    data, options = CASES[name]
    package = importlib.import_module(library)
    model = package.SentenceTransformer(folder, device="cpu")
    torch.manual_seed(2)
    loss = getattr(importlib.import_module(f"{library}.sentence_transformer.losses"), name)(model, **options)
    args = package.SentenceTransformerTrainingArguments(
        output_dir=output,
        max_steps=STEPS,
        per_device_train_batch_size=8,
        learning_rate=1e-3,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        seed=7,
    )
    trainer = package.SentenceTransformerTrainer(
        model=model, args=args, train_dataset=Dataset.from_dict(data), loss=loss
    )
    trainer.train()
    logs = [{k: v for k, v in log.items() if "loss" in k or "gor" in k} for log in trainer.state.log_history]
    # The true gradient of attention's key bias is zero: Adam makes steps of what rounding leaves of it.
    learned = [p.detach() for name, p in loss.named_parameters() if not name.endswith("key.bias")]
    return logs[:STEPS], learned


@pytest.mark.filterwarnings("ignore")  # those of the reference's trainer
@pytest.mark.parametrize("name", CASES)
def test_curves_and_weights(reference, tiny_bert, tmp_path, name):
    ours, our_weights = trained("stlib", name, tiny_bert, str(tmp_path / "ours"))
    theirs, their_weights = trained("sentence_transformers", name, tiny_bert, str(tmp_path / "theirs"))
    assert len(ours) == STEPS
    for mine, other in zip(ours, theirs, strict=True):
        assert mine == pytest.approx(other, rel=1e-5)
    for mine, other in zip(our_weights, their_weights, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-4)
