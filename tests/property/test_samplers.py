"""What holds for the batches of any rows, and for which batches the reference makes of them."""

from __future__ import annotations

import json
import logging
from collections import Counter
from itertools import accumulate

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stlib.errors import InvalidInput, InvalidOption

datasets = pytest.importorskip("datasets", reason="datasets is missing; run: pip install '.[train]'")

from torch.utils.data import BatchSampler, ConcatDataset, RandomSampler  # noqa: E402

from stlib.base import sampler as ours  # noqa: E402
from stlib.base.sampler import (  # noqa: E402
    BatchSamplers,
    DefaultBatchSampler,
    GroupByLabelBatchSampler,
    MultiDatasetBatchSamplers,
    NoDuplicatesBatchSampler,
    ProportionalBatchSampler,
    RoundRobinBatchSampler,
)
from stlib.base.samplers.values import as_bytes  # noqa: E402

# Few different cells, so that most rows share one with another
words = st.sampled_from(["a", "b", "c", "d", "A", "a ", "", "None", "1", "['a']", "é", "日本"])
numbers = st.sampled_from([0, 1, 2, 10, -1])
lists = st.lists(st.sampled_from(["a", "b", "c"]), max_size=2)


@st.composite
def tables(draw):
    """Columns of texts, of numbers, of lists, with gaps, and a label that does not count."""
    n_rows = draw(st.integers(0, 40))
    kinds = draw(
        st.lists(
            st.sampled_from([words, st.one_of(st.none(), words), numbers, lists]), min_size=1, max_size=3
        )
    )
    columns = {
        f"c{i}": draw(st.lists(kind, min_size=n_rows, max_size=n_rows)) for i, kind in enumerate(kinds)
    }
    wide = draw(st.booleans())
    if wide:
        columns["wide"] = [f"row {i}" if i % 3 else "a" for i in range(n_rows)]
    return datasets.Dataset.from_dict({**columns, "label": [0] * n_rows})


def unique_sampler(table, batch_size, drop_last=False, seed=0, epoch=0, **options):
    made = NoDuplicatesBatchSampler(
        table,
        batch_size,
        drop_last,
        valid_label_columns=["label", "score"],
        generator=torch.Generator(),
        seed=seed,
        **options,
    )
    made.set_epoch(epoch)
    return made


def values_of(table, row):
    return {str(value) for name, value in table[row].items() if name != "label"}


def literal_batches(table, order, batch_size, drop_last):
    """The definition: each batch takes, in order, rows that share nothing with it, and leaves the others."""
    left, batches = list(order), []
    while left:
        batch, seen, later = [], set(), []
        for row in left:
            values = values_of(table, row)
            if len(batch) < batch_size and not values & seen:
                batch.append(row)
                seen |= values
            else:
                later.append(row)
        left = later
        if len(batch) == batch_size or not drop_last:
            batches.append(batch)
    return batches


