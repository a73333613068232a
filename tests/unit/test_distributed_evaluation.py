"""An evaluator runs in one process of a group while all of them encode."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest
import torch

from stlib import SentenceTransformer
from stlib.errors import WorkerFailed
from stlib.evaluation import InformationRetrievalEvaluator
from stlib.util import distributed_evaluation

TEXTS = [f"text {i} of birds and trains " * (1 + i % 5) for i in range(13)]


def make_evaluator():
    corpus = {f"d{i}": text for i, text in enumerate(TEXTS)}
    return InformationRetrievalEvaluator(
        {"q": "trains", "r": "birds"}, corpus, {"q": {"d3", "d4"}, "r": {"d1"}}
    )


class Spy(SentenceTransformer):
    """Counts the inputs that this process encodes, and fails on one."""

    seen = 0

    def _infer(self, items, *arguments):
        self.seen += len(items)
        if "fail" in items and torch.distributed.get_rank() == 1:
            raise ValueError("cannot encode this")
        return super()._infer(items, *arguments)


def run(rank, file, out):
    torch.distributed.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
    results = {
        case.__name__: case(Spy("stlib-static-en", device="cpu")) for case in (evaluate, alone, broken)
    }
    Path(out, f"{rank}.json").write_text(json.dumps(results))
    torch.distributed.barrier()
    os._exit(0)  # gloo may abort a process that takes its threads down while the other one still does


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What each case returned in process 0 and in process 1."""
    folder = tmp_path_factory.mktemp("group")
    torch.multiprocessing.spawn(run, args=(str(folder / "meeting"), str(folder)), nprocs=2)
    first, second = (json.loads((folder / f"{rank}.json").read_text()) for rank in range(2))
    return {case: (first[case], second[case]) for case in first}


def evaluate(model):
    evaluator, metrics, forms = make_evaluator(), None, None
    with distributed_evaluation(model) as is_mine:
        quiet = not logging.getLogger("x").isEnabledFor(logging.INFO)
        if is_mine:
            metrics = evaluator(model)
            shared = [
                model.encode(TEXTS),
                model.encode(TEXTS[:1]),
                torch.stack(model.encode(TEXTS, convert_to_numpy=False)).numpy(),
                torch.stack(
                    [row["sentence_embedding"] for row in model.encode(TEXTS, output_value=None)]
                ).numpy(),
            ]
    seen = model.seen
    if is_mine:
        expected = model.encode(TEXTS)
        forms = [float(abs(rows - expected[: len(rows)]).max()) for rows in shared]
    return {
        "mine": is_mine,
        "metrics": metrics,
        "forms": forms,
        "seen": seen,
        "quiet": quiet,
        "after": model.seen,
    }


def test_shares_are_encoded_by_all(results):
    first, second = results["evaluate"]
    assert first["metrics"] == make_evaluator()(SentenceTransformer("stlib-static-en", device="cpu"))
    assert (first["mine"], second["mine"]) == (True, False)
    assert second["metrics"] is None
    assert max(first["forms"]) < 1e-6
    # 2 queries, and 13 texts four times, of which the first process has one more; and a single text.
    assert (first["seen"], second["seen"]) == (1 + 4 * 7 + 1, 1 + 4 * 6)
    assert first["after"] == first["seen"] + len(TEXTS)  # alone again
    assert second["quiet"]


def alone(model):
    with distributed_evaluation(model, enabled=False) as is_mine:
        return {"mine": is_mine, "metrics": make_evaluator()(model), "seen": model.seen}


def test_every_process_evaluates_if_not_enabled(results):
    first, second = results["alone"]
    assert first == second
    assert first["mine"]
    assert first["seen"] == 15


def broken(model):
    class Unsendable(str):
        """Nothing that another process could know."""

    errors = []
    try:
        with distributed_evaluation(model) as is_mine:
            if is_mine:
                try:
                    model.encode(["fine", "fail"])
                except WorkerFailed as error:
                    errors.append("cannot encode this" in str(error) and "process 1" in str(error))
                before = model.seen
                model.encode([Unsendable("one"), Unsendable("two")])
                errors.append(model.seen - before)
                raise KeyError("the evaluator")
    except (KeyError, WorkerFailed) as error:
        errors.append(repr(error))
    return {"errors": errors}


def test_errors_end_the_block_everywhere(results):
    first, second = results["broken"]
    assert first["errors"] == [True, 2, "KeyError('the evaluator')"]
    (error,) = second["errors"]
    assert "process 0 failed" in error
    assert "the evaluator" in error


def test_without_a_group_nothing_changes():
    model = SentenceTransformer("stlib-static-en", device="cpu")
    with distributed_evaluation(model) as is_mine:
        assert is_mine
        assert model._shared_inference is None
