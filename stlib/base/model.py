"""The pipeline that all model families are: modules in a row over one features dict."""

from __future__ import annotations

import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

import stlib
from stlib.base.folder import revision_of
from stlib.base.hub import HubMixin
from stlib.base.inputs import is_single
from stlib.base.loading import (
    MODULES_NAME,
    LoadOptions,
    Pipeline,
    complete_model,
    find_model,
    is_plain_model,
    load_pipeline,
    name_inner_model,
    named_modules,
    read_model_config,
    transformer_folder,
)
from stlib.base.merging import MergeMixin
from stlib.base.model_card import BaseModelCardData, generate_model_card
from stlib.base.modules.input_module import Features, prepend_prompt
from stlib.base.modules.module import Module
from stlib.base.modules.router import Router, keywords_of, unwrap_task
from stlib.base.peft_mixin import PeftAdapterMixin
from stlib.base.transformer.config import Backend
from stlib.errors import InvalidOption, MissingModelFile, ModelConfigError, UnknownPrompt
from stlib.util.environment import get_device_name
from stlib.util.lists import refuse_text
from stlib.util.older_names import tell_older_name

__all__ = ["BaseModel", "BaseModelCardData", "generate_model_card"]

logger = logging.getLogger(__name__)

# What a pipeline is that does not say: the family that saved pipelines before there were others.
_OLDEST_FAMILY = "SentenceTransformer"


