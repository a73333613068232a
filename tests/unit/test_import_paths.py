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
    "SimilarityFunction cos_sim dot_score euclidean_sim manhattan_sim maxsim maxsim_pairwise mean_maxsim "
    "mean_maxsim_pairwise pairwise_angle_sim pairwise_cos_sim "
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
EVALUATORS = {
    "SentenceEvaluator": "base.evaluation.evaluator",
    "SequentialEvaluator": "base.evaluation.sequential",
    "SimilarityFunction": "util.similarity_function",
    "BinaryClassificationEvaluator": "sentence_transformer.evaluation.binary_classification",
    "EmbeddingSimilarityEvaluator": "sentence_transformer.evaluation.embedding_similarity",
    "InformationRetrievalEvaluator": "sentence_transformer.evaluation.information_retrieval",
    "LabelAccuracyEvaluator": "sentence_transformer.evaluation.label_accuracy",
    "MSEEvaluator": "sentence_transformer.evaluation.mse",
    "MSEEvaluatorFromDataFrame": "sentence_transformer.evaluation.mse_from_dataframe",
    "NanoBEIREvaluator": "sentence_transformer.evaluation.nano_beir",
    "ParaphraseMiningEvaluator": "sentence_transformer.evaluation.paraphrase_mining",
    "RerankingEvaluator": "sentence_transformer.evaluation.reranking",
    "TranslationEvaluator": "sentence_transformer.evaluation.translation",
    "TripletEvaluator": "sentence_transformer.evaluation.triplet",
}
LOSSES = {
    "AdaptiveLayerLoss": "adaptive_layer",
    "AnglELoss": "angle",
    "BatchAllTripletLoss": "batch_all_triplet",
    "BatchHardSoftMarginTripletLoss": "batch_hard_soft_margin_triplet",
    "BatchHardTripletLoss": "batch_hard_triplet",
    "BatchHardTripletLossDistanceFunction": "batch_hard_triplet",
    "BatchSemiHardTripletLoss": "batch_semi_hard_triplet",
    "CachedGISTEmbedLoss": "cached_gist_embed",
    "CachedMultipleNegativesRankingLoss": "cached_multiple_negatives_ranking",
    "CachedMultipleNegativesSymmetricRankingLoss": "cached_multiple_negatives_symmetric_ranking",
    "CoSENTLoss": "cosent",
    "ContrastiveLoss": "contrastive",
    "ContrastiveTensionDataLoader": "contrastive_tension",
    "ContrastiveTensionLoss": "contrastive_tension",
    "ContrastiveTensionLossInBatchNegatives": "contrastive_tension",
    "CosineSimilarityLoss": "cosine_similarity",
    "DenoisingAutoEncoderLoss": "denoising_auto_encoder",
    "DistillKLDivLoss": "distill_kl_div",
    "EmbedDistillLoss": "embed_distill",
    "GISTEmbedLoss": "gist_embed",
    "GlobalOrthogonalRegularizationLoss": "global_orthogonal_regularization",
    "MSELoss": "mse",
    "MarginMSELoss": "margin_mse",
    "Matryoshka2dLoss": "matryoshka_2d",
    "MatryoshkaLoss": "matryoshka",
    "MegaBatchMarginLoss": "mega_batch_margin",
    "MultipleNegativesRankingLoss": "multiple_negatives_ranking",
    "MultipleNegativesSymmetricRankingLoss": "multiple_negatives_symmetric_ranking",
    "OnlineContrastiveLoss": "online_contrastive",
    "SiameseDistanceMetric": "contrastive",
    "SoftmaxLoss": "softmax",
    "TripletDistanceMetric": "triplet",
    "TripletLoss": "triplet",
}
DATASETS = {
    "DenoisingAutoEncoderDataset": "denoising_auto_encoder",
    "NoDuplicatesDataLoader": "no_duplicates_dataloader",
    "ParallelSentencesDataset": "parallel_sentences",
    "SentenceLabelDataset": "sentence_label",
    "SentencesDataset": "sentences",
}
READERS = {
    "InputExample": "input_example",
    "LabelSentenceReader": "label_sentence",
    "NLIDataReader": "nli_data",
    "PairedFilesReader": "paired_files",
    "STSBenchmarkDataReader": "sts_data",
    "STSDataReader": "sts_data",
    "TripletReader": "triplet",
}
SAMPLERS = (
    "BatchSamplers DefaultBatchSampler GroupByLabelBatchSampler MultiDatasetBatchSamplers "
    "MultiDatasetDefaultBatchSampler NoDuplicatesBatchSampler ProportionalBatchSampler RoundRobinBatchSampler"
).split()
TRAINING = ["SentenceTransformerTrainer", "SentenceTransformerTrainingArguments"]

