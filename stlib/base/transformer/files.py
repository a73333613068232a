"""From a folder of transformers files to a model and its tokenizer, with errors that name what is missing."""

from __future__ import annotations

import importlib
import json
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from safetensors import SafetensorError

from stlib.base.damage import find_damage
from stlib.base.folder import missing_file, read_json_object
from stlib.base.transformer.coded_weights import has_coded_weights, read_coded_weights
from stlib.base.transformer.config import check_attention, check_length
from stlib.base.transformer.lean_import import import_transformers_lean
from stlib.base.transformer.modality import TASKS
from stlib.errors import (
    InvalidOption,
    MissingDependency,
    MissingModelFile,
    ModelConfigError,
    UntrustedCode,
    WeightsMismatch,
)
from stlib.util.panics import NamedPanics

# Names under which generations of the library saved the settings of this module, newest first.
CONFIG_NAMES = (
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
)

# Encoder-decoder families of which only the encoder makes embeddings: a class of transformers that loads it
# from the files of the whole model …
_ENCODER_CLASSES = {
    "t5": "T5EncoderModel",
    "mt5": "MT5EncoderModel",
    "umt5": "UMT5EncoderModel",
    "longt5": "LongT5EncoderModel",
    "udop": "UdopEncoderModel",
    "switch_transformers": "SwitchTransformersEncoderModel",
    "t5gemma": "T5GemmaEncoderModel",
}
# … or one that loads it from files of the encoder alone; those of the whole model are loaded whole first.
_ENCODER_PARTS = {
    "blenderbot": "BlenderbotEncoder",
    "blenderbot-small": "BlenderbotSmallEncoder",
    "m2m_100": "M2M100Encoder",
    "marian": "MarianEncoder",
    "moonshine": "MoonshineEncoder",
    "pegasus": "PegasusEncoder",
    "pegasus_x": "PegasusXEncoder",
    "prophetnet": "ProphetNetEncoder",
    "t5gemma2": "T5Gemma2Encoder",
    "t5gemma2_text": "T5Gemma2Encoder",
    "whisper": "WhisperEncoder",
}

_WHOLE_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json", "video_preprocessor_config.json")
# Files that hold a vocabulary. Without one, transformers would build a tokenizer that knows no words.
_VOCABULARIES = (
    "tokenizer.json",
    "vocab*",
    "*vocab.json",
    "*.model",
    "*.spm",
    "*.tiktoken",
    "*.tokenizer",
    "bpe.codes",
    "dict.txt",
    "tekken.json",
)
# These read bytes or characters and need none.
_WITHOUT_VOCABULARY = ("ByT5Tokenizer", "CanineTokenizer", "PerceiverTokenizer")


def load_transformer(
    folder: Path,
    model_kwargs: dict[str, Any],
    config_kwargs: dict[str, Any],
    task: str = "feature-extraction",
) -> Any:
    """The transformers model of a folder, with the head that the task wants.

    Args:
        folder: with ``config.json`` and weights.
        model_kwargs: for ``from_pretrained`` of the model.
        config_kwargs: for ``from_pretrained`` of its configuration.
        task: a key of :data:`~stlib.base.transformer.modality.TASKS`.

    Raises:
        MissingModelFile: ``config.json`` or (a part of) the weights is missing.
        ModelConfigError: transformers cannot build the architecture.
        InvalidOption: the options would unpickle a file.
        UntrustedCode: the architecture is code in the folder, which nobody allowed to run.
    """
    if model_kwargs.get("weights_only", True) is not True:
        raise InvalidOption(
            "model_kwargs={'weights_only': …} other than True would run code from the weights; leave it out"
        )
    import_transformers_lean()
    config = load_config(folder, task, config_kwargs)
    check_weights(folder)
    options = {"config": config, **_with_dtype(model_kwargs)}
    if task == "feature-extraction":
        if config.model_type in _ENCODER_CLASSES:
            return _load_encoder(_ENCODER_CLASSES[config.model_type], folder, options)
        if config.model_type in _ENCODER_PARTS:
            return _load_encoder_part(_ENCODER_PARTS[config.model_type], folder, options)
    if has_coded_weights(folder):
        return _decode(_class_of_task(task), folder, options)
    return _read(_class_of_task(task), folder, options)