class BaseModel(HubMixin, PeftAdapterMixin, MergeMixin, nn.Sequential):
    """Modules in a row, with prompts, files and devices. Families add what they do with the result.

    The arguments are explained at :class:`stlib.SentenceTransformer`.
    """

    model_type: ClassVar[str]
    default_huggingface_organization: ClassVar[str | None] = None
    default_prompts: ClassVar[dict[str, str]] = {}
    model_card_data_class: ClassVar[type[BaseModelCardData]] = BaseModelCardData
    # Runs inputs on all processes of a group; see stlib.util.distributed.distributed_evaluation.
    _shared_inference: Callable[..., Any] | None = None

    def __init__(
        self,
        model_name_or_path: str | os.PathLike[str] | None = None,
        *,
        modules: Sequence[nn.Module] | Mapping[str, nn.Module] | None = None,
        device: str | torch.device | None = None,
        prompts: dict[str, str] | None = None,
        default_prompt_name: str | None = None,
        cache_folder: str | None = None,
        trust_remote_code: bool = False,
        revision: str | None = None,
        local_files_only: bool = False,
        token: bool | str | None = None,
        model_kwargs: dict[str, Any] | None = None,
        processor_kwargs: dict[str, Any] | None = None,
        config_kwargs: dict[str, Any] | None = None,
        model_card_data: Any = None,
        backend: Backend = "torch",
    ) -> None:
        options = LoadOptions(
            trust_remote_code=trust_remote_code,
            revision=revision,
            token=token,
            cache_folder=cache_folder or os.getenv("SENTENCE_TRANSFORMERS_HOME"),
            local_files_only=local_files_only,
            model_kwargs=dict(model_kwargs or {}),
            processor_kwargs=dict(processor_kwargs or {}),
            config_kwargs=dict(config_kwargs or {}),
            backend=backend,
        )
        refuse_text(modules=modules)
        if model_name_or_path:
            if modules is not None:
                logger.warning("modules is ignored, as they are loaded from %s", model_name_or_path)
            pipeline = self._load(os.fspath(model_name_or_path), options)
        else:
            pipeline = Pipeline(self._given_modules(modules), {}, {}, None)
        super().__init__(pipeline.modules)
        self.backend = backend
        self.loaded_from: str | None = os.fspath(model_name_or_path) if model_name_or_path else None
        """Folder or model id that the model was loaded from; None if it was built from modules."""
        self.trust_remote_code = trust_remote_code
        self.module_kwargs = pipeline.module_kwargs
        self.model_card_text = pipeline.card
        self._set_prompts(prompts, default_prompt_name, pipeline.config)
        self._read_config(pipeline.config)
        self._place(device, options.model_kwargs.get("device_map"))
        self.model_card_data = (
            model_card_data if model_card_data is not None else self.model_card_data_class()
        )
        self.model_card_data.register_model(self)
        if pipeline.found is not None and pipeline.found.model_id is not None:
            commit = revision_of(pipeline.found.folder, revision)
            self.model_card_data.set_origin(pipeline.found.model_id, commit)
        for module in self:
            if isinstance(module, Module):
                module.on_model_ready(self)

    def _given_modules(self, modules: Any) -> OrderedDict[str, nn.Module]:
        """The modules that a model was given in place of a name.

        Raises:
            InvalidOption: there are none.
        """
        if not modules:
            given = "modules is empty" if modules is not None else "there is neither a name nor modules"
            raise InvalidOption(
                f"{type(self).__name__}: {given}; pass the name or folder of a model, or a list of modules, "
                "e.g. modules=[Transformer(name), Pooling(dimension)]"
            )
        return named_modules(modules)

    # -- what runs
    # -----------------------------------------------------------------------------------------------

    def forward(self, input: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Run all modules; each gets the keywords that it declares, or that ``modules.json`` gives it."""
        for name, module in self.named_children():
            wanted = {key: kwargs[key] for key in self._keywords_of(name, module) if key in kwargs}
            input = module(input, **wanted)
        return input

    def preprocess(self, inputs: Sequence[Any], prompt: str | None = None, **kwargs: Any) -> dict[str, Any]:
        """Features of a batch by the first module, with ``prompt`` in front of each text."""
        refuse_text(inputs=inputs)
        inputs = list(inputs)
        if not inputs:
            return {}
        first: Any = self._first_module()
        if hasattr(first, "preprocess"):
            if any(isinstance(module, Router) for module in list(self)[1:]):
                # A router further down reads the task from the features; the first module wants the bare
                # texts.
                inputs, task = unwrap_task(inputs, kwargs.get("task"))
                return Features(first.preprocess(inputs, prompt=prompt, **kwargs), task=task)
            return first.preprocess(inputs, prompt=prompt, **kwargs)
        # a module of an earlier generation
        return first.tokenize(prepend_prompt(inputs, prompt))

    def tokenize(self, texts: Sequence[Any], **kwargs: Any) -> dict[str, Any]:
        """Older name of :meth:`preprocess`."""
        tell_older_name(type(self).__name__, "tokenize(…)", "preprocess(…)")
        return self.preprocess(texts, **kwargs)

    def get_model_kwargs(self) -> list[str]:
        """Keywords of ``encode`` that some module takes."""
        return sorted(
            set().union(*(self._keywords_of(name, module) for name, module in self.named_children()))
        )

    def _keywords_of(self, name: str, module: nn.Module) -> set[str]:
        return set(self.module_kwargs.get(name, ())) | keywords_of(module)

    def resolve_prompt(self, prompt: str | None, prompt_name: str | None) -> str | None:
        """The text to put in front of inputs: ``prompt`` itself, the named one, or the default one.

        Raises:
            UnknownPrompt: the model has no prompt of that name.
        """
        if prompt is not None:
            if prompt_name is not None:
                logger.warning("both prompt and prompt_name are given; prompt_name is ignored")
            return prompt
        name = prompt_name if prompt_name is not None else self.default_prompt_name
        if name is None:
            return None
        if name not in self.prompts:
            raise UnknownPrompt(
                f"there is no prompt {name!r}; this model has: {', '.join(self.prompts) or 'none'}"
            )
        return self.prompts[name]

    # -- files
    # ---------------------------------------------------------------------------------------------------

    def config_dict(self) -> dict[str, Any]:
        """The model's own settings as they are saved."""
        import transformers

        return {
            "model_type": self.model_type,
            "__version__": {
                "stlib": stlib.__version__,
                "transformers": transformers.__version__,
                "pytorch": torch.__version__,
            },
            "prompts": self.prompts,
            "default_prompt_name": self.default_prompt_name,
        }

    def _load(self, name_or_path: str, options: LoadOptions) -> Pipeline:
        found = find_model(name_or_path, self.default_huggingface_organization, options)
        try:
            pipeline = self._load_folder(found.folder, options)
        except MissingModelFile:
            completed = complete_model(found, options)
            if completed is None:
                raise
            pipeline = self._load_folder(completed, options)
        name_inner_model(pipeline.modules, found)
        return replace(pipeline, found=found)

    def _load_folder(self, folder: Path, options: LoadOptions) -> Pipeline:
        if (folder / MODULES_NAME).is_file():
            saved_as = read_model_config(folder).get("model_type", _OLDEST_FAMILY)
            if saved_as == self.model_type:
                return load_pipeline(folder, options)
            return self._load_other_family(folder, saved_as, options)
        if not is_plain_model(folder):
            raise MissingModelFile(
                f"{str(folder)!r} holds neither modules.json nor config.json, so it is no model; "
                "pass the folder that model.save(path) wrote, or that of a transformers model"
            )
        return Pipeline(named_modules(self._default_modules(folder, options)), {}, {}, None)

    def _load_other_family(self, folder: Path, saved_as: str, options: LoadOptions) -> Pipeline:
        """A pipeline that another family saved, as one of this family: its transformer in usual modules."""
        logger.warning("%s was saved as a %s; its transformer is loaded", folder, saved_as)
        inner = transformer_folder(folder)
        return Pipeline(named_modules(self._default_modules(inner, options)), {}, {}, None)

    def _default_modules(self, folder: Path, options: LoadOptions) -> list[nn.Module]:
        """Modules around a plain transformers model."""
        raise NotImplementedError

    def _read_config(self, config: dict[str, Any]) -> None:
        """Take further settings from a saved configuration; families override this."""

    def _set_prompts(self, given: dict[str, str] | None, default: str | None, config: dict[str, Any]) -> None:
        prompts = config.get("prompts") or {}
        texts = prompts.values() if isinstance(prompts, dict) else [prompts]
        if not isinstance(prompts, dict) or not all(isinstance(t, (str, type(None))) for t in texts):
            raise ModelConfigError(
                f"the model holds the prompts {prompts!r}; they are a dict of texts by name"
            )
        saved = {name: text or "" for name, text in prompts.items()}
        wanted = {name: text for name, text in (given or {}).items() if text is not None or name not in saved}
        merged = {**self.default_prompts, **saved, **wanted}
        self.prompts: dict[str, str] = {name: text or "" for name, text in merged.items()}
        self.default_prompt_name = default if default is not None else config.get("default_prompt_name")
        if self.default_prompt_name is not None and self.default_prompt_name not in self.prompts:
            raise UnknownPrompt(
                f"default_prompt_name is {self.default_prompt_name!r}, which is none of the prompts: "
                f"{', '.join(self.prompts) or 'none'}"
            )

    # -- the first module and its parts
    # --------------------------------------------------------------------------

    def _first_module(self) -> nn.Module:
        if len(self) == 0:
            raise InvalidOption("the model has no modules; pass model_name_or_path or modules=[…]")
        return self[0]

    def _last_module(self) -> nn.Module:
        self._first_module()  # refuses a model without modules
        return self[len(self) - 1]

    def is_singular_input(self, inputs: Any) -> bool:
        """Whether ``inputs`` is one input rather than a collection of inputs."""
        return is_single(inputs)

    def get_backend(self) -> str:
        """What runs the transformer: ``"torch"``, ``"onnx"`` or ``"openvino"``."""
        return self.backend

    @property
    def modalities(self) -> list[Any]:
        """Kinds of input that the first module takes."""
        return list(getattr(self._first_module(), "modalities", ["text"]))

    def supports(self, modality: Any) -> bool:
        """Whether the model takes a kind of input, e.g. ``"text"``, or several joined, e.g. ``("image",
        "text")``, which models of conversations join.
        """
        kinds = self.modalities
        joined = isinstance(modality, tuple) and "message" in kinds and set(modality) <= set(kinds)
        return modality in kinds or joined

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of the first module."""
        return getattr(self._first_module(), "tokenizer", None)

    @tokenizer.setter
    def tokenizer(self, value: Any) -> None:
        setattr(self._first_module(), "tokenizer", value)  # noqa: B010 - may be a property of the module

    @property
    def processor(self) -> Any:
        """The processor of the first module; for text models, its tokenizer."""
        return getattr(self._first_module(), "processor", self.tokenizer)

    @property
    def max_seq_length(self) -> Any:
        """Tokens kept per input, special ones included; None if the first module has no limit to tell."""
        first = self._first_module()
        getter: Any = getattr(first, "get_max_seq_length", None)
        if getter is not None and not hasattr(first, "max_seq_length"):
            return getter()  # a module of an earlier generation
        return getattr(first, "max_seq_length", None)

    @max_seq_length.setter
    def max_seq_length(self, value: int | None) -> None:
        setattr(self._first_module(), "max_seq_length", value)  # noqa: B010 - may be a property of the module

    def get_max_seq_length(self) -> Any:
        """The same as :attr:`max_seq_length`."""
        return self.max_seq_length

    @property
    def transformers_model(self) -> Any:
        """The first transformers model inside, wherever it is, or None."""
        return next((m.auto_model for m in self.modules() if hasattr(m, "auto_model")), None)

    @property
    def config(self) -> Any:
        """The configuration of the transformers model inside, or None; settable."""
        return getattr(self.transformers_model, "config", None)

    @config.setter
    def config(self, value: Any) -> None:
        if self.transformers_model is not None:
            self.transformers_model.config = value

    def gradient_checkpointing_enable(
        self, gradient_checkpointing_kwargs: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        """Recompute activations in the backward pass, in every inner model that can: less memory, more
        time.
        """
        for module in self.modules():
            enable: Any = getattr(module, "gradient_checkpointing_enable", None)
            if module is not self and enable and getattr(module, "supports_gradient_checkpointing", True):
                enable(gradient_checkpointing_kwargs, **kwargs)

    # -- devices
    # -------------------------------------------------------------------------------------------------

    @property
    def device(self) -> torch.device:
        """Device of the first parameter or buffer; the CPU for a model without any."""
        tensor = _first_tensor(self)
        return torch.device("cpu") if tensor is None else tensor.device

    @property
    def _target_device(self) -> torch.device:
        """Older name of :attr:`device`; setting it moves the model."""
        return self.device

    @_target_device.setter
    def _target_device(self, device: int | str | torch.device | None) -> None:
        self.to(device)

    @property
    def dtype(self) -> torch.dtype | None:
        """Data type of the first parameter, or None."""
        parameter = next(self.parameters(), None)
        return None if parameter is None else parameter.dtype

    def evaluate(self, evaluator: Any, output_path: str | None = None) -> Any:
        """Run an evaluator: ``evaluator(model, output_path)``."""
        if output_path is not None:
            Path(output_path).mkdir(parents=True, exist_ok=True)
        return evaluator(self, output_path)

    def _place(self, device: str | torch.device | None, device_map: Any) -> None:
        """Later modules take the data type of the first; all go to the device unless a device map rules."""
        dtype = self.dtype
        if dtype is not None and dtype.is_floating_point:
            for module in list(self)[1:]:
                module.to(dtype)
        if device_map is None:
            self.to(device or get_device_name())
        else:
            self.clear_placement_cache()

    def clear_placement_cache(self) -> None:
        """Bring the modules around transformers models that a device map or hooks of ``accelerate`` placed to
        where the first of those starts; call it after adding modules to such a model.
        """
        placed: set[nn.Module] = set()
        for module in self.modules():
            inner = getattr(module, "auto_model", None)
            if isinstance(inner, nn.Module):
                placed.update(inner.modules())
        start = self.device
        for module in self.modules():
            if module not in placed:
                module._apply(lambda tensor: tensor.to(start), recurse=False)


def _first_tensor(module: nn.Module) -> torch.Tensor | None:
    """The first parameter or buffer, without the lists of names that ``parameters()`` makes on the way."""
    for tensor in (*module._parameters.values(), *module._buffers.values()):
        if tensor is not None:
            return tensor
    inner = (_first_tensor(child) for child in module._modules.values() if child is not None)
    return next((tensor for tensor in inner if tensor is not None), None)