RERANKER_LOSSES = {
    "ADRMSELoss": "adr_mse",
    "BinaryCrossEntropyLoss": "binary_cross_entropy",
    "CachedMultipleNegativesRankingLoss": "cached_multiple_negatives_ranking",
    "CrossEntropyLoss": "cross_entropy",
    "LambdaLoss": "lambda_loss",
    "LambdaRankScheme": "lambda_loss",
    "ListMLELoss": "list_mle",
    "ListNetLoss": "list_net",
    "MSELoss": "mse",
    "MarginMSELoss": "margin_mse",
    "MultipleNegativesRankingLoss": "multiple_negatives_ranking",
    "NDCGLoss1Scheme": "lambda_loss",
    "NDCGLoss2PPScheme": "lambda_loss",
    "NDCGLoss2Scheme": "lambda_loss",
    "NoWeightingScheme": "lambda_loss",
    "PListMLELambdaWeight": "plist_mle",
    "PListMLELoss": "plist_mle",
    "RankNetLoss": "rank_net",
}
RERANKER_EVALUATORS = {
    "CEBinaryAccuracyEvaluator": "deprecated",
    "CEBinaryClassificationEvaluator": "deprecated",
    "CECorrelationEvaluator": "deprecated",
    "CEF1Evaluator": "deprecated",
    "CERerankingEvaluator": "deprecated",
    "CESoftmaxAccuracyEvaluator": "deprecated",
    "CrossEncoderClassificationEvaluator": "classification",
    "CrossEncoderCorrelationEvaluator": "correlation",
    "CrossEncoderNanoBEIREvaluator": "nano_beir",
    "CrossEncoderRerankingEvaluator": "reranking",
}
SPARSE_LOSSES = {
    "CSRLoss": "csr",
    "CSRReconstructionLoss": "csr",
    "CachedSpladeLoss": "cached_splade",
    "FlopsLoss": "flops",
    "SparseAnglELoss": "sparse_angle",
    "SparseCoSENTLoss": "sparse_cosent",
    "SparseCosineSimilarityLoss": "sparse_cosine_similarity",
    "SparseDistillKLDivLoss": "sparse_distill_kl_div",
    "SparseMSELoss": "sparse_mse",
    "SparseMarginMSELoss": "sparse_margin_mse",
    "SparseMultipleNegativesRankingLoss": "sparse_multiple_negatives_ranking",
    "SparseTripletLoss": "sparse_triplet",
    "SpladeLoss": "splade",
}
SPARSE_EVALUATORS = {
    "ReciprocalRankFusionEvaluator": "reciprocal_rank_fusion",
    "SparseBinaryClassificationEvaluator": "sparse_binary_classification",
    "SparseEmbeddingSimilarityEvaluator": "sparse_embedding_similarity",
    "SparseInformationRetrievalEvaluator": "sparse_information_retrieval",
    "SparseMSEEvaluator": "sparse_mse",
    "SparseNanoBEIREvaluator": "sparse_nano_beir",
    "SparseRerankingEvaluator": "sparse_reranking",
    "SparseTranslationEvaluator": "sparse_translation",
    "SparseTripletEvaluator": "sparse_triplet",
}
RERANKERS = (
    "CrossEncoder CrossEncoderModelCardData CrossEncoderTrainer CrossEncoderTrainingArguments"
).split()


def _package(package: str, names: dict[str, str]) -> dict[str, list[str]]:
    """A package of another family, each class's file, and the file's older path."""
    paths = {package: [*names]}
    for name, file in names.items():
        paths.setdefault(f"{package}.{file}", []).append(name)
        paths[f"{package}.{name}"] = [name]
    return paths


