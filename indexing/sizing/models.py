"""What sums need of a model: the width of its vectors, and how fast one core embeds with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from indexing.errors import BadInput
from indexing.names import BUNDLED_MODEL
from indexing.sizing.measured import measured
from stlib.errors import StlibError
from stlib.runtime.files import inside, read_json, read_object
from stlib.runtime.modules.pooling import Pooling
from stlib.util.file_io import resolve_model_folder
from stlib.util.plain_files import check_folder

__all__ = ["ModelFacts", "find_model", "known_model", "known_names", "read_facts"]

# What others are compared with, by torch and by ONNX in bytes: name, layers, width.
_BY_TORCH = ("all-MiniLM-L6-v2", 6, 384)
_BY_ONNX = ("bge-small-en", 12, 384)
# Models that many use: width, and layers, from which their speed follows as long as nobody measured it.
_KNOWN: dict[str, tuple[int, int]] = {
    "all-MiniLM-L12-v2": (384, 12),
    "all-mpnet-base-v2": (768, 12),
    "bge-base-en-v1.5": (768, 12),
    "bge-large-en-v1.5": (1024, 24),
    "e5-base-v2": (768, 12),
    "e5-large-v2": (1024, 24),
    "e5-small-v2": (384, 12),
    "mxbai-embed-large-v1": (1024, 24),
    "nomic-embed-text-v1.5": (768, 12),
}
_LAYER = 12  # weights of a layer, by the square of the width
_VOCABULARY = 30_522
_LIKE = {"bge-small-en-v1.5": "bge-small-en"}


@dataclass(frozen=True)
class ModelFacts:
    """
    Attributes:
        dimension: numbers of a vector.
        tokens_per_second: of one core that embeds; None where nobody knows.
        memory: bytes that a process takes more which embeds questions with it: weights and what runs them.
        how: `measured`, `estimated` from layers and width, `given`, or `unknown`.
    """

    name: str
    dimension: int
    tokens_per_second: float | None = None
    how: str = "unknown"
    memory: float = 0.0


def find_model(name: str | None, *, role: str = "") -> ModelFacts | None:
    """What is known of the model `name`: None is the bundled one, a string a folder on the disk, an ONNX file
    in one, or the name of a model, which may be in the hub's cache. None if nothing is known.

    `role`, see `indexing.names.ROLES`, is what it gives beside vectors: terms have no width, and its folder
    need not say one.

    Raises:
        BadInput: the folder holds no model.
    """
    path = Path(name or BUNDLED_MODEL)
    if name is not None and path.is_dir():
        return read_facts(path, role=role)
    if name is not None and path.suffix == ".onnx" and path.is_file():
        folder = path.parent.parent if path.parent.name == "onnx" else path.parent
        return read_facts(folder, role=role, onnx=True)
    return known_model(name or BUNDLED_MODEL) or _of_cache(name or BUNDLED_MODEL, role)


def known_model(name: str) -> ModelFacts | None:
    """What is known of a model by its name alone; nothing is opened."""
    short = name.rsplit("/", 1)[-1]
    return _of_measured(_LIKE.get(short, short), short) or _of_known(short)


def known_names() -> list[str]:
    """Names that `known_model` knows."""
    return sorted({*measured()["models"], *_LIKE, *_KNOWN}, key=str.lower)


def _of_cache(name: str, role: str) -> ModelFacts | None:
    """Of a model that was downloaded before; the network is not asked."""
    try:
        folder = resolve_model_folder(name, local_files_only=True)
    except StlibError:
        return None
    return replace(read_facts(folder, role=role), name=name)


def _of_measured(name: str, shown: str) -> ModelFacts | None:
    known = measured()["models"].get(name)
    if known is None:
        return None
    return ModelFacts(shown, known["dimension"], known["tokens_per_second"], "measured", known["memory"])


def _of_known(name: str) -> ModelFacts | None:
    if name not in _KNOWN:
        return None
    width, layers = _KNOWN[name]
    weights = 4.0 * (layers * _LAYER * width**2 + _VOCABULARY * width)
    return ModelFacts(name, width, _estimated(layers, width), "estimated", _runtime(False) + weights)


def read_facts(folder: Path, *, role: str = "", onnx: bool | None = None) -> ModelFacts:
    """Of a model's folder, without loading it: from the settings of its modules. `onnx`: whether an ONNX file
    of it is run; None looks whether there is anything else.

    Raises:
        BadInput: there is none, or nothing says how wide its vectors are.
    """
    try:
        check_folder(folder)
        config = _transformer_settings(folder)
        dimension = 0 if role == "sparse" else _dimension(folder, config)
    except StlibError as error:
        raise BadInput(f"model {str(folder)!r} cannot be read: {error}") from error
    if dimension is None:
        raise BadInput(
            f"model {str(folder)!r}: no file says how wide its vectors are; give --dimension and --speed"
        )
    name = folder.resolve().name
    rate = measured()["models"].get(name, {}).get("tokens_per_second")
    if rate is not None:
        return ModelFacts(name, dimension, rate, "measured", measured()["models"][name]["memory"])
    layers, width = _number(config.get("num_hidden_layers")), _number(config.get("hidden_size"))
    if layers and width:
        runs_onnx = _is_onnx(folder) if onnx is None else onnx
        memory = _runtime(runs_onnx) + _weight_bytes(folder, runs_onnx)
        return ModelFacts(name, dimension, _estimated(layers, width, runs_onnx), "estimated", memory)
    if not config:  # static: no transformer among its modules
        static = measured()["models"][BUNDLED_MODEL]["tokens_per_second"]
        return ModelFacts(name, dimension, static, "estimated", _weight_bytes(folder, False))
    return ModelFacts(name, dimension)


def _transformer_settings(folder: Path) -> dict[str, Any]:
    """`config.json` of the transformer, which lies in the folder itself or in that of a module."""
    places = [folder, *sorted(path for path in folder.glob("0_*") if path.is_dir())]
    configs = (read_object(place / "config.json") for place in places)
    return next((config for config in configs if "hidden_size" in config), {})


def _is_onnx(folder: Path) -> bool:
    """Whether there is nothing but ONNX files to run."""
    weights = ("model.safetensors", "pytorch_model.bin", "model.safetensors.index.json")
    return not any((folder / name).exists() for name in weights)


def _weight_bytes(folder: Path, onnx: bool) -> float:
    """Of its largest file of weights; an ONNX folder may have the same model in several."""
    ends = (".onnx",) if onnx else (".safetensors", ".bin")
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.suffix in ends and path.is_file()]
    return float(max(sizes, default=0))


def _runtime(onnx: bool) -> float:
    """Bytes of what runs a transformer, beside its weights."""
    known = measured()["models"][_BY_ONNX[0] if onnx else _BY_TORCH[0]]
    return max(0.0, known["memory"] - known["weights"])


def _estimated(layers: int, width: int, onnx: bool = False) -> float:
    """Tokens a second of a transformer, whose work for a token grows with its layers and the square of its
    width, beside one that was measured.
    """
    name, its_layers, its_width = _BY_ONNX if onnx else _BY_TORCH
    work = layers * width**2 / (its_layers * its_width**2)
    return float(measured()["models"][name]["tokens_per_second"] / work)


def _dimension(folder: Path, config: dict[str, Any]) -> int | None:
    """Numbers of a vector: what the last module that changes them says, or the model's own limit."""
    limit = read_object(folder / "config_sentence_transformers.json").get("truncate_dim")
    width = _of_modules(folder) if (folder / "modules.json").is_file() else config.get("hidden_size")
    if not isinstance(width, int) or width < 1:
        return None
    return min(width, limit) if isinstance(limit, int) and limit > 0 else width


def _of_modules(folder: Path) -> int | None:
    path = folder / "modules.json"
    entries = read_json(path)
    if not isinstance(entries, list):
        return None
    width: int | None = None
    for entry in entries:
        if not isinstance(entry, dict):
            return None
        place = inside(folder, entry.get("path", ""), path)
        width = _of_module(str(entry.get("type", "")).rsplit(".", 1)[-1], place) or width
    return width


def _of_module(kind: str, folder: Path) -> int | None:
    if kind == "Pooling":
        return Pooling.load(folder).dimension
    if kind == "Dense":
        return _number(read_object(folder / "config.json").get("out_features"))
    if kind == "Transformer":
        return _number(read_object(folder / "config.json").get("hidden_size"))
    if kind == "StaticEmbedding":
        return _static_width(folder)
    return None


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _static_width(folder: Path) -> int | None:
    from safetensors import safe_open

    path = folder / "model.safetensors"
    if not path.is_file():
        return None
    with safe_open(path, framework="np") as tensors:
        shapes = [tensors.get_slice(name).get_shape() for name in tensors.keys()]  # noqa: SIM118 - no mapping
    widths = [shape[1] for shape in shapes if len(shape) == 2]
    return max(widths, default=None)
