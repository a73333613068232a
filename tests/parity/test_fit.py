"""``fit`` and ``old_fit`` end with the same weights as the reference's, step for step."""

from __future__ import annotations

import importlib
import operator
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from stlib import SentenceTransformer
from stlib.base.evaluation import SentenceEvaluator
from stlib.errors import InvalidInput, InvalidOption
from stlib.sentence_transformer import losses as our_losses
from stlib.sentence_transformer.fit_options import FitOptions
from stlib.sentence_transformer.readers import InputExample

pytest.importorskip("accelerate", reason="accelerate is missing; run: pip install '.[train]'")
pytest.importorskip("datasets", reason="datasets is missing; run: pip install '.[train]'")

WORDS = "the of to sort list key quick brown fox jumps over lazy dog search meaning word text query".split()
SMALL = {"show_progress_bar": False, "warmup_steps": 2, "optimizer_params": {"lr": 1e-3}}


class Library:
    """One of the two libraries, by the same names."""

    def __init__(self, name, cls, folder):
        self.model = cls(folder, device="cpu")
        part = f"{name}.sentence_transformer"
        self.losses, self.readers, self.datasets = (
            importlib.import_module(f"{part}.{module}") for module in ("losses", "readers", "datasets")
        )

    def examples(self, n, label=lambda i: 0.0, n_texts=2, seed=0):
        draw = random.Random(seed)
        return [
            self.readers.InputExample(
                texts=[" ".join(draw.choices(WORDS, k=draw.randint(2, 6))) for _ in range(n_texts)],
                label=label(i),
            )
            for i in range(n)
        ]

    def loader(self, *args, batch_size=5, **kwargs):
        return DataLoader(self.examples(*args, **kwargs), batch_size=batch_size, shuffle=True)


def scores(lib):
    return [(lib.loader(17, lambda i: i / 17), lib.losses.CosineSimilarityLoss(lib.model))]


def in_batch(lib):
    return [(lib.loader(17, n_texts=3), lib.losses.MultipleNegativesRankingLoss(lib.model))]


def no_duplicates(lib):
    examples = [*lib.examples(9, lambda i: 1), *lib.examples(9, lambda i: 1)]
    return [
        (lib.datasets.NoDuplicatesDataLoader(examples, 4), lib.losses.MultipleNegativesRankingLoss(lib.model))
    ]


def classes(lib):
    return [(lib.loader(17, lambda i: i % 3), lib.losses.SoftmaxLoss(lib.model, 32, 3))]


def groups(lib):
    rows = lib.datasets.SentenceLabelDataset(lib.examples(20, lambda i: i % 4, n_texts=1))
    return [(DataLoader(rows, batch_size=8), lib.losses.BatchHardTripletLoss(lib.model))]


def vectors(lib):
    examples = lib.examples(12, lambda i: np.full(32, i / 12, dtype=np.float32), n_texts=1)
    return [(DataLoader(examples, batch_size=4), lib.losses.MSELoss(lib.model))]


def two(lib):
    return [*scores(lib), (lib.loader(27, seed=1), lib.losses.MultipleNegativesRankingLoss(lib.model))]


OBJECTIVES = {f.__name__: f for f in (scores, in_batch, no_duplicates, classes, groups, vectors, two)}


@pytest.fixture
def libraries(tiny_bert, reference):
    return [
        Library("stlib", SentenceTransformer, tiny_bert),
        Library("sentence_transformers", reference.SentenceTransformer, tiny_bert),
    ]


@pytest.fixture
def ours(tiny_bert):
    return Library("stlib", SentenceTransformer, tiny_bert)


def train(lib, method, objectives, **options):
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(3)
    getattr(lib.model, method)(objectives(lib), **{**SMALL, **options})
    return lib.model


def weights(model):
    # The bias of keys has no gradient but rounding, which Adam turns into steps of full size
    return {name: value for name, value in model.state_dict().items() if "key.bias" not in name}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the reference writes into the working folder


# Every loss and loader, and both methods where they treat it differently
PAIRS = [
    *(("fit", name) for name in ("in_batch", "no_duplicates", "groups", "two")),
    *(("old_fit", name) for name in ("scores", "classes", "vectors", "two")),
]


