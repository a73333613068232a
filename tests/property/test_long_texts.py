"""What is left of a long text has the tokens of the whole one, whatever the text and the tokenizer."""

from __future__ import annotations

from copy import deepcopy

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from stlib.runtime.long_texts import is_long, shorten

SAMPLE = [
    "the quick brown fox jumps over the lazy dog",
    "How do I sort 123 lists, 4.5% of 67890?",
    "été café",
]


def word_piece() -> Tokenizer:
    pieces = [
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "the",
        "##the",
        "cafe",
        "東",
        *"abcdefgh012.,[]",
        "##a",
        "##b",
        "##c",
    ]
    tokenizer = Tokenizer(
        models.WordPiece(
            {piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]", max_input_chars_per_word=20
        )
    )
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[CLS]", "[SEP]"])
    return tokenizer


def trained(model, trainer, pre_tokenizer, normalizer=None) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.train_from_iterator(SAMPLE, trainer)
    tokenizer.add_special_tokens(["[CLS]", "[SEP]", AddedToken("<mask>", lstrip=True)])
    return tokenizer


def byte_pairs(pre_tokenizer) -> Tokenizer:
    trainer = trainers.BpeTrainer(
        vocab_size=320, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    return trained(models.BPE(), trainer, pre_tokenizer)


def unigram(split: bool) -> Tokenizer:
    special = ["<unk>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=60, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    return trained(models.Unigram(), trainer, pre_tokenizers.Metaspace(split=split), normalizer)


def threes() -> pre_tokenizers.PreTokenizer:
    """As newer models split: digits in groups of three, counted from the first."""
    pattern = Regex(r"\p{N}{1,3}| ?\p{L}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+(?!\S)|\s+")
    return pre_tokenizers.Sequence(
        [pre_tokenizers.Split(pattern, "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    )


TOKENIZERS = {
    "word pieces": word_piece(),
    "byte pairs": byte_pairs(pre_tokenizers.ByteLevel(add_prefix_space=False)),
    "threes": byte_pairs(threes()),
    "unigram": unigram(split=True),
    "no words": unigram(split=False),
}
for one in TOKENIZERS.values():
    one.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, one.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )

PIECES = ["the ", "a", "bc ", "x", " ", "\n", "\t ", "12345", "1", ".", ",", "[SEP]", "[SE", "P]", "<mask>"]
ODD = ["café", "e\u0301", "\u0301", "東", "京都", "🦊", "\u200b", "\u00a0", "\u0600", "ﬁ", "Σ", "\r\n", "\0"]
pieces = st.sampled_from([*PIECES, *ODD, "  <mask>"])
# One piece many times: words, numbers and white space longer than what is kept of a text.
runs = st.builds(lambda piece, times: piece * times, pieces, st.sampled_from([1, 1, 2, 30, 300]))
texts = st.lists(runs, max_size=10).map("".join)
anything = st.builds(lambda text, times: text * times, texts, st.sampled_from([1, 3, 20]))


def cut(tokenizer: Tokenizer, text, max_length: int, side: str, special: bool) -> list[list[int]]:
    """Tokens of a text, or of both of a pair, after the tokenizer's own cut "longest first".

    That joins all that it cuts off of one text with all that it cuts off of the other, so that it is done
    here for long pairs; ``test_the_cut_is_that_of_the_tokenizer`` compares both.
    """
    pair = (text,) if isinstance(text, str) else text
    ids = [tokenizer.encode(part, add_special_tokens=False).ids for part in pair]
    room = max_length - (tokenizer.num_special_tokens_to_add(len(pair) == 2) if special else 0)
    kept = [room]
    if len(pair) == 2:
        less, more = sorted(map(len, ids))
        less, more = (less, room - less) if less <= room // 2 else (room // 2, room - room // 2)
        kept = [more, less] if len(ids[0]) > len(ids[1]) else [less, more]
    return [
        row[max(0, len(row) - n) :] if side == "left" else row[:n] for row, n in zip(ids, kept, strict=True)
    ]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("lengths", [(40, 3), (3, 40), (40, 41), (41, 40), (40, 40), (5, 6), (3, 2), (9, 1)])
@pytest.mark.parametrize("max_length", [9, 10])
def test_the_cut_is_that_of_the_tokenizer(side, lengths, max_length):
    tokenizer = deepcopy(TOKENIZERS["word pieces"])
    pair = tuple("a b c d e f g h ".replace(" ", gap) * 6 for gap in (" ", ". "))
    pair = tuple(" ".join(text.split()[:n]) for text, n in zip(pair, lengths, strict=True))
    ids = cut(tokenizer, pair, max_length, side, True)
    tokenizer.enable_truncation(max_length, direction=side)
    encoding = tokenizer.encode(*pair)
    got = [[], []]
    for token, sequence in zip(encoding.ids, encoding.sequence_ids, strict=True):
        if sequence is not None:
            got[sequence].append(token)
    assert got == ids


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(max_examples=15, deadline=None)
@given(
    first=anything,
    second=anything,
    max_length=st.integers(8, 16),
    side=st.sampled_from(["left", "right"]),
    special=st.booleans(),
)
@example("a " * 3, "xy" * 700 + " the end", 7, "right", True)
@example("a b c d e f g", "a " * 900, 10, "left", True)  # the room is odd: one text gets a token more
@example("a " * 300, "b " * 301, 10, "right", True)
@example("東" * 500, "1" * 500, 10, "left", True)
def test_tokens_are_those_of_the_whole_text(name, first, second, max_length, side, special):
    tokenizer = TOKENIZERS[name]
    given_ = [first, (first, second), (second, first)]
    for text, short in zip(
        given_, shorten(lambda: tokenizer, given_, max_length, side, special), strict=True
    ):
        assert cut(tokenizer, short, max_length, side, special) == cut(
            tokenizer, text, max_length, side, special
        )
        assert type(short) is type(text)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", ["word pieces", "byte pairs", "unigram"])
def test_little_is_left_of_usual_texts(name, side):
    text = "the quick brown fox\n" * 5000
    for given_ in (text, ("how do I sort", text), (text, "how do I sort"), (text, text)):
        (short,) = shorten(lambda: TOKENIZERS[name], [given_], 16 if given_ != (text, text) else 17, side)
        sizes = [len(short)] if isinstance(short, str) else sorted(map(len, short))
        assert sizes[-1] < 3000
        assert is_long(given_, 16)


def test_short_texts_need_no_tokenizer():
    texts = ["a" * 640, ("b" * 640, "c" * 640)]
    assert shorten(lambda: pytest.fail("asked for"), texts, 16) == texts
