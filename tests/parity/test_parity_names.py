"""Every name that a module of the reference defines, and every member of its classes, is here under the same
path, and `dir()` shows it.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import pkgutil
from pathlib import Path

import numpy as np
import pytest
import torch

import indexing
import indexing.documents
import stlib
from stlib import SentenceTransformer, util

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

# What the reference has for itself: where its own older arguments and paths are translated, how its card is
# put together, and parts of its losses and trainers that wrap a model from inside.
INNER = {
    "": {"importlib", "os", "setup_deprecated_module_imports", "warnings"},
    "base.losses.merged_forward": {"chunked_padded_forward", "embed_columns_padded", "merge_feature_batches"},
    "base.merging": {"merge_models"},
    "base.modality": {"KNOWN_MODEL_TYPES_MESSAGE_FORMATS", "PAIR_ROLES", "PAIR_ROLE_PROBES"},
    "base.model_card": {
        *("IGNORED_FIELDS", "YAML_FIELDS", "format_duration", "format_log", "get_losses", "get_versions"),
    },
    "base.modules.transformer": {
        *("TRANSFORMER_TASK_DEFAULTS", "TRANSFORMER_TASK_TO_AUTO_MODEL", "set_temporary_class_attrs"),
    },
    "base.peft_mixin": {"peft_wrapper"},
    "cross_encoder.fit_mixin": {"EvaluatorCallback", "FitMixinLoss", "OriginalCallback", "SaveModelCallback"},
    "sentence_transformer": {"deprecated_model_card_templates"},
    "sentence_transformer.fit_mixin": {"EvaluatorCallback", "OriginalCallback", "SaveModelCallback"},
    "sentence_transformer.losses.adaptive_layer": {"ForwardDecorator", "TransformerDecorator"},
    "sentence_transformer.losses.matryoshka": {"CachedLossDecorator", "ForwardDecorator", "shrink"},
    "sentence_transformer.model": {"ALLOWED_PRECISIONS"},
    "util": {"deprecated_import"},
    "util.decorators": {
        "cross_encoder_init_args_decorator",
        "cross_encoder_predict_rank_args_decorator",
        "deprecated_kwargs",
        "transformer_kwargs_decorator",
    },
}
INNER_MODULES = {
    "cross_encoder.util",
    "multi_vector_encoder.interpretability",  # pictures of what matched: not documented
    "sentence_transformer.deprecated_model_card_templates",
    "util.deprecated_import",
}
# State of the reference's card between two saves, and of a loss that is no subclass here.
INNER_MEMBERS = {
    "CachedMultipleNegativesRankingLoss": "scale similarity_fct gather_across_devices directions "
    "partition_mode hardness_mode hardness_strength",
    "BaseModelCardData": "evaluation_duration first_save save_dir save_usage_example_assets template_path "
    "usage_examples_display widget_step usage_document_shape usage_query_shape",
    "Transformer": "unpad_inputs",  # of objects
    "BaseModel": "start_multi_process_pool stop_multi_process_pool",
}


def modules_of_the_reference() -> list[str]:
    import sentence_transformers

    found = pkgutil.walk_packages(sentence_transformers.__path__, "sentence_transformers.")
    names = ["", *(one.name.removeprefix("sentence_transformers.") for one in found)]
    return [n for n in names if n not in INNER_MODULES]


def names_of(module) -> list[str]:
    """What its file defines, what it exports and, for a package, what is found in it."""
    names = list(getattr(module, "__all__", ()))
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.append(node.name)
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names += [target.id for target in targets if isinstance(target, ast.Name)]
    if Path(module.__file__).name == "__init__.py":
        names += dir(module)
    left_out = {"annotations", "logger"}
    return sorted({n for n in names if not n.startswith("_")} - left_out)


def both(inner: str):
    pair = [f"{package}.{inner}".rstrip(".") for package in ("sentence_transformers", "stlib")]
    return [importlib.import_module(name) for name in pair]


def test_every_name_is_here_and_shown(reference):
    missing, hidden = {}, {}
    for inner in modules_of_the_reference():
        theirs, ours = both(inner)
        expected = [n for n in names_of(theirs) if n not in INNER.get(inner, ())]
        missing[inner] = [n for n in expected if not hasattr(ours, n)]
        hidden[inner] = [n for n in expected if n not in dir(ours)]
    assert {inner: names for inner, names in missing.items() if names} == {}
    assert {inner: names for inner, names in hidden.items() if names} == {}


def test_what_is_left_out_is_what_is_missing(reference):
    """The list above does not outlive its reasons."""
    for inner, names in INNER.items():
        theirs, ours = both(inner)
        assert names <= {*names_of(theirs), *dir(theirs)}
        assert [n for n in names if hasattr(ours, n) and n not in ("importlib", "os", "warnings")] == []


def members(cls: type) -> set[str]:
    own = [vars(base) for base in cls.__mro__ if base.__module__.startswith("sentence_transformers")]
    return {name for one in own for name in one if not name.startswith("_")}


def test_every_member_of_a_class_is_here(reference):
    missing = {}
    for inner in modules_of_the_reference():
        theirs, ours = both(inner)
        for name, cls in vars(theirs).items():
            if not inspect.isclass(cls) or not cls.__module__.startswith("sentence_transformers"):
                continue
            mine = getattr(ours, name, None)
            if mine is None:
                continue
            fields = (
                {field.name for field in dataclasses.fields(mine)}
                if dataclasses.is_dataclass(mine)
                else set()
            )
            inner_ones = {
                member
                for key, listed in INNER_MEMBERS.items()
                if key in {base.__name__ for base in cls.__mro__}
                for member in listed.split()
            }
            if lacking := {m for m in members(cls) - fields - inner_ones if not hasattr(mine, m)}:
                missing[f"{inner}.{name}"] = lacking
    assert missing == {}


def test_lazy_packages_show_what_they_offer():
    found = pkgutil.walk_packages(stlib.__path__, "stlib.")
    packages = [importlib.import_module(one.name) for one in found if one.ispkg and "recipes" not in one.name]
    for package in [stlib, indexing, indexing.documents, *packages]:
        exported = set(getattr(package, "__all__", ())) | set(getattr(package, "_EXPORTS", ()))
        assert exported - set(dir(package)) == set(), package.__name__


def test_original_names_are_the_hubs(reference):
    from sentence_transformers.util import ORIGINAL_TRANSFORMER_MODELS

    assert sorted(util.ORIGINAL_TRANSFORMER_MODELS) == sorted(ORIGINAL_TRANSFORMER_MODELS)


def test_types_of_inputs(reference):
    from sentence_transformers.base import modality_types as theirs

    from stlib.base import modality_types as ours

    assert ours.MODALITY_TO_PROCESSOR_ARG == theirs.MODALITY_TO_PROCESSOR_ARG
    assert ours.MULTIMODAL_DICT_KEYS == theirs.MULTIMODAL_DICT_KEYS
    for name in ("AudioDict", "VideoDict", "MessageDict", "MultimodalInput"):
        assert getattr(ours, name).__annotations__.keys() == getattr(theirs, name).__annotations__.keys()


def test_the_older_name_of_the_device_reads_and_moves(tiny_bert):
    model = SentenceTransformer(tiny_bert, device="cpu")
    assert model._target_device == torch.device("cpu") == model.device
    model._target_device = torch.device("meta")
    assert {p.device.type for p in model.parameters()} == {"meta"}
    assert model._target_device.type == model.device.type == "meta"


def test_similarities_that_a_model_compares_by(reference, tiny_bert):
    names = SentenceTransformer.SUPPORTED_SIMILARITY_FN_NAMES
    assert names == reference.SentenceTransformer.SUPPORTED_SIMILARITY_FN_NAMES
    model = SentenceTransformer(tiny_bert, device="cpu")
    for name in names:
        model.similarity_fn_name = name
        assert model.similarity_fn_name == name
    with pytest.raises(ValueError, match="maxsim"):
        model.similarity_fn_name = "maxsim"


@pytest.mark.parametrize("kind", ["SentenceTransformer", "CrossEncoder"])
def test_facts_of_a_card_by_key(reference, kind):
    options = {"license": "mit", "language": "de", "model_name": "a name"}
    ours, theirs = (getattr(library, f"{kind}ModelCardData")(**options) for library in (stlib, reference))
    for key in ("license", "language", "model_name", "model_id", "no such fact", "tags", "base_model"):
        assert (key in ours) == (key in theirs)
        for get in (lambda data, key=key: data.get(key, "default"), lambda data, key=key: data.get(key)):
            if key != "tags":  # the reference has none of its own for a reranker
                assert get(ours) == get(theirs)
    ours["license"] = "apache-2.0"
    assert (ours.license, ours["license"], ours.pop("license")) == ("apache-2.0",) * 3
    assert "license" not in ours and len(ours) > 10
    assert str(stlib.SentenceTransformerModelCardData(license="mit")).splitlines()[0] == "license: mit"


def test_vectors_are_the_same_where_a_name_is_only_another_path(tiny_bert):
    from stlib.base import BaseModel
    from stlib.cross_encoder.modules import Module, Router
    from stlib.models import Router as SameRouter

    model = SentenceTransformer(tiny_bert, device="cpu")
    assert isinstance(model, BaseModel) and isinstance(model[0], Module) and Router is SameRouter
    assert np.isfinite(model.encode("short")).all()


def test_the_first_and_the_last_module(tiny_bert):
    model = SentenceTransformer(tiny_bert, device="cpu")
    assert model._first_module() is model[0]
    assert model._last_module() is model[1]