def load_config(folder: Path, task: str, config_kwargs: dict[str, Any]) -> Any:
    """The configuration of a folder, set up for embedding: no cache of keys and values, one score per pair.

    Raises:
        MissingModelFile, ModelConfigError, UntrustedCode: as for the model.
    """
    import transformers

    if not (folder / "config.json").is_file():
        raise missing_file(str(folder), "", "config.json")
    config = _read(transformers.AutoConfig, folder, config_kwargs)
    if not config_kwargs.get("trust_remote_code"):
        check_attention(config, config_kwargs.get("attn_implementation"))
    _turn_off_cache(config, config_kwargs)
    heads = getattr(config, "architectures", None) or []
    has_head = any(name.endswith("ForSequenceClassification") for name in heads)
    if task == "sequence-classification" and not has_head and "num_labels" not in config_kwargs:
        config.num_labels = 1
    return config


def load_processor(folder: Path, processor_kwargs: dict[str, Any]) -> Any:
    """The tokenizer of a folder, or the processor of one for pictures, sounds and films.

    Raises:
        MissingModelFile: there are no files of either.
        ModelConfigError: transformers cannot build it.
        MissingDependency: it needs a package that is not installed.
        UntrustedCode: it is code in the folder, which nobody allowed to run.
    """
    import transformers

    has_tokenizer = _has_tokenizer(folder)
    preprocessor = folder / "preprocessor_config.json"
    if not has_tokenizer and preprocessor.is_file() and "sampling_rate" in read_json_object(preprocessor):
        # AutoProcessor would look for the tokenizer of a whole speech model.
        return _read(transformers.AutoFeatureExtractor, folder, processor_kwargs)
    if any((folder / name).is_file() for name in _PROCESSOR_FILES):
        # Pictures: transformers has processors that work on PIL and numpy; those of a few architectures, and
        # all of films, need torchvision.
        _check_tokenizer_settings(folder)
        return _read(transformers.AutoProcessor, folder, processor_kwargs)
    return load_tokenizer(folder, processor_kwargs)


def _has_tokenizer(folder: Path) -> bool:
    if any(next(folder.glob(pattern), None) for pattern in _VOCABULARIES):
        return True
    path = folder / "tokenizer_config.json"
    settings = read_json_object(path) if path.is_file() else {}
    return settings.get("tokenizer_class") in _WITHOUT_VOCABULARY or "auto_map" in settings


def has_processor(folder: Path) -> bool:
    """Whether the folder of a model or an adapter has a tokenizer or processor of its own."""
    return any((folder / name).is_file() for name in _PROCESSOR_FILES) or _has_tokenizer(folder)


def load_tokenizer(folder: Path, processor_kwargs: dict[str, Any]) -> Any:
    """The tokenizer of a folder.

    Raises:
        MissingModelFile: there are no tokenizer files.
        ModelConfigError, MissingDependency, UntrustedCode: as for a processor.
    """
    import transformers

    if not _has_tokenizer(folder):
        raise missing_file(str(folder), "", "tokenizer.json")
    _check_tokenizer_settings(folder)
    return _read(transformers.AutoTokenizer, folder, processor_kwargs)


def _check_tokenizer_settings(folder: Path) -> None:
    path = folder / "tokenizer_config.json"
    if path.is_file():
        check_length(read_json_object(path).get("model_max_length"), "model_max_length", str(path))


def check_weights(folder: Path) -> None:
    """Raise :class:`MissingModelFile` unless the folder has whole weights or an index with all of its
    shards.
    """
    if any((folder / name).is_file() for name in _WHOLE_WEIGHTS):
        return
    for name in _WHOLE_WEIGHTS:
        index = folder / f"{name}.index.json"
        if index.is_file():
            shards = set(read_json_object(index).get("weight_map", {}).values())
            missing = sorted(shard for shard in shards if not (folder / shard).is_file())
            if missing:
                raise MissingModelFile(
                    f"{index} names weight files that are missing: {', '.join(missing)}; "
                    "the download stopped half-way, get the model again"
                )
            return
    for pattern, backend in (("*.onnx", "onnx"), ("openvino*.xml", "openvino")):
        if any(folder.glob(pattern)) or any(folder.glob(f"{backend}/{pattern}")):
            raise MissingModelFile(
                f"{str(folder)!r} has no weights for torch, but an exported model: load it with "
                f"backend={backend!r}"
            )
    raise missing_file(str(folder), "", _WHOLE_WEIGHTS[0])


def has_onnx_alone(folder: Path) -> bool:
    """Whether a folder has an ONNX file and nothing that tells the architecture."""
    if any((folder / name).is_file() for name in ("config.json", "adapter_config.json")):
        return False
    return any(next((folder / place).glob("*.onnx"), None) for place in ("", "onnx"))


def save_torch_format(model: Any, folder: Path) -> None:
    """Write a model as ``pytorch_model.bin``, the format before safetensors."""
    import torch

    model.config.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")


def _class_of_task(task: str) -> Any:
    import transformers

    name = TASKS[task][0]
    if not hasattr(transformers, name):
        raise MissingDependency(
            f"the task {task!r} needs a newer transformers; run: pip install 'transformers>=5'"
        )
    return getattr(transformers, name)


