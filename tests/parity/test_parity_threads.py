"""Threads that share a module get what one alone gets, and may outlive the main thread."""

from __future__ import annotations

import copy
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from stlib.models import Transformer
from stlib.sentence_transformer.modules.static_tokens import StaticTokens

pytestmark = pytest.mark.parity

TEXTS = [f"sort the list {i} of dogs " * (i % 9) for i in range(200)]


@pytest.fixture
def short_and_long(tiny_bert):
    return Transformer(tiny_bert, query_length=6, document_length=50)


LENGTHS = [{"task": "query"}, {"task": "document"}, {"max_length": 11}, {}]


@pytest.mark.parametrize("shared", ["module", "tokenizer"])
def test_threads_cut_at_different_lengths(tiny_bert, short_and_long, shared):
    modules = [short_and_long] * len(LENGTHS)
    if shared == "tokenizer":
        modules = [Transformer(tiny_bert, query_length=6, document_length=50) for _ in LENGTHS]
        for module in modules:
            module.tokenizer = short_and_long.tokenizer
    jobs = list(zip(modules, LENGTHS, strict=True))
    expected = [module.preprocess(TEXTS, prompt="search : ", **length) for module, length in jobs]
    assert [found["input_ids"].shape[1] for found in expected] == [6, 50, 11, 60]

    def repeat(job):
        module, length = job
        return [module.preprocess(TEXTS, prompt="search : ", **length) for _ in range(20)]

    with ThreadPoolExecutor(len(jobs)) as threads:
        for rounds, alone in zip(threads.map(repeat, jobs), expected, strict=True):
            for found in rounds:
                torch.testing.assert_close(found["input_ids"], alone["input_ids"], rtol=0, atol=0)
                torch.testing.assert_close(found["attention_mask"], alone["attention_mask"], rtol=0, atol=0)


def test_cut_inputs_are_counted_over_all_threads(short_and_long):
    before = short_and_long.truncated_inputs
    short_and_long.preprocess(TEXTS, task="query")
    cut = short_and_long.truncated_inputs - before
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: short_and_long.preprocess(TEXTS, task="query"), range(12)))
    assert short_and_long.truncated_inputs - before == 13 * cut


def test_a_copy_of_a_module_prepares_the_same(short_and_long):
    expected = short_and_long.preprocess(TEXTS, task="query")["input_ids"]
    twin = copy.deepcopy(short_and_long)
    torch.testing.assert_close(twin.preprocess(TEXTS, task="query")["input_ids"], expected, rtol=0, atol=0)


def bert_words(words: str) -> Tokenizer:
    vocabulary = {word: number for number, word in enumerate(["[UNK]", *words.split()])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


class SlowToRead:
    """A tokenizer that takes so long to analyse that another thread comes in between."""

    def __init__(self, tokenizer):
        self._tokenizer = tokenizer

    def __getattr__(self, name):
        if name == "model":
            time.sleep(0.3)
        return getattr(self._tokenizer, name)


def test_threads_read_with_a_new_tokenizer():
    tokens = StaticTokens()
    assert tokens.read(bert_words("red green blue"), ["red green blue"]).ids.tolist() == [1, 2, 3]
    other = SlowToRead(bert_words("blue red green"))
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(lambda _: tokens.read(other, ["red green blue"]).ids.tolist(), range(2)))
    assert found == [[2, 3, 1]] * 2


# -- a program that ends

AT_THE_END = """
import atexit, sys, threading, time
import numpy as np
from stlib import SentenceTransformer

model = SentenceTransformer(sys.argv[1], device="cpu")
texts = [f"sort the list {i} of dogs " * (i % 9) for i in range(40)]
expected = model.encode(texts, batch_size=1)

def encode(moment):
    np.testing.assert_array_equal(model.encode(texts, batch_size=1), expected)
    print(moment, flush=True)

def outlive():
    threading.main_thread().join()
    time.sleep(0.3)  # by now no executor takes anything any more
    encode("after the main thread")

atexit.register(encode, "at exit")
threading.Thread(target=outlive).start()
"""


def test_encode_while_the_program_ends(tiny_bert):
    done = subprocess.run(
        [sys.executable, "-c", AT_THE_END, tiny_bert], capture_output=True, text=True, timeout=100
    )
    assert done.stdout.splitlines() == ["after the main thread", "at exit"], done.stderr
    assert done.returncode == 0, done.stderr
