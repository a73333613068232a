"""A batch of inputs in the form that processors take: lists by kind, or conversations for a chat template."""

from __future__ import annotations

import copy
import logging
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from stlib.base.modality.kinds import infer_modality, is_frames, is_message_dict
from stlib.base.modality.media import Found, reconcile_video_metadata, unwrap_audio, unwrap_video
from stlib.errors import InvalidOption

logger = logging.getLogger(__name__)

MESSAGE_FORMATS = ("auto", "structured", "flat")

# Roles of the two halves of a pair.
PAIR_ROLES = ("query", "document")


# Architectures whose template reads content as one text although it does not show.
_FLAT_MODEL_TYPES = frozenset({"apertus", "deepseek_v3", "gpt_oss", "seed_oss"})
# What a template does that reads content as a list of typed parts.
_STRUCTURED_TEMPLATE = re.compile(r"""content\[0\]|\.type|['"]type['"]|message\.content\[""")

# The first pair and, for each role, one in which the content of that role alone differs, from its first
# letter and in length, so that even a template that cuts content shows the difference.
_PROBE_PAIRS = (("one", "two"), ("seventeen", "two"), ("one", "nineteen"))

Messages = list[dict[str, Any]]


class InputFormatter:
    """Find the kind of a batch, take its parts out, and write it as conversations where these are needed.

    Conversations come in two forms: *structured*, ``{"role": "user", "content": [{"type": "text", "text":
    "hello"}]}``, and *flat*, ``{"role": "user", "content": "hello"}``.

    Args:
        model_type: ``config.model_type`` of the model.
        message_format: ``"structured"``, ``"flat"``, or ``"auto"``: what the chat template of the processor
            reads.
        processor: a processor or tokenizer of transformers.
        supported_modalities: kinds the model takes; see :func:`~stlib.base.modality.infer_modality`.

    Raises:
        InvalidOption: the format is unknown.
    """

    def __init__(
        self,
        model_type: str,
        message_format: str = "auto",
        processor: Any = None,
        supported_modalities: list[Any] | None = None,
    ) -> None:
        if message_format not in MESSAGE_FORMATS:
            raise InvalidOption(f"message format {message_format!r} is unknown; use one of {MESSAGE_FORMATS}")
        self.model_type = model_type
        self.processor = processor
        self.supported_modalities = supported_modalities
        self.message_format = self._infer_format() if message_format == "auto" else message_format
        self._probed: tuple[Any, str | None] | None = None

    def parse_inputs(self, inputs: Sequence[Any]) -> tuple[Any, dict[str, list[Any]], Found]:
        """The kind of a batch, its inputs by kind, and keywords for the processor found in them.

        Inputs of several kinds, and pairs that are not two texts, become messages.

        Returns:
            ``(kind, {kind: inputs}, {kind: {"sampling_rate": …}})``; for a kind of several parts, the second
            has one entry per part.

        Raises:
            InvalidInput: an input is of no kind, or sampling rates differ within the batch.
        """
        found: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        typed = [self._find_kind(item, found) for item in inputs]
        reconcile_video_metadata(typed, found)
        kinds = {kind for kind, _ in typed} or {"text"}
        if "pair" in kinds:
            return "message", {"message": [self._as_messages(*entry, pairs=True) for entry in typed]}, found
        if len(kinds) > 1:
            return "message", {"message": [self._as_messages(*entry) for entry in typed]}, found
        kind = kinds.pop()
        values = [value for _, value in typed]
        if isinstance(kind, str):
            return kind, {kind: values}, found
        order = tuple(values[0])
        takes_messages = self.supported_modalities is None or "message" in self.supported_modalities
        if takes_messages and any(tuple(value) != order for value in values):
            # A chat template shows the parts in the order of each input, which lists by kind would lose.
            return "message", {"message": [self.to_message(value) for value in values]}, found
        return kind, {part: [value[part] for value in values] for part in order}, found

    def to_message(self, typed_input: Mapping[Any, Any], role: str = "user") -> Messages:
        """A conversation of one message from ``{kind: value}``; a value may be a list of several."""
        if self.message_format == "flat":
            if len(typed_input) == 1:
                return [{"role": role, "content": next(iter(typed_input.values()))}]
            logger.warning("flat messages hold one part; several kinds are written in structured form")
        content = []
        for kind, value in typed_input.items():
            content += [{"type": kind, kind: item} for item in _items(kind, value)]
        return [{"role": role, "content": content}]

    def pair_to_messages(self, pair: Sequence[Any]) -> Messages:
        """Two messages, of the roles ``query`` and ``document``, from a pair of any kinds."""
        messages: Messages = []
        for role, item in zip(PAIR_ROLES, pair, strict=True):
            kind = infer_modality(item)
            if self.message_format == "flat":
                messages.append({"role": role, "content": item})
            elif isinstance(item, dict) and (isinstance(kind, tuple) or set(item) == {kind}):
                messages += self.to_message(item, role)
            else:
                messages += self.to_message({kind: item}, role)
        return messages

    def batch_to_message(
        self, modality: Any, processor_inputs: dict[str, list[Any]]
    ) -> tuple[str, dict[str, list[Messages]]]:
        """What :meth:`parse_inputs` returned, as one conversation per input."""
        parts = (modality,) if isinstance(modality, str) else modality
        wanted = {kind: values for kind, values in processor_inputs.items() if kind in parts}
        rows = [dict(zip(wanted, row, strict=True)) for row in zip(*wanted.values(), strict=True)]
        return "message", {"message": [self._row_as_messages(row) for row in rows]}

    @staticmethod
    def is_text_pair(value: Any) -> bool:
        """Whether a value is two texts."""
        return isinstance(value, (list, tuple)) and len(value) == 2 and all(isinstance(p, str) for p in value)

    @staticmethod
    def is_text_only_messages(messages_batch: Sequence[Messages]) -> bool:
        """Whether conversations hold nothing but text."""
        contents = [message.get("content") for messages in messages_batch for message in messages]
        return all(
            isinstance(content, str)
            or (isinstance(content, list) and all(part.get("type", "text") == "text" for part in content))
            for content in contents
        )

    def normalize_messages(self, messages: Messages) -> Messages:
        """The messages in the formatter's form, with further keys kept; what is no message is left out."""
        return [self._normalize(message) for message in messages if self._is_message(message)]

    def prepend_prompt_to_messages(self, messages: Sequence[Messages], prompt: str) -> list[Messages]:
        """Each conversation with ``prompt`` as a system message in front."""
        content: Any = prompt if self.message_format == "flat" else [{"type": "text", "text": prompt}]
        return [[{"role": "system", "content": content}, *conversation] for conversation in messages]

    def prepend_prompt_to_texts(self, texts: Sequence[Any], prompt: str) -> list[Any]:
        """The texts with ``prompt`` in front; of a pair, in front of its first text."""
        return [prompt + text if isinstance(text, str) else [prompt + text[0], *text[1:]] for text in texts]

    def has_pair_roles(self, messages_batch: Sequence[Messages]) -> bool:
        """Whether some conversation has both roles of a pair."""
        return any(set(PAIR_ROLES) <= {m.get("role") for m in messages} for messages in messages_batch)

    def pair_roles_failure(self, chat_template_kwargs: dict[str, Any] | None = None) -> str | None:
        """Why the chat template loses a half of a pair, or None if it shows both.

        The template is tried with pairs that differ in one half: only what it renders tells whether the
        content gets through.

        Args:
            chat_template_kwargs: keywords of ``apply_chat_template``, which may select the template.
        """
        template = getattr(self.processor, "chat_template", None)
        if template is None:
            return "the model has no chat template"
        key = (template, chat_template_kwargs or {})
        if self._probed is None or self._probed[0] != key:
            self._probed = (copy.deepcopy(key), self._probe(key[1]))
        return self._probed[1]

    def _probe(self, keywords: dict[str, Any]) -> str | None:
        from jinja2 import TemplateError

        render = self.processor.apply_chat_template
        try:
            base, *varied = [
                render(self.pair_to_messages(pair), tokenize=False, **keywords) for pair in _PROBE_PAIRS
            ]
        except (TemplateError, ValueError, TypeError, KeyError, AttributeError) as error:
            return f"it raised {type(error).__name__}: {error}"
        lost = [role for role, text in zip(PAIR_ROLES, varied, strict=True) if text == base]
        return f"it does not show the content of {' and '.join(map(repr, lost))}" if lost else None

    def _infer_format(self) -> str:
        if self.model_type in _FLAT_MODEL_TYPES:
            return "flat"
        template = getattr(self.processor, "chat_template", None)
        if not isinstance(template, str) or not template:
            return "structured"
        return "structured" if _STRUCTURED_TEMPLATE.search(template) else "flat"

    def _find_kind(self, item: Any, found: defaultdict[str, dict[str, Any]]) -> tuple[Any, Any]:
        """Kind and bare value of an input; sampling rates and film data go to ``found``."""
        if _is_mixed_pair(item):
            return "pair", item
        kind = infer_modality(item, self.supported_modalities)
        if isinstance(item, dict) and set(item) == {kind}:
            item = item[kind]
        if isinstance(kind, tuple):
            item = dict(item)
            if "audio" in item:
                item["audio"] = unwrap_audio(item["audio"], found)
            if "video" in item:
                item["video"] = unwrap_video(item["video"], found)
        elif kind == "audio":
            item = unwrap_audio(item, found)
        elif kind == "video":
            item = unwrap_video(item, found)
        elif kind == "message" and isinstance(item, dict):
            item = [item]
        return kind, item

    def _as_messages(self, kind: Any, value: Any, pairs: bool = False) -> Messages:
        if kind == "pair" or (pairs and kind == "text" and self.is_text_pair(value)):
            return self.pair_to_messages(value)
        if kind == "message":
            return value
        return self.to_message(value if isinstance(kind, tuple) else {kind: value})

    def _row_as_messages(self, row: dict[str, Any]) -> Messages:
        if set(row) == {"text"} and self.is_text_pair(row["text"]):
            return self.pair_to_messages(row["text"])
        return self.to_message(row)

    @staticmethod
    def _is_message(message: Any) -> bool:
        if not is_message_dict(message):
            logger.warning("%r is left out: a message has a 'role' and 'content'", message)
        return is_message_dict(message)

    def _normalize(self, message: dict[str, Any]) -> dict[str, Any]:
        content = message["content"]
        structured = isinstance(content, list) and bool(content) and isinstance(content[0], dict)
        if self.message_format == "structured" and isinstance(content, str):
            return {**message, "content": [{"type": "text", "text": content}]}
        if self.message_format == "flat" and structured:
            if len(content) == 1 and "text" in content[0]:
                return {**message, "content": content[0]["text"]}
            logger.warning("a message of %d parts has no flat form and is kept", len(content))
        return message


def _is_mixed_pair(value: Any) -> bool:
    """Whether a value is a pair with at least one half that is no text."""
    if not isinstance(value, (list, tuple)) or len(value) != 2 or InputFormatter.is_text_pair(value):
        return False
    conversations = (half for half in value if isinstance(half, list) and half and isinstance(half[0], dict))
    return not any(map(is_message_dict, value)) and next(conversations, None) is None


def _items(kind: str, value: Any) -> list[Any]:
    """One or several values of a kind as a list; a list of pictures is one film."""
    if kind == "video":
        values = [value] if is_frames(value) else _as_list(value)
        return [list(item) if isinstance(item, tuple) else item for item in values]
    return _as_list(value) if kind in ("text", "image", "audio") else [value]


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
