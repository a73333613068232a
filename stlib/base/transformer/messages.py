"""Conversations through a chat template, with the template's last tokens kept when a text is cut."""

from __future__ import annotations

import inspect
import logging
from typing import Any

from stlib.base.modality.formatter import InputFormatter
from stlib.base.transformer.inputs import CallOptions, by_kind, length_of, tokenizer_of
from stlib.base.transformer.modality import is_for_several_kinds
from stlib.errors import InvalidInput

logger = logging.getLogger(__name__)

Messages = list[dict[str, Any]]

# Keywords of apply_chat_template itself, wherever they were given.
_SIZE_KEYWORDS = frozenset({"padding", "truncation", "max_length", "return_tensors"})

# Two texts without a token in common; what two conversations that hold them end in is the template's.
_FILLERS = ("0", "1 2 3 4")

_MAX_CACHED = 256


class ChatTemplate:
    """Writes conversations as text by the processor's template, and tokenises them.

    Cutting a text at ``max_length`` cuts what the template puts behind the content, such as the start of the
    answer. Models that read their last token need it, so it is put back over the last tokens of the content;
    ``processing_kwargs={"chat_template": {"restore_suffix": False}}`` leaves it out.

    Args:
        processor: of the model, with a chat template.
        formatter: knows the form of messages the template reads.
    """

    def __init__(self, processor: Any, formatter: InputFormatter) -> None:
        self.processor = processor
        self.formatter = formatter
        self._suffixes: dict[str, list[int]] = {}

    def features(
        self, conversations: list[Messages], options: CallOptions, max_seq_length: int | None
    ) -> dict[str, Any]:
        """Tensors of a batch of conversations.

        Raises:
            InvalidInput: the template does not show both halves of a pair.
        """
        template_options = dict(options.chat_template)
        restore = template_options.pop("restore_suffix", True)
        sizes = {k: template_options.pop(k) for k in _SIZE_KEYWORDS & set(template_options)}
        options = CallOptions(
            kinds={**options.kinds, "text": {**options.kinds["text"], **sizes}},
            common=options.common,
            chat_template=template_options,
        )
        self._check_pair_roles(conversations, template_options)
        features = self._apply(conversations, options)
        limit = length_of(options, max_seq_length)
        if restore and limit is not None:
            self._restore_suffixes(features, conversations, options, limit)
        return features

    def declares_task(self) -> bool:
        """Whether the template reads a variable ``task``, e.g. to treat queries differently."""
        return any(_reads(text, "task") for text in self._templates())

    def takes_one_form(self) -> bool:
        """Whether the template reads content in one form only, into which messages must be brought."""
        return not any("is string" in text for text in self._templates())

    def _templates(self) -> list[str]:
        template = getattr(self.processor, "chat_template", None)
        if template is None:
            template = getattr(tokenizer_of(self.processor), "chat_template", None)
        templates = template.values() if isinstance(template, dict) else [template]
        return [text for text in templates if isinstance(text, str)]

    def _check_pair_roles(self, conversations: list[Messages], keywords: dict[str, Any]) -> None:
        if not self.formatter.has_pair_roles(conversations):
            return
        failure = self.formatter.pair_roles_failure(keywords)
        if failure is not None:
            raise InvalidInput(
                f"the chat template does not take a pair of 'query' and 'document': {failure}; give it "
                "one that shows messages of both roles, by processor_kwargs={'chat_template': …}"
            )

    def _apply(self, conversations: list[Messages], options: CallOptions) -> dict[str, Any]:
        shared = {"tokenize": True, "return_dict": True, **options.chat_template}
        processor: Any = self.processor
        if is_for_several_kinds(processor) and not self._must_skip_processor(conversations):
            shared = {"load_audio_from_video": False, **shared}
            nested: dict[str, Any] = {**by_kind(options), "common_kwargs": options.common}
            if "processor_kwargs" in inspect.signature(processor.apply_chat_template).parameters:
                nested = {
                    "processor_kwargs": nested,
                    "return_tensors": options.common.get("return_tensors"),
                }
            features: Any = processor.apply_chat_template(conversations, **nested, **shared)
            return dict(features)
        flat = {**options.common, **options.kinds["text"]}
        sizes = {name: flat.pop(name) for name in _SIZE_KEYWORDS & set(flat)}
        tokenizer = tokenizer_of(processor)
        return {**tokenizer.apply_chat_template(conversations, tokenizer_kwargs=flat, **sizes, **shared)}

    def _must_skip_processor(self, conversations: list[Messages]) -> bool:
        """PaliGemma's processor refuses conversations without a picture; its tokenizer takes them."""
        is_paligemma = type(self.processor).__name__ == "PaliGemmaProcessor"
        return is_paligemma and self.formatter.is_text_only_messages(conversations)

    def _restore_suffixes(
        self, features: dict[str, Any], conversations: list[Messages], options: CallOptions, limit: int
    ) -> None:
        """Write the template's last tokens over the last ones of every input that was cut, in place."""
        import torch

        ids, mask = features.get("input_ids"), features.get("attention_mask")
        if not (isinstance(ids, torch.Tensor) and isinstance(mask, torch.Tensor) and ids.ndim == 2):
            return
        if ids.shape[1] < limit:
            return
        for row, conversation in enumerate(conversations):
            length = int(mask[row].sum())
            if length < limit:
                continue
            suffix = self._suffix(conversation, options)[-length:]
            if suffix:
                end = ids.shape[1] if mask[row, 0] == 0 else length
                ids[row, end - len(suffix) : end] = torch.tensor(suffix, dtype=ids.dtype)

    def _suffix(self, conversation: Messages, options: CallOptions) -> list[int]:
        """Tokens that the template puts behind the content of a conversation; none for one with pictures,
        whose placeholders must stay where they are.
        """
        if not self.formatter.is_text_only_messages([conversation]):
            return []
        key = repr((_with_content(conversation, ""), options.chat_template))
        if key not in self._suffixes:
            first, second = (self._render(_with_content(conversation, f), options) for f in _FILLERS)
            shared = 0
            for left, right in zip(reversed(first), reversed(second), strict=False):
                if left != right:
                    break
                shared += 1
            # Equal texts show no content, so nothing tells where the template goes on.
            known = 0 < shared < min(len(first), len(second))
            if len(self._suffixes) >= _MAX_CACHED:
                self._suffixes.clear()
            self._suffixes[key] = first[len(first) - shared :] if known else []
        return self._suffixes[key]

    def _render(self, conversation: Messages, options: CallOptions) -> list[int]:
        text = {k: v for k, v in options.kinds["text"].items() if k not in _SIZE_KEYWORDS}
        common = {k: v for k, v in options.common.items() if k not in _SIZE_KEYWORDS}
        bare = CallOptions(
            kinds={
                "text": {**text, "padding": False, "truncation": False},
                "audio": {},
                "image": {},
                "video": {},
            },
            common=common,
            chat_template=options.chat_template,
        )
        ids = self._apply([conversation], bare)["input_ids"]
        ids = ids.tolist() if hasattr(ids, "tolist") else list(ids)
        return ids[0] if ids and isinstance(ids[0], list) else ids


