"""Modules over words and layers: vectors and files equal the reference's for every option."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import torch

import stlib
import stlib.models as our_modules
from stlib import errors
from stlib.models import BoW, WordEmbeddings
from stlib.sentence_transformer.modules.tokenizer import WhitespaceTokenizer

pytestmark = pytest.mark.parity

VOCAB = ["PADDING_TOKEN", "sort", "list", "dog", "fox", "the", "New", "york", "quick"]
TEXTS = [
    "Sort the list, quick!",
    "dog fox dog",
    "unknown only",
    "",
    "the New York fox (sort) list dog fox " * 3,
]


@pytest.fixture(scope="module")
def theirs(reference):
    return pytest.importorskip("sentence_transformers.sentence_transformer.modules")


@pytest.fixture(scope="module")
def their_tokenizer(reference):
    module = pytest.importorskip("sentence_transformers.sentence_transformer.modules.tokenizer")
    return module.WhitespaceTokenizer


def table(width=8):
    values = np.random.default_rng(0).normal(size=(len(VOCAB), width))
    values[0] = 0
    return values


def words(modules, tokenizer_class, **options):
    tokenizer = tokenizer_class(VOCAB, stop_words=["the"])
    return modules.WordEmbeddings(tokenizer, table(), **options)


def exchange(ours, theirs, reference, tmp_path, texts=TEXTS, tolerance=1e-6):
    """Both pipelines agree, and each library loads what the other saved."""
    a = stlib.SentenceTransformer(modules=ours, device="cpu")
    b = reference.SentenceTransformer(modules=theirs, device="cpu")
    for x, y in zip(a, b, strict=True):
        x.load_state_dict(y.state_dict())
    assert a.get_embedding_dimension() == b.get_embedding_dimension()
    vectors = b.encode(texts)
    np.testing.assert_allclose(a.encode(texts), vectors, rtol=0, atol=tolerance)
    a.save(tmp_path / "ours")
    b.save(str(tmp_path / "theirs"))
    back = stlib.SentenceTransformer(tmp_path / "theirs", device="cpu")
    forth = reference.SentenceTransformer(str(tmp_path / "ours"), device="cpu")
    for model in (back, forth, stlib.SentenceTransformer(tmp_path / "ours", device="cpu")):
        np.testing.assert_allclose(model.encode(texts), vectors, rtol=0, atol=tolerance)
        assert [type(m).__name__ for m in model] == [type(m).__name__ for m in b]


@pytest.mark.parametrize("options", [{}, {"max_seq_length": 2}, {"update_embeddings": True}])
def test_word_embeddings(theirs, their_tokenizer, reference, tmp_path, options):
    ours = [words(our_modules, WhitespaceTokenizer, **options), our_modules.Pooling(8)]
    their = [words(theirs, their_tokenizer, **options), theirs.Pooling(8)]
    assert ours[0].emb_layer.weight.requires_grad == their[0].emb_layer.weight.requires_grad
    with pytest.raises(TypeError):  # the reference hands None on as the embedding of the first token
        reference.SentenceTransformer(modules=[their[0], theirs.Pooling(8, "cls")], device="cpu").encode(
            TEXTS
        )
    exchange(ours, their, reference, tmp_path)


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("stop_words", [[], ["the", "new"]])
def test_whitespace_tokenizer(their_tokenizer, lower, stop_words):
    options = {"stop_words": stop_words, "do_lower_case": lower}
    ours, their = WhitespaceTokenizer(VOCAB, **options), their_tokenizer(VOCAB, **options)
    for text in [*TEXTS, "SORT ...the 'dog'", "!! York's --quick--"]:
        assert ours.tokenize(text) == their.tokenize(text)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"unknown_word_weight": 0.5},
        {"word_weights": {}},
        {"word_weights": {"sort": 3.0, "new": 0.1, "York": 9}},
    ],
)
def test_word_weights(theirs, their_tokenizer, reference, tmp_path, options):
    options = {"word_weights": {"sort": 2.0, "dog": 0.25}, **options}
    for mode in ("mean", "mean_sqrt_len_tokens", "weightedmean"):
        ours = [
            words(our_modules, WhitespaceTokenizer),
            our_modules.WordWeights(VOCAB, **options),
            our_modules.Pooling(8, mode),
        ]
        their = [
            words(theirs, their_tokenizer),
            theirs.WordWeights(VOCAB, **options),
            theirs.Pooling(8, mode),
        ]
        exchange(ours, their, reference, tmp_path / mode)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"word_weights": {"sort": 3.0, "dog": 0.5}},
        {"cumulative_term_frequency": False, "unknown_word_weight": 0.1, "word_weights": {"fox": 2}},
    ],
)
def test_bow(theirs, reference, tmp_path, options):
    vocab = [*VOCAB, "dog"]
    exchange([BoW(vocab, **options)], [theirs.BoW(vocab, **options)], reference, tmp_path)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bidirectional": False},
        {"num_layers": 2, "dropout": 0.3},
        {"num_layers": 2, "bidirectional": False},
    ],
)
def test_lstm(theirs, their_tokenizer, reference, tmp_path, options):
    width = 5 if options.get("bidirectional") is False else 10
    ours = [
        words(our_modules, WhitespaceTokenizer),
        our_modules.LSTM(8, 5, **options),
        our_modules.Pooling(width, "max"),
    ]
    their = [words(theirs, their_tokenizer), theirs.LSTM(8, 5, **options), theirs.Pooling(width, "max")]
    texts = [text for text in TEXTS if text not in ("", "unknown only")]
    exchange(ours, their, reference, tmp_path, texts)


@pytest.mark.parametrize(
    "options", [{}, {"kernel_sizes": [3]}, {"kernel_sizes": [1, 5], "stride_sizes": [1, 1]}]
)
def test_cnn(theirs, their_tokenizer, reference, tmp_path, options):
    width = 4 * len(options.get("kernel_sizes", [1, 3, 5]))
    ours = [
        words(our_modules, WhitespaceTokenizer),
        our_modules.CNN(8, 4, **options),
        our_modules.Pooling(width),
    ]
    their = [words(theirs, their_tokenizer), theirs.CNN(8, 4, **options), theirs.Pooling(width)]
    exchange(ours, their, reference, tmp_path)


def test_layer_norm_and_dropout(theirs, their_tokenizer, reference, tmp_path):
    def modules(source, tokenizer_class):
        parts = [words(source, tokenizer_class), source.Pooling(8), source.LayerNorm(8), source.Dropout(0.4)]
        torch.manual_seed(0)
        torch.nn.init.normal_(parts[2].norm.weight)
        return parts

    exchange(modules(our_modules, WhitespaceTokenizer), modules(theirs, their_tokenizer), reference, tmp_path)
    dropout = our_modules.Dropout(1.0).train()
    assert not dropout({"sentence_embedding": torch.ones(2, 3)})["sentence_embedding"].any()


@pytest.mark.parametrize("start", [0, 1, 2])
def test_weighted_layer_pooling(theirs, tiny_bert, reference, tmp_path, start):
    weights = torch.tensor([0.5, 1.5, 3.0])[: 3 - start]

    def modules(source):
        transformer = source.Transformer(tiny_bert, config_kwargs={"output_hidden_states": True})
        mixture = torch.nn.Parameter(weights.clone())
        mixer = source.WeightedLayerPooling(32, num_hidden_layers=2, layer_start=start, layer_weights=mixture)
        return [transformer, mixer, source.Pooling(32)]

    exchange(modules(our_modules), modules(theirs), reference, tmp_path, tolerance=1e-5)


def test_weighted_layer_pooling_without_layers_changes_nothing():
    features = {"token_embeddings": torch.ones(1, 2, 4)}
    assert our_modules.WeightedLayerPooling(4)(features) is features


@pytest.mark.parametrize("suffix", [".txt", ".txt.gz"])
@pytest.mark.parametrize("header", [True, False])
def test_word_embeddings_from_text(theirs, reference, tmp_path, suffix, header):
    lines = ["4 3"] * header + ["dog 1 2 3", "fox 0.5 -1 2e-1", "broken 1 2", "sort 9 9 9", "list 1 1 1"]
    path = tmp_path / f"vectors{suffix}"
    opener = gzip.open if suffix.endswith("gz") else open
    with opener(path, "wt", encoding="utf-8") as file:
        file.write("\n".join(lines))
    for limit in (None, 2):
        ours = WordEmbeddings.from_text_file(str(path), max_vocab_size=limit)
        their = theirs.WordEmbeddings.from_text_file(str(path), max_vocab_size=limit)
        assert list(ours.tokenizer.get_vocab()) == list(their.tokenizer.get_vocab())
        torch.testing.assert_close(ours.emb_layer.weight, their.emb_layer.weight)


def test_transformers_tokenizer_makes_words(tiny_bert, theirs, reference, tmp_path):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_bert)
    weights = np.random.default_rng(1).normal(size=(len(tokenizer), 4)).astype(np.float32)
    ours = [WordEmbeddings(tokenizer, weights), our_modules.Pooling(4)]
    their = [theirs.WordEmbeddings(tokenizer, weights), theirs.Pooling(4)]
    a = stlib.SentenceTransformer(modules=ours, device="cpu")
    b = reference.SentenceTransformer(modules=their, device="cpu")
    np.testing.assert_allclose(a.encode(TEXTS), b.encode(TEXTS), rtol=0, atol=1e-6)
    a.save(tmp_path / "ours")
    b.save(str(tmp_path / "theirs"))
    for library, saved in ((stlib, "ours"), (stlib, "theirs"), (reference, "ours")):
        again = library.SentenceTransformer(str(tmp_path / saved), device="cpu")
        np.testing.assert_allclose(again.encode(TEXTS), a.encode(TEXTS), rtol=0, atol=1e-6)


def test_foreign_tokenizer_class_needs_trust(tmp_path):
    model = stlib.SentenceTransformer(
        modules=[words(our_modules, WhitespaceTokenizer), our_modules.Pooling(8)]
    )
    model.save(tmp_path / "m")
    config = next((tmp_path / "m").rglob("wordembedding_config.json"))
    config.write_text(
        config.read_text().replace("sentence_transformers.models.tokenizer.WhitespaceTokenizer", "os.system")
    )
    with pytest.raises(errors.UntrustedCode, match=r"os\.system"):
        stlib.SentenceTransformer(tmp_path / "m")


def test_older_names_of_dimensions(theirs):
    assert our_modules.LSTM(word_embedding_dimension=4, hidden_dim=3).get_word_embedding_dimension() == 6
    assert our_modules.CNN(in_word_embedding_dimension=4, out_channels=2).get_word_embedding_dimension() == 6
    assert our_modules.WeightedLayerPooling(word_embedding_dimension=4).get_word_embedding_dimension() == 4
    with pytest.raises(ValueError, match="bogus"):
        our_modules.LSTM(4, 3, bogus=1)
