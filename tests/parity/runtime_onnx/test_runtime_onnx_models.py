"""Architectures, exported files and real models give in the torch-free Encoder what they give elsewhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from stlib import SentenceTransformer
from stlib.models import Pooling, Transformer
from stlib.runtime import Encoder

pytestmark = pytest.mark.parity


def byte_level_tokenizer(folder: Path, trained_on: list[str], side: str, last: str | None) -> int:
    """A byte-level BPE with <pad> at 1, and with <s> … </s> or only a token at the end; returns its size."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=330, special_tokens=special, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(trained_on, trainer)
    if last is None:
        tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    else:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"$A {last}", special_tokens=[(last, tokenizer.token_to_id(last))]
        )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        padding_side=side,
        model_max_length=40,
    ).save_pretrained(folder)
    return tokenizer.get_vocab_size()


SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}


COMMON = {**SIZES, "max_position_embeddings": 64, "pad_token_id": 1, "initializer_range": 0.3}


def random_model(name: str, vocabulary: int) -> nn.Module:
    import transformers as t

    torch.manual_seed(7)
    match name:
        case "roberta":
            config = t.RobertaConfig(vocab_size=vocabulary, **COMMON)
        case "xlm-roberta":
            config = t.XLMRobertaConfig(vocab_size=vocabulary, **COMMON)
        case "mpnet":
            config = t.MPNetConfig(vocab_size=vocabulary, **COMMON)
        case "distilbert":
            sizes = {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 48, "max_position_embeddings": 64}
            config = t.DistilBertConfig(vocab_size=vocabulary, pad_token_id=1, initializer_range=0.3, **sizes)
        case "albert":
            config = t.AlbertConfig(vocab_size=vocabulary, embedding_size=16, **COMMON)
        case "modernbert":
            config = t.ModernBertConfig(vocab_size=vocabulary, **COMMON)
        case "t5":
            sizes = {"d_model": 32, "d_kv": 16, "d_ff": 48, "num_layers": 2, "num_heads": 2}
            config = t.T5Config(vocab_size=vocabulary, pad_token_id=1, **sizes)
            return t.T5EncoderModel(config)
        case _:
            config = t.Qwen3Config(vocab_size=vocabulary, num_key_value_heads=1, head_dim=16, **COMMON)
    config.use_cache = False
    return t.AutoModel.from_config(config, attn_implementation="eager")


@pytest.mark.parametrize(
    "name", ["roberta", "xlm-roberta", "mpnet", "distilbert", "albert", "modernbert", "t5", "qwen3"]
)
def test_architectures(name, tmp_path, texts, assert_equal, export):
    folder = tmp_path / "model"
    causal = name == "qwen3"
    vocabulary = byte_level_tokenizer(
        folder, texts, "left" if causal else "right", "</s>" if causal else None
    )
    model = random_model(name, vocabulary)
    model.save_pretrained(folder)
    export(model, folder / "model.onnx")
    modules = [Transformer(str(folder)), Pooling(32, "lasttoken" if causal else "mean")]
    full = SentenceTransformer(modules=modules, device="cpu")
    full.save(tmp_path / "saved")
    shutil.copy(folder / "model.onnx", tmp_path / "saved" / "model.onnx")
    light = Encoder.load(tmp_path / "saved")
    assert light.max_seq_length == 40
    assert_equal(full, light)


def test_a_folder_without_modules_gets_the_usual_pooling(tmp_path, texts, assert_equal, export):
    folder = tmp_path / "model"
    vocabulary = byte_level_tokenizer(folder, texts, "left", "</s>")
    model = random_model("qwen3", vocabulary)
    model.config.architectures = ["Qwen3ForCausalLM"]
    model.save_pretrained(folder)
    export(model, folder / "model.onnx")
    path = folder / "config.json"
    for architecture in ("Qwen3ForCausalLM", "Qwen3Model"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "architectures": [architecture]}))
        full, light = SentenceTransformer(str(folder), device="cpu"), Encoder.load(folder)
        assert full[1].pooling_mode == ("lasttoken" if architecture.endswith("LM") else "mean")
        assert_equal(full, light)


def test_files_of_the_librarys_own_exporters(tiny_bert, tmp_path, texts):
    """The same file by both, single texts: 8-bit products depend on what else is in a batch."""
    from stlib.backend import export_dynamic_quantized_onnx_model, export_optimized_onnx_model

    folder = tmp_path / "model"
    exported = SentenceTransformer(tiny_bert, backend="onnx", device="cpu")
    exported.save_pretrained(str(folder))
    export_optimized_onnx_model(exported, "O2", str(folder))
    export_dynamic_quantized_onnx_model(exported, "avx2", str(folder))
    files = sorted(path.name for path in (folder / "onnx").glob("*.onnx"))
    assert files == ["model.onnx", "model_O2.onnx", "model_quint8_avx2.onnx"]
    for name in files:
        kwargs = {"file_name": name}
        full = SentenceTransformer(str(folder), backend="onnx", device="cpu", model_kwargs=kwargs)
        light = Encoder.load(folder, file_name=name)
        for text in texts:
            np.testing.assert_allclose(light.encode([text]), full.encode([text]), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_minilm(minilm, reference, tmp_path, texts, export):
    from transformers import AutoModel

    folder = tmp_path / "minilm"
    shutil.copytree(minilm, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    export(AutoModel.from_pretrained(minilm, attn_implementation="eager"), folder / "onnx" / "model.onnx")
    light = Encoder.load(folder)
    assert (light.dimension, light.max_seq_length) == (384, 256)
    for model in (
        SentenceTransformer(minilm, device="cpu"),
        reference.SentenceTransformer(minilm, device="cpu"),
    ):
        np.testing.assert_allclose(light.encode(texts), model.encode(texts), atol=1e-5)


def test_bge_small_from_its_onnx_copy(bge_small, texts):
    """Against ONNX Runtime and the tokenizer of transformers, called by hand."""
    onnxruntime = pytest.importorskip("onnxruntime")
    from transformers import AutoTokenizer

    light = Encoder.load(bge_small)
    assert (light.dimension, light.max_seq_length) == (384, 512)
    tokenizer = AutoTokenizer.from_pretrained(bge_small)
    session = onnxruntime.InferenceSession(str(bge_small / "model.onnx"))
    for text in texts:
        inputs = dict(tokenizer([text], return_tensors="np"))
        tokens = session.run(None, {key: value.astype(np.int64) for key, value in inputs.items()})[0]
        np.testing.assert_allclose(light.encode([text])[0], tokens[0].mean(axis=0), atol=1e-4)