@pytest.mark.parametrize(("method", "objectives"), PAIRS)
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")  # of the reference and torch
def test_same_weights_as_the_reference(libraries, tiny_bert, method, objectives):
    ours, theirs = (weights(train(lib, method, OBJECTIVES[objectives], epochs=2)) for lib in libraries)
    before = SentenceTransformer(tiny_bert, device="cpu").state_dict()
    for name, value in theirs.items():
        torch.testing.assert_close(
            ours[name], value, rtol=1e-5, atol=1e-6, msg=lambda m, name=name: f"{name}: {m}"
        )
    moved = [
        name for name, value in ours.items() if value.dtype.is_floating_point and (value - before[name]).any()
    ]
    assert len(moved) > 20


OPTIONS = {
    "no decay, no clipping": {"weight_decay": 0.0, "max_grad_norm": 100.0},
    "strong decay, strong clipping": {"weight_decay": 0.5, "max_grad_norm": 0.01},
    "sgd": {"optimizer_class": torch.optim.SGD, "optimizer_params": {"lr": 0.1, "momentum": 0.9}},
    "cosine": {"scheduler": "WarmupCosine"},
    "constant": {"scheduler": "constantlr", "steps_per_epoch": 3},
}


@pytest.mark.parametrize(
    ("method", "case"),
    [
        ("fit", "no decay, no clipping"),
        ("fit", "constant"),
        ("old_fit", "strong decay, strong clipping"),
        ("old_fit", "sgd"),
        ("old_fit", "cosine"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")  # of the reference and torch
def test_options_mean_the_same(libraries, method, case):
    ours, theirs = (weights(train(lib, method, scores, **OPTIONS[case])) for lib in libraries)
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-5, atol=1e-6)


NAMES = ["ConstantLR", "WarmupConstant", "WarmupLinear", "WarmupCosine", "WarmupCosineWithHardRestarts"]


@pytest.mark.parametrize("name", NAMES)
def test_schedules(libraries, name):
    rates = []
    for lib in libraries:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
        if lib is libraries[0]:
            schedule = options(scheduler=name, warmup_steps=4).schedule(optimizer, 12)
        else:
            schedule = lib.model._get_scheduler(optimizer, scheduler=name, warmup_steps=4, t_total=12)
        rates.append([])
        for _ in range(14):
            rates[-1].append(schedule.get_last_lr())
            optimizer.step()
            schedule.step()
    assert rates[0] == rates[1]


def options(**given):
    defaults = dict.fromkeys(FitOptions.names())
    return FitOptions(
        **{**defaults, "train_objectives": [(None, None)], "scheduler": "WarmupLinear", **given}
    )


def test_collating_examples(libraries):
    for label in (lambda i: i % 3, lambda i: i / 3, lambda i: np.full(4, i, np.float32)):
        (ours, our_labels), (theirs, their_labels) = (
            lib.model.smart_batching_collate(lib.examples(5, label, n_texts=3)) for lib in libraries
        )
        assert torch.equal(our_labels, their_labels) and our_labels.dtype == their_labels.dtype
        assert len(ours) == len(theirs) == 3
        for mine, other in zip(ours, theirs, strict=True):
            assert set(mine) >= {"input_ids", "attention_mask"}
            for key in other:
                same = torch.equal if isinstance(other[key], torch.Tensor) else operator.eq
                assert same(mine[key], other[key])


# -- evaluation, saving, checkpoints


class Scripted(SentenceEvaluator):
    """Scores that are known beforehand, as numbers or by name."""

    def __init__(self, values, named=False, greater_is_better=True):
        super().__init__()
        self.values = iter(values)
        self.named = named
        self.greater_is_better = greater_is_better
        self.primary_metric = "score" if named else None
        self.calls = []

    def __call__(self, model, output_path=None, epoch=-1, steps=-1):
        self.calls.append((output_path, epoch, steps))
        value = next(self.values)
        return {"other": 9.0, "score": value} if self.named else value


def snapshots(model, monkeypatch):
    """Where a model is saved, and what its weights are then."""
    saved = []
    save = model.save

    def keep(path, *args, **kwargs):
        saved.append((str(path), model[0].state_dict() and next(model.parameters()).detach().clone()))
        save(path, *args, **kwargs)

    monkeypatch.setattr(model, "save", keep)
    return saved


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("better", [True, False])
def test_the_best_model_is_saved(ours, tiny_bert, tmp_path, monkeypatch, named, better):
    # 4 steps in an epoch: evaluations after 3 steps, an epoch, 6 steps, an epoch
    evaluator = Scripted([0.5, 0.7, 0.6, 0.4] if better else [0.5, 0.3, 0.4, 0.6], named, better)
    told, saved = [], snapshots(ours.model, monkeypatch)
    train(
        ours,
        "fit",
        scores,
        epochs=2,
        evaluator=evaluator,
        evaluation_steps=3,
        output_path=str(tmp_path / "best"),
        callback=lambda *told_now: told.append(told_now),
    )
    folder = str(tmp_path / "best" / "eval")
    assert evaluator.calls == [(folder, 0.75, 3), (folder, 1.0, 4), (folder, 1.5, 6), (folder, 2.0, 8)]
    values = [0.5, 0.7, 0.6, 0.4] if better else [0.5, 0.3, 0.4, 0.6]
    assert told == [(value, *call[1:]) for value, call in zip(values, evaluator.calls, strict=True)]
    assert [path for path, _ in saved] == [str(tmp_path / "best")] * 2
    loaded = next(SentenceTransformer(str(tmp_path / "best"), device="cpu").parameters())
    assert torch.equal(loaded, saved[-1][1])
    assert ours.model.best_score == values[1]


def test_old_fit_counts_turns_and_epochs(ours, tmp_path, monkeypatch):
    evaluator = Scripted([1.0, 3.0, 2.0, 4.0])
    told, saved = [], snapshots(ours.model, monkeypatch)
    train(
        ours,
        "old_fit",
        two,
        epochs=2,
        steps_per_epoch=3,
        evaluator=evaluator,
        evaluation_steps=2,
        output_path=str(tmp_path / "best"),
        checkpoint_path=str(tmp_path / "checkpoints"),
        checkpoint_save_steps=2,
        checkpoint_save_total_limit=2,
        callback=lambda *told_now: told.append(told_now),
    )
    assert told == [(1.0, 0, 2), (3.0, 0, -1), (2.0, 1, 2), (4.0, 1, -1)]
    folders = [Path(path).name for path, _ in saved]
    assert folders == ["best", "2", "best", "4", "6", "best", "6"]
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["4", "6"]
    last = SentenceTransformer(str(tmp_path / "checkpoints" / "6"), device="cpu")
    assert torch.equal(next(last.parameters()), next(ours.model.parameters()))


@pytest.mark.parametrize("method", ["fit", "old_fit"])
def test_without_an_evaluator_the_last_model_is_saved(libraries, reference, tmp_path, method):
    model = train(libraries[0], method, scores, output_path=str(tmp_path / "last"))
    again = reference.SentenceTransformer(str(tmp_path / "last"), device="cpu")
    texts = ["the quick brown fox", "sort"]
    np.testing.assert_allclose(model.encode(texts), again.encode(texts), atol=1e-5)


def test_a_model_that_is_not_to_be_saved(ours, tmp_path, monkeypatch):
    saved = snapshots(ours.model, monkeypatch)
    train(ours, "fit", scores, evaluator=Scripted([1.0]), output_path=str(tmp_path), save_best_model=False)
    assert saved == []


def test_fit_goes_on_from_a_checkpoint(tiny_bert, tmp_path, caplog):
    def run(**given):
        lib = Library("stlib", SentenceTransformer, tiny_bert)
        given = {"checkpoint_path": str(tmp_path / "run"), "checkpoint_save_steps": 3, **given}
        return weights(train(lib, "fit", scores, epochs=2, **given))

    whole = run()
    folders = sorted(path.name for path in (tmp_path / "run").glob("checkpoint-*"))
    assert folders == ["checkpoint-3", "checkpoint-6", "checkpoint-8"]
    # As if the run had died while it wrote its last checkpoint
    (tmp_path / "run" / "checkpoint-8" / "trainer_state.json").unlink()
    resumed = run(resume_from_checkpoint=True, checkpoint_save_total_limit=1)
    for name, value in whole.items():
        assert torch.equal(resumed[name], value), name
    assert [path.name for path in (tmp_path / "run").glob("checkpoint-*")] == ["checkpoint-8"]
    assert "checkpoint-8 is incomplete" in caplog.text
    run(resume_from_checkpoint=True, checkpoint_path=str(tmp_path / "none"))
    assert "no checkpoint" in caplog.text


# -- the batches


def seen_by(lib, monkeypatch):
    """The texts of the first column of each batch, as the losses get them."""
    seen = []
    tokenizer = lib.model.tokenizer

    def spied(loss):
        forward = loss.forward

        def keep(features, labels):
            seen.append(
                sorted(tokenizer.batch_decode(next(iter(features))["input_ids"], skip_special_tokens=True))
            )
            return forward(features, labels)

        monkeypatch.setattr(loss, "forward", keep)
        return loss

    return seen, spied


def test_batches_of_the_loaders_own_sampler(ours, monkeypatch):
    seen, spied = seen_by(ours, monkeypatch)
    examples = ours.examples(9, lambda i: i / 9)
    texts = [example.texts[0] for example in examples]
    given = [[8, 0], [1, 2, 3], [7]]
    other = ours.loader(30, seed=5, batch_size=7)

    def objectives(lib):
        loss = spied(lib.losses.CosineSimilarityLoss(lib.model))
        return [
            (DataLoader(examples, batch_sampler=given), loss),
            (other, spied(lib.losses.MultipleNegativesRankingLoss(lib.model))),
        ]

    for _ in range(2):
        train(ours, "fit", objectives)
        # Each loader has batches of its own size, and they take turns
        assert [len(batch) for batch in seen] == [2, 7, 3, 7, 1, 7]
        assert seen[::2] == [sorted(texts[row] for row in batch) for batch in given]
        seen.clear()
    assert other.collate_fn is DataLoader([1]).collate_fn


def test_old_fit_takes_the_batches_of_the_loader(ours, monkeypatch):
    seen, spied = seen_by(ours, monkeypatch)
    examples = ours.examples(7, lambda i: i / 7)
    texts = [example.texts[0] for example in examples]
    loader = DataLoader(examples, batch_size=3)
    loss = spied(ours.losses.CosineSimilarityLoss(ours.model))
    train(ours, "old_fit", lambda lib: [(loader, loss)], epochs=2, steps_per_epoch=4)
    batches = [sorted(texts[start : start + 3]) for start in (0, 3, 6)]
    assert seen == (batches * 3)[:8]


def test_mixed_precision_trains(ours, tiny_bert):
    for method in ("fit", "old_fit"):
        model = train(ours, method, in_batch, use_amp=True)
        assert all(value.isfinite().all() and value.dtype == torch.float32 for value in model.parameters())
    before = next(SentenceTransformer(tiny_bert, device="cpu").parameters())
    assert not torch.equal(next(ours.model.parameters()), before)


# -- what cannot be trained


@pytest.mark.parametrize("method", ["fit", "old_fit"])
def test_what_is_refused(ours, method):
    fit = getattr(ours.model, method)
    with pytest.raises(InvalidOption, match="train_objectives is empty"):
        fit([])
    with pytest.raises(InvalidOption, match="'linear'; choose one of constantlr"):
        fit(scores(ours), scheduler="linear")


def test_loaders_that_fit_cannot_read(ours):
    loss = our_losses.MultipleNegativesRankingLoss(ours.model)
    with pytest.raises(InvalidInput, match="gave a dict where fit wants an InputExample"):
        ours.model.fit([(DataLoader([{"a": 1}]), loss)])
    uneven = [InputExample(texts=["a", "b"]), InputExample(texts=["a"])]
    with pytest.raises(InvalidInput, match=r"examples with \[1, 2\] texts"):
        ours.model.fit([(DataLoader(uneven), loss)])
    with pytest.raises(InvalidInput, match="gave no example"):
        ours.model.fit([(DataLoader(uneven[:1], batch_size=4, drop_last=True), loss)])


def test_steps_of_several_epochs(ours, caplog):
    train(ours, "fit", vectors, epochs=2, steps_per_epoch=1)
    assert "steps_per_epoch has no effect with 2 epochs" in caplog.text
