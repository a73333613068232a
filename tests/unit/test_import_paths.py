"""Every documented import path of the dense library, of today and of earlier generations."""

from __future__ import annotations

import importlib
import subprocess
import sys
from types import ModuleType

import pytest

MODULES = (
    "Asym BoW CLIPModel CNN Dense Dropout InputModule LSTM LayerNorm Module Normalize Pooling Router "
    "StaticEmbedding Transformer WeightedLayerPooling WordEmbeddings WordWeights"
).split()
TOKENIZERS = ["PhraseTokenizer", "WhitespaceTokenizer", "WordTokenizer"]
SIMILARITIES = (
    "SimilarityFunction cos_sim dot_score euclidean_sim manhattan_sim pairwise_angle_sim pairwise_cos_sim "
    "pairwise_dot_score pairwise_euclidean_sim pairwise_manhattan_sim pytorch_cos_sim"
).split()
RETRIEVAL = (
    "community_detection information_retrieval paraphrase_mining paraphrase_mining_embeddings semantic_search"
).split()
EXPORTS = [
    "export_dynamic_quantized_onnx_model",
    "export_optimized_onnx_model",
    "export_static_quantized_openvino_model",
]
EVALUATORS = ["SentenceEvaluator", "SequentialEvaluator", "SimilarityFunction"]

# Path -> names one imports from it
PATHS = {
    "stlib": [
        "LoggingHandler",
        "SentenceTransformer",
        "SentenceTransformerModelCardData",
        "SimilarityFunction",
        "quantize_embeddings",
        "models",
        "util",
        *EXPORTS,
    ],
    "stlib.SentenceTransformer": ["SentenceTransformer"],
    "stlib.LoggingHandler": ["LoggingHandler"],
    "stlib.backend": ["load_onnx_model", "load_openvino_model", *EXPORTS],
    "stlib.base.evaluation": ["BaseEvaluator", "SentenceEvaluator", "SequentialEvaluator"],
    "stlib.base.evaluation.evaluator": ["BaseEvaluator", "SentenceEvaluator"],
    "stlib.base.evaluation.sequential": ["SequentialEvaluator"],
    "stlib.base.modality": [
        "InputFormatter",
        "MessageDict",
        "format_modality",
        "infer_batch_modality",
        "infer_modality",
        "is_audio_url_or_path",
        "is_image_url_or_path",
        "is_message_dict",
        "is_video_url_or_path",
    ],
    "stlib.base.model": ["BaseModel", "BaseModelCardData", "generate_model_card"],
    "stlib.base.modules": ["Dense", "InputModule", "Module", "Normalize", "Router", "Transformer"],
    "stlib.base.modules.dense": ["Dense"],
    "stlib.base.modules.input_module": ["InputModule"],
    "stlib.base.modules.module": ["Module"],
    "stlib.base.modules.normalize": ["Normalize"],
    "stlib.base.modules.router": ["Asym", "Router"],
    "stlib.base.modules.transformer": ["Transformer"],
    "stlib.base.peft_mixin": ["PeftAdapterMixin"],
    "stlib.evaluation": ["BaseEvaluator", *EVALUATORS],
    "stlib.model_card": ["SentenceTransformerModelCardData"],
    "stlib.models": [*MODULES, "tokenizer"],
    "stlib.models.tokenizer": TOKENIZERS,
    "stlib.peft_mixin": ["PeftAdapterMixin"],
    "stlib.quantization": ["quantize_embeddings", "semantic_search_faiss", "semantic_search_usearch"],
    "stlib.sentence_transformer": ["SentenceTransformer", "SentenceTransformerModelCardData", "modules"],
    "stlib.sentence_transformer.evaluation": ["BaseEvaluator", *EVALUATORS],
    "stlib.sentence_transformer.model": ["SentenceTransformer", "SentenceTransformerModelCardData"],
    "stlib.sentence_transformer.model_card": ["SentenceTransformerModelCardData"],
    "stlib.sentence_transformer.modules": [*MODULES, "tokenizer"],
    "stlib.sentence_transformer.modules.bow": ["BoW"],
    "stlib.sentence_transformer.modules.clip_model": ["CLIPModel"],
    "stlib.sentence_transformer.modules.cnn": ["CNN"],
    "stlib.sentence_transformer.modules.dropout": ["Dropout"],
    "stlib.sentence_transformer.modules.layer_norm": ["LayerNorm"],
    "stlib.sentence_transformer.modules.lstm": ["LSTM"],
    "stlib.sentence_transformer.modules.normalize": ["Normalize"],
    "stlib.sentence_transformer.modules.pooling": ["Pooling"],
    "stlib.sentence_transformer.modules.static_embedding": ["StaticEmbedding"],
    "stlib.sentence_transformer.modules.tokenizer": TOKENIZERS,
    "stlib.sentence_transformer.modules.tokenizer.phrase": ["PhraseTokenizer"],
    "stlib.sentence_transformer.modules.tokenizer.whitespace": ["WhitespaceTokenizer"],
    "stlib.sentence_transformer.modules.tokenizer.word": ["ENGLISH_STOP_WORDS", "WordTokenizer"],
    "stlib.sentence_transformer.modules.weighted_layer_pooling": ["WeightedLayerPooling"],
    "stlib.sentence_transformer.modules.word_embeddings": ["WordEmbeddings"],
    "stlib.sentence_transformer.modules.word_weights": ["WordWeights"],
    "stlib.similarity_functions": ["SimilarityFunction"],
    "stlib.util": [
        "LoggingHandler",
        "batch_to_device",
        "check_package_availability",
        "compute_count_vector",
        "disable_logging",
        "fullname",
        "get_device_name",
        "import_from_string",
        "import_module_class",
        "install_logger",
        "is_accelerate_available",
        "is_datasets_available",
        "is_sentence_transformer_model",
        "is_training_available",
        "load_dir_path",
        "load_file_path",
        "normalize_embeddings",
        "quantize_embeddings",
        "select_max_active_dims",
        "to_scipy_coo",
        "truncate_embeddings",
        *RETRIEVAL,
        *SIMILARITIES,
    ],
    "stlib.util.environment": ["get_device_name", "get_installed_version"],
    "stlib.util.file_io": ["is_sentence_transformer_model", "load_dir_path", "load_file_path"],
    "stlib.util.logging": ["LoggingHandler", "install_logger"],
    "stlib.util.misc": ["disable_logging", "fullname", "import_from_string", "import_module_class"],
    "stlib.util.quantization": ["quantize_embeddings", "semantic_search_faiss", "semantic_search_usearch"],
    "stlib.util.retrieval": RETRIEVAL,
    "stlib.util.similarity": SIMILARITIES,
    "stlib.util.tensor": ["batch_to_device", "normalize_embeddings", "to_scipy_coo", "truncate_embeddings"],
    **{f"stlib.models.{name}": [name] for name in MODULES},
    **{f"stlib.models.tokenizer.{name}": [name] for name in TOKENIZERS},
    **{f"stlib.evaluation.{name}": [name] for name in EVALUATORS},
}


