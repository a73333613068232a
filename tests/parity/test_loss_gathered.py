"""Losses over the rows of two processes: equal to one process with all rows, and to the reference."""

from __future__ import annotations

import contextlib
import os
import socket

import pytest
import torch

pytestmark = [pytest.mark.parity, pytest.mark.slow]

COLUMNS = [
    "how do i sort a list|the quick fox|search|a short text|lazy dog ?|the answer is long|in it|key",
    "sort the list by key|a brown dog jumps|search is by words|text|the dog|only the answer|query|the key",
    "a dictionary|fox|the meaning of a query , and of words|it|quick !|a question is short|documents|no key",
]
EVERY_DIRECTION = ("query_to_doc", "query_to_query", "doc_to_query", "doc_to_doc")
ROWS = 4  # of each process

# Name of the loss and its options; "guide" gets a model.
CASES = {
    "ranking": ("MultipleNegativesRankingLoss", {"directions": EVERY_DIRECTION}),
    "both ways": (
        "MultipleNegativesRankingLoss",
        {"directions": ("query_to_doc", "doc_to_query"), "partition_mode": "per_direction"},
    ),
    "hardness": (
        "MultipleNegativesRankingLoss",
        {"hardness_mode": "hard_negatives", "hardness_strength": 5.0},
    ),
    "all hardness": (
        "MultipleNegativesRankingLoss",
        {"hardness_mode": "in_batch_negatives", "hardness_strength": 5.0},
    ),
    "cached ranking": (
        "CachedMultipleNegativesRankingLoss",
        {"directions": EVERY_DIRECTION, "mini_batch_size": 3},
    ),
    "cached hardness": (
        "CachedMultipleNegativesRankingLoss",
        {"hardness_mode": "all_negatives", "hardness_strength": 5.0, "mini_batch_size": 3},
    ),
    # Anchors are not gathered: without contrasts among them all rows together give the same.
    "guided": ("GISTEmbedLoss", {"guide": None, "temperature": 0.1, "contrast_anchors": False}),
    "cached guided": (
        "CachedGISTEmbedLoss",
        {"guide": None, "temperature": 0.1, "contrast_anchors": False, "mini_batch_size": 3},
    ),
}
# Compared with the reference in the same process only.
ALIKE = {
    **CASES,
    "guided anchors": ("GISTEmbedLoss", {"guide": None, "temperature": 0.1}),
    "cached guided anchors": (
        "CachedGISTEmbedLoss",
        {"guide": None, "temperature": 0.1, "mini_batch_size": 3},
    ),
}


# Of late interaction, whose documents have as many tokens as the longest of their process.
LATE = {
    "late": ("MultiVectorMultipleNegativesRankingLoss", {"mini_batch_size": 3}),
    "cached late": ("CachedMultiVectorMultipleNegativesRankingLoss", {"mini_batch_size": 3}),
}


def features_of(model, rows):
    return [model.preprocess(texts.split("|")[rows]) for texts in COLUMNS]


def make(losses, case, model, inner, gathered):
    name, options = case
    given = {key: inner if key == "guide" else value for key, value in options.items()}
    return getattr(losses, name)(model, gather_across_devices=gathered, **given)


def result_of(loss, model, features):
    """Value and all gradients of one batch."""
    model.zero_grad()
    value = loss(features, None)
    value.backward()
    grads = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    return value.detach(), grads.clone()


def in_group(rank: int, folder: str, model_folder: str, late_folder: str, port: int) -> None:
    """Write the results of this process; the model is wrapped as in training."""
    from torch.nn.parallel import DistributedDataParallel

    import stlib
    import stlib.multi_vector_encoder.losses as late_losses
    import stlib.sentence_transformer.losses as our_losses

    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2
    )
    results = {}
    model = stlib.SentenceTransformer(model_folder, device="cpu").eval()
    rows = slice(rank * ROWS, (rank + 1) * ROWS)
    for name, case in ALIKE.items():
        loss = make(our_losses, case, model, model, gathered=True)
        loss.model = DistributedDataParallel(model, find_unused_parameters=True)
        results[name] = result_of(loss, model, features_of(model, rows))
    results["not last"] = _frozen_last(model, our_losses, rows)
    late = stlib.MultiVectorEncoder(late_folder, device="cpu").eval()
    for name, case in LATE.items():
        loss = make(late_losses, case, late, None, gathered=True)
        loss.model = DistributedDataParallel(late, find_unused_parameters=True)
        results[name] = result_of(loss, late, features_of(late, rows))
    with contextlib.suppress(ImportError):
        results["reference"] = _reference(model_folder, model, rows)
    torch.save(results, f"{folder}/{rank}.pt")
    torch.distributed.barrier()
    os._exit(0)  # gloo may abort a process that takes its threads down while the other one still does


