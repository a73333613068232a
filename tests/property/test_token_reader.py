"""Tokens read word by word are the tokenizer's own, for any text."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from stlib.runtime import words
from stlib.runtime.words import TokenReader

VOCABULARY = [
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[PAD]",
    *"abcdefghij0123456789.,;:!?'\"()[]_-/",
    "##a",
    "##b",
    "##c",
    "##1",
]
VOCABULARY += ["cafe", "the", "##the", "é", "東", "京", "ab", "##bc", "cls", "²", "ﬁ"]


def make(lowercase: bool = True, accents: bool | None = None) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=accents)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[CLS]", "[SEP]", "[PAD]"])
    return tokenizer


pieces = st.one_of(
    st.text(max_size=12),
    st.text(alphabet="abcAB123.,[]_-'é東\u0301\u00a0\u2028\u200b\x00\x0b\x0c\x1c\x85\t\n\r ", max_size=12),
    st.sampled_from(
        [
            "[CLS]",
            "[cls]",
            "x[SEP]y",
            "café",
            "cafe\u0301",
            "ＡＢＣ",
            "İ",
            "ﬁ",
            "東京",
            "🙂",
            "a" * 120,
            "a\x01b",
        ]
    ),
)
texts = st.lists(pieces, max_size=8).map(" ".join) | st.lists(pieces, max_size=8).map("".join)


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("accents", [None, True, False])
@settings(max_examples=150, deadline=None)
@given(batch=st.lists(texts, max_size=5))
def test_ids_and_spans_equal_the_tokenizers(lowercase, accents, batch):
    tokenizer = make(lowercase, accents)
    reader = TokenReader(tokenizer)
    encodings = [tokenizer.encode(text, add_special_tokens=False) for text in batch]
    for _ in range(2):  # the second time from the table
        flat, lengths = reader.ids(batch)
        assert flat.tolist() == [i for encoding in encodings for i in encoding.ids]
        assert lengths.tolist() == [len(encoding.ids) for encoding in encodings]
        spans = reader.spans(batch)
        assert [s.tolist() for s in spans] == [[list(o) for o in encoding.offsets] for encoding in encodings]


def test_table_is_bounded(monkeypatch):
    monkeypatch.setattr(words, "MAX_WORDS", 10)
    reader = TokenReader(make())
    for start in range(0, 60, 6):
        batch = [f"word{i} {'long' * 30}" for i in range(start, start + 6)]
        flat, _ = reader.ids(batch)
        np.testing.assert_array_equal(
            flat, [i for t in batch for i in make().encode(t, add_special_tokens=False).ids]
        )
        assert len(reader._table.numbers) <= 10


def test_threads_share_a_reader(monkeypatch):
    monkeypatch.setattr(words, "MAX_WORDS", 40)  # small, so that tables are also replaced while in use
    reader, tokenizer = TokenReader(make()), make()
    batches = [[f"a{i}b {i * j}.c é{i} {'x' * 70}{i}" for j in range(9)] for i in range(60)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(reader.ids, batches * 3))
    for batch, (flat, _) in zip(batches * 3, found, strict=True):
        assert flat.tolist() == [i for t in batch for i in tokenizer.encode(t, add_special_tokens=False).ids]


def test_reader_is_copied_without_its_table():
    reader = TokenReader(make())
    reader.ids(["ab, the cafe"])
    for copy in (pickle.loads(pickle.dumps(reader)), deepcopy(reader)):
        np.testing.assert_array_equal(copy.ids(["the ab"])[0], reader.ids(["the ab"])[0])


@pytest.mark.parametrize("size", [1, 7, 40])
def test_blocks_of_texts_are_read_like_one(monkeypatch, size):
    batch = ["ab, the", "", "é x", "[SEP] a", "c" * 50, "\0 \1", " ", "a b c d e f"]
    flat, lengths = TokenReader(make()).ids(batch)
    monkeypatch.setattr(words, "_BLOCK", size)
    again, again_lengths = TokenReader(make()).ids(batch)
    np.testing.assert_array_equal(flat, again)
    np.testing.assert_array_equal(lengths, again_lengths)
    assert TokenReader(make()).ids([])[0].tolist() == []


def test_special_words_are_left_to_the_tokenizer():
    tokenizer = make()
    tokenizer.add_special_tokens(["the"])
    reader = TokenReader(tokenizer)
    for text in ("THE the cafe", "thethe"):
        assert reader.ids([text])[0].tolist() == tokenizer.encode(text, add_special_tokens=False).ids


def test_other_tokenizers_take_their_own_path():
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "Ab": 1, "c": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    reader = TokenReader(tokenizer)
    flat, lengths = reader.ids(["Ab c", "ab"])
    assert (flat.tolist(), lengths.tolist()) == ([1, 2, 0], [2, 1])
    assert reader.spans(["Ab c"])[0].tolist() == [[0, 2], [3, 4]]
