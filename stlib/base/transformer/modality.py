"""Which kinds of input a transformers model takes, by which of its methods, and which output is used.

A modality configuration maps a kind of input to ``{"method": name, "method_output_name": name}``. The output
name may be a list that leads through nested outputs (``["vision_model_output", "pooler_output"]``), or None
for a method that returns the tensor itself. The entry ``"message"`` may say in which ``"format"``
conversations are written.
"""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any, get_args, get_type_hints

from stlib.errors import InvalidOption, ModelConfigError

Config = dict[Any, dict[str, Any]]

# Task: class of transformers that loads it, output that is read, and name under which a module gives it on.
TASKS: dict[str, tuple[str, str, str]] = {
    "feature-extraction": ("AutoModel", "last_hidden_state", "token_embeddings"),
    "sequence-classification": ("AutoModelForSequenceClassification", "logits", "scores"),
    "text-generation": ("AutoModelForCausalLM", "logits", "causal_logits"),
    "any-to-any": ("AutoModelForMultimodalLM", "logits", "causal_logits"),
    "fill-mask": ("AutoModelForMaskedLM", "logits", "token_embeddings"),
}

# Tasks that read the last token, which must not be padding.
CAUSAL_TASKS = ("text-generation", "any-to-any")

_BOTH = ("image", "text")
_SOUND = ("audio", ("audio", "text"))

# Kinds that an architecture takes by its forward method, where its processor would suggest others: (task,
# model type) to kinds.
_FORWARD_KINDS: dict[tuple[str, str], tuple[Any, ...]] = {
    **{("feature-extraction", name): ("text", _BOTH) for name in ("git", "visual_bert")},
    # neither text nor pictures alone
    **{
        ("feature-extraction", name): (_BOTH,) for name in ("kosmos-2", "grounding-dino", "paligemma", "vilt")
    },
    ("feature-extraction", "layoutlmv3"): ("image", _BOTH),
    ("feature-extraction", "idefics"): ("text", "image", _BOTH),
    # only their encoder of sounds is run
    **{
        ("feature-extraction", name): _SOUND
        for name in (
            "hubert",
            "moonshine",
            "sew",
            "sew-d",
            "unispeech",
            "unispeech-sat",
            "voxtral_realtime",
            "wav2vec2",
            "wav2vec2-conformer",
            "wavlm",
            "whisper",
        )
    },
    ("fill-mask", "wav2vec2"): ("audio",),
    ("text-generation", "git"): ("text", _BOTH),
    # its decoder reads text
    ("text-generation", "whisper"): ("text",),
    ("any-to-any", "git"): ("text", _BOTH),
    **{("any-to-any", name): (_BOTH,) for name in ("blip", "blip-2", "kosmos-2", "paligemma")},
    ("any-to-any", "voxtral_realtime"): _SOUND,
}

# Architectures with methods of their own for each kind: model type to (module output, {kind: (method,
# output)}).
_METHOD_KINDS: dict[str, tuple[str, dict[Any, tuple[str, str]]]] = {
    "blip": (
        "sentence_embedding",
        {
            "text": ("get_text_features", "pooler_output"),
            "image": ("get_image_features", "pooler_output"),
            _BOTH: ("get_multimodal_features", "pooler_output"),
        },
    ),
    "blip-2": (
        "token_embeddings",
        {
            "text": ("get_text_features", "last_hidden_state"),
            "image": ("get_image_features", "last_hidden_state"),
        },
    ),
    "sam3": (
        "token_embeddings",
        {
            "text": ("get_text_features", "last_hidden_state"),
            "image": ("get_vision_features", "last_hidden_state"),
        },
    ),
    "flava": (
        "token_embeddings",
        {
            "text": ("get_text_features", "pooler_output"),
            "image": ("get_image_features", "pooler_output"),
        },
    ),
}