def _reference(model_folder, model, rows):
    import sentence_transformers
    import sentence_transformers.sentence_transformer.losses as their_losses
    from torch.nn.parallel import DistributedDataParallel

    theirs = sentence_transformers.SentenceTransformer(model_folder, device="cpu").eval()
    results = {}
    for name, case in ALIKE.items():
        loss = make(their_losses, case, theirs, theirs, gathered=True)
        wrapped = DistributedDataParallel(theirs, find_unused_parameters=True)
        loss.model = wrapped
        if hasattr(loss, "loss"):
            loss.loss.model = wrapped
        results[name] = result_of(loss, theirs, features_of(model, rows))
    return results


def _frozen_last(model, losses, rows):
    """Documents embedded without gradients: the last mini-batch has none to exchange with."""
    from torch.nn.parallel import DistributedDataParallel

    class FrozenDocuments(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, features):
            with torch.set_grad_enabled(torch.is_grad_enabled() and "frozen" not in features):
                return self.inner(features)

    loss = losses.CachedMultipleNegativesRankingLoss(model, mini_batch_size=3, gather_across_devices=True)
    loss.model = DistributedDataParallel(FrozenDocuments(), find_unused_parameters=True)
    queries, documents, _ = features_of(model, rows)
    return result_of(loss, model, [queries, {**documents, "frozen": True}])


@pytest.fixture(scope="module")
def model_folder(loss_models, tmp_path_factory):
    """As the reference saved it, with pooling."""
    folder = str(tmp_path_factory.mktemp("gathered") / "model")
    loss_models[0].save(folder)
    return folder


@pytest.fixture(scope="module")
def group(model_folder, late_folder, tmp_path_factory):
    """Results of both processes."""
    folder = tmp_path_factory.mktemp("group")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    torch.multiprocessing.spawn(in_group, args=(str(folder), model_folder, late_folder, port), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


@pytest.mark.parametrize("name", CASES)
def test_two_processes_are_one_with_all_rows(loss_models, group, name):
    import stlib.losses

    ours = loss_models[0]
    assert_one_of_two(make(stlib.losses, CASES[name], ours, ours, gathered=False), ours, group, name)


@pytest.mark.parametrize("name", LATE)
def test_two_processes_of_late_interaction_are_one_with_all_rows(late_models, group, name):
    import stlib.multi_vector_encoder.losses

    ours = late_models[0]
    loss = make(stlib.multi_vector_encoder.losses, LATE[name], ours, None, gathered=False)
    assert_one_of_two(loss, ours, group, name)


def assert_one_of_two(loss, ours, group, name):
    value, gradients = result_of(loss, ours, features_of(ours, slice(0, 2 * ROWS)))
    values = [results[name][0] for results in group]
    torch.testing.assert_close(sum(values) / 2, value, rtol=1e-5, atol=1e-6)
    limit = 3e-6 * max(1.0, float(gradients.abs().max()))
    for results in group:
        torch.testing.assert_close(results[name][1], gradients, rtol=1e-4, atol=limit)


@pytest.mark.parametrize("name", ALIKE)
def test_each_process_is_that_of_the_reference(reference, group, name):
    for results in group:
        for ours, theirs in zip(results[name], results["reference"][name], strict=True):
            limit = 3e-6 * max(1.0, float(theirs.abs().max()))
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=limit)


def test_gradients_are_exchanged_when_the_last_mini_batch_has_none(loss_models, group):
    from stlib.losses import MultipleNegativesRankingLoss

    ours = loss_models[0]
    queries, documents, _ = features_of(ours, slice(0, 2 * ROWS))
    ours.zero_grad()
    with torch.no_grad():
        of_documents = ours(documents)["sentence_embedding"]
    loss = MultipleNegativesRankingLoss(ours)
    value = loss.compute_loss_from_embeddings([ours(queries)["sentence_embedding"], of_documents])
    value.backward()
    expected = torch.cat([p.grad.flatten() for p in ours.parameters() if p.grad is not None])
    limit = 3e-6 * max(1.0, float(expected.abs().max()))
    for results in group:
        torch.testing.assert_close(results["not last"][1], expected, rtol=1e-4, atol=limit)
