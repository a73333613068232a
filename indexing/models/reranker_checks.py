"""What the name and the small files of a reranker tell before torch is loaded, which takes seconds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from indexing.errors import RerankingFailed
from stlib.paths import is_mistyped
from stlib.runtime import BUNDLED_MODEL_NAME, BUNDLED_RERANKER_NAME, close_bundled_name
from stlib.runtime.files import read_json, read_object

__all__ = ["check_folder", "check_label_count", "check_name", "headless_error", "shorten"]

# One of them is in every folder that CrossEncoder loads.
_MODEL_FILES = ("modules.json", "config.json", "adapter_config.json")
_CLASSIFIER = "ForSequenceClassification"
# Ends of the names of architectures whose weights can say something about pairs.
_SCORING = (_CLASSIFIER, "ForCausalLM", "ForConditionalGeneration")
_GIVE = f"give a cross-encoder's folder, ONNX file or hub id ('owner/name'), or {BUNDLED_RERANKER_NAME!r}"
# Characters of a message, of which some quote what they are about.
_SHOWN = 1000


def shorten(text: str) -> str:
    """`text` with an end."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def check_name(name: str) -> None:
    """Refuse what is no name of a reranker, without asking the hub, which may take a minute.

    Raises:
        RerankingFailed: it is blank, a path that leads nowhere or to no model, an embedding model's name, or
            nearly that of the bundled reranker.
    """
    if not name.strip():
        raise RerankingFailed(f"the name of the reranker is blank: {_GIVE}")
    if is_mistyped(name):
        raise RerankingFailed(f"there is no folder or file {shorten(name)!r}: {_GIVE}")
    path = Path(name)
    if path.is_file() and path.suffix != ".onnx":
        raise RerankingFailed(f"reranker {name!r} is a file and no ONNX file: {_GIVE}")
    if path.exists() or "/" in name:
        return
    if name == BUNDLED_MODEL_NAME:
        raise _embedding(f"{name!r}")
    close = close_bundled_name(name)
    if close == BUNDLED_RERANKER_NAME != name:
        raise RerankingFailed(f"there is no reranker {name!r}: did you mean {close!r}?")


def check_folder(name: str) -> None:
    """Refuse a folder whose files show that it gives no score for a pair, or more than one.

    Raises:
        RerankingFailed: it is no model, has no trained head (its scores would be random), has one of several
            labels, or its weights are cut off.
    """
    folder = Path(name)
    if not folder.is_dir():
        return
    if not any((folder / file).is_file() for file in _MODEL_FILES):
        raise RerankingFailed(
            f"reranker {name!r} cannot be loaded: {name!r} holds neither modules.json nor config.json, nor "
            "an ONNX file with its tokenizer.json; give the folder of a cross-encoder"
        )
    kind = read_object(folder / "config_sentence_transformers.json").get("model_type")
    config = read_object(folder / "config.json")
    if kind != "CrossEncoder":  # the modules of one may well begin with an encoder
        _check_head(name, config.get("architectures"), _modules(folder))
    _check_labels(config, _modules(folder))
    _check_weights(folder)


def check_label_count(labels: int) -> None:
    """Raises RerankingFailed unless a model has one label."""
    if labels != 1:
        raise RerankingFailed(
            f"the model gives {labels} scores per pair; a reranker gives one, see num_labels"
        )


def headless_error(which: str, named: list[Any]) -> RerankingFailed:
    """The error for a model of architectures that score no pairs."""
    return RerankingFailed(
        f"{which} holds {', '.join(map(str, named))}, which gives no score for a pair: an embedding model, "
        "or one without a trained head for it; give a cross-encoder (…ForSequenceClassification)"
    )


def _embedding(which: str) -> RerankingFailed:
    return RerankingFailed(
        f"{which} is an embedding model, which gives vectors and no score for a pair: {_GIVE}"
    )


def _modules(folder: Path) -> list[str]:
    """Names of the classes in `modules.json`, as far as it has any."""
    path = folder / "modules.json"
    entries = read_json(path) if path.is_file() else []
    entries = entries if isinstance(entries, list) else []
    return [str(entry.get("type")).rpartition(".")[2] for entry in entries if isinstance(entry, dict)]


def _check_head(name: str, named: Any, modules: list[str]) -> None:
    if "StaticEmbedding" in modules[:1]:
        raise _embedding(f"reranker {name!r}")
    if isinstance(named, list) and named and not any(str(one).endswith(_SCORING) for one in named):
        raise headless_error(f"reranker {name!r}", named)


def _check_labels(config: dict[str, Any], modules: list[str]) -> None:
    """The labels of a classifier that is the whole model; others are counted once they are loaded."""
    named, labels = config.get("architectures"), config.get("id2label")
    if len(modules) > 1 or not isinstance(named, list) or len(named) != 1:
        return
    if str(named[0]).endswith(_CLASSIFIER) and isinstance(labels, dict) and labels:
        check_label_count(len(labels))


def _check_weights(folder: Path) -> None:
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(os.fspath(path), framework="numpy"):
                pass  # reads the table of contents, and that the file is as long as it says
        except (SafetensorError, OSError) as error:
            raise RerankingFailed(
                f"{path}: not a readable safetensors file ({error}); copy or download it again"
            ) from error