def count_media(conversations: list[Messages], features: dict[str, Any]) -> dict[str, Any]:
    """How many pictures and films each input has, for processors that lay those of a batch in one row."""
    import torch

    def counts(kind: str) -> Any:
        return torch.tensor(
            [
                sum(
                    isinstance(part, dict) and part.get("type") == kind
                    for message in conversation
                    if isinstance(message.get("content"), list)
                    for part in message["content"]
                )
                for conversation in conversations
            ]
        )

    result = {}
    if "pixel_values" in features:
        result["num_images_per_sample"] = counts("image")
    if "video_grid_thw" in features:
        result["num_videos_per_sample"] = counts("video")
    return result


def _reads(template: str, name: str) -> bool:
    """Whether a template uses a variable that is not its own."""
    from jinja2 import Environment, TemplateSyntaxError, meta

    if name not in template:
        return False
    environment = Environment(autoescape=True, extensions=["jinja2.ext.loopcontrols"])
    try:
        return name in meta.find_undeclared_variables(environment.parse(template))
    except TemplateSyntaxError:
        return True  # it uses tags that only transformers knows; a variable too many does no harm


def _with_content(conversation: Messages, filler: str) -> Messages:
    """The conversation with ``filler`` for all content but that of system messages."""
    return [
        message
        if message.get("role") == "system"
        else {
            **message,
            "content": [{"type": "text", "text": filler}]
            if isinstance(message.get("content"), list)
            else filler,
        }
        for message in conversation
    ]
