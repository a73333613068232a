"""Which class a ``modules.json`` names. Our own are found in a fixed table; anything else needs permission to
run.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stlib.errors import ModelConfigError, UntrustedCode
from stlib.util.names import import_from_string

# Packages that exposed modules, in some generation or other.
_PARENTS = (
    "base.modules",
    "sentence_transformer.modules",
    "sparse_encoder.modules",
    "cross_encoder.modules",
    "multi_vector_encoder.modules",
)


@dataclass(frozen=True)
class Entry:
    """One module class.

    Attributes:
        name: class name.
        home: module that defines it, relative to the package.
        saved_as: type that saved models carry; the oldest documented path, which every generation reads.
    """

    name: str
    home: str
    saved_as: str

    @property
    def short_path(self) -> str:
        """Its path below ``models``; empty for modules of other families."""
        family, _, path = self.saved_as.partition(".models.")
        return path if family == "sentence_transformers" else ""

    def load(self) -> type:
        return getattr(importlib.import_module(f"stlib.{self.home}"), self.name)

    def paths(self) -> set[str]:
        """All dotted paths, without the package, under which generations exposed the class."""
        file = self.home.rpartition(".")[2]
        nested = {f"{parent}.{inner}" for parent in _PARENTS for inner in (self.name, f"{file}.{self.name}")}
        if ".tokenizer." in self.home:
            parents = ("sentence_transformer.modules.tokenizer", "models.tokenizer")
            return {
                f"{p}.{inner}"
                for p in parents
                for inner in (self.name, f"{file}.{self.name}", f"{self.name}.{self.name}")
            }
        for models in ("models", "sparse_encoder.models"):
            nested |= {f"{models}.{self.name}", f"{models}.{self.name}.{self.name}"}
        return {f"{self.home}.{self.name}", *nested}


def _entry(name: str, home: str, saved_as: str | None = None) -> Entry:
    return Entry(name, home, saved_as or f"sentence_transformers.models.{name}")


def _sparse(name: str, file: str) -> Entry:
    saved_as = f"sentence_transformers.sparse_encoder.models.{name}"
    return Entry(name, f"sparse_encoder.modules.{file}", saved_as)


def _tokenizer(name: str, file: str) -> Entry:
    home = f"sentence_transformer.modules.tokenizer.{file}"
    return Entry(name, home, f"sentence_transformers.models.tokenizer.{name}")


def _multi_vector(name: str, file: str) -> Entry:
    home = f"multi_vector_encoder.modules.{file}"
    return Entry(name, home, f"sentence_transformers.{home}.{name}")


ENTRIES = (
    _entry("Transformer", "base.modules.transformer"),
    _entry("Dense", "base.modules.dense"),
    _entry("Normalize", "base.modules.normalize"),
    _entry("Router", "base.modules.router"),
    _entry("Asym", "base.modules.router"),
    _entry("Pooling", "sentence_transformer.modules.pooling"),
    _entry("StaticEmbedding", "sentence_transformer.modules.static_embedding"),
    _entry("CLIPModel", "sentence_transformer.modules.clip_model"),
    _entry("WeightedLayerPooling", "sentence_transformer.modules.weighted_layer_pooling"),
    _entry("WordEmbeddings", "sentence_transformer.modules.word_embeddings"),
    _entry("WordWeights", "sentence_transformer.modules.word_weights"),
    _entry("BoW", "sentence_transformer.modules.bow"),
    _entry("LSTM", "sentence_transformer.modules.lstm"),
    _entry("CNN", "sentence_transformer.modules.cnn"),
    _entry("LayerNorm", "sentence_transformer.modules.layer_norm"),
    _entry("Dropout", "sentence_transformer.modules.dropout"),
    _entry(
        "LogitScore",
        "cross_encoder.modules.logit_score",
        "sentence_transformers.cross_encoder.modules.logit_score.LogitScore",
    ),
    _sparse("MLMTransformer", "mlm_transformer"),
    _sparse("SpladePooling", "splade_pooling"),
    _sparse("SparseAutoEncoder", "sparse_auto_encoder"),
    _sparse("SparseStaticEmbedding", "sparse_static_embedding"),
    _multi_vector("MultiVectorMask", "multi_vector_mask"),
    _multi_vector("HierarchicalTokenPooling", "token_pooling"),
    _tokenizer("WhitespaceTokenizer", "whitespace"),
    _tokenizer("PhraseTokenizer", "phrase"),
    _tokenizer("TransformersTokenizerWrapper", "word"),
)

PACKAGES = ("sentence_transformers", "stlib")

_BY_PATH = {f"{package}.{path}": entry for entry in ENTRIES for path in entry.paths() for package in PACKAGES}
# The first generation had a class for each architecture, all of which are Transformer today.
_BY_PATH.update(
    {
        f"{package}.models.{name}{again}": _BY_PATH["stlib.models.Transformer"]
        for name in ("ALBERT", "BERT", "CamemBERT", "DistilBERT", "RoBERTa", "T5", "XLMRoBERTa", "XLNet")
        for again in ("", f".{name}")
        for package in PACKAGES
    }
)
_BY_HOME = {f"stlib.{entry.home}.{entry.name}": entry for entry in ENTRIES}

# ``module.Class`` or ``owner/repo--module.Class``
_CLASS_REF = re.compile(r"(?:[\w.-]+(?:/[\w.-]+)?--)?[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")


def resolve_module_class(
    class_ref: str,
    model_name_or_path: str | Path | None = None,
    *,
    trust_remote_code: bool = False,
    **hub: Any,
) -> type:
    """The class that a type in ``modules.json`` stands for.

    Args:
        class_ref: a path of this library or of Sentence Transformers, of any generation; or ``file.Class``
            beside the model, ``owner/repo--file.Class``, or the path of an importable class.
        model_name_or_path: the model, in whose folder ``file.Class`` is looked for first.
        trust_remote_code: allow to import (and so run) code that is not ours.
        hub: ``revision``, ``code_revision``, ``token``, ``cache_folder``, ``local_files_only`` for code on
            the hub.

    Raises:
        ModelConfigError: the reference is malformed, or names a class of the library that does not exist.
        UntrustedCode: the class is foreign and ``trust_remote_code`` is False.
        ImportError: the class was allowed but cannot be imported.
    """
    if not isinstance(class_ref, str) or not _CLASS_REF.fullmatch(class_ref):
        raise ModelConfigError(
            f"modules.json names {class_ref!r}; a type has the form 'package.module.Class'"
        )
    if class_ref in _BY_PATH:
        return _BY_PATH[class_ref].load()
    if class_ref.split(".")[0] in PACKAGES:
        known = ", ".join(entry.name for entry in ENTRIES)
        raise ModelConfigError(f"modules.json names {class_ref!r}, which this version lacks; it has: {known}")
    if not trust_remote_code:
        raise UntrustedCode(
            f"modules.json of {str(model_name_or_path)!r} names the class {class_ref!r}, which is not "
            "part of this library; importing it would run foreign code: read that code, then pass "
            "trust_remote_code=True"
        )
    return _import_foreign(class_ref, model_name_or_path, hub)


def saved_type(cls: type) -> str:
    """The type that ``modules.json`` carries for a class."""
    entry = _BY_HOME.get(f"{cls.__module__}.{cls.__name__}")
    return entry.saved_as if entry else f"{cls.__module__}.{cls.__name__}"


def _import_foreign(class_ref: str, model: str | Path | None, hub: dict[str, Any]) -> type:
    module, _, name = class_ref.rpartition(".")
    on_hub = "--" in class_ref
    beside = model is not None and (Path(model) / f"{module}.py").is_file()
    if not (on_hub or beside):
        return import_from_string(class_ref)
    from transformers.dynamic_module_utils import get_class_from_dynamic_module

    options = {key: value for key, value in hub.items() if value is not None and key != "cache_folder"}
    if hub.get("cache_folder"):
        options["cache_dir"] = hub["cache_folder"]
    try:
        return get_class_from_dynamic_module(class_ref, str(model), **options)
    except AttributeError as error:
        if error.name != name:  # of the code itself
            raise
        raise ImportError(f"{str(model)!r} names the class {class_ref!r}, which {module}.py lacks") from None
