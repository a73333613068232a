"""Mini-batches of features dicts, by hand-computed answers."""

from __future__ import annotations

import pytest
import torch

from stlib.base.losses import column_merging_disabled
from stlib.base.losses.feature_rows import n_rows, row_ranges, take_rows
from stlib.base.losses.merged_forward import embed_columns, merge_columns
from stlib.errors import InvalidInput

PADDED = {
    "input_ids": torch.tensor([[1, 2, 3, 4], [5, 6, 0, 0], [7, 0, 0, 0], [8, 9, 1, 0]]),
    "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0]]),
    "scores": torch.tensor([0.1, 0.2, 0.3, 0.4]),
    "prompt_length": 2,
}
FLAT = {
    "input_ids": torch.arange(7).unsqueeze(0),
    "position_ids": torch.tensor([[0, 1, 2, 0, 0, 1, 2]]),
    "seq_idx": torch.tensor([[0, 0, 0, 1, 2, 2, 2]]),
    "cu_seq_lens_q": torch.tensor([0, 3, 4, 7]),
    "cu_seq_lens_k": torch.tensor([0, 3, 4, 7]),
    "max_length_q": 3,
    "max_length_k": 3,
    "task": "query",
}


def test_rows_are_counted():
    assert n_rows(PADDED) == 4
    assert n_rows(FLAT) == 3
    assert n_rows({"pixel_values": torch.ones(9, 2), "input_ids": torch.ones(3, 2)}) == 3
    assert n_rows({"x": 1, "prompt_length": torch.tensor(2), "values": torch.ones(5)}) == 5
    with pytest.raises(InvalidInput, match="how many inputs"):
        n_rows({"task": "query"})


@pytest.mark.parametrize(
    ("size", "tokens", "expected"),
    [
        (2, None, [(0, 2), (2, 4)]),
        (3, None, [(0, 3), (3, 4)]),
        (9, None, [(0, 4)]),
        (1, 6, [(0, 2), (2, 4)]),
        (1, 3, [(0, 1), (1, 3), (3, 4)]),
        (1, 1, [(0, 1), (1, 2), (2, 3), (3, 4)]),
        (1, 100, [(0, 4)]),
    ],
)
def test_ranges(size, tokens, expected):
    assert row_ranges(PADDED, size, tokens) == expected


def test_ranges_of_sequences_laid_end_to_end():
    assert row_ranges(FLAT, 2) == [(0, 2), (2, 3)]
    assert row_ranges(FLAT, 1, 4) == [(0, 2), (2, 3)]


def test_padding_that_nobody_needs_is_left_out():
    taken = take_rows(PADDED, 1, 3)
    assert taken["input_ids"].tolist() == [[5, 6], [7, 0]]
    assert taken["attention_mask"].tolist() == [[1, 1], [1, 0]]
    assert taken["scores"].tolist() == pytest.approx([0.2, 0.3])
    assert taken["prompt_length"] == 2
    assert take_rows(PADDED, 3, 9)["input_ids"].tolist() == [[8, 9, 1]]


def test_what_belongs_to_the_batch_is_not_cut():
    taken = take_rows({**PADDED, "prompt_length": torch.tensor([2]), "step": torch.tensor(5)}, 2, 4)
    assert taken["prompt_length"].tolist() == [2]
    assert taken["step"].item() == 5


def test_padding_on_the_left_stays():
    left = {name: PADDED[name].flip(1) for name in ("input_ids", "attention_mask")}
    assert take_rows(left, 1, 3)["input_ids"].tolist() == [[0, 0, 6, 5], [0, 0, 0, 7]]


def test_expanded_queries_stay_whole():
    expanded = {**PADDED, "query_expansion_positions": PADDED["attention_mask"] == 0}
    assert take_rows(expanded, 2, 3)["input_ids"].tolist() == [[7, 0, 0, 0]]


def test_sequences_laid_end_to_end():
    taken = take_rows(FLAT, 1, 3)
    assert taken["input_ids"].tolist() == [[3, 4, 5, 6]]
    assert taken["position_ids"].tolist() == [[0, 0, 1, 2]]
    assert taken["seq_idx"].tolist() == [[0, 1, 1, 1]]
    assert taken["cu_seq_lens_q"].tolist() == taken["cu_seq_lens_k"].tolist() == [0, 1, 4]
    assert (taken["max_length_q"], taken["max_length_k"], taken["task"]) == (3, 3, "query")
    assert take_rows(FLAT, 1, 2)["max_length_q"] == 1


GRID = {
    "input_ids": torch.ones(3, 2, dtype=torch.long),
    "attention_mask": torch.ones(3, 2, dtype=torch.long),
    "image_grid_thw": torch.tensor([[1, 2, 2], [1, 1, 2], [1, 1, 1]]),
    "pixel_values": torch.arange(7),
}