@given(tables(), st.integers(1, 8), st.booleans(), st.integers(0, 5), st.integers(0, 3))
@settings(deadline=None, max_examples=60)
def test_batches_without_duplicates(table, batch_size, drop_last, seed, epoch):
    sampler = unique_sampler(table, batch_size, drop_last, seed, epoch)
    batches = list(sampler)
    for batch in batches:
        values = [values_of(table, row) for row in batch]
        assert sum(map(len, values)) == len(set().union(*values))
        assert len(batch) == batch_size if drop_last else 0 < len(batch) <= batch_size
    assert len(sampler) == (len(table) // batch_size if drop_last else -(-len(table) // batch_size))
    assert list(unique_sampler(table, batch_size, drop_last, seed, epoch)) == batches
    if not drop_last:
        # Every row once; and there may be more batches than without duplicates, never fewer
        assert sorted(row for batch in batches for row in batch) == list(range(len(table)))
        assert len(batches) >= len(sampler)
    else:
        assert len(batches) <= len(sampler)
    if len(table):
        generator = torch.Generator().manual_seed(seed + epoch)
        order = torch.randperm(len(table), generator=generator, dtype=torch.int32).tolist()
        literal = literal_batches(table, order, batch_size, drop_last)
        assert batches[: len(literal)] == literal
        # The rows of one pass over the data come at most once
        assert max(Counter(row for batch in literal for row in batch).values(), default=0) <= 1


@given(tables(), st.integers(1, 8), st.booleans(), st.integers(1, 12))
@settings(deadline=None, max_examples=30)
def test_reading_in_other_pieces_changes_nothing(table, batch_size, drop_last, rows_at_a_time):
    usual = list(unique_sampler(table, batch_size, drop_last))
    assert list(unique_sampler(table, batch_size, drop_last, precompute_batch_size=rows_at_a_time)) == usual


def test_hashing_in_processes_makes_the_same_batches():
    rng = np.random.default_rng(0)
    columns = {name: [f"t{i}" for i in rng.integers(0, 60, 300)] for name in "ab"}
    gaps = [None if i % 7 == 0 else [f"x{i}", "y"] for i in range(300)]
    table = datasets.Dataset.from_dict({**columns, "c": gaps, "label": [1.0] * 300})
    for processes in (1, 2):
        hashed = unique_sampler(
            table, 16, True, precompute_hashes=True, precompute_num_proc=processes, precompute_batch_size=50
        )
        assert list(hashed) == list(unique_sampler(table, 16, True))


def test_epochs_and_seeds_change_the_order():
    table = datasets.Dataset.from_dict({"a": [f"t{i}" for i in range(50)]})
    seen = {
        tuple(map(tuple, unique_sampler(table, 8, False, seed, epoch)))
        for seed in (0, 10)
        for epoch in range(3)
    }
    assert len(seen) == 6
    sampler = unique_sampler(table, 8, seed=3)
    first = list(sampler)
    sampler.set_epoch(1)
    assert list(sampler) != first
    sampler.set_epoch(0)
    assert list(sampler) == first


def test_too_many_duplicates_go_round_again_and_say_so(caplog):
    # Only one row has another text, so a pass over the data finds a single batch of two
    table = datasets.Dataset.from_dict({"a": ["same"] * 9 + ["other"]})
    sampler = unique_sampler(table, 2, drop_last=True)
    with caplog.at_level(logging.WARNING):
        batches = list(sampler)
    assert [sorted(values_of(table, row).pop() for row in batch) for batch in batches] == [
        ["other", "same"]
    ] * 3
    assert "repeat rows" in caplog.text and "too few different values" in caplog.text


def test_the_name_of_the_dataset_is_no_duplicate():
    table = datasets.Dataset.from_dict({"a": ["x", "y"], "dataset_name": ["d", "d"]})
    assert sorted(*unique_sampler(table, 2)) == [0, 1]


def test_values_that_are_no_text_are_compared_by_content():
    image = pytest.importorskip("PIL.Image")
    red, also_red = (image.new("RGB", (4, 4), "red") for _ in range(2))
    assert as_bytes(red) == as_bytes(also_red) != as_bytes(image.new("RGB", (4, 4), "blue"))
    assert as_bytes(np.ones(3)) == as_bytes(torch.ones(3).double()) != as_bytes(np.ones((3, 1)))
    assert as_bytes(torch.tensor(5)) == as_bytes(5)
    assert as_bytes([{"a": np.ones(2)}, "b"]) == as_bytes([{"a": np.ones(2)}, "b"])
    assert as_bytes([["ab"], ["c"]]) != as_bytes([["a"], ["bc"]])


# -- by label


@st.composite
def labelled(draw):
    sizes = draw(
        st.lists(st.integers(1, 12), min_size=2, max_size=6).filter(lambda s: sum(n > 1 for n in s) > 1)
    )
    labels = [label for label, size in enumerate(sizes) for _ in range(size)]
    return draw(st.permutations(labels))


@given(labelled(), st.sampled_from([4, 6, 8, 16]), st.booleans(), st.integers(0, 3))
@settings(deadline=None, max_examples=60)
def test_groups_by_label(labels, batch_size, drop_last, epoch):
    table = datasets.Dataset.from_dict({"text": list(map(str, labels)), "label": labels})
    sampler = GroupByLabelBatchSampler(table, batch_size, drop_last, ["label"], torch.Generator(), seed=1)
    sampler.set_epoch(epoch)
    batches = list(sampler)
    assert list(sampler) == batches
    assert len(batches) == len(sampler)
    rows = [row for batch in batches for row in batch]
    assert len(set(rows)) == len(rows)
    for position, batch in enumerate(batches):
        counts = Counter(labels[row] for row in batch)
        assert len(counts) >= 2 and min(counts.values()) >= 2
        if drop_last or position < len(batches) - 1:
            assert len(batch) == batch_size
    # Each label gives as many pairs as the second-largest has, or all it has
    pairs = sorted((count // 2 for count in Counter(labels).values()), reverse=True)
    wanted = 2 * sum(min(count, pairs[1]) for count in pairs)
    assert wanted - len(rows) in ({wanted % batch_size} if drop_last else {0, 2})


@pytest.mark.parametrize("batch_size", [2, 3, 5])
def test_a_batch_size_that_holds_no_two_pairs(batch_size):
    table = datasets.Dataset.from_dict({"label": [0, 0, 1, 1]})
    with pytest.raises(InvalidOption, match="even number >= 4"):
        GroupByLabelBatchSampler(table, batch_size, False, ["label"])


def test_labels_that_cannot_be_grouped():
    with pytest.raises(InvalidInput, match="at least 2 labels"):
        GroupByLabelBatchSampler(datasets.Dataset.from_dict({"label": [0, 0, 0, 1]}), 4, False, ["label"])
    with pytest.raises(InvalidInput, match=r"\['class'\]"):
        GroupByLabelBatchSampler(datasets.Dataset.from_dict({"class": [0, 0, 1, 1]}), 4, False, ["label"])


def test_labels_of_a_dataset_with_a_tensor_format():
    table = datasets.Dataset.from_dict({"label": [0, 1] * 4}).with_format("torch")
    sampler = GroupByLabelBatchSampler(table, 4, False, ["label"], torch.Generator())
    assert sorted(row for batch in sampler for row in batch) == list(range(8))


# -- several datasets


def joined(sizes, batch_size, drop_last, generator):
    parts = [datasets.Dataset.from_dict({"a": [f"{i} {j}" for j in range(n)]}) for i, n in enumerate(sizes)]
    samplers = [
        DefaultBatchSampler(RandomSampler(part, generator=generator), batch_size, drop_last) for part in parts
    ]
    return ConcatDataset(parts), samplers


def source(sizes, batch):
    """Which dataset a batch is of: exactly one."""
    ends = list(accumulate(sizes))
    (number,) = {next(i for i, end in enumerate(ends) if row < end) for row in batch}
    return number


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=4), st.integers(1, 6), st.booleans(), st.integers(0, 3)
)
@settings(deadline=None, max_examples=40)
def test_datasets_in_turn_and_in_proportion(sizes, batch_size, drop_last, epoch):
    n_batches = [size // batch_size if drop_last else -(-size // batch_size) for size in sizes]

    def batches_of(kind):
        generator = torch.Generator()
        sampler = kind(*joined(sizes, batch_size, drop_last, generator), generator, seed=5)
        sampler.set_epoch(epoch)
        assert all(part.epoch == epoch for part in sampler.batch_samplers)
        batches = list(sampler)
        assert len(batches) == len(sampler)
        return batches

    in_turn = [source(sizes, batch) for batch in batches_of(RoundRobinBatchSampler)]
    assert in_turn == list(range(len(sizes))) * min(n_batches)
    batches = batches_of(ProportionalBatchSampler)
    counts = Counter(source(sizes, batch) for batch in batches)
    assert [counts[number] for number in range(len(sizes))] == n_batches
    rows = [row for batch in batches for row in batch]
    assert len(set(rows)) == len(rows)
    assert drop_last or sorted(rows) == list(range(sum(sizes)))
    assert batches_of(ProportionalBatchSampler) == batches


def test_each_dataset_needs_a_sampler():
    dataset, samplers = joined([3, 4], 2, False, None)
    with pytest.raises(InvalidOption, match="1 batch samplers came for 2 datasets"):
        RoundRobinBatchSampler(dataset, samplers[:1])


def test_names_of_samplers():
    assert BatchSamplers("no_duplicates") is BatchSamplers.NO_DUPLICATES == "no_duplicates"
    assert json.dumps(list(BatchSamplers)) == (
        '["batch_sampler", "no_duplicates", "no_duplicates_hashed", "group_by_label"]'
    )
    assert [kind.value for kind in MultiDatasetBatchSamplers] == ["round_robin", "proportional"]
    with pytest.raises(InvalidOption, match="'proportional'"):
        MultiDatasetBatchSamplers("all")


# -- the reference, same seed, same epochs, one generator for all as a trainer has it


def of_library(library, kind, table, seed, **options):
    generator = torch.Generator()
    name = {"unique": "NoDuplicatesBatchSampler", "label": "GroupByLabelBatchSampler"}.get(kind)
    given = {"valid_label_columns": ["label"], "generator": generator, "seed": seed, **options}
    if name:
        sampler = getattr(library, name)(table, **given)
    elif kind == "default":
        sampler = library.DefaultBatchSampler(RandomSampler(table, generator=generator), **given)
    else:
        parts = [table, table.select(range(len(table) // 2)), table.select(range(len(table) // 3))]
        samplers = [
            library.NoDuplicatesBatchSampler(parts[0], **given),
            library.GroupByLabelBatchSampler(parts[1], **given),
            library.DefaultBatchSampler(RandomSampler(parts[2], generator=generator), **given),
        ]
        sampler = getattr(library, kind)(ConcatDataset(parts), samplers, generator, seed)
    epochs = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        epochs.append([list(map(int, batch)) for batch in sampler])
    return epochs, len(sampler)


@pytest.mark.parametrize(
    "kind", ["default", "unique", "label", "RoundRobinBatchSampler", "ProportionalBatchSampler"]
)
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("batch_size", [4, 6])
def test_same_batches_as_the_reference(kind, drop_last, batch_size):
    theirs = pytest.importorskip(
        "sentence_transformers.base.sampler",
        reason="the reference is missing; run: pip install 'sentence-transformers>=6,<7'",
        exc_type=ImportError,
    )
    for different in (3, 40, 1000):
        rng = np.random.default_rng(different)
        table = datasets.Dataset.from_dict(
            {
                "a": [f"t{i}" for i in rng.integers(0, different, 90)],
                "b": [None if i == 0 else f"t{i}" for i in rng.integers(0, different, 90)],
                "label": rng.integers(0, 4, 90).tolist(),
            }
        )
        options = {"batch_size": batch_size, "drop_last": drop_last}
        assert of_library(ours, kind, table, 7, **options) == of_library(theirs, kind, table, 7, **options)


def test_default_batches_are_those_of_torch():
    rows = list(range(7))
    assert list(DefaultBatchSampler(rows, 3, False)) == list(BatchSampler(rows, 3, False))
