"""The student's tokenizer: the teacher's word pieces, pruned, plus whole words that it would split."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordPiece

from data.recipe.text import Pair

UNKNOWN = "[UNK]"
_MIN_TEXTS = 6  # a word seen in fewer texts would learn noise
_KEEP_PIECE = re.compile(r"[\x21-\x7e]+|(##)?[a-z0-9]+|[£€°²³µ½×–—‘’“”…]")


def count_words(pairs: Iterable[Pair]) -> dict[str, Counter[str]]:
    """Texts that contain each word, per source, after the teacher's normalisation."""
    normalizer, splitter = _normalizer(), pre_tokenizers.BertPreTokenizer()
    counts: dict[str, Counter[str]] = {}
    for pair in pairs:
        text = normalizer.normalize_str(f"{pair.query} {pair.text}")
        words = {word for word, _ in splitter.pre_tokenize_str(text)}
        counts.setdefault(pair.source, Counter()).update(words)
    return counts


def choose_words(counts: dict[str, Counter[str]], known: set[str], number: int) -> list[str]:
    """The ``number`` most useful words not in ``known``.

    A word's use is the sum over sources of the square root of its text count, so that a word known to many
    kinds of text wins over one that a single large source repeats.
    """
    total: Counter[str] = Counter()
    score: Counter[str] = Counter()
    for source in counts.values():
        total.update(source)
        for word, texts in source.items():
            score[word] += math.sqrt(texts)  # type: ignore[assignment]
    candidates = [
        word
        for word in score
        if word not in known and total[word] >= _MIN_TEXTS and re.fullmatch(r"[a-z][a-z0-9]{2,23}", word)
    ]
    return sorted(candidates, key=lambda word: (-score[word], word))[:number]


def build_tokenizer(teacher_folder: Path, counts: dict[str, Counter[str]], size: int) -> Tokenizer:
    """A plain WordPiece tokenizer of at most ``size`` entries; adds no special tokens and never pads."""
    teacher = Tokenizer.from_file(str(teacher_folder / "tokenizer.json"))
    by_id = sorted(teacher.get_vocab().items(), key=lambda item: item[1])
    kept = [piece for piece, _ in by_id if _KEEP_PIECE.fullmatch(piece) and not _is_special(piece)]
    words = choose_words(counts, set(kept), size - 1 - len(kept))
    vocabulary = {piece: index for index, piece in enumerate([UNKNOWN, *kept, *words])}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token=UNKNOWN, max_input_chars_per_word=100))
    tokenizer.normalizer = _normalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def pieces(tokenizer: Tokenizer) -> list[str]:
    """The entries of the vocabulary in the order of their ids."""
    return [piece for piece, _ in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])]


def _is_special(piece: str) -> bool:
    return bool(re.fullmatch(r"\[(?:PAD|UNK|CLS|SEP|MASK|unused\d+)\]", piece))


def _normalizer() -> normalizers.Normalizer:
    return normalizers.BertNormalizer(lowercase=True)