def _short(package: str, names: dict[str, str]) -> dict[str, list[str]]:
    """A package under its short path and its long one, each class's file, and the file's older path."""
    long = f"stlib.sentence_transformer.{package}"
    paths = {f"stlib.{package}": [*names], long: [*names]}
    for name, file in names.items():
        home = f"stlib.{file}" if "." in file else f"{long}.{file}"
        paths.setdefault(home, []).append(name)
        paths[f"stlib.{package}.{name}"] = [name]
    return paths


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
        "InputExample",
        "ParallelSentencesDataset",
        "SentencesDataset",
        "DefaultBatchSampler",
        "MultiDatasetDefaultBatchSampler",
        "MultiVectorEncoder",
        "MultiVectorEncoderModelCardData",
        "MultiVectorEncoderTrainer",
        "MultiVectorEncoderTrainingArguments",
        "mine_hard_negatives",
        "resolve_ids",
        *RERANKERS,
        *TRAINING,
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
    "stlib.model_card": ["SentenceTransformerModelCardData"],
    "stlib.models": [*MODULES, "tokenizer"],
    "stlib.models.tokenizer": TOKENIZERS,
    "stlib.peft_mixin": ["PeftAdapterMixin"],
    "stlib.quantization": ["quantize_embeddings", "semantic_search_faiss", "semantic_search_usearch"],
    "stlib.sentence_transformer": [
        "SentenceTransformer",
        "SentenceTransformerModelCardData",
        "modules",
        *TRAINING,
    ],
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
    **_short("evaluation", EVALUATORS),
    **_short("losses", LOSSES),
    **_short("datasets", DATASETS),
    **_short("readers", READERS),
    **_package("stlib.cross_encoder.losses", RERANKER_LOSSES),
    **_package("stlib.cross_encoder.evaluation", RERANKER_EVALUATORS),
    **_package("stlib.sparse_encoder.losses", SPARSE_LOSSES),
    **_package("stlib.sparse_encoder.evaluation", SPARSE_EVALUATORS),
    "stlib.sparse_encoder.callbacks": ["SchedulerType", "SpladeRegularizerWeightSchedulerCallback"],
    "stlib.sparse_encoder.callbacks.splade_callbacks": [
        "SchedulerType",
        "SpladeRegularizerWeightSchedulerCallback",
    ],
    "stlib.sparse_encoder.search_engines": [
        "semantic_search_elasticsearch",
        "semantic_search_opensearch",
        "semantic_search_qdrant",
        "semantic_search_seismic",
    ],
    "stlib.multi_vector_encoder": [
        "MultiVectorEncoder",
        "MultiVectorEncoderDataCollator",
        "MultiVectorEncoderModelCardData",
        "MultiVectorEncoderTrainer",
        "MultiVectorEncoderTrainingArguments",
        "evaluation",
        "losses",
        "maxsim",
        "maxsim_pairwise",
        "modules",
        "scoring",
    ],
    "stlib.multi_vector_encoder.modules": [
        "BaseTokenPooling",
        "HierarchicalTokenPooling",
        "LambdaTokenPooling",
        "MultiVectorMask",
    ],
    "stlib.multi_vector_encoder.scoring": [
        "XTRKDScores",
        "XTRScores",
        "colbert_kd_scores",
        "colbert_scores",
        "colbert_scores_pairwise",
        "mean_colbert_kd_scores",
        "mean_colbert_scores",
        "mean_colbert_scores_pairwise",
        "xtr_kd_scores",
        "xtr_scores",
        "xtr_scores_pairwise",
    ],
    "stlib.multi_vector_encoder.losses": [
        "CachedMultiVectorMultipleNegativesRankingLoss",
        "MultiVectorDistillKLDivLoss",
        "MultiVectorMarginMSELoss",
        "MultiVectorMultipleNegativesRankingLoss",
    ],
    "stlib.multi_vector_encoder.evaluation": [
        "MultiVectorDistillationEvaluator",
        "MultiVectorInformationRetrievalEvaluator",
        "MultiVectorNanoBEIREvaluator",
        "MultiVectorRerankingEvaluator",
        "MultiVectorTripletEvaluator",
    ],
    "stlib.cross_encoder": [*RERANKERS, "CrossEncoderDataCollator", "losses", "evaluation", "modules"],
    "stlib.cross_encoder.CrossEncoder": ["CrossEncoder"],
    "stlib.cross_encoder.model": ["CrossEncoder"],
    "stlib.cross_encoder.modules": ["LogitScore"],
    "stlib.cross_encoder.trainer": ["CrossEncoderTrainer"],
    "stlib.cross_encoder.training_args": ["CrossEncoderTrainingArguments"],
    "stlib.base.losses": [
        "CachedLossMixin",
        "RandContext",
        "column_merging_disabled",
        "has_static_embedding_input",
        "uses_gradient_cache",
    ],
    "stlib.base.trainer": ["BaseTrainer"],
    "stlib.base.training_args": ["BaseTrainingArguments"],
    "stlib.base.data_collator": ["BaseDataCollator"],
    "stlib.base.sampler": SAMPLERS,
    "stlib.sampler": SAMPLERS,
    "stlib.trainer": ["SentenceTransformerTrainer"],
    "stlib.training_args": ["SentenceTransformerTrainingArguments", *SAMPLERS[0:1], SAMPLERS[3]],
    "stlib.data_collator": ["SentenceTransformerDataCollator"],
    "stlib.sentence_transformer.data_collator": ["SentenceTransformerDataCollator"],
    "stlib.sentence_transformer.trainer": ["SentenceTransformerTrainer"],
    "stlib.sentence_transformer.training_args": ["SentenceTransformerTrainingArguments"],
    "stlib.util.hard_negatives": ["mine_hard_negatives"],
    "stlib.util.dataset": ["resolve_ids"],
    "stlib.util.distributed": ["all_gather", "distributed_evaluation", "get_rank", "get_world_size"],
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
    "from stlib import SentenceTransformerTrainer, SentenceTransformerTrainingArguments, losses",
    "from stlib.losses.CosineSimilarityLoss import CosineSimilarityLoss",
    "import stlib.losses.CoSENTLoss; from stlib.losses import CoSENTLoss as C; assert isinstance(C, type)",
    "from stlib.training_args import BatchSamplers; from stlib.util import mine_hard_negatives",
    "from stlib import InputExample as E, datasets, evaluation, readers; assert readers.InputExample is E",
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
    "path", ["stlib.models.Nothing", "stlib.models.Pooling.Nothing", "stlib.nothing", "stlib.losses.Nothing"]
)
def test_what_does_not_exist(path):
    with pytest.raises(ImportError):
        importlib.import_module(path)
