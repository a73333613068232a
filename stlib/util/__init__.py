"""Helpers around embeddings. Names are resolved on first use: importing this package loads neither torch nor
numpy.
"""

from __future__ import annotations

from typing import Any

from stlib.needs import import_for

_MODULES = {
    "dataset": ("resolve_ids",),
    "decorators": ("save_to_hub_args_decorator",),
    "hard_negatives": ("mine_hard_negatives",),
    "distributed": (
        "all_gather",
        "all_gather_padded",
        "all_gather_with_grad",
        "distributed_evaluation",
        "get_rank",
        "get_world_size",
    ),
    "download": ("disabled_tqdm", "http_get"),
    "environment": (
        "check_package_availability",
        "check_version_requirements",
        "get_device_name",
        "is_accelerate_available",
        "is_datasets_available",
        "is_dist_initialized",
        "is_training_available",
    ),
    "file_io": ("is_sentence_transformer_model", "load_dir_path", "load_file_path"),
    "logging": ("LoggingHandler", "install_logger"),
    "misc": (
        "append_to_last_row",
        "check_teacher_targets",
        "disable_datasets_caching",
        "disable_logging",
        "fullname",
        "import_from_string",
        "import_module_class",
        "similarity_fct_name",
    ),
    "original_names": ("ORIGINAL_TRANSFORMER_MODELS",),
    "quantization": ("quantize_embeddings", "semantic_search_faiss", "semantic_search_usearch"),
    "retrieval": (
        "community_detection",
        "information_retrieval",
        "paraphrase_mining",
        "paraphrase_mining_embeddings",
        "semantic_search",
    ),
    "similarity": (
        "cos_sim",
        "dot_score",
        "euclidean_sim",
        "manhattan_sim",
        "maxsim",
        "maxsim_pairwise",
        "mean_maxsim",
        "mean_maxsim_pairwise",
        "pairwise_angle_sim",
        "pairwise_cos_sim",
        "pairwise_dot_score",
        "pairwise_euclidean_sim",
        "pairwise_manhattan_sim",
        "pytorch_cos_sim",
    ),
    "similarity_function": ("SimilarityFunction",),
    "tensor": (
        "_convert_to_batch",
        "_convert_to_batch_tensor",
        "_convert_to_tensor",
        "_move_tensors_to_cpu",
        "batch_to_device",
        "cat_padded_token_embeddings",
        "compute_count_vector",
        "normalize_embeddings",
        "repad_flattened_features",
        "select_max_active_dims",
        "stack_padded_token_embeddings",
        "to_scipy_coo",
        "truncate_embeddings",
    ),
}
_EXPORTS = {name: module for module, names in _MODULES.items() for name in names}

__all__ = sorted(name for name in _EXPORTS if not name.startswith("_"))


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        value = getattr(import_for(f"stlib.util.{name}", f"{__name__}.{_EXPORTS[name]}"), name)
    elif name in _MODULES:
        value = import_for(f"stlib.util.{name}", f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_EXPORTS, *_MODULES})
