"""Every mode and option of the modules, on a tiny random model, equals the reference; both save for each
other.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from stlib import SentenceTransformer
from stlib.models import Dense, Normalize, Pooling, Transformer

pytestmark = pytest.mark.parity

MODES = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
SOME = ["How do I sort a list?", "short", "", "the quick brown fox jumps over the lazy dog. " * 9, "fox, dog"]


@pytest.fixture(scope="module")
def their_models(reference):
    return pytest.importorskip("sentence_transformers.sentence_transformer.modules")


def equal(ours, theirs, texts=SOME, **options):
    a, b = ours.encode(texts, **options), theirs.encode(texts, **options)
    assert a.shape == b.shape
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)
    return a


def build(library, transformer_folder, *modules):
    return library.SentenceTransformer(modules=[*modules], device="cpu")


@pytest.fixture(scope="module", params=["right", "left"])
def towers(request, tiny_bert, their_models):
    """The same transformer in both libraries, padding on either side."""
    ours, theirs = Transformer(tiny_bert), their_models.Transformer(tiny_bert)
    ours.tokenizer.padding_side = theirs.tokenizer.padding_side = request.param
    return ours, theirs


@pytest.mark.parametrize(
    "mode", [*MODES, ("cls", "mean"), ("max", "weightedmean", "lasttoken"), tuple(MODES)]
)
@pytest.mark.parametrize("include_prompt", [True, False])
def test_pooling_equals(towers, their_models, reference, mode, include_prompt):
    a = Pooling(32, pooling_mode=mode, include_prompt=include_prompt)
    b = their_models.Pooling(32, pooling_mode=mode, include_prompt=include_prompt)
    ours = SentenceTransformer(modules=[towers[0], a], device="cpu")
    theirs = reference.SentenceTransformer(modules=[towers[1], b], device="cpu")
    assert ours.get_embedding_dimension() == theirs.get_embedding_dimension()
    equal(ours, theirs)
    equal(ours, theirs, prompt="query: ")


@pytest.mark.parametrize("flags", list(itertools.product([False, True], repeat=6))[1::5])
def test_older_pooling_flags_equal(their_models, flags):
    names = [
        "cls_token",
        "max_tokens",
        "mean_tokens",
        "mean_sqrt_len_tokens",
        "weightedmean_tokens",
        "lasttoken",
    ]
    given = {f"pooling_mode_{name}": flag for name, flag in zip(names, flags, strict=True)}
    ours = Pooling(word_embedding_dimension=8, **given)
    with pytest.warns(FutureWarning):
        theirs = their_models.Pooling(8, **given)
    assert ours.get_config_dict() == theirs.get_config_dict()


@pytest.mark.parametrize("mode", MODES)
def test_pooling_without_mask_and_in_half_precision_equals(their_models, mode):
    tokens = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(0))
    for features in ({"token_embeddings": tokens}, {"token_embeddings": tokens.bfloat16()}):
        a = Pooling(8, mode)(dict(features))["sentence_embedding"]
        b = their_models.Pooling(8, mode)(dict(features))["sentence_embedding"]
        assert a.dtype == b.dtype
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("mode", ["mean", "mean_sqrt_len_tokens", "weightedmean"])
def test_pooling_with_token_weights_equals(their_models, mode):
    features = {
        "token_embeddings": torch.randn(2, 4, 8),
        "attention_mask": torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]]),
        "token_weights_sum": torch.tensor([1.5, 2.5]),
    }
    a = Pooling(8, mode)(dict(features))["sentence_embedding"]
    b = their_models.Pooling(8, mode)(dict(features))["sentence_embedding"]
    torch.testing.assert_close(a, b)


DENSE = [
    {},
    {"bias": False},
    {"activation_function": None},
    {"activation_function": nn.GELU()},
    {"use_residual": True},
    {"out_features": 32, "use_residual": True},
    {"module_input_name": "token_embeddings"},
    {"module_output_name": "projected"},
]


@pytest.mark.parametrize("options", DENSE)
def test_dense_equals_and_is_exchanged(towers, their_models, reference, tmp_path, options):
    options = {"out_features": 12, **options}
    theirs = their_models.Dense(32, **options)
    ours = Dense(32, **options)
    ours.load_state_dict(theirs.state_dict())
    tokens_first = options.get("module_input_name") == "token_embeddings"
    width = options["out_features"] if tokens_first else 32

    def pipeline(modules, tower, dense):
        pooling = modules.Pooling(width)
        return [tower, dense, pooling] if tokens_first else [tower, pooling, dense]

    import stlib.models as our_models

    a = SentenceTransformer(modules=pipeline(our_models, towers[0], ours), device="cpu")
    b = reference.SentenceTransformer(modules=pipeline(their_models, towers[1], theirs), device="cpu")
    vectors = equal(a, b)
    a.save(tmp_path / "ours")
    b.save(str(tmp_path / "theirs"))
    for loaded in (
        SentenceTransformer(tmp_path / "theirs"),
        reference.SentenceTransformer(str(tmp_path / "ours")),
    ):
        np.testing.assert_allclose(loaded.encode(SOME), vectors, rtol=0, atol=1e-5)
    if options.get("module_output_name"):
        x, y = (model.encode(SOME[:2], output_value=None) for model in (a, b))
        torch.testing.assert_close(x[0]["projected"], y[0]["projected"])


def test_dense_takes_first_weights(their_models):
    weight, bias = torch.randn(3, 4), torch.randn(3)
    values = {"sentence_embedding": torch.randn(2, 4)}
    a = Dense(4, 3, init_weight=weight, init_bias=bias)(dict(values))
    b = their_models.Dense(4, 3, init_weight=weight, init_bias=bias)(dict(values))
    torch.testing.assert_close(a["sentence_embedding"], b["sentence_embedding"])


@pytest.mark.parametrize("safe", [True, False])
@pytest.mark.parametrize("mode", ["mean", ("cls", "max")])
def test_either_library_loads_what_the_other_saved(tiny_bert, reference, their_models, tmp_path, safe, mode):
    options = {
        "prompts": {"query": "q: ", "own": "x "},
        "default_prompt_name": "own",
        "similarity_fn_name": "dot",
        "truncate_dim": 20,
    }
    ours = SentenceTransformer(modules=[Transformer(tiny_bert), Pooling(32, mode), Normalize()], **options)
    theirs = reference.SentenceTransformer(
        modules=[
            their_models.Transformer(tiny_bert),
            their_models.Pooling(32, mode),
            their_models.Normalize(),
        ],
        **options,
    )
    ours.max_seq_length = theirs.max_seq_length = 17
    vectors = equal(ours, theirs)
    ours.save(tmp_path / "ours", safe_serialization=safe)
    theirs.save(str(tmp_path / "theirs"), safe_serialization=safe)
    back, forth = (
        SentenceTransformer(tmp_path / "theirs"),
        reference.SentenceTransformer(str(tmp_path / "ours")),
    )
    for loaded in (back, forth, SentenceTransformer(tmp_path / "ours")):
        np.testing.assert_allclose(loaded.encode(SOME), vectors, rtol=0, atol=1e-5)
        assert loaded.prompts == theirs.prompts
        assert loaded.default_prompt_name == "own"
        assert loaded.similarity_fn_name == "dot"
        assert loaded.truncate_dim == 20
        assert loaded.max_seq_length == 17


def test_plain_transformers_folder_gets_mean_pooling(tiny_bert, reference):
    ours, theirs = SentenceTransformer(tiny_bert), reference.SentenceTransformer(tiny_bert)
    assert [type(m).__name__ for m in ours] == ["Transformer", "Pooling"]
    equal(ours, theirs)


def test_older_arguments_of_transformer_equal(tiny_bert, their_models, reference):
    older = {"model_args": {"attn_implementation": "eager"}, "tokenizer_args": {}, "config_args": {}}
    ours = Transformer(tiny_bert, 9, do_lower_case=True, cache_dir=None, **older)
    theirs = their_models.Transformer(tiny_bert, max_seq_length=9, do_lower_case=True)
    assert ours.get_word_embedding_dimension() == 32
    a = SentenceTransformer(modules=[ours, Pooling(32)])
    b = reference.SentenceTransformer(modules=[theirs, their_models.Pooling(32)])
    equal(a, b, ["SORT A List", *SOME])


def test_hidden_states_equal(tiny_bert, their_models):
    options = {"config_kwargs": {"output_hidden_states": True}}
    ours, theirs = Transformer(tiny_bert, **options), their_models.Transformer(tiny_bert, **options)
    a, b = (m.eval()(m.preprocess(SOME)) for m in (ours, theirs))
    assert len(a["all_layer_embeddings"]) == 3
    for x, y in zip(a["all_layer_embeddings"], b["all_layer_embeddings"], strict=True):
        torch.testing.assert_close(x, y)


def test_task_lengths_equal(tiny_bert, their_models, reference, tmp_path):
    options = {"query_length": 5, "document_length": 11}
    ours, theirs = Transformer(tiny_bert, **options), their_models.Transformer(tiny_bert, **options)
    a = SentenceTransformer(modules=[ours, Pooling(32)])
    b = reference.SentenceTransformer(modules=[theirs, their_models.Pooling(32)])
    for name in ("encode", "encode_query", "encode_document"):
        np.testing.assert_allclose(getattr(a, name)(SOME), getattr(b, name)(SOME), rtol=0, atol=1e-5)
    a.save(tmp_path / "m")
    again = reference.SentenceTransformer(str(tmp_path / "m"))
    np.testing.assert_allclose(again.encode_query(SOME), a.encode_query(SOME), rtol=0, atol=1e-5)


def test_saved_left_padding_is_kept(tmp_path, tiny_bert, reference, save_tokenizer):
    from shutil import copytree

    folder = copytree(tiny_bert, tmp_path / "left")
    save_tokenizer(folder, padding_side="left")
    ours, theirs = SentenceTransformer(folder), reference.SentenceTransformer(str(folder))
    assert ours.tokenizer.padding_side == "left"
    equal(ours, theirs)