@pytest.mark.parametrize("path", PATHS)
def test_path(path):
    module = importlib.import_module(path)
    assert isinstance(module, ModuleType)
    for name in PATHS[path]:
        value = getattr(module, name)
        assert value is not None
        if name[0].isupper() and not name.isupper():
            # A class, and never the module of its name
            assert getattr(value, "__name__", "") in (name, "Router", "BaseEvaluator", "MessageDict"), value


def test_one_class_under_all_its_paths():
    for name in MODULES:
        paths = [path for path, names in PATHS.items() if name in names and "tokenizer" not in path]
        found = {id(getattr(importlib.import_module(path), name)) for path in paths}
        assert len(found) == 1, (name, paths)


# Statements of the documents, each first in its process: nothing may depend on what was imported before.
STATEMENTS = [
    "from stlib import SentenceTransformer",
    "from stlib import models, SentenceTransformer",
    "from stlib import util",
    "from stlib.evaluation import SentenceEvaluator",
    "from stlib.models import Transformer, Pooling",
    "from stlib.models import StaticEmbedding",
    "from stlib.models.Module import Module",
    "from stlib.sentence_transformer.modules import Dense, Pooling, Router, Transformer",
    "from stlib.sentence_transformer.modules import Router, Normalize",
    "import stlib.models.Pooling; from stlib.models import Pooling; assert isinstance(Pooling, type)",
    "from stlib.models.Pooling import Pooling; from stlib import models; assert models.Pooling is Pooling",
    "from stlib.models.tokenizer.WhitespaceTokenizer import WhitespaceTokenizer",
    "from stlib.SentenceTransformer import SentenceTransformer as A; import stlib; "
    "assert stlib.SentenceTransformer is A",
    "from stlib.models import *; Pooling(4)",
    "import stlib; stlib.models.Pooling; stlib.util.cos_sim; stlib.sentence_transformer.modules.Dense",
    "import pickle, stlib.models as m; assert pickle.loads(pickle.dumps(m.Pooling)) is m.Pooling",
    "import inspect, stlib, stlib.models; inspect.getmodule(inspect.currentframe()); "
    "import sys; assert 'torch' not in sys.modules",
]


@pytest.fixture(scope="module")
def results():
    """Each statement in a process forked from one that has imported torch and transformers, to save time."""
    program = f"""
import os, sys, traceback
import torch, transformers.modeling_utils, numpy
for name in [n for n in sys.modules if n.split('.')[0] == 'stlib']:
    raise SystemExit('the parent has imported stlib')
for number, statement in enumerate({[s for s in STATEMENTS if "not in sys.modules" not in s]!r}):
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            exec(statement, {{}})
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print(statement, '=>', status, flush=True)
"""
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True
    )
    found = dict(line.rsplit(" => ", 1) for line in result.stdout.splitlines() if " => " in line)
    return found, result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
@pytest.mark.parametrize("statement", STATEMENTS)
def test_statement_of_the_documents(results, statement):
    if statement in results[0]:
        assert results[0][statement] == "0", results[1]
    else:
        subprocess.run([sys.executable, "-c", statement], check=True)


@pytest.mark.parametrize(
    "path", ["stlib.models.Nothing", "stlib.models.Pooling.Nothing", "stlib.nothing", "stlib.losses"]
)
def test_what_does_not_exist(path):
    with pytest.raises(ImportError):
        importlib.import_module(path)
