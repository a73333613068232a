"""Which heavy packages each public import loads: a table, and a process for every row of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

HEAVY = [
    "numpy",
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "huggingface_hub",
    "tqdm",
    "sklearn",
    "scipy",
    "pandas",
    "datasets",
    "pyarrow",
    "accelerate",
    "peft",
    "onnx",
    "onnxruntime",
    "openvino",
    "nncf",
    "torchvision",
    "PIL",
    "soundfile",
    "librosa",
    "faiss",
    "usearch",
    "tantivy",
    "sqlalchemy",
    "streamlit",
    "model2vec",
    "nltk",
    "sentence_transformers",
]

NOTHING: set[str] = set()
ARRAYS = {"numpy"}
SEARCH = {"numpy", "tokenizers", "safetensors", "faiss", "tantivy", "sqlalchemy"}
TORCH = {"numpy", "torch", "tqdm"}
MODULES = {*TORCH, "safetensors"}

# Import -> heavy packages that are loaded afterwards, all of them
LIGHT = {
    "import stlib": NOTHING,
    "import stlib.base, stlib.base.modules, stlib.base.evaluation": NOTHING,
    "import stlib.base.modality": ARRAYS,
    "import stlib.cross_encoder": NOTHING,
    "import stlib.errors, stlib.extras": NOTHING,
    "import stlib.model_card, stlib.peft_mixin": NOTHING,
    "import stlib.models": NOTHING,
    "import stlib.models.Pooling, stlib.models.tokenizer.WhitespaceTokenizer": NOTHING,
    "import stlib.quantization": ARRAYS,
    "import stlib.runtime": {"numpy", "tokenizers", "safetensors"},
    "import stlib.sentence_transformer, stlib.sentence_transformer.modules": NOTHING,
    "import stlib.sentence_transformer.modules.tokenizer": NOTHING,
    "import stlib.similarity_functions": NOTHING,
    "import stlib.sparse_encoder, stlib.sparse_encoder.modules": NOTHING,
    "import stlib.util, stlib.util.environment, stlib.util.file_io": NOTHING,
    "import stlib.util.logging, stlib.util.misc": NOTHING,
    "import stlib.util.quantization": ARRAYS,
    "import stlib.util.ranking_metrics": ARRAYS,
    "from stlib import LoggingHandler": NOTHING,
    "from stlib import SimilarityFunction": NOTHING,
    "from stlib import quantize_embeddings": ARRAYS,
    "from stlib.runtime import Encoder": {"numpy", "tokenizers", "safetensors"},
    "from stlib.runtime import Reranker": {"numpy", "tokenizers", "safetensors"},
    "from stlib.util import load_file_path, is_sentence_transformer_model": NOTHING,
    "from stlib.util import semantic_search_faiss, semantic_search_usearch": ARRAYS,
    "import indexing": NOTHING,
    "import indexing.collection": SEARCH,
    "import app.api.worker": SEARCH,
    "import app.cli.serve, app.api.supervisor": NOTHING,
    "import app, app.cli": NOTHING,
}

# These need torch; none loads transformers before a model asks for it.
WITH_TORCH = {
    "import stlib.backend": MODULES,
    "import stlib.base.model": MODULES,
    "import stlib.datasets, stlib.readers": TORCH,
    "import stlib.evaluation": MODULES,
    "import stlib.losses": MODULES,
    "import stlib.sampler, stlib.data_collator": TORCH,
    "import stlib.sentence_transformer.model_card": MODULES,
    "import stlib.util.retrieval": TORCH,
    "import stlib.util.similarity": TORCH,
    "import stlib.util.tensor": TORCH,
    "from stlib import CrossEncoder": MODULES,
    "from stlib import CrossEncoderModelCardData": TORCH,
    "from stlib import SentenceTransformer": MODULES,
    "from stlib import SentenceTransformerModelCardData": MODULES,
    "from stlib import SparseEncoder, SparseEncoderModelCardData": MODULES,
    "from stlib import export_dynamic_quantized_onnx_model, export_optimized_onnx_model": MODULES,
    "from stlib import export_static_quantized_openvino_model": MODULES,
    "from stlib.models import Dense, Normalize, Pooling": MODULES,
    "from stlib.models import BoW, CNN, LSTM, LayerNorm, Dropout, WordEmbeddings, WordWeights": MODULES,
    "from stlib.models import CLIPModel": MODULES,
    "from stlib.models import Module, InputModule": MODULES,
    "from stlib.models import Router, Asym": MODULES,
    "from stlib.models import StaticEmbedding": {*MODULES, "tokenizers"},
    "from stlib.models import Transformer, WeightedLayerPooling": MODULES,
    "from stlib.sparse_encoder.modules import MLMTransformer, SparseAutoEncoder, SpladePooling": MODULES,
    "from stlib.sparse_encoder.modules import SparseStaticEmbedding": MODULES,
    "from stlib.util import cos_sim, semantic_search": TORCH,
    "from stlib.util import mine_hard_negatives": TORCH,
}

REPORT = f"import sys; print(*[name for name in {HEAVY} if name in sys.modules])"


def loaded_after(statement: str) -> set[str]:
    result = subprocess.run(
        [sys.executable, "-c", f"{statement}\n{REPORT}"], capture_output=True, text=True, check=True
    )
    return set(result.stdout.split())


@pytest.mark.parametrize("statement", LIGHT)
def test_light_imports(statement):
    assert loaded_after(statement) == LIGHT[statement]


@pytest.fixture(scope="module")
def after_torch():
    """Packages loaded after each statement, in a process forked from one that has imported torch only."""
    program = f"""
