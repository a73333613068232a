"""What the files beside an ONNX reranker say about its pairs: their length, ends, padding and prompt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from stlib.errors import ModelConfigError, UnsupportedModel
from stlib.runtime.files import read_json, read_object
from stlib.runtime.modules.text_tokens import check_length, switch_normalizer
from stlib.runtime.positions import text_positions

__all__ = ["PairSettings", "check_pipeline", "read_pair_settings"]

# Kept per pair by a model that does not say. Cross-encoders were trained on passages, not on books.
_USUAL_LENGTH = 512
_NO_LIMIT = 10**9  # greater numbers limit nothing; transformers writes 10**30
# Settings of the transformer that change its input in ways the tokenizer's file does not tell.
_UNSERVED = (
    "do_lower_case",
    "processing_kwargs",
    "processor_kwargs",
    "tokenizer_args",
    "tokenizer_name_or_path",
)
_TYPES = "token_type_ids"
# Tokenizers of transformers 5 that tell the two texts of a pair apart.
_TELLING_APART = frozenset(
    {
        "BertTokenizer",
        "CanineTokenizer",
        "ConvBertTokenizer",
        "DebertaTokenizer",
        "DebertaV2Tokenizer",
        "ElectraTokenizer",
        "FNetTokenizer",
        "LayoutLMTokenizer",
        "LayoutLMv2Tokenizer",
        "LxmertTokenizer",
        "MarkupLMTokenizer",
        "MobileBertTokenizer",
        "SqueezeBertTokenizer",
        "TapasTokenizer",
    }
)
# Which of them transformers expects for a kind of model. In place of one of another class it runs a plain
# one, which tells nothing apart; so it does for kinds whose own tokenizer does not.
_BERT_KINDS = "bert convbert distilbert electra ernie layoutlm megatron-bert squeezebert visual_bert"
_EXPECTED = {
    **dict.fromkeys(_BERT_KINDS.split(), "BertTokenizer"),
    "canine": "CanineTokenizer",
    "deberta": "DebertaTokenizer",
    "deberta-v2": "DebertaV2Tokenizer",
    "fnet": "FNetTokenizer",
    "layoutlmv2": "LayoutLMv2Tokenizer",
    "lxmert": "LxmertTokenizer",
    "markuplm": "MarkupLMTokenizer",
    "mobilebert": "MobileBertTokenizer",
    "tapas": "TapasTokenizer",
}
_PLAIN_KINDS = frozenset(
    (
        "albert big_bird camembert data2vec-text esm flaubert funnel ibert longformer luke mpnet mra "
        "nystromformer reformer rembert roberta roc_bert roformer splinter t5 xlm xlm-roberta xlm-roberta-xl "
        "xlnet xmod yoso"
    ).split()
)


@dataclass(frozen=True)
class PairSettings:
    """How a query and a passage become a row of a batch.

    Attributes:
        max_length: tokens kept per pair, special ones included.
        pad_id: what fills up shorter rows.
        prompt: in front of every query.
        truncation_side: the end at which long texts are cut.
        padding_side: the end at which shorter rows are filled up.
        told_apart: the graph is told which tokens are the passage's, as it was when the model was trained.
    """

    max_length: int
    pad_id: int = 0
    prompt: str = ""
    truncation_side: str = "right"
    padding_side: str = "right"
    told_apart: bool = True


def read_pair_settings(folder: Path, tokenizer: Tokenizer) -> PairSettings:
    """The settings in a folder.

    Args:
        folder: holds perhaps ``config.json`` and the other files that `CrossEncoder.save` writes.
        tokenizer: as the folder's ``tokenizer.json`` has it; what the other files say is set in it.

    Raises:
        ModelConfigError: one of the files says what cannot be.
        UnsupportedModel: the texts are prepared in another way than the tokenizer's files say.
    """
    _check_preparation(folder)
    path = folder / "tokenizer_config.json"
    config, own = read_object(folder / "config.json"), read_object(path)
    class_ = _tokenizer_class(config, own)
    if class_ is not None:  # others take their normalisation from their own file
        switch_normalizer(tokenizer, own)
    tokenizer.encode_special_tokens = own.get("split_special_tokens") is True
    return PairSettings(
        _max_length(folder),
        _pad_id(config, tokenizer),
        _default_prompt(folder),
        _side("truncation_side", own, tokenizer.truncation, path),
        _side("padding_side", own, tokenizer.padding, path),
        _tells_apart(config, own, class_, path),
    )


def check_pipeline(folder: Path) -> None:
    """Refuse a pipeline of more than a transformer: what its other modules do is not in the ONNX file.

    Raises:
        ModelConfigError: ``modules.json`` is no list of modules.
        UnsupportedModel: it names others.
    """
    path = folder / "modules.json"
    if not path.is_file():
        return
    entries: Any = read_json(path)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ModelConfigError(f"{path}: expected a list of modules with 'type' and 'path'")
    kinds = [str(entry.get("type", "")).rpartition(".")[2] for entry in entries]
    if kinds != ["Transformer"]:
        raise UnsupportedModel(
            f"{path} names the modules {', '.join(kinds) or 'none'}; the torch-free Reranker runs a "
            "Transformer alone: use stlib.CrossEncoder"
        )


def _check_preparation(folder: Path) -> None:
    path = folder / "sentence_bert_config.json"
    settings = read_object(path)
    if unserved := [name for name in _UNSERVED if settings.get(name)]:
        raise UnsupportedModel(
            f"{path} sets {', '.join(unserved)}, which the torch-free Reranker does not serve; use "
            "stlib.CrossEncoder(folder, backend='onnx')"
        )


def _side(key: str, own: dict[str, Any], saved: dict[str, Any] | None, path: Path) -> str:
    side = own.get(key) or (saved or {}).get("direction", "right")
    if side not in ("left", "right"):
        raise ModelConfigError(f"{path}: {key} is {side!r}; use 'left' or 'right'")
    return side


def _max_length(folder: Path) -> int:
    """The least that module, tokenizer and model allow."""
    limits = []
    for name, key in (
        ("sentence_bert_config.json", "max_seq_length"),
        ("tokenizer_config.json", "model_max_length"),
    ):
        settings = read_object(folder / name)
        check_length(settings, key, folder / name)
        limits.append(settings.get(key))
    limits.append(_positions(folder / "config.json"))
    numbers = [limit for limit in limits if isinstance(limit, int) and limit < _NO_LIMIT]
    return min(numbers, default=_USUAL_LENGTH)


def _positions(path: Path) -> int | None:
    config = read_object(path)
    check_length(config, "max_position_embeddings", path)
    positions = text_positions(config)
    if positions is not None and positions < 1:
        raise ModelConfigError(
            f"{path}: max_position_embeddings={config['max_position_embeddings']} leaves no position behind "
            f"pad_token_id={config.get('pad_token_id')}, where a {config['model_type']} model begins to count"
        )
    return positions


def _default_prompt(folder: Path) -> str:
    """The text that ``CrossEncoder.predict`` puts in front of queries unless it is told otherwise."""
    path = folder / "config_sentence_transformers.json"
    settings = read_object(path)
    name, prompts = settings.get("default_prompt_name"), settings.get("prompts")
    if name is None:
        return ""
    prompt = prompts.get(name) if isinstance(prompts, dict) and isinstance(name, str) else None
    if not isinstance(prompt, str):
        raise ModelConfigError(
            f"{path}: default_prompt_name is {name!r}, and prompts has no text of that name; add it, or set "
            "default_prompt_name to null"
        )
    return prompt


def _pad_id(config: dict[str, Any], tokenizer: Tokenizer) -> int:
    saved = config.get("pad_token_id")
    if isinstance(saved, int) and saved >= 0:
        return saved
    return next((i for t in ("[PAD]", "<pad>") if (i := tokenizer.token_to_id(t)) is not None), 0)


def _tokenizer_class(config: dict[str, Any], own: dict[str, Any]) -> str | None:
    """The class of a tokenizer that tells apart; None for a plain one, which is as its file says."""
    kind = str(config.get("model_type"))
    expected = _EXPECTED.get(kind)
    class_ = str(own.get("tokenizer_class") or config.get("tokenizer_class") or expected).removesuffix("Fast")
    unexpected = kind in _PLAIN_KINDS or expected not in (class_, None)
    return None if unexpected or class_ not in _TELLING_APART else class_


def _tells_apart(config: dict[str, Any], own: dict[str, Any], class_: str | None, path: Path) -> bool:
    """Whether the tokenizer makes token types in transformers 5, and so did in training with it."""
    if not config.get("model_type"):
        return True  # nothing but the graph says what it takes
    names = own.get("model_input_names")
    if names is None:
        return class_ is not None
    if not isinstance(names, list):
        raise ModelConfigError(f"{path}: model_input_names is {names!r}; it must be a list of names")
    return _TYPES in names
