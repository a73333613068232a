"""A static embedding reads tokens exactly as its tokenizer does, whatever the tokenizer and its settings."""

from __future__ import annotations

import pickle
from copy import deepcopy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from stlib.models import StaticEmbedding

TEXTS = [
    "How do I sort a list of dictionaries, by key?",
    "",
    "unknownish WORDS, größer 検索 🎉 [SEP] x",
    "the quick brown fox " * 40,
    "\t\n",
]
CORPUS = ["the quick brown fox jumps over the lazy dog", "sort a list of dictionaries by key, größer 検索"]


def wordpiece() -> Tokenizer:
    vocabulary = [
        "[UNK]",
        "[SEP]",
        *"abcdefghijklmnopqrstuvwxyz.,?",
        "the",
        "fox",
        "list",
        "##s",
        "##o",
        "sort",
    ]
    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[SEP]"])
    return tokenizer


def byte_level_bpe() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def unigram() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=80, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


KINDS = {"WordPiece": wordpiece, "BPE": byte_level_bpe, "Unigram": unigram}


def expected(tokenizer: Tokenizer, texts: list[str]) -> tuple[list[int], list[int]]:
    rows = [encoding.ids for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)]
    return [i for row in rows for i in row], [sum(map(len, rows[:n])) for n in range(len(rows))]


def read(module: StaticEmbedding, texts: list[str]) -> tuple[list[int], list[int]]:
    features = module.preprocess(texts)
    return features["input_ids"].tolist(), features["offsets"].tolist()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("direction", [None, "right", "left"])
@settings(max_examples=60, deadline=None)
@given(batch=st.lists(st.sampled_from(TEXTS) | st.text(max_size=30), max_size=5), limit=st.integers(1, 12))
def test_ids_equal_the_tokenizers(kind, direction, batch, limit):
    tokenizer = KINDS[kind]()
    if direction is not None:
        tokenizer.enable_truncation(limit, direction=direction)
    module = StaticEmbedding(tokenizer, embedding_dim=2)
    assert read(module, batch) == expected(tokenizer, batch)
    tokenizer.no_truncation()
    lengths = [len(tokenizer.encode(text, add_special_tokens=False).ids) for text in batch]
    assert module.truncated_inputs == (0 if direction is None else sum(n > limit for n in lengths))


@pytest.mark.parametrize("kind", KINDS)
def test_changes_of_the_tokenizer_are_seen(kind):
    module = StaticEmbedding(KINDS[kind](), embedding_dim=2)
    tokenizer = module.tokenizer
    assert read(module, TEXTS) == expected(tokenizer, TEXTS)
    tokenizer.enable_truncation(3)
    assert read(module, TEXTS) == expected(tokenizer, TEXTS)
    tokenizer.enable_truncation(4, strategy="only_first", stride=1)
    assert read(module, TEXTS) == expected(tokenizer, TEXTS)
    tokenizer.no_truncation()
    tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace("fox", "dog")])
    assert read(module, TEXTS) == expected(tokenizer, TEXTS)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    assert read(module, TEXTS) == expected(tokenizer, TEXTS)
    tokenizer.add_tokens(["brown fox"])
    assert read(module, TEXTS) == expected(tokenizer, TEXTS)
    module.tokenizer = KINDS["BPE" if kind != "BPE" else "WordPiece"]()
    assert read(module, TEXTS) == expected(module.tokenizer, TEXTS)


def test_module_is_copied_after_use():
    module = StaticEmbedding(wordpiece(), embedding_dim=2)
    before = read(module, TEXTS)
    for copy in (deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert read(copy, TEXTS) == before
        np.testing.assert_array_equal(copy.embedding.weight.detach(), module.embedding.weight.detach())