_PROCESSOR_PARTS = {
    "tokenizer": "text",
    "image_processor": "image",
    "feature_extractor": "audio",
    "video_processor": "video",
}


# Bases of processors for one kind; those of films are processors of pictures too.
_PROCESSOR_BASES = {
    "PreTrainedTokenizerBase": "text",
    "BaseVideoProcessor": "video",
    "ImageProcessingMixin": "image",
    "FeatureExtractionMixin": "audio",
}


def default_config(task: str) -> tuple[Config, str]:
    """Configuration and module output of a model that takes text only."""
    _, output, module_output = TASKS[task]
    return {"text": {"method": "forward", "method_output_name": output}}, module_output


def check_config(config: Config, module_output_name: str | None) -> None:
    """Refuse a configuration that says too little.

    Raises:
        InvalidOption: an entry lacks its method or output, or ``module_output_name`` is missing.
    """
    if module_output_name is None:
        raise InvalidOption(
            "modality_config needs module_output_name beside it, the feature to write, "
            "e.g. 'token_embeddings' or 'sentence_embedding'"
        )
    for kind, entry in config.items():
        if not isinstance(entry, dict) or not {"method", "method_output_name"} <= set(entry):
            raise InvalidOption(
                f"modality_config[{kind!r}] is {entry!r}; it must be a dict with 'method' and "
                "'method_output_name', e.g. {'method': 'forward', 'method_output_name': 'last_hidden_state'}"
            )
        if not _is_of_architecture(entry["method"]):
            raise InvalidOption(
                f"modality_config[{kind!r}] names the method {entry['method']!r}; use 'forward' or a method "
                "of the architecture such as 'get_text_features'"
            )


def _is_of_architecture(name: Any) -> bool:
    """Whether a method may take inputs, rather than save, train or push a model as those that all have."""
    if not isinstance(name, str) or name.startswith("_"):
        return False
    if name == "forward":  # the usual one, which is known without the import
        return True
    from transformers import PreTrainedModel

    return not hasattr(PreTrainedModel, name)


def kinds_of_architecture(task: str, model_type: str, model: Any) -> tuple[Config, str] | None:
    """The configuration of an architecture that is known to differ from what its processor suggests."""
    _, output, module_output = TASKS[task]
    if (task, model_type) in _FORWARD_KINDS:
        kinds = _FORWARD_KINDS[task, model_type]
        return {kind: {"method": "forward", "method_output_name": output} for kind in kinds}, module_output
    if task != "feature-extraction" or model_type not in _METHOD_KINDS:
        return None
    module_output, methods = _METHOD_KINDS[model_type]
    config = {
        kind: {"method": name, "method_output_name": _if_among(output, getattr(model, name))}
        for kind, (name, output) in methods.items()
        if hasattr(model, name)
    }
    return config, module_output


def infer_config(
    task: str, model_type: str, model: Any, processor: Any, message_format: str
) -> tuple[Config, str]:
    """The configuration and module output of a model, from its architecture, processor and methods."""
    _, output, module_output = TASKS[task]
    has_template = getattr(processor, "chat_template", None) is not None
    forward = {"method": "forward", "method_output_name": output}
    known = kinds_of_architecture(task, model_type, model)
    if known is not None:
        config, module_output = known
        if has_template:
            config.setdefault("message", {**config.get("text", forward), "format": message_format})
        return config, module_output
    kinds = kinds_of_processor(processor)
    fields = output_fields(model.forward)
    if fields is None or output in fields or task != "feature-extraction":
        config = {kind: dict(forward) for kind in kinds}
        if has_template:
            config["message"] = {**forward, "format": message_format}
        return config, module_output
    return infer_methods(model, kinds), "sentence_embedding"


def kinds_of_processor(processor: Any) -> list[Any]:
    """Kinds of input that a processor, tokenizer or feature extractor prepares."""
    if is_for_several_kinds(processor):
        parts = processor_parts(processor)
        return [kind for part, kind in _PROCESSOR_PARTS.items() if part in parts]
    kind = single_kind(processor)
    return [] if kind is None else [kind]