def _decode(auto_class: Any, folder: Path, options: dict[str, Any]) -> Any:
    """A model whose folder keeps its weights as int8."""
    model_class = auto_class._model_mapping[type(options["config"])]
    state = read_coded_weights(folder)
    loader = SimpleNamespace(
        from_pretrained=lambda _, **given: model_class.from_pretrained(None, state_dict=state, **given)
    )
    return _read(loader, folder, options)


def _load_encoder(class_name: str, folder: Path, options: dict[str, Any]) -> Any:
    import transformers

    if class_name == "T5GemmaEncoderModel":
        options["config"].is_encoder_decoder = False
    with _without_decoder(getattr(transformers, class_name)) as encoder_class:
        return _read(encoder_class, folder, options)


def _load_encoder_part(class_name: str, folder: Path, options: dict[str, Any]) -> Any:
    """The encoder of a whole model, or saved alone, which its configuration tells."""
    import transformers

    if class_name not in (options["config"].architectures or []):
        return _read(transformers.AutoModel, folder, options).get_encoder()
    model_class = transformers.AutoModel._model_mapping[type(options["config"])]
    module = importlib.import_module(model_class.__module__)
    return _read(getattr(module, class_name), folder, options)


@contextmanager
def _without_decoder(encoder_class: Any) -> Iterator[Any]:
    """Expect a decoder in the files, so that transformers does not report its weights as a mistake."""
    before = encoder_class._keys_to_ignore_on_load_unexpected
    encoder_class._keys_to_ignore_on_load_unexpected = [*(before or []), "decoder.*"]
    try:
        yield encoder_class
    finally:
        encoder_class._keys_to_ignore_on_load_unexpected = before


def _read(loader: Any, folder: Path, options: dict[str, Any]) -> Any:
    # The folder is local already: transformers must not look anywhere else.
    options = {"trust_remote_code": False, **options, "local_files_only": True}
    try:
        with NamedPanics(folder, "building what its files describe"):
            return loader.from_pretrained(str(folder), **options)
    except (KeyError, json.JSONDecodeError, SafetensorError) as error:
        problem = ModelConfigError(f"{folder} cannot be built: {type(error).__name__}: {error}")
        raise (find_damage(folder) or problem) from error
    except OSError as error:
        if damage := find_damage(folder):
            raise damage from error
        raise
    except ImportError as error:
        first = str(error).strip().splitlines()[0]
        raise MissingDependency(f"{folder} needs a package that is not installed: {first}") from error
    except pickle.UnpicklingError as error:
        raise WeightsMismatch(
            f"{folder} holds weights that cannot be read as plain tensors; the file is damaged or holds "
            "code, which is never run: get the model again, as safetensors"
        ) from error
    except ValueError as error:
        if "does not recognize this architecture" in str(error):
            first = str(error).strip().splitlines()[0]
            raise ModelConfigError(f"{folder} cannot be built: {first}") from error
        if "trust_remote_code" not in str(error):
            raise
        raise UntrustedCode(
            f"{folder} brings code of its own; read it, and if you trust it pass trust_remote_code=True"
        ) from error


def _with_dtype(model_kwargs: dict[str, Any]) -> dict[str, Any]:
    """``dtype`` or its older name ``torch_dtype``, also as a string, under the name that transformers
    knows.
    """
    import torch
    import transformers

    options = dict(model_kwargs)
    given = [options.pop(name) for name in ("dtype", "torch_dtype") if name in options]
    if not given:
        return options
    dtype = given[0]
    if isinstance(dtype, str) and dtype != "auto":
        dtype = getattr(torch, dtype.removeprefix("torch."), dtype)
    if not (dtype is None or dtype == "auto" or isinstance(dtype, torch.dtype)):
        raise InvalidOption(f"dtype {dtype!r} is unknown; use 'auto', 'float32', 'float16' or 'bfloat16'")
    name = "dtype" if int(transformers.__version__.split(".")[0]) >= 5 else "torch_dtype"
    return {**options, name: dtype}


def _turn_off_cache(config: Any, config_kwargs: Any, default: bool = False) -> None:
    """Decoder models keep keys and values for generation, which embeddings never use; parts may differ."""
    given = config_kwargs if isinstance(config_kwargs, dict) else config_kwargs.to_dict()
    wanted = given.get("use_cache", default)
    if hasattr(config, "use_cache"):
        config.use_cache = wanted
    for name in getattr(config, "sub_configs", {}):
        part = getattr(config, name, None)
        if part is not None:
            _turn_off_cache(part, given.get(name) or {}, wanted)
