"""Tiny random models of many architectures: our vectors are the reference's, whoever saved the model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import stlib
from stlib.sentence_transformer.modules import Pooling, Transformer

TEXTS = [
    "how do i sort a list of keys in a dictionary",
    "The quick brown fox jumps over the lazy dog.",
    "fox",
    "",
    "a short query, and a long document: it is by word with the meaning of text " * 3,
]
MODES = ["cls", "lasttoken", "max", "mean", "mean_sqrt_len_tokens", "weightedmean"]

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
# Wide enough that the layers matter next to the embeddings.
WIDE = {"initializer_range": 0.3}
PIECES = {"vocab_size": 160, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}

Maker = Callable[[], tuple[Any, Any]]


def _bert() -> tuple[Any, Any]:
    from transformers import BertConfig, BertModel

    return BertModel, BertConfig(**SMALL, **WIDE, **PIECES, max_position_embeddings=64)


def _electra() -> tuple[Any, Any]:
    from transformers import ElectraConfig, ElectraModel

    return ElectraModel, ElectraConfig(
        **SMALL, **WIDE, **PIECES, embedding_size=16, max_position_embeddings=64
    )


def _roberta() -> tuple[Any, Any]:
    from transformers import RobertaConfig, RobertaModel

    return RobertaModel, RobertaConfig(**SMALL, **WIDE, **PIECES, max_position_embeddings=66)


def _xlm_roberta() -> tuple[Any, Any]:
    from transformers import XLMRobertaConfig, XLMRobertaModel

    return XLMRobertaModel, XLMRobertaConfig(**SMALL, **WIDE, **PIECES, max_position_embeddings=66)


def _mpnet() -> tuple[Any, Any]:
    from transformers import MPNetConfig, MPNetModel

    return MPNetModel, MPNetConfig(**SMALL, **WIDE, **PIECES, max_position_embeddings=66)


def _distilbert() -> tuple[Any, Any]:
    from transformers import DistilBertConfig, DistilBertModel

    config = DistilBertConfig(
        dim=32, n_layers=2, n_heads=2, hidden_dim=48, max_position_embeddings=64, **WIDE, **PIECES
    )
    return DistilBertModel, config


def _deberta_v2() -> tuple[Any, Any]:
    from transformers import DebertaV2Config, DebertaV2Model

    config = DebertaV2Config(
        **SMALL,
        **WIDE,
        **PIECES,
        max_position_embeddings=64,
        relative_attention=True,
        pos_att_type=["p2c", "c2p"],
        position_buckets=8,
    )
    return DebertaV2Model, config


def _modernbert() -> tuple[Any, Any]:
    from transformers import ModernBertConfig, ModernBertModel

    special = {"cls_token_id": 0, "sep_token_id": 2}
    # Half of the layers look at neighbours only, so that both kinds of mask matter.
    config = ModernBertConfig(
        **SMALL, **PIECES, **special, local_attention=4, global_attn_every_n_layers=2, initializer_range=0.3
    )
    return ModernBertModel, config


def _t5() -> tuple[Any, Any]:
    from transformers import T5Config, T5Model

    config = T5Config(
        vocab_size=160,
        d_model=32,
        d_kv=16,
        d_ff=48,
        num_layers=2,
        num_heads=2,
        pad_token_id=1,
        eos_token_id=2,
    )
    return T5Model, config


def _qwen3() -> tuple[Any, Any]:
    from transformers import Qwen3Config, Qwen3ForCausalLM

    config = Qwen3Config(
        **SMALL, **WIDE, **PIECES, num_key_value_heads=1, head_dim=16, max_position_embeddings=64
    )
    return Qwen3ForCausalLM, config


ARCHITECTURES: dict[str, Maker] = {
    "bert": _bert,
    "electra": _electra,
    "roberta": _roberta,
    "xlm-roberta": _xlm_roberta,
    "mpnet": _mpnet,
    "distilbert": _distilbert,
    "deberta-v2": _deberta_v2,
    "modernbert": _modernbert,
    "t5": _t5,
    "qwen3": _qwen3,
}


def _save_byte_pairs(folder: Path, padding_side: str) -> None:
    """A byte-level tokenizer of 160 pieces, of which the first five are special as in RoBERTa."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.decoder = decoders.BPEDecoder()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.BpeTrainer(vocab_size=160, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        mask_token="<mask>",
        model_max_length=64,
        padding_side=padding_side,
    ).save_pretrained(folder)


@pytest.fixture(scope="session", params=list(ARCHITECTURES))
def folder(request, tmp_path_factory) -> str:
    name = request.param
    path = tmp_path_factory.mktemp("tiny") / name
    model_class, config = ARCHITECTURES[name]()
    torch.manual_seed(7)
    model_class(config).eval().save_pretrained(path)
    _save_byte_pairs(path, "left" if name == "qwen3" else "right")
    return str(path)


@pytest.fixture(scope="session")
def pair(folder, reference) -> tuple[Any, Any]:
    """The model as both libraries load it."""
    ours = stlib.SentenceTransformer(folder, device="cpu")
    return ours, reference.SentenceTransformer(folder, device="cpu")


def close(ours: Any, theirs: Any, atol: float = 1e-5) -> None:
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=0, atol=atol)


def test_a_plain_model_gets_the_same_modules_and_vectors(pair):
    ours, theirs = pair
    assert [type(m).__name__ for m in ours] == [type(m).__name__ for m in theirs]
    assert ours[0].modality_config == theirs[0].modality_config
    assert ours[1].pooling_mode == theirs[1].pooling_mode
    assert ours.max_seq_length == theirs.max_seq_length
    assert ours.get_embedding_dimension() == theirs.get_embedding_dimension() == 32
    vectors = ours.encode(TEXTS)
    close(vectors, theirs.encode(TEXTS))
    assert len(np.unique(vectors.round(3), axis=0)) == len(TEXTS)
    close(ours.encode(TEXTS, prompt="query: "), theirs.encode(TEXTS, prompt="query: "))