def processor_parts(processor: Any) -> list[str]:
    """Names of the attributes that make up a processor."""
    if hasattr(processor, "get_attributes"):
        return list(processor.get_attributes())
    return list(getattr(processor, "attributes", []))


def is_for_several_kinds(processor: Any) -> bool:
    """Whether a processor is made of parts for text, pictures, sounds and films."""
    return "ProcessorMixin" in _class_names(processor)


def single_kind(processor: Any) -> str | None:
    """The kind of input of a processor for one kind, or None if it is of no known class."""
    names = _class_names(processor)
    return next((kind for name, kind in _PROCESSOR_BASES.items() if name in names), None)


def _class_names(value: Any) -> set[str]:
    """Names of a value's class and its bases: to import those of transformers only to compare with them
    would take a good part of a text model's start.
    """
    return {cls.__name__ for cls in type(value).__mro__}


def output_fields(method: Any) -> list[str] | None:
    """Names of the outputs that a method's annotation declares; None if it declares none that are known."""
    try:
        returned = get_type_hints(method).get("return")
    except (NameError, TypeError, AttributeError):  # names that only exist for type checkers
        return None
    found = _model_output_class(returned)
    return None if found is None else [field.name for field in dataclasses.fields(found)]


def method_parameters(method: Any) -> tuple[set[str], bool]:
    """Names of a method's parameters, and whether it takes any further keywords."""
    parameters = inspect.signature(method).parameters.values()
    return {p.name for p in parameters}, any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)


def sort_kinds(config: Config) -> Config:
    """The configuration with the names of several kinds in the order of the alphabet, as inputs have them."""
    return {key if isinstance(key, str) else tuple(sorted(key)): entry for key, entry in config.items()}


def to_json(config: Config) -> dict[str, Any]:
    """The configuration with the names of several kinds joined by ``+``."""
    return {key if isinstance(key, str) else "+".join(key): entry for key, entry in config.items()}


def from_json(config: Any) -> Config:
    """The inverse of :func:`to_json`.

    Raises:
        ModelConfigError: it is no dict, or a key names no kind of input.
    """
    if not isinstance(config, dict):
        raise ModelConfigError(f"modality_config is a {type(config).__name__}; it must be an object of kinds")
    kinds = {"text", "image", "audio", "video", "message"}
    result: Config = {}
    for key, entry in config.items():
        parts = tuple(key.split("+"))
        if not set(parts) <= kinds:
            raise ModelConfigError(
                f"modality_config names the kind {key!r}; kinds are {', '.join(sorted(kinds))}, joined by '+'"
            )
        result[parts if len(parts) > 1 else key] = entry
    return result


def infer_methods(model: Any, kinds: list[Any]) -> Config:
    """For a model (or class) of several towers: its method for each kind, whose result is the embedding."""
    methods = {kind: getattr(model, f"get_{kind}_features", None) for kind in kinds}
    config = {
        kind: {"method": method.__name__, "method_output_name": _if_among("pooler_output", method)}
        for kind, method in methods.items()
        if method is not None
    }
    if not config:
        raise ModelConfigError(
            f"{type(model).__name__} has neither a last_hidden_state nor a method like get_text_features; "
            "pass modality_config and module_output_name to say which output serves"
        )
    return config


def _if_among(output: str, method: Any) -> str | None:
    """The name if the method declares such an output; None for a method that returns the tensor itself."""
    return output if output in (output_fields(method) or []) else None


def _model_output_class(annotation: Any) -> Any:
    from transformers.utils import ModelOutput

    if isinstance(annotation, type) and issubclass(annotation, ModelOutput):
        return annotation
    inner = (_model_output_class(part) for part in get_args(annotation))
    return next((cls for cls in inner if cls is not None), None)
