"""A transformers model as the first module of a pipeline: inputs in, embeddings out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from stlib.backend.load import load_backend_model
from stlib.base import adapters
from stlib.base.modality.formatter import InputFormatter
from stlib.base.modality.kinds import raise_unsupported_modality_error
from stlib.base.modules.input_module import InputModule
from stlib.base.modules.module import DimensionNames
from stlib.base.modules.packed_words import run_packed_words
from stlib.base.modules.packing import run_packed_logits, run_packed_tokens
from stlib.base.modules.transformer_preprocess import PreparesInputs
from stlib.base.transformer import inputs as transformer_inputs
from stlib.base.transformer import modality as transformer_modality
from stlib.base.transformer import queries as transformer_queries
from stlib.base.transformer.config import (
    Backend,
    check_choices,
    check_length,
    embedding_dimension,
    load_settings,
    resolve_folder,
    take_hub_options,
)
from stlib.base.transformer.files import (
    CONFIG_NAMES,
    has_processor,
    load_processor,
    load_transformer,
    save_torch_format,
)
from stlib.base.transformer.messages import ChatTemplate
from stlib.base.transformer.outputs import arguments_of, read_output, with_sounds_in
from stlib.base.transformer.types import (
    ModalityConfig,
    ModalityParams,
    ProcessingKwargs,
    QueryExpansionConfig,
    TransformerTask,
)
from stlib.errors import InvalidOption

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "ModalityConfig",
    "ModalityParams",
    "ProcessingKwargs",
    "QueryExpansionConfig",
    "Transformer",
    "TransformerTask",
]


class Transformer(DimensionNames, PreparesInputs):
    """Prepare inputs and run a transformers model: ``features["token_embeddings"]`` becomes ``[n, tokens,
    d]``, or ``features["sentence_embedding"]`` ``[n, d]`` for models of several towers like CLIP.

    With ``output_hidden_states=True`` in ``config_kwargs``, ``features["all_layer_embeddings"]`` holds the
    output of the embedding layer and of every layer, each ``[n, tokens, d]``.

    Args:
        model_name_or_path: folder or model id.
        transformer_task: which head the model has, and what it writes: ``"feature-extraction"`` (none; token
            embeddings), ``"fill-mask"`` (token embeddings of the size of the vocabulary),
            ``"sequence-classification"`` (``"scores"``), ``"text-generation"`` and ``"any-to-any"``
            (``"causal_logits"``; inputs are padded on the left).
        model_kwargs: passed to ``from_pretrained`` of the model (``dtype``, ``attn_implementation``, …).
        processor_kwargs: passed to ``from_pretrained`` of the tokenizer or processor.
        config_kwargs: passed to ``AutoConfig.from_pretrained``.
        processing_kwargs: keywords per call of the processor by group: ``"text"``, ``"image"``, ``"audio"``,
            ``"video"``, ``"common"`` for all of these, ``"chat_template"``; they override the defaults
            (padding to the longest, truncation at ``max_seq_length``). ``{"text": {"logits_to_keep": 0}}``
            lets a causal model compute the logits of all positions rather than of the last.
        backend: ``"torch"``, ``"onnx"`` or ``"openvino"``; see :func:`stlib.backend.load_backend_model` for
            what ``model_kwargs`` then takes.
        modality_config: kind of input to ``{"method": …, "method_output_name": …}``: the model's method that
            serves it and the output read, which may be a list that leads into nested outputs. Default: found
            out from the model and its processor.
        module_output_name: feature to write; to be given with ``modality_config``.
        unpad_inputs: False forbids to run texts without padding, True demands it, None does so where results
            are the same.
        query_length: tokens kept per query (``task="query"``).
        document_length: tokens kept per document (``task="document"``).
        query_expansion: fill up queries, see
            :func:`~stlib.base.transformer.queries.check_expansion`; for late interaction only.
        max_seq_length: tokens kept per input, special ones included; default: what tokenizer and model allow.
        do_lower_case: lowercase inputs in front of the tokenizer's own normalisation.
        tokenizer_name_or_path: another folder for the tokenizer.

    The older names ``model_args``, ``tokenizer_args``, ``config_args`` and ``cache_dir`` are understood.

    Raises:
        InvalidOption: a value is not allowed; UnsupportedOption: it is allowed but not served.
        ModelNotFound, MissingModelFile, ModelConfigError: the files are missing or cannot be built.
        UntrustedCode: the folder brings code and ``trust_remote_code`` is not given.
    """

    config_file_name: ClassVar[str] = CONFIG_NAMES[0]
    config_keys: ClassVar[list[str]] = [
        "transformer_task",
        "modality_config",
        "module_output_name",
        "processing_kwargs",
        "unpad_inputs",
        "query_length",
        "document_length",
        "query_expansion",
    ]
    without_memory: ClassVar[bool] = True
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
        backend: Backend = "torch",
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
        check_choices(transformer_task, backend)
        check_length(max_seq_length, "max_seq_length", "Transformer", InvalidOption)
        length = options["processor_kwargs"].get("model_max_length")
        check_length(length, "model_max_length", "processor_kwargs", InvalidOption)
        if modality_config is not None:
            transformer_modality.check_config(modality_config, module_output_name)
        self.transformer_task = transformer_task
        self.backend = backend
        self.processing_kwargs = transformer_inputs.check_groups(processing_kwargs)
        self.query_length = query_length
        self.document_length = document_length
        self.do_lower_case = do_lower_case
        self.unpad_inputs = unpad_inputs
        self._padding_is_read = False
        self.truncated_inputs = 0
        """Inputs that were cut at ``max_seq_length`` since the module was built."""

        folder = resolve_folder(model_name_or_path, hub)
        whole = adapters.whole_model_folder(folder, hub)
        if backend == "torch":
            self.model = load_transformer(
                whole, options["model_kwargs"], options["config_kwargs"], transformer_task
            )
        else:
            self.model = load_backend_model(
                folder, backend, options["model_kwargs"], options["config_kwargs"], transformer_task
            )
        adapters.adapt(self.model, folder, model_name_or_path)
        if max_seq_length is not None:
            options["processor_kwargs"].setdefault("model_max_length", max_seq_length)
        tokenized = folder if has_processor(folder) else whole
        other = resolve_folder(tokenizer_name_or_path, hub) if tokenizer_name_or_path else tokenized
        self.processor = load_processor(other, options["processor_kwargs"])
        self._set_up_tokenizer("model_max_length" in options["processor_kwargs"])
        self._set_up_modalities(modality_config, module_output_name)
        self._of_methods: dict[str, tuple[set[str], bool]] = {}
        self._prompt_lengths: dict[tuple[str, int | None], int | None] = {}
        self.query_expansion = query_expansion

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
        """The tokenizer, which is the processor or a part of it; None for a model without text."""
        return transformer_inputs.tokenizer_of(self.processor)

    @tokenizer.setter
    def tokenizer(self, tokenizer: Any) -> None:
        if self.tokenizer is self.processor or self.processor is None:
            self.processor = tokenizer
        else:
            self.processor.tokenizer = tokenizer
        self._prompt_lengths.clear()

    @property
    def modalities(self) -> list[Any]:
        """Kinds of input: names, and tuples of names for kinds that one input joins."""
        return list(self.modality_config)

    @property
    def max_seq_length(self) -> int | None:
        """Tokens kept per input, special ones included; the model's positions if it has no tokenizer.

        An input that is left with more tokens than the model has positions is refused when it is encoded.
        Setting it to None keeps as many as there are positions, or all of a model that numbers none.
        """
        if self.tokenizer is not None:
            return self.tokenizer.model_max_length
        return getattr(self.model.config.get_text_config(), "max_position_embeddings", None)

    @max_seq_length.setter
    def max_seq_length(self, value: int | None) -> None:
        check_length(value, "max_seq_length", "Transformer", InvalidOption)
        if self.tokenizer is not None:
            self.tokenizer.model_max_length = transformer_inputs.NO_LIMIT if value is None else value
            if value is None:
                transformer_inputs.limit_to_positions(self.tokenizer, self.model.config)
            self._prompt_lengths.clear()

    @property
    def batch_token_factor(self) -> int:  # type: ignore[override]
        """Tokens of a batch for each unit of ``batch_size``; more for engines that cut batches themselves."""
        return getattr(self.model, "batch_token_factor", InputModule.batch_token_factor)

    @property
    def ignores_task(self) -> bool:
        lengths = (self.query_length, self.document_length, self.query_expansion)
        # Chat templates may treat queries differently.
        return lengths == (None, None, None) and "message" not in self.modality_config

    @property
    def query_expansion(self) -> dict[str, Any] | None:
        """How queries are filled up; checked when set."""
        return self._query_expansion

    @query_expansion.setter
    def query_expansion(self, value: dict[str, Any] | None) -> None:
        expansion = transformer_queries.check_expansion(value, self.query_length)
        if expansion is not None and self.tokenizer is not None:
            transformer_queries.expansion_token(expansion, self.tokenizer)  # refuses an unknown one
        self._query_expansion = expansion

    def get_embedding_dimension(self) -> int:
        """Width of the embeddings.

        Raises:
            ModelConfigError: the model's configuration does not tell.
        """
        return embedding_dimension(self.model, self.module_output_name)

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        kind = features.get("modality", "text")
        if kind not in self.modality_config and "message" in self.modality_config:
            kind = "message"  # a router notes the kind of the inputs, which became conversations here
        if kind not in self.modality_config:
            raise_unsupported_modality_error([], kind, self.modalities, "Transformer module")
        entry = self.modality_config[kind]
        given = {**features, **kwargs, "return_dict": True}
        path = entry["method_output_name"]
        if path is not None and "hidden_states" in path:
            given["output_hidden_states"] = True
        method = self.model if entry["method"] == "forward" else self._method(entry["method"])
        arguments = self._arguments(entry["method"], given)
        packed = None
        if entry["method"] == "forward":
            packed = self._without_padding(path, arguments, features)
        if packed is not None:
            features[self.module_output_name] = packed
            return features
        output = method(**with_sounds_in(getattr(self.model, "dtype", None), arguments))
        features[self.module_output_name] = read_output(output, path)
        if getattr(self.model.config, "output_hidden_states", False) and "hidden_states" in output:
            features["all_layer_embeddings"] = output.hidden_states
        return features

    def _without_padding(self, path: Any, arguments: dict[str, Any], features: dict[str, Any]) -> Any:
        """The output that ``path`` names, computed over the tokens alone (of queries with those that they
        were filled up with); None where that is not possible.

        Where logits of words go straight into a pooling, they are left to that to make.
        """
        added = features.get("query_expansion_positions")
        if path == "last_hidden_state":
            unpad = False if self._padding_is_read and self.unpad_inputs is None else self.unpad_inputs
            return run_packed_tokens(self.model, arguments, unpad, added=added)
        if added is not None:
            return None
        if path == "logits" and self.transformer_task == "sequence-classification":
            return run_packed_logits(self.model, arguments, self.unpad_inputs)
        if path == "logits" and self.transformer_task == "fill-mask":
            pooled = features.get("logits_are_pooled", False)
            return run_packed_words(self.model, arguments, self.unpad_inputs if pooled else False)
        return None

    def on_model_ready(self, model: Any) -> None:
        # The padded model's values at padding have no meaning, but a convolution behind it sees them.
        self._padding_is_read = any(getattr(module, "reads_padding", False) for module in model.modules())

    def infer_modalities(self, model: Any, processor: Any) -> tuple[dict[Any, dict[str, Any]], str]:
        """Modality configuration and output name that fit a model and its processor."""
        return transformer_modality.infer_config(
            self.transformer_task,
            model.config.model_type,
            model,
            processor,
            self.input_formatter.message_format,
        )

    def infer_modalities_edge_cases(
        self, model: Any, processor: Any
    ) -> tuple[dict[Any, dict[str, Any]], str] | None:
        """The configuration of an architecture that its processor does not tell, or None."""
        return transformer_modality.kinds_of_architecture(
            self.transformer_task, model.config.model_type, model
        )

    def infer_modalities_from_processor(self, processor: Any) -> list[Any]:
        """Kinds of input that a processor prepares."""
        return transformer_modality.kinds_of_processor(processor)

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        if adapters.has_adapter(self.model):
            adapters.save_adapter(self.model, Path(output_path))
        elif safe_serialization or self.backend != "torch":
            self.model.save_pretrained(output_path)
        else:
            save_torch_format(self.model, Path(output_path))
        transformer_inputs.keep_input_names(self.tokenizer)
        self.processor.save_pretrained(output_path)
        self.save_config(output_path)

    def get_config_dict(self) -> dict[str, Any]:
        config = super().get_config_dict()
        config["modality_config"] = transformer_modality.to_json(self.modality_config)
        always = ("transformer_task", "modality_config", "module_output_name")
        return {key: value for key, value in config.items() if key in always or value not in (None, {})}

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

        A file that names no modalities is of a generation that knew text only. ``trust_remote_code`` inside
        the file is dropped: a model cannot grant itself trust.
        """
        config: dict[str, Any] = {}
        for name in [config_filename] if config_filename else CONFIG_NAMES:
            found = super().load_config(model_name_or_path, subfolder, name, *args, **kwargs)
            if found:
                config = load_settings(found, str(Path(model_name_or_path, subfolder, name)))
                break
        if "modality_config" not in config:
            task = config.get("transformer_task", "feature-extraction")
            config["modality_config"], config["module_output_name"] = cls._default_modalities(task)
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
        backend: Backend = "torch",
        init_defaults: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Self:
        """See :meth:`Module.load`; options given here win over those in the file."""
        hub = {"token": token, "revision": revision, "local_files_only": local_files_only}
        saved = cls.load_config(model_name_or_path, subfolder, None, cache_folder=cache_folder, **hub)
        config = {**(init_defaults or {}), **saved}
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

    @classmethod
    def _default_modalities(cls, task: str) -> tuple[dict[Any, dict[str, Any]], str]:
        """What a saved module takes whose file does not say."""
        return transformer_modality.default_config(task)

    def _set_up_tokenizer(self, length_is_given: bool) -> None:
        if self.tokenizer is not None:
            if self.backend == "onnx" and not self.config.model_type:
                transformer_inputs.fit_to_graph(self.tokenizer, self.model.input_names, length_is_given)
            if not length_is_given:
                transformer_inputs.limit_to_positions(self.tokenizer, self.model.config)
            if self.do_lower_case:
                transformer_inputs.lowercase_first(self.tokenizer)
        if self.transformer_task in transformer_modality.CAUSAL_TASKS:
            transformer_inputs.pad_left(self.processor)

    def _set_up_modalities(
        self, config: dict[Any, dict[str, Any]] | None, module_output_name: str | None
    ) -> None:
        message_format = (config or {}).get("message", {}).get("format", "auto")
        self.input_formatter = InputFormatter(self.config.model_type, message_format, self.processor)
        if config is None or module_output_name is None:
            config, module_output_name = self.infer_modalities(self.model, self.processor)
        self.modality_config = transformer_modality.sort_kinds(config)
        self.module_output_name = module_output_name
        self.input_formatter.supported_modalities = list(self.modality_config)
        self._chat = ChatTemplate(self.processor, self.input_formatter)

    def _method(self, name: str) -> Any:
        method = getattr(self.model, name, None)
        if method is None:
            raise InvalidOption(
                f"modality_config names the method {name!r}, which {type(self.model).__name__} does not have"
            )
        return method

    def _arguments(self, method: str, given: dict[str, Any]) -> dict[str, Any]:
        """Of the features and keywords, those that a method of the model takes."""
        if method not in self._of_methods:
            self._of_methods[method] = transformer_modality.method_parameters(self._method(method))
        return arguments_of(self._of_methods[method], given, anything=method == "forward")

    def __repr__(self) -> str:
        return f"Transformer({dict(self.get_config_dict(), architecture=type(self.model).__name__)})"
