"""How many tokens a model has positions for, as its configuration tells."""

from __future__ import annotations

import json
import shutil

import pytest

from stlib.runtime.modules.text_tokens import load_text_tokens
from stlib.runtime.positions import text_positions


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"model_type": "bert", "pad_token_id": 1}, 12),
        ({"model_type": "roberta", "pad_token_id": 1}, 10),
        ({"model_type": "roberta", "pad_token_id": 0}, 11),
        ({"model_type": "roberta", "pad_token_id": None}, 10),
        ({"model_type": "roberta", "pad_token_id": -1}, 10),
        ({"model_type": "xlm-roberta"}, 10),
        ({"model_type": "mpnet", "pad_token_id": 0}, 10),  # counts from behind 1 in any case
        ({"model_type": "roberta", "pad_token_id": 600}, -589),
        ({"model_type": ["roberta"]}, 12),
        ({}, 12),
        ({"model_type": "roberta", "max_position_embeddings": None}, None),
        ({"max_position_embeddings": True}, None),
        ({"max_position_embeddings": -1}, None),
        ({"max_position_embeddings": "12"}, None),
    ],
)
def test_positions_that_are_left_for_tokens(config, expected):
    assert text_positions({"max_position_embeddings": 12, **config}) == expected


@pytest.mark.parametrize(("padding", "kept"), [(0, 11), (1, 10), (600, None)])
def test_texts_to_embed_are_cut_there_too(tmp_path, padding, kept):
    from stlib.runtime import default_model_path

    shutil.copy(default_model_path() / "0_StaticEmbedding" / "tokenizer.json", tmp_path)
    config = {"model_type": "roberta", "max_position_embeddings": 12, "pad_token_id": padding}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert load_text_tokens(tmp_path, None, {}).settings.max_length == kept