def test_pictures_of_a_grid():
    """Pictures have 4, 2 and 1 patches; inputs one picture each, or two, none and one."""
    assert take_rows(GRID, 1, 3)["pixel_values"].tolist() == [4, 5, 6]
    counted = {**GRID, "num_images_per_sample": torch.tensor([2, 0, 1])}
    assert take_rows(counted, 0, 2)["pixel_values"].tolist() == [0, 1, 2, 3, 4, 5]
    assert take_rows(counted, 2, 3)["image_grid_thw"].tolist() == [[1, 1, 1]]
    assert "pixel_values" not in take_rows(counted, 1, 2)


def test_pictures_without_a_grid():
    pictures = {
        "input_ids": torch.ones(3, 2, dtype=torch.long),
        "pixel_values": torch.arange(4).view(4, 1),
        "image_sizes": torch.arange(4),
        "num_images_per_sample": torch.tensor([1, 2, 1]),
    }
    taken = take_rows(pictures, 1, 2)
    assert taken["pixel_values"].tolist() == [[1], [2]]
    assert taken["image_sizes"].tolist() == [1, 2]
    padded = {**pictures, "pixel_values": torch.ones(3, 2, 5), "pixel_attention_mask": torch.ones(3, 2)}
    assert take_rows(padded, 1, 3)["pixel_values"].shape == (2, 2, 5)


# -- merging


def column(*lengths: int, **more):
    mask = torch.zeros(len(lengths), max(lengths), dtype=torch.long)
    for row, length in enumerate(lengths):
        mask[row, :length] = 1
    return {"input_ids": mask * 7, "attention_mask": mask, **more}


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.shapes = []

    def forward(self, features):
        self.shapes.append(tuple(features["input_ids"].shape))
        features["sentence_embedding"] = features["input_ids"].sum(dim=1, keepdim=True).float()
        return features


def test_candidates_share_a_pass():
    model = Model()
    embeddings = embed_columns(model, [column(2, 1), column(3, 1), column(4, 2), column(1, 1)])
    assert [e.flatten().tolist() for e in embeddings] == [[14, 7], [21, 7], [28, 14], [7, 7]]
    assert model.shapes == [(2, 2), (6, 4)]


def test_all_columns_share_a_pass_if_they_are_alike():
    model = Model()
    embed_columns(model, iter([column(2, 1), column(3, 1)]), separate_first=False)
    assert model.shapes == [(4, 3)]
    assert embed_columns(model, []) == []


def test_merging_can_be_off():
    model, columns = Model(), [column(2, 1), column(3, 1), column(4, 1)]
    with column_merging_disabled():
        embed_columns(model, columns)
    assert model.shapes == [(2, 2), (2, 3), (2, 4)]
    assert all("sentence_embedding" in features for features in columns)
    embed_columns(model, [*columns[:1], column(1, 1), column(2, 2)])
    assert model.shapes[3:] == [(2, 2), (4, 2)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (column(2, 1), column(2, 1, task="query")),
        (column(2, 1, task="document"), column(2, 1, task="query")),
        (column(2, 1), column(2, 1, 1)),
        (column(2, 1, x=torch.ones(3)), column(2, 1, x=torch.ones(3))),
        (column(2, 1, x=torch.tensor(1)), column(2, 1, x=torch.tensor(1))),
        (column(2, 1, x=torch.ones(2, 2)), column(3, 1, x=torch.ones(2, 3))),
        (column(2, 1, x=torch.ones(2, 2, 3)), column(2, 1, x=torch.ones(2, 2, 4))),
        (column(2, 1, x=torch.ones(2)), column(2, 1, x=torch.ones(2, 1))),
        (column(2, 1, prompt_length=torch.tensor([1, 1])), column(2, 1, prompt_length=torch.tensor([2, 2]))),
        (FLAT, FLAT),
        ({"input_ids": torch.ones(3), "offsets": torch.ones(2)},) * 2,
    ],
)
def test_columns_that_differ_are_not_merged(first, second):
    assert merge_columns([first, second]) is None


def test_what_is_equal_is_kept():
    shared = {"task": "query", "prompt_length": torch.tensor([3, 3]), "x": torch.ones(2, 4)}
    merged = merge_columns([column(2, 1, **shared), column(3, 1, **shared)])
    assert merged["task"] == "query"
    assert merged["prompt_length"].tolist() == [3, 3]
    assert merged["x"].shape == (4, 4)
    assert merged["input_ids"].tolist() == [[7, 7, 0], [7, 0, 0], [7, 7, 7], [7, 0, 0]]
