"""Models run by ONNX Runtime give what torch, the reference and their graphs run by hand give."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from stlib import SentenceTransformer
from stlib.backend import export_dynamic_quantized_onnx_model, load_onnx_model

pytestmark = pytest.mark.parity


_LIKE_BERT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 72,
    "initializer_range": 0.3,
    "pad_token_id": 0,
}


def save_tiny(name: str, folder: Path) -> None:
    """A random model of an architecture, into a folder that has its tokenizer already."""
    import torch
    import transformers

    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    options = {"vocab_size": len(tokenizer["model"]["vocab"]), **_LIKE_BERT}
    torch.manual_seed(2)
    config = transformers.AutoConfig.for_model(name, **options)
    transformers.AutoModel.from_config(config).eval().save_pretrained(folder)


@pytest.mark.parametrize("name", ["roberta", "distilbert", "mpnet"])
def test_architectures_exported_on_the_fly_equal_torch(name, tmp_path, save_tokenizer, texts, load):
    save_tokenizer(tmp_path)
    save_tiny(name, tmp_path)
    expected = SentenceTransformer(str(tmp_path), device="cpu").encode(texts)
    model = load(tmp_path)
    np.testing.assert_allclose(model.encode(texts), expected, atol=1e-5)


def test_saved_model_equals_torch(loaded, torch_vectors, texts):
    np.testing.assert_allclose(loaded.encode(texts), torch_vectors, atol=1e-5)
    assert loaded.get_backend() == "onnx"
    assert loaded.device.type == "cpu"


@pytest.mark.usefixtures("several_threads")
def test_batches_in_parts_equal_single_texts(saved, load):
    loaded = load(saved)
    texts = [("the fox " * n).strip() for n in range(1, 30)] * 2
    together = loaded.encode(texts, batch_size=64)
    np.testing.assert_allclose(together, loaded.encode(texts, batch_size=1), atol=1e-5)


def test_padding_in_front_equals_torch(saved, tiny_bert, texts, load):
    models = [SentenceTransformer(tiny_bert, device="cpu"), load(saved)]
    for model in models:
        model.tokenizer.padding_side = "left"
    np.testing.assert_allclose(*(model.encode(texts) for model in models), atol=1e-5)


def test_token_embeddings_equal_torch(loaded, tiny_bert, texts):
    model = SentenceTransformer(tiny_bert, device="cpu")
    for own, expected in zip(
        loaded.encode(texts, output_value="token_embeddings"),
        model.encode(texts, output_value="token_embeddings"),
        strict=True,
    ):
        np.testing.assert_allclose(own, expected, atol=2e-5)


@pytest.mark.parametrize("task", ["fill-mask", "sequence-classification"])
def test_heads_equal_torch(task, tiny_bert, tmp_path, texts):
    import torch
    import transformers

    from stlib.models import Transformer

    heads = {
        "fill-mask": transformers.AutoModelForMaskedLM,
        "sequence-classification": transformers.AutoModelForSequenceClassification,
    }
    config = transformers.AutoConfig.from_pretrained(tiny_bert, num_labels=3)
    torch.manual_seed(3)
    heads[task].from_config(config).eval().save_pretrained(tmp_path)
    transformers.AutoTokenizer.from_pretrained(tiny_bert).save_pretrained(tmp_path)
    modules = [Transformer(str(tmp_path), transformer_task=task, backend=name) for name in ("torch", "onnx")]
    with torch.inference_mode():
        outputs = [module.eval()(module.preprocess(texts)) for module in modules]
    values = [output[modules[0].module_output_name] for output in outputs]
    if task == "fill-mask":
        values = [value[outputs[0]["attention_mask"].bool()] for value in values]
    np.testing.assert_allclose(values[1], values[0], atol=5e-5)


def test_minilm_equals_the_reference(reference, minilm, tmp_path, load, cosines):
    texts = ["How do I sort a list?", "sorted() returns a new sorted list. " * 9, "zebra"]
    expected = reference.SentenceTransformer(minilm, device="cpu").encode(texts)
    model = SentenceTransformer(minilm, backend="onnx", device="cpu")
    np.testing.assert_allclose(model.encode(texts), expected, atol=1e-6)
    export_dynamic_quantized_onnx_model(model, "avx512_vnni", str(tmp_path))
    model.save_pretrained(tmp_path)
    small = load(tmp_path, file_name="model_qint8_avx512_vnni.onnx")
    assert cosines(small.encode(texts), expected).min() > 0.97
    size = (tmp_path / "onnx" / "model_qint8_avx512_vnni.onnx").stat().st_size
    assert size < 0.27 * (tmp_path / "onnx" / "model.onnx").stat().st_size


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_bge_small_equals_running_its_graph_by_hand(pooling, bge_small):
    import onnxruntime
    from tokenizers import Tokenizer

    from stlib.models import Normalize, Pooling, Transformer

    texts = ["How do I sort a list?", "zebra", "sorted() returns a new sorted list. " * 9]
    tokenizer = Tokenizer.from_file(str(bge_small / "tokenizer.json"))
    tokenizer.no_padding()
    session = onnxruntime.InferenceSession(str(bge_small / "model.onnx"), providers=["CPUExecutionProvider"])
    expected = []
    for text in texts:
        ids = np.array([tokenizer.encode(text).ids])
        tokens = session.run(
            None, {"input_ids": ids, "attention_mask": ids * 0 + 1, "token_type_ids": ids * 0}
        )[0][0]
        vector = tokens.mean(axis=0) if pooling == "mean" else tokens[0]
        expected.append(vector / np.linalg.norm(vector))
    transformer = Transformer(str(bge_small), backend="onnx")
    model = SentenceTransformer(modules=[transformer, Pooling(384, pooling), Normalize()], device="cpu")
    np.testing.assert_allclose(model.encode(texts, batch_size=1), expected, atol=1e-6)


def test_load_function_gives_the_hidden_states(saved, tiny_bert):
    import transformers

    config = transformers.AutoConfig.from_pretrained(tiny_bert)
    model = load_onnx_model(str(saved), config, "feature-extraction", provider="CPUExecutionProvider")
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(saved))
    features = tokenizer(["a list"], return_tensors="pt")
    expected = transformers.AutoModel.from_pretrained(tiny_bert).eval()(**features)[0].detach()
    output = model(**features)
    np.testing.assert_allclose(output.last_hidden_state, expected, atol=2e-5)
    assert output[0] is output.last_hidden_state
