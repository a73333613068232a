"""From a folder of transformers files to a model and its tokenizer, with errors that name what is missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stlib.base.modules.module import missing_file, read_json_object
from stlib.errors import InvalidOption, MissingModelFile, ModelConfigError

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

# Only the encoder of these encoder-decoder families makes token embeddings.
_ENCODER_CLASSES = {"t5": "T5EncoderModel", "mt5": "MT5EncoderModel", "umt5": "UMT5EncoderModel"}

_WHOLE_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_TOKENIZER_FILES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
    "tokenizer_config.json",
)


def load_transformer(folder: Path, model_kwargs: dict[str, Any], config_kwargs: dict[str, Any]) -> Any:
    """The bare transformers model of a folder.

    Raises:
        MissingModelFile: ``config.json`` or (a part of) the weights is missing.
        ModelConfigError: transformers cannot build the architecture.
        InvalidOption: the options would unpickle a file.
    """
    import transformers

    if model_kwargs.get("weights_only") is False:
        raise InvalidOption(
            "model_kwargs={'weights_only': False} would run code from the weights; leave it out"
        )
    if not (folder / "config.json").is_file():
        raise missing_file(str(folder), "", "config.json")
    config = _read(transformers.AutoConfig, folder, config_kwargs)
    _turn_off_cache(config, config_kwargs)
    check_weights(folder)
    encoder = _ENCODER_CLASSES.get(config.model_type)
    loader = getattr(transformers, encoder) if encoder else transformers.AutoModel
    return _read(loader, folder, {"config": config, **_with_dtype(model_kwargs)})


def load_tokenizer(folder: Path, processor_kwargs: dict[str, Any]) -> Any:
    """The tokenizer of a folder.

    Raises:
        MissingModelFile: there are no tokenizer files.
        ModelConfigError: transformers cannot build it.
    """
    import transformers

    if not any((folder / name).is_file() for name in _TOKENIZER_FILES):
        raise missing_file(str(folder), "", "tokenizer.json")
    return _read(transformers.AutoTokenizer, folder, processor_kwargs)


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
    raise missing_file(str(folder), "", _WHOLE_WEIGHTS[0])


def save_torch_format(model: Any, folder: Path) -> None:
    """Write a model as ``pytorch_model.bin``, the format before safetensors."""
    import torch

    model.config.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")


def _read(loader: Any, folder: Path, options: dict[str, Any]) -> Any:
    # The folder is local already: transformers must not look anywhere else.
    options = {"trust_remote_code": False, **options, "local_files_only": True}
    try:
        return loader.from_pretrained(str(folder), **options)
    except (KeyError, json.JSONDecodeError) as error:
        raise ModelConfigError(f"{folder} cannot be built: {type(error).__name__}: {error}") from error


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


def _turn_off_cache(config: Any, config_kwargs: dict[str, Any]) -> None:
    """Decoder models keep keys and values for generation, which embeddings never use."""
    if hasattr(config, "use_cache") and "use_cache" not in config_kwargs:
        config.use_cache = False
