"""A transformers model as the first module of a pipeline: texts in, token embeddings out."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from stlib.base.modules.input_module import InputModule, checked_texts, prepend_prompt
from stlib.base.modules.module import DimensionNames
from stlib.base.modules.transformer_config import (
    OLDER_KEYWORDS,
    TEXT_MODALITY,
    refuse_unserved,
    resolve_folder,
    take_hub_options,
)
from stlib.base.modules.transformer_files import (
    CONFIG_NAMES,
    load_tokenizer,
    load_transformer,
    save_torch_format,
)
from stlib.base.modules.transformer_inputs import limit_to_positions, lowercase_first
from stlib.errors import ModelConfigError

if TYPE_CHECKING:
    from typing_extensions import Self


class Transformer(DimensionNames, InputModule):
    """Tokenise texts and run a transformers model: ``features["token_embeddings"]`` becomes ``[n, tokens,
    d]``.

    With ``output_hidden_states=True`` in ``config_kwargs``, ``features["all_layer_embeddings"]`` holds the
    output of the embedding layer and of every layer, each ``[n, tokens, d]``.

    Args:
        model_name_or_path: folder or model id.
        transformer_task: ``"feature-extraction"``, the model without a head.
        model_kwargs: passed to ``AutoModel.from_pretrained`` (``dtype``, ``attn_implementation``, …).
        processor_kwargs: passed to ``AutoTokenizer.from_pretrained``.
        config_kwargs: passed to ``AutoConfig.from_pretrained``.
        processing_kwargs: per call of the tokenizer: ``{"text": {…}, "common": {…}}`` override the defaults
            (padding to the longest, truncation at ``max_seq_length``).
        backend: ``"torch"``.
        modality_config: which method serves which kind of input; text by ``forward`` only.
        module_output_name: key to write, ``"token_embeddings"``.
        unpad_inputs: None or False; batches are padded.
        max_seq_length: tokens kept per input, special ones included; default: what tokenizer and model allow.
        do_lower_case: lowercase inputs in front of the tokenizer's own normalisation.
        tokenizer_name_or_path: another folder for the tokenizer.

    The older names ``model_args``, ``tokenizer_args``, ``config_args`` and ``cache_dir`` are understood.

    Raises:
        UnsupportedOption: an option is valid but not served.
        ModelNotFound, MissingModelFile, ModelConfigError: the files are missing or cannot be built.
    """

    config_file_name: ClassVar[str] = CONFIG_NAMES[0]
    config_keys: ClassVar[list[str]] = [
        "transformer_task",
        "modality_config",
        "module_output_name",
        "processing_kwargs",
    ]
    save_in_root: ClassVar[bool] = True

    def __init__(
        self,
        model_name_or_path: str,
        max_seq_length: int | None = None,
        *,
        transformer_task: str = "feature-extraction",
        model_kwargs: dict[str, Any] | None = None,
        processor_kwargs: dict[str, Any] | None = None,
        config_kwargs: dict[str, Any] | None = None,
        processing_kwargs: dict[str, dict[str, Any]] | None = None,
        backend: Literal["torch", "onnx", "openvino"] = "torch",
        modality_config: dict[Any, dict[str, Any]] | None = None,
        module_output_name: str | None = None,
        unpad_inputs: bool | None = None,
        query_length: int | None = None,
        document_length: int | None = None,
        query_expansion: dict[str, Any] | None = None,
        do_lower_case: bool = False,
        tokenizer_name_or_path: str | None = None,
        **older: Any,
    ) -> None:
        super().__init__()
        options = {
            "model_kwargs": dict(model_kwargs or {}),
            "processor_kwargs": dict(processor_kwargs or {}),
            "config_kwargs": dict(config_kwargs or {}),
        }
        hub = take_hub_options(options, older)
        refuse_unserved(transformer_task, backend, modality_config, unpad_inputs, query_expansion)
        self.transformer_task = transformer_task
        self.backend = backend
        self.processing_kwargs = processing_kwargs or {}
        self.modality_config = modality_config or TEXT_MODALITY
        self.module_output_name = module_output_name or "token_embeddings"
        self.query_length = query_length
        self.document_length = document_length
        self.do_lower_case = do_lower_case
        self.unpad_inputs = unpad_inputs
        self.query_expansion = query_expansion
        self.truncated_inputs = 0
        """Inputs that were cut at ``max_seq_length`` since the module was built."""

        folder = resolve_folder(model_name_or_path, hub)
        self.model = load_transformer(folder, options["model_kwargs"], options["config_kwargs"])
        if max_seq_length is not None:
            options["processor_kwargs"].setdefault("model_max_length", max_seq_length)
        tokenizer_folder = resolve_folder(tokenizer_name_or_path, hub) if tokenizer_name_or_path else folder
        self.processor = load_tokenizer(tokenizer_folder, options["processor_kwargs"])
        if "model_max_length" not in options["processor_kwargs"]:
            limit_to_positions(self.processor, self.model.config)
        if do_lower_case:
            lowercase_first(self.processor)
        self._forward_names = set(inspect.signature(self.model.forward).parameters)
        self._prompt_lengths: dict[str, int] = {}

    @property
    def auto_model(self) -> Any:
        """The transformers model."""
        return self.model

    @property
    def config(self) -> Any:
        """The transformers configuration."""
        return self.model.config

    @property
    def tokenizer(self) -> Any:
        """The transformers tokenizer."""
        return self.processor

    @tokenizer.setter
    def tokenizer(self, tokenizer: Any) -> None:
        self.processor = tokenizer
        self._prompt_lengths.clear()

    @property
    def modalities(self) -> list[Any]:
        return list(self.modality_config)

    @property
    def max_seq_length(self) -> int | None:
        """Tokens kept per input, special ones included."""
        return self.processor.model_max_length

    @max_seq_length.setter
    def max_seq_length(self, value: int | None) -> None:
        self.processor.model_max_length = value
        self._prompt_lengths.clear()

    def get_embedding_dimension(self) -> int:
        """Width of the token embeddings.

        Raises:
            ModelConfigError: the model's configuration does not tell.
        """
        config = self.model.config
        for name in ("hidden_size", "d_model", "dim", "hidden_dim"):
            if isinstance(getattr(config, name, None), int):
                return getattr(config, name)
        raise ModelConfigError(f"the configuration of {type(self.model).__name__} names no hidden size")

    def preprocess(
        self,
        inputs: list[Any],
        prompt: str | None = None,
        processing_kwargs: dict[str, dict[str, Any]] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Token ids and masks ``[n, longest]`` of texts or pairs of texts.

        Args:
            inputs: texts, pairs of texts, or ``{"text": …}``.
            prompt: put in front of each text; its length in tokens becomes ``features["prompt_length"]``.
            processing_kwargs: as in the constructor, for this call.
            kwargs: ``task`` ("query" or "document") selects ``query_length`` or ``document_length``;
                ``max_length`` overrides both.

        Raises:
            InvalidInput: an input is not text.
        """
        if not inputs:
            return {}
        features = self._tokenize(checked_texts(inputs), prompt, processing_kwargs or {}, kwargs)
        if prompt:
            features["prompt_length"] = self._prompt_length(prompt, kwargs)
        features["modality"] = "text"
        return features

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        wanted = {name: value for name, value in features.items() if name in self._forward_names}
        output = self.model(**wanted, return_dict=True)
        features[self.module_output_name] = output[0]
        if getattr(self.model.config, "output_hidden_states", False):
            features["all_layer_embeddings"] = output.hidden_states
        return features

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        if safe_serialization:
            self.model.save_pretrained(output_path)
        else:
            save_torch_format(self.model, Path(output_path))
        self.save_tokenizer(output_path)
        self.save_config(output_path)

    def get_config_dict(self) -> dict[str, Any]:
        config = super().get_config_dict()
        config["modality_config"] = {
            key if isinstance(key, str) else "+".join(key): value
            for key, value in self.modality_config.items()
        }
        if not self.processing_kwargs:
            del config["processing_kwargs"]
        optional = ("query_length", "document_length")
        return {**config, **{k: getattr(self, k) for k in optional if getattr(self, k) is not None}}

    @classmethod
    def load_config(
        cls,
        model_name_or_path: str,
        subfolder: str = "",
        config_filename: str | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """The settings under the first of the names that generations used, current keywords only.

        ``trust_remote_code`` inside the file is dropped: a model cannot grant itself trust.
        """
        names = [config_filename] if config_filename else CONFIG_NAMES
        found = (
            super(Transformer, cls).load_config(model_name_or_path, subfolder, n, *args, **kwargs)
            for n in names
        )
        config = {OLDER_KEYWORDS.get(k, k): v for k, v in next((c for c in found if c), {}).items()}
        for key in ("model_kwargs", "processor_kwargs", "config_kwargs"):
            if key in config:
                config[key] = {k: v for k, v in (config[key] or {}).items() if k != "trust_remote_code"}
        if "modality_config" in config:
            config["modality_config"] = {
                tuple(k.split("+")) if "+" in k else k: v for k, v in config["modality_config"].items()
            }
        return config

    @classmethod
    def load(
        cls,
        model_name_or_path: str,
        subfolder: str = "",
        token: bool | str | None = None,
        cache_folder: str | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
        trust_remote_code: bool = False,
        model_kwargs: dict[str, Any] | None = None,
        processor_kwargs: dict[str, Any] | None = None,
        config_kwargs: dict[str, Any] | None = None,
        backend: Literal["torch", "onnx", "openvino"] = "torch",
        init_defaults: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Self:
        """See :meth:`Module.load`; options given here win over those in the file."""
        hub = {"token": token, "revision": revision, "local_files_only": local_files_only}
        config = {
            **(init_defaults or {}),
            **cls.load_config(model_name_or_path, subfolder, None, cache_folder=cache_folder, **hub),
        }
        given = {
            "model_kwargs": model_kwargs,
            "processor_kwargs": processor_kwargs,
            "config_kwargs": config_kwargs,
        }
        shared = {
            **hub,
            "cache_dir": cache_folder,
            "subfolder": subfolder,
            "trust_remote_code": trust_remote_code,
        }
        for key, value in given.items():
            config[key] = {**config.get(key, {}), **shared, **(value or {})}
        return cls(model_name_or_path, backend=backend, **config)

    def _tokenize(
        self,
        texts: list[Any],
        prompt: str | None,
        per_call: dict[str, dict[str, Any]],
        task_options: dict[str, Any],
    ) -> dict[str, Any]:
        options: dict[str, Any] = {"padding": True, "truncation": "longest_first", "return_tensors": "pt"}
        limit = task_options.get("max_length") or self._length_of_task(task_options.get("task"))
        if limit is not None:
            options["max_length"] = limit
        for source in (self.processing_kwargs, per_call):
            options.update(source.get("common", {}))
            options.update(source.get("text", {}))
        encoded = self.processor(prepend_prompt(texts, prompt), **options)
        self.truncated_inputs += sum(bool(e.overflowing) for e in encoded.encodings or ())
        return dict(encoded)

    def _length_of_task(self, task: str | None) -> int | None:
        return {"query": self.query_length, "document": self.document_length}.get(task or "")

    def _prompt_length(self, prompt: str, task_options: dict[str, Any]) -> int:
        """Tokens of the prompt with special tokens, without a special token at its end (the text follows
        there).
        """
        if prompt not in self._prompt_lengths:
            ids = self._tokenize([prompt], None, {}, task_options)["input_ids"][0]
            ends_special = int(ids[-1]) in self.processor.all_special_ids
            self._prompt_lengths[prompt] = len(ids) - ends_special
        return self._prompt_lengths[prompt]

    def __repr__(self) -> str:
        return f"Transformer({dict(self.get_config_dict(), architecture=type(self.model).__name__)})"