@pytest.mark.parametrize("side", ["left", "right"])
def test_forward_mask_padding_side_and_all_poolings_equal(folder, reference, side):
    from sentence_transformers.sentence_transformer import modules as their_modules

    options = {"processor_kwargs": {"padding_side": side}}
    our_transformer = Transformer(folder, **options)
    their_transformer = their_modules.Transformer(folder, **options)
    our_features = our_transformer.preprocess(TEXTS, prompt="query: ")
    their_features = their_transformer.preprocess(TEXTS, prompt="query: ")

    for name in ("input_ids", "attention_mask"):
        close(our_features[name], their_features[name], 0)
    assert bool((our_features["attention_mask"][:, -1] == 1).all()) == (side == "left")
    assert our_features["prompt_length"] == their_features["prompt_length"]
    with torch.inference_mode():
        our_output = our_transformer(our_features)
        their_output = their_transformer(their_features)
    mask = our_features["attention_mask"].bool()
    close(our_output["token_embeddings"][mask], their_output["token_embeddings"][mask])
    for include_prompt in (True, False):
        close(
            Pooling(32, MODES, include_prompt=include_prompt)(our_output)["sentence_embedding"],
            their_modules.Pooling(32, MODES, include_prompt=include_prompt)(their_output)[
                "sentence_embedding"
            ],
        )


def test_each_library_loads_what_the_other_saved(pair, reference, tmp_path):
    ours, theirs = pair
    expected = theirs.encode(TEXTS)
    ours.save(str(tmp_path / "ours"))
    theirs.save(str(tmp_path / "theirs"))

    close(reference.SentenceTransformer(str(tmp_path / "ours"), device="cpu").encode(TEXTS), expected)
    close(stlib.SentenceTransformer(str(tmp_path / "theirs"), device="cpu").encode(TEXTS), expected)
    close(stlib.SentenceTransformer(str(tmp_path / "ours"), device="cpu").encode(TEXTS), expected)


def test_half_precision_equals(folder, reference):
    options = {"device": "cpu", "model_kwargs": {"dtype": "bfloat16"}}
    ours = stlib.SentenceTransformer(folder, **options)
    theirs = reference.SentenceTransformer(folder, **options)
    assert ours.dtype == theirs.dtype == torch.bfloat16

    vectors = ours.encode(TEXTS[:3], convert_to_tensor=True).float()
    expected = theirs.encode(TEXTS[:3], convert_to_tensor=True).float()
    # Batches of other shapes round differently: 8 bits of mantissa through two layers.
    assert torch.nn.functional.cosine_similarity(vectors, expected).min() > 0.999


@pytest.mark.parametrize("architecture", ["bert", "roberta", "modernbert", "qwen3"])
def test_outputs_of_all_layers_equal(reference, tmp_path, architecture):
    from sentence_transformers.sentence_transformer import modules as their_modules

    model_class, config = ARCHITECTURES[architecture]()
    model_class(config).eval().save_pretrained(tmp_path)
    _save_byte_pairs(tmp_path, "right")
    options = {"config_kwargs": {"output_hidden_states": True}}
    ours, theirs = Transformer(str(tmp_path), **options), their_modules.Transformer(str(tmp_path), **options)
    with torch.inference_mode():
        our_layers = ours(ours.preprocess(TEXTS[:2]))["all_layer_embeddings"]
        their_layers = theirs(theirs.preprocess(TEXTS[:2]))["all_layer_embeddings"]

    assert len(our_layers) == len(their_layers) == 3
    for our_layer, their_layer in zip(our_layers, their_layers, strict=True):
        close(our_layer, their_layer)


BART_LIKE = {
    "vocab_size": 160,
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_position_embeddings": 64,
    "init_std": 0.3,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "decoder_start_token_id": 0,
}
T5_LIKE = {"vocab_size": 160, "d_model": 32, "d_kv": 16, "d_ff": 48, "num_layers": 2, "num_heads": 2}
WHOLE_MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "BlenderbotSmall": ("ForConditionalGeneration", BART_LIKE),
    "M2M100": ("Model", BART_LIKE),
    "Marian": ("MTModel", BART_LIKE),
    "Pegasus": ("ForConditionalGeneration", BART_LIKE),
    "MT5": ("ForConditionalGeneration", T5_LIKE),
    "LongT5": ("Model", {**T5_LIKE, "local_radius": 7}),
}


@pytest.mark.parametrize("family", list(WHOLE_MODELS))
def test_the_encoder_of_a_whole_model_keeps_its_weights(tmp_path, family):
    # The yardstick is the encoder itself: from whole models of some families the reference loads nothing.
    import transformers

    suffix, settings = WHOLE_MODELS[family]
    config = getattr(transformers, f"{family}Config")(**settings)
    torch.manual_seed(3)
    model = getattr(transformers, family + suffix)(config).eval()
    model.save_pretrained(tmp_path / "whole")
    _save_byte_pairs(tmp_path / "whole", "right")

    ours = Transformer(str(tmp_path / "whole"))
    features = ours.preprocess(TEXTS)
    (tmp_path / "encoder").mkdir()
    ours.save(str(tmp_path / "encoder"))
    again = Transformer.load(str(tmp_path / "encoder"))
    with torch.inference_mode():
        mask = features["attention_mask"]
        expected = model.get_encoder()(input_ids=features["input_ids"], attention_mask=mask)[0]
        for loaded in (ours, again):
            output = loaded(loaded.preprocess(TEXTS))["token_embeddings"]
            close(output[mask.bool()], expected[mask.bool()])
