"""From parsed inputs to tensors: the keywords of a processor's call, and the call itself."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from torch import nn

from stlib.base.transformer.modality import CAUSAL_TASKS, is_for_several_kinds, single_kind
from stlib.errors import InvalidInput, InvalidOption, UnknownKeyword
from stlib.util.config_keys import PROCESSING_GROUPS

# Processors that take all keywords in one row rather than by kind.
_FLAT_KEYWORDS = frozenset({"clipseg", "whisper", "sam3"})

_ARGUMENTS = {"text": "text", "image": "images", "audio": "audio", "video": "videos"}

# Tokens kept per input where no file says it, and what tokenizers write that have no limit (10**30).
_USUAL_LENGTH = 512
_NO_LIMIT = 10**9
NO_LIMIT = 10**30

# Keywords of a tokenizer that do not change which of a text's tokens are kept.
_PLAIN_KEYWORDS = frozenset(
    {"padding", "truncation", "max_length", "add_special_tokens", "return_tensors", "pad_to_multiple_of"}
)

logger = logging.getLogger(__name__)


@dataclass
class CallOptions:
    """Keywords of one call of the processor: for each kind, for all kinds, and for the chat template."""

    kinds: dict[str, dict[str, Any]]
    common: dict[str, Any]
    chat_template: dict[str, Any]
    logits_to_keep: int = 1
    """Positions at the end whose logits a causal model computes; 0 for all."""


def call_options(
    model_type: str,
    configured: dict[str, dict[str, Any]],
    per_call: dict[str, dict[str, Any]] | None,
    max_length: int | None,
) -> CallOptions:
    """The defaults, overridden by what the module was built with, and by what this call brings.

    Args:
        model_type: of the model; Whisper takes windows of 30 seconds only.
        configured: ``processing_kwargs`` of the module.
        per_call: those of the call.
        max_length: tokens per text, as the task wants it.

    Raises:
        UnknownKeyword: a group of keywords is unknown.
        InvalidOption: ``logits_to_keep`` is no count.
    """
    options = CallOptions(
        kinds={
            "text": {"padding": True, "truncation": "longest_first"},
            "audio": {"padding": "max_length" if model_type == "whisper" else True},
            "image": {},
            "video": {},
        },
        common={"return_tensors": "pt"},
        chat_template={},
    )
    if max_length is not None:
        options.kinds["text"]["max_length"] = max_length
    for source in (configured, check_groups(per_call)):
        options.common.update(source.get("common", {}))
        options.chat_template.update(source.get("chat_template", {}))
        for kind, keywords in options.kinds.items():
            keywords.update(source.get(kind, {}))
    keep = options.kinds["text"].pop("logits_to_keep", 1)
    if isinstance(keep, bool) or not isinstance(keep, int) or keep < 0:
        raise InvalidOption(f"logits_to_keep is {keep!r}; use 0 (all positions) or a count")
    options.logits_to_keep = keep
    return options


def length_of(options: CallOptions, max_seq_length: int | None) -> int | None:
    """Tokens at which texts are cut, or None if they are not."""
    text = {**options.common, **options.kinds["text"]}
    truncation, length = text.get("truncation"), text.get("max_length")
    if truncation in (False, "do_not_truncate") or (truncation is None and length is None):
        return None
    return length if length is not None else max_seq_length


def check_groups(processing_kwargs: dict[str, dict[str, Any]] | None) -> dict[str, dict[str, Any]]:
    """The processing keywords, ``{}`` for None.

    Raises:
        UnknownKeyword: they name a group that there is not.
    """
    given = processing_kwargs or {}
    unknown = sorted(set(given) - set(PROCESSING_GROUPS))
    if unknown:
        raise UnknownKeyword(
            f"processing_kwargs has the groups {', '.join(unknown)}; use {', '.join(PROCESSING_GROUPS)}, "
            "e.g. {'text': {'max_length': 128}}"
        )
    return given


def call_processor(
    processor: Any, model_type: str, kind: Any, values: dict[str, list[Any]], options: CallOptions
) -> dict[str, Any]:
    """Tensors of a batch of one kind (or of one combination of kinds) that is no conversation.

    Raises:
        InvalidInput: the processor does not take the kind.
    """
    if not is_for_several_kinds(processor):
        own = single_kind(processor)
        if own is None or set(values) != {own}:
            raise InvalidInput(f"{type(processor).__name__} takes {own}, not {', '.join(values)}")
        return dict(processor(values[own], **{**options.kinds[own], **options.common}))
    arguments: dict[str, Any] = {_ARGUMENTS[name]: inputs for name, inputs in values.items()}
    if model_type in _FLAT_KEYWORDS:
        parts = ("text", "audio") if kind == ("audio", "text") else (kind,)
        keywords = {key: value for part in parts for key, value in options.kinds[part].items()}
        return dict(processor(**arguments, **{**keywords, **options.common}))
    arguments.update(by_kind(options), common_kwargs=options.common)
    return dict(processor(**arguments))


def shorten_texts(tokenizer: Any, texts: list[Any], keywords: dict[str, Any]) -> list[Any]:
    """The texts of a call of a tokenizer, without what it would read for nothing of very long ones.

    Args:
        tokenizer: nobody else uses it meanwhile.
        texts: texts and pairs of texts.
        keywords: of the call; its tokens stay the same.
    """
    length = keywords.get("max_length") or tokenizer.model_max_length
    usual = keywords.get("truncation") in (True, "longest_first") and set(keywords) <= _PLAIN_KEYWORDS
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if not usual or backend is None or not isinstance(length, int) or length > _NO_LIMIT:
        return texts

    def reading_all() -> Any:
        backend.no_truncation()  # transformers sets it again for its call, as it does this switch
        backend.encode_special_tokens = getattr(tokenizer, "split_special_tokens", False)
        return backend

    # Here, since tokenizers is loaded with the first model.
    from stlib.runtime.long_texts import shorten

    special = keywords.get("add_special_tokens", True)
    return shorten(reading_all, texts, length, tokenizer.truncation_side, special)


def tokenize(tokenizer: Any, texts: list[Any], keywords: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """What a tokenizer of transformers makes of a batch of texts, and how many of them it cut.

    Args:
        tokenizer: nobody else uses it meanwhile.
        texts: texts and pairs of texts.
        keywords: of the call.
    """
    encoded = tokenizer(shorten_texts(tokenizer, texts, keywords), **keywords)
    return dict(encoded), sum(bool(e.overflowing) for e in encoded.encodings or ())


def by_kind(options: CallOptions) -> dict[str, dict[str, Any]]:
    """The keywords of the kinds under the names of processors that take them apart."""
    return {f"{_ARGUMENTS[kind]}_kwargs": keywords for kind, keywords in options.kinds.items()}


def sampling_rate(processor: Any) -> int | None:
    """Samples per second of the sounds that a processor takes, or None."""
    extractor = getattr(processor, "feature_extractor", processor)
    rate = getattr(extractor, "sampling_rate", None)
    return rate if isinstance(rate, int) else None


def tokenizer_of(processor: Any) -> Any:
    """The tokenizer that a processor is or has, or None."""
    if single_kind(processor) == "text":
        return processor
    return getattr(processor, "tokenizer", None)


def pad_left(processor: Any) -> None:
    """Let a processor pad in front, so that the last position is always a token."""
    if hasattr(processor, "padding_side"):
        processor.padding_side = "left"
    if hasattr(processor, "tokenizer"):
        processor.tokenizer.padding_side = "left"


def check_padding(task: str, features: dict[str, Any]) -> None:
    """Refuse a batch for a causal model in which an input ends in padding.

    Raises:
        InvalidOption: the padding side was changed.
    """
    mask = features.get("attention_mask")
    if task not in CAUSAL_TASKS or getattr(mask, "ndim", 0) != 2:
        return
    if not mask[:, -1].all():  # type: ignore[index]
        raise InvalidOption(
            f"inputs end in padding, and the task {task!r} reads the last token; set padding_side='left', as "
            "the module does, on the tokenizer and in processing_kwargs"
        )


def rows_of_tokens(model: Any) -> int | None:
    """Tokens that a torch model of texts has vectors for; None if it has no plain table of them."""
    try:
        table = model.get_input_embeddings()
    except (AttributeError, NotImplementedError):
        return None  # of another engine, or without a table, as models of characters are
    return table.num_embeddings if isinstance(table, nn.Embedding) else None


def limit_to_positions(tokenizer: Any, config: Any) -> None:
    """Let a tokenizer cut at the number of positions the model knows, if that is less."""
    # Here, since the runtime brings tokenizers, which is loaded with the first model.
    from stlib.runtime.positions import text_positions

    keys = ("model_type", "max_position_embeddings", "pad_token_id")
    positions = text_positions({key: getattr(config, key, None) for key in keys})
    if positions is not None and positions > 0:
        tokenizer.model_max_length = min(tokenizer.model_max_length, positions)


def keep_input_names(tokenizer: Any) -> None:
    """Let a tokenizer save which inputs it makes; what its class makes differs between transformers 4 and 5.

    Without it, whoever has only the files cannot tell whether a model knew the two texts of a pair apart.
    """
    if isinstance(getattr(tokenizer, "init_kwargs", None), dict):
        tokenizer.init_kwargs["model_input_names"] = list(tokenizer.model_input_names)


def fit_to_graph(tokenizer: Any, input_names: list[str], length_is_given: bool) -> None:
    """Let a tokenizer that may come without settings make the inputs of a graph that has no configuration."""
    # Padding wants the mask, whether or not the graph does.
    types = ["token_type_ids"] if "token_type_ids" in input_names else []
    tokenizer.model_input_names = ["input_ids", *types, "attention_mask"]
    if not length_is_given and tokenizer.model_max_length >= _NO_LIMIT:
        tokenizer.model_max_length = _USUAL_LENGTH
    if tokenizer.pad_token is None:
        known = tokenizer.get_vocab()
        usual = next((token for token in ("[PAD]", "<pad>") if token in known), None)
        tokenizer.pad_token = usual or tokenizer.convert_ids_to_tokens(0)


def lowercase_first(tokenizer: Any) -> None:
    """Put a lowercasing step in front of a tokenizer's normalisation, unless it has one."""
    from tokenizers import normalizers

    if not getattr(tokenizer, "is_fast", True):  # written in Python, with a switch of its own
        tokenizer.do_lower_case = True
        return
    backend = tokenizer.backend_tokenizer
    present: Any = backend.normalizer
    is_sequence = isinstance(present, normalizers.Sequence)
    steps: list[Any] = [*present] if is_sequence else [present] if present else []
    if not any(isinstance(step, normalizers.Lowercase) for step in steps):
        backend.normalizer = normalizers.Sequence([normalizers.Lowercase(), *steps])
