"""The first half of a transformers module: from inputs to the tensors its model takes."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from stlib.base.modality.formatter import InputFormatter
from stlib.base.modality.kinds import infer_batch_modality, raise_unsupported_modality_error
from stlib.base.modality.media import read_files, refuse_bare_addresses
from stlib.base.modules.input_module import (
    Features,
    InputModule,
    check_texts,
    check_token_ids,
    prepend_prompt,
)
from stlib.base.transformer import inputs as transformer_inputs
from stlib.base.transformer import modality as transformer_modality
from stlib.base.transformer import queries as transformer_queries
from stlib.base.transformer.inputs import CallOptions, rows_of_tokens
from stlib.base.transformer.messages import ChatTemplate, count_media
from stlib.base.transformer.positions import check_positions
from stlib.util.forks import ThreadLock
from stlib.util.lists import refuse_text
from stlib.util.panics import TOKENISING

# A fast tokenizer keeps the truncation and padding of the call that it serves, so that calls with different
# lengths must not overlap. Modules may share a tokenizer, hence a lock for each of these; kept here, as a
# lock can be neither pickled nor copied.
_LOCKS: WeakKeyDictionary[Any, ThreadLock] = WeakKeyDictionary()
_LOCKS_LOCK = ThreadLock()


class PreparesInputs(InputModule):
    """What :class:`~stlib.base.modules.transformer.Transformer` does before its model runs."""

    config: Any
    processor: Any
    transformer_task: str
    modality_config: dict[Any, dict[str, Any]]
    processing_kwargs: dict[str, dict[str, Any]]
    query_expansion: dict[str, Any] | None
    query_length: int | None
    document_length: int | None
    max_seq_length: int | None
    input_formatter: InputFormatter
    truncated_inputs: int
    _chat: ChatTemplate
    _prompt_lengths: dict[tuple[str, int | None], int | None]

    def preprocess(
        self,
        inputs: list[Any],
        prompt: str | None = None,
        processing_kwargs: dict[str, dict[str, Any]] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Tensors of a batch, e.g. token ids and masks ``[n, longest]``, and its kind as ``"modality"``.

        Args:
            inputs: texts, pairs of texts; for models that take them pictures (of PIL, arrays, paths), sounds
                (arrays, ``{"array", "sampling_rate"}``, paths), films (arrays or lists of frames),
                conversations (lists of ``{"role", "content"}``), and dicts of several kinds such as
                ``{"text": …, "image": …}``.
            prompt: put in front of each text, with its length in tokens as ``features["prompt_length"]``; a
                system message for models that take conversations.
            processing_kwargs: as in the constructor, for this call.
            kwargs: ``task`` ("query" or "document") selects ``query_length`` or ``document_length``;
                ``max_length`` overrides both.

        Raises:
            InvalidInput: an input is of a kind that the model does not take, or cannot be read.
        InvalidOption: an input is left with more tokens than the model has positions.
        """
        refuse_text(inputs=inputs)
        if not inputs:
            return {}
        task = kwargs.get("task")
        expansion = self.query_expansion if task == "query" else None
        if self.tokenizer is not None and self.tokenizer.model_max_length is None:
            self.max_seq_length = None  # written to the tokenizer itself, which counts by it
        options = self._call_options(processing_kwargs, task, kwargs.get("max_length"))
        kind, values = self._parse(inputs, options)
        if kind == "message" and task is not None and self._chat.declares_task():
            options.chat_template.setdefault("task", task)
        prompt_length = None
        if prompt and kind == "message":
            values["message"] = self.input_formatter.prepend_prompt_to_messages(values["message"], prompt)
        elif prompt and kind == "text":
            values["text"] = prepend_prompt(values["text"], prompt)
            prompt_length = self._prompt_length(prompt, kwargs)
        features = self._process(kind, values, options)
        if kind == "text" and "input_ids" in features:
            check_token_ids(features["input_ids"], rows_of_tokens(self.model))
        features["modality"] = kind
        if prompt_length is not None:
            features["prompt_length"] = prompt_length
        if self.transformer_task in transformer_modality.CAUSAL_TASKS:
            transformer_inputs.check_padding(self.transformer_task, features)
            features["logits_to_keep"] = options.logits_to_keep
        if expansion is not None and "input_ids" in features:
            token = transformer_queries.expansion_token(expansion, self.tokenizer)
            transformer_queries.expand(expansion, features, token)
        check_positions(self.model, features, transformer_inputs.length_of(options, self.max_seq_length))
        return Features(features)

    def length_of(self, task: str | None) -> int | None:
        """Tokens kept of a text of a task, special ones included; None without a limit."""
        own = {"query": self.query_length, "document": self.document_length}.get(task or "")
        expansion = self.query_expansion if task == "query" else None
        if expansion is not None and expansion["strategy"] == "fixed":
            return expansion["length"]
        return self.max_seq_length if own is None else max(own, (expansion or {"length": 0})["length"])

    def _call_options(
        self, per_call: dict[str, dict[str, Any]] | None, task: str | None, max_length: int | None
    ) -> CallOptions:
        length = max_length or {"query": self.query_length, "document": self.document_length}.get(task or "")
        options = transformer_inputs.call_options(
            self.config.model_type, self.processing_kwargs, per_call, length
        )
        if task == "query" and self.query_expansion is not None:
            transformer_queries.set_lengths(self.query_expansion, options, length)
        return options

    def _parse(self, inputs: list[Any], options: CallOptions) -> tuple[Any, dict[str, list[Any]]]:
        """The kind of a batch and its inputs by kind, with files read, as conversations if the model takes
        them.
        """
        kinds = self.modalities
        if kinds == ["text"]:
            return "text", {"text": list(check_texts(inputs))}
        refuse_bare_addresses(inputs, kinds)
        kind, values, found = self.input_formatter.parse_inputs(inputs)
        if kind == "message" and self._chat.takes_one_form():
            values["message"] = [self.input_formatter.normalize_messages(m) for m in values["message"]]
        parts = {kind} if isinstance(kind, str) else set(kind)
        if kind not in kinds and not ("message" in kinds and parts <= set(kinds)):
            kind = infer_batch_modality(inputs, kinds) if kind != "message" else kind
            raise_unsupported_modality_error(inputs, kind, kinds, "Transformer module")
        read_files(kind, values, found, transformer_inputs.sampling_rate(self.processor))
        for name, keywords in found.items():
            options.kinds[name].update(keywords)
        if kind != "message" and "message" in kinds:
            return self.input_formatter.batch_to_message(kind, values)
        return kind, values

    def _process(self, kind: Any, values: dict[str, list[Any]], options: CallOptions) -> dict[str, Any]:
        tokenizer = self.tokenizer
        with lock_of(self if tokenizer is None else tokenizer), TOKENISING:
            return self._process_alone(kind, values, options)

    def _process_alone(self, kind: Any, values: dict[str, list[Any]], options: CallOptions) -> dict[str, Any]:
        if kind == "message":
            features = self._chat.features(values["message"], options, self.max_seq_length)
            features.update(count_media(values["message"], features))
            return features
        if self.tokenizer is not self.processor:
            return transformer_inputs.call_processor(
                self.processor, self.config.model_type, kind, values, options
            )
        keywords = {**options.kinds["text"], **options.common}
        features, cut = transformer_inputs.tokenize(self.processor, values["text"], keywords)
        self.truncated_inputs += cut
        return features

    def _prompt_length(self, prompt: str, kwargs: dict[str, Any]) -> int | None:
        """Tokens of the prompt with special tokens, without a special token at its end (the text follows
        there); None if the processor makes no tokens.
        """
        max_length = kwargs.get("max_length")
        key = (prompt, max_length)
        if key not in self._prompt_lengths:
            # Measured without its task, which might cut or fill up the prompt.
            options = self._call_options(None, None, max_length)
            ids = self._process("text", {"text": [prompt]}, options).get("input_ids")
            ends_special = ids is not None and int(ids[0, -1]) in self.tokenizer.all_special_ids
            self._prompt_lengths[key] = None if ids is None else ids.shape[-1] - ends_special
        return self._prompt_lengths[key]


def lock_of(owner: Any) -> ThreadLock:
    """The lock that whoever uses a tokenizer holds meanwhile."""
    lock = _LOCKS.get(owner)
    if lock is None:
        with _LOCKS_LOCK:
            lock = _LOCKS.setdefault(owner, ThreadLock())
    return lock