import json, os, sys
import torch
for statement in {list(WITH_TORCH)!r}:
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        exec(statement, {{}})
        print(json.dumps([statement, [name for name in {HEAVY} if name in sys.modules]]), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True
    )
    return dict(json.loads(line) for line in result.stdout.splitlines()), result.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform cannot fork")
@pytest.mark.parametrize("statement", WITH_TORCH)
def test_imports_that_need_torch(after_torch, statement):
    found, complaints = after_torch
    assert statement in found, complaints
    assert set(found[statement]) | {"tqdm"} == WITH_TORCH[statement]


def test_one_import_with_torch_in_a_process_of_its_own():
    assert loaded_after("from stlib import SentenceTransformer") == MODULES


STATIC = """
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from stlib import SentenceTransformer
from stlib.models import Normalize, StaticEmbedding
words = StaticEmbedding(Tokenizer(WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]")), embedding_dim=4)
assert SentenceTransformer(modules=[words, Normalize()], device="cpu").encode(["a", "b"]).shape == (2, 4)
"""


def test_encoding_with_a_static_model_loads_no_transformers():
    assert loaded_after(STATIC) == {*MODULES, "tokenizers"}


TRANSFORMER = """
import tempfile
from pathlib import Path
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers.models.bert.configuration_bert import BertConfig
from transformers.models.bert.modeling_bert import BertModel
folder = Path(tempfile.mkdtemp())
sizes = dict(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
BertModel(BertConfig(vocab_size=10, **sizes)).save_pretrained(folder)
Tokenizer(WordLevel({"[UNK]": 0, "[PAD]": 1}, unk_token="[UNK]")).save(str(folder / "tokenizer.json"))
(folder / "tokenizer_config.json").write_text('{"pad_token": "[PAD]", "unk_token": "[UNK]"}')
from stlib import SentenceTransformer
assert SentenceTransformer(folder, device="cpu").encode(["a", "b"]).shape == (2, 8)
"""


# What transformers itself imports when it is installed, before it builds any model
BY_TRANSFORMERS = {"PIL", "accelerate", "pandas", "pyarrow", "scipy", "sklearn", "soundfile", "torchvision"}


def test_encoding_with_a_transformer_adds_nothing_to_what_transformers_loads():
    allowed = {*MODULES, "tokenizers", "transformers", "huggingface_hub", *BY_TRANSFORMERS}
    assert loaded_after(TRANSFORMER) <= allowed
