"""CrossEncoder: pairs of texts to scores."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from stlib.base.inference import InferenceModel
from stlib.base.loading import MODULES_NAME, LoadOptions, Pipeline, named_modules
from stlib.base.modules.activations import (
    activation_arguments,
    activation_from_name,
    activation_name,
    warn_if_foreign,
)
from stlib.base.modules.dense import Dense
from stlib.base.modules.transformer import Transformer
from stlib.base.transformer.config import Backend
from stlib.base.transformer.files import has_onnx_alone, load_config
from stlib.cross_encoder import full_precision
from stlib.cross_encoder.fit_mixin import FitMixin
from stlib.cross_encoder.model_card import CrossEncoderModelCardData
from stlib.cross_encoder.modules.logit_score import LogitScore
from stlib.cross_encoder.names import check_name
from stlib.cross_encoder.older_arguments import current_arguments, current_positions
from stlib.cross_encoder.predicting import (
    PredictOptions,
    as_pairs,
    check_activation,
    check_batch_size,
    check_keywords,
    check_labels,
    collect,
    distinct,
    is_single_pair,
)
from stlib.errors import InvalidInput, InvalidOption, MissingModelFile, ModelConfigError
from stlib.util.older_names import tell_older_name, tell_once, warn_older_name


class CrossEncoder(InferenceModel, FitMixin):
    """A reranker: reads a query and a document together and scores the pair.

    It is more exact than comparing embeddings, and too slow to compare a query with a whole collection: let
    it re-order what a bi-encoder or BM25 found.

    Args:
        model_name_or_path: a folder or a model id: a saved pipeline, or any transformers model for sequence
            classification (one label is added to a model without a head). Causal models are asked for "yes"
            or "no". With ``backend="onnx"`` a folder with an ONNX file and ``tokenizer.json`` is enough.
        modules: build the model from these instead.
        num_labels: labels of the classifier; default: those of the model, or 1.
        max_length: tokens kept per pair; default: what the model takes.
        activation_fn: applied to logits by :meth:`predict`; default: as saved, or the sigmoid for one label
            and the identity for several.
        keep_in_fp32_modules: paths of linear layers that compute in float32 whatever the precision around
            them; default: as saved. See :meth:`set_keep_in_fp32_modules`.

    The other arguments are those of :class:`stlib.SentenceTransformer`. Names of earlier generations
    (``tokenizer_args``, ``automodel_args``, ``default_activation_function``, …) keep working.

    Raises:
        ModelNotFound, MissingModelFile, ModelConfigError, UntrustedCode: the model cannot be loaded.
        InvalidOption: an argument has no meaning.

    Example::

        model = CrossEncoder("cross-encoder/ms-marco-MiniLM-L6-v2")
        model.predict([("How do I sort a list?", "sorted() returns a new sorted list.")])
        model.rank("How do I sort a list?", ["Call sorted().", "Tigers are cats."], return_documents=True)
    """

    model_type: ClassVar[str] = "CrossEncoder"
    default_huggingface_organization: ClassVar[str | None] = "cross-encoder"
    model_card_data_class = CrossEncoderModelCardData

    def __init__(
        self,
        model_name_or_path: str | os.PathLike[str] | None = None,
        *older_positions: Any,
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
        num_labels: int | None = None,
        max_length: int | None = None,
        activation_fn: Callable[[Tensor], Tensor] | None = None,
        keep_in_fp32_modules: list[str] | None = None,
        **older: Any,
    ) -> None:
        given: dict[str, Any] = {
            "model_name_or_path": model_name_or_path,
            "device": device,
            "cache_folder": cache_folder,
            "model_kwargs": model_kwargs,
            "processor_kwargs": processor_kwargs,
            "config_kwargs": config_kwargs,
            "num_labels": num_labels,
            "max_length": max_length,
            "activation_fn": activation_fn,
        }
        given = current_arguments(current_positions(given, older_positions), older)
        activation_fn = given.pop("activation_fn")
        check_activation(activation_fn)
        if (labels := given.pop("num_labels")) is not None:
            given["config_kwargs"] = {**(given["config_kwargs"] or {}), "num_labels": check_labels(labels)}
        if (length := given.pop("max_length")) is not None:
            given["processor_kwargs"] = {**(given["processor_kwargs"] or {}), "model_max_length": length}
        if given["model_name_or_path"] == "" and modules is None:
            check_name("")
        self._fp32_modules: list[str] = []
        self._saved_activation: str | None = None
        self._saved_arguments: dict[str, Any] | None = None
        self._saved_fp32: list[str] = []
        super().__init__(
            modules=modules,
            prompts=prompts,
            default_prompt_name=default_prompt_name,
            trust_remote_code=trust_remote_code,
            revision=revision,
            local_files_only=local_files_only,
            token=token,
            model_card_data=model_card_data,
            backend=backend,
            **given,
        )
        self.activation_fn = activation_fn if activation_fn is not None else self.get_default_activation_fn()
        self.set_keep_in_fp32_modules(
            self._saved_fp32 if keep_in_fp32_modules is None else keep_in_fp32_modules
        )

    # -- what it predicts

    def predict(
        self,
        inputs: Any = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        activation_fn: Callable[[Tensor], Tensor] | None = None,
        apply_softmax: bool | None = False,
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        device: Any = None,
        pool: Any = None,
        chunk_size: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Score one pair or many.

        Args:
            inputs: a pair, or a list of pairs, each ``(query, document)``; ``sentences`` is its older name.
            prompt_name: name of one of ``prompts`` to put in front of the first text of each pair.
            prompt: the text itself to put in front; wins over ``prompt_name``.
            batch_size: scale of one forward pass, as for :meth:`stlib.SentenceTransformer.encode`: short
                pairs share a pass, and a long one does not widen theirs.
            show_progress_bar: None shows one if the logger of this package is at level INFO or below.
            activation_fn: applied to the logits instead of the model's own.
            apply_softmax: probabilities over the labels, for models of several.
            convert_to_numpy: scores as an array ``[n]``, or ``[n, labels]`` for models of several labels.
            convert_to_tensor: as one tensor instead. If both are False: a list of tensors.
            device: move the model there first. A list of devices starts a process on each, for this call.
            pool: predict by the processes of :meth:`start_multi_process_pool`.
            chunk_size: pairs per task of a process.
            kwargs: keywords for the modules, e.g. ``processing_kwargs``.

        Returns:
            As the arguments say; entry i belongs to pair i. A single pair gives a single score.

        Raises:
            InvalidInput: an input is not a pair.
            InvalidOption: an argument has no meaning; UnknownKeyword is a special case.
        """
        kwargs = _without_former(kwargs)
        inputs = _rename(inputs, kwargs, "sentences", "inputs")
        activation_fn = _rename(activation_fn, kwargs, "activation_fct", "activation_fn")
        if inputs is None:
            raise InvalidOption("there are no inputs; pass a (query, document) pair or a list of pairs")
        self._first_module()  # refuses a model without modules
        check_keywords(self, kwargs)
        check_batch_size(batch_size)
        check_activation(activation_fn)
        single = self.is_singular_input(inputs)
        pairs = as_pairs(inputs, single)
        elsewhere = pool is not None or bool(self.devices_of(device))
        options = PredictOptions(
            activation_fn=self.activation_fn if activation_fn is None else activation_fn,
            apply_softmax=bool(apply_softmax),
            num_labels=self.num_labels,
            prompt=self.resolve_prompt(prompt, prompt_name),
            to_cpu=elsewhere or (convert_to_numpy and not convert_to_tensor),
            keywords=kwargs,
        )
        # Equal pairs get one score: rounding differs with the place in a batch, and would order them.
        unique, places = distinct(pairs)
        values = self.run_inputs(unique, batch_size, options, show_progress_bar, device, pool, chunk_size)
        if places is not None:
            values = [values[place] for place in places] if isinstance(values, list) else values[places]
        scores = collect(values, convert_to_numpy, convert_to_tensor, self.device)
        return scores[0] if single else scores

    def rank(
        self,
        query: Any,
        documents: Sequence[Any],
        top_k: int | None = None,
        return_documents: bool = False,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        activation_fn: Callable[[Tensor], Tensor] | None = None,
        device: Any = None,
        pool: Any = None,
        chunk_size: int | None = None,
        **kwargs: Any,
    ) -> list[dict[str, Any]]:
        """Documents by falling score for a query; equal scores keep the order of the documents.

        Args:
            query: one query.
            documents: any number of documents, in any collection that keeps an order.
            top_k: keep the best so many; default: all.
            return_documents: return the documents themselves, too.

        The other arguments are those of :meth:`predict`.

        Returns:
            ``{"corpus_id": position in documents, "score": float}`` for each, with ``"text"`` if wanted.

        Raises:
            InvalidOption: the model has several labels, so that it has no order of documents.
            InvalidInput: ``documents`` is a single text or a dict.
        """
        if self.num_labels != 1:
            raise InvalidOption(
                f"rank() needs a model with one label, this one has {self.num_labels}; use predict()"
            )
        if top_k is not None and top_k < 0:
            raise InvalidOption(f"top_k is {top_k}; use None for all documents, or a number from 0 on")
        if isinstance(documents, (str, bytes, Mapping)):
            raise InvalidInput(
                f"documents is a {type(documents).__name__}; pass a list, for example rank(query, [document])"
            )
        documents = list(documents)
        for former in ("apply_softmax", "convert_to_numpy", "convert_to_tensor"):
            kwargs.pop(former, None)  # they never changed the result
        scores = self.predict(
            [(query, document) for document in documents],
            prompt_name=prompt_name,
            prompt=prompt,
            batch_size=batch_size,
            show_progress_bar=show_progress_bar,
            activation_fn=activation_fn,
            device=device,
            pool=pool,
            chunk_size=chunk_size,
            **kwargs,
        )
        order = np.argsort(-scores, kind="stable")[:top_k].tolist()
        hits = [{"corpus_id": i, "score": float(scores[i])} for i in order]
        return [{**hit, "text": documents[hit["corpus_id"]]} for hit in hits] if return_documents else hits

    def is_singular_input(self, inputs: Any) -> bool:
        """Whether ``inputs`` is one pair rather than a collection of pairs."""
        return is_single_pair(inputs)

    # -- settings

    @property
    def model(self) -> Any:
        """The transformers model inside, or None."""
        return self.transformers_model

    @property
    def num_labels(self) -> int:
        """Scores per pair."""
        for module in reversed(list(self)):
            if isinstance(module, Dense) and module.module_output_name == "scores":
                return module.out_features
            if isinstance(module, LogitScore):
                return 1
            if isinstance(module, Transformer):
                return module.config.num_labels
        return 1

    @property
    def max_length(self) -> Any:
        """Older name of :attr:`max_seq_length`."""
        warn_older_name("max_length", "max_seq_length")
        return self.max_seq_length

    @max_length.setter
    def max_length(self, value: int | None) -> None:
        warn_older_name("max_length", "max_seq_length")
        self.max_seq_length = value

    @property
    def default_activation_function(self) -> Callable[[Tensor], Tensor]:
        """Older name of :attr:`activation_fn`."""
        warn_older_name("default_activation_function", "activation_fn")
        return self.activation_fn

    def get_default_activation_fn(self) -> Callable[[Tensor], Tensor]:
        """The activation that the model was saved with; else the sigmoid for one label, the identity for
        several.

        Raises:
            UntrustedCode: the saved one is not among those of ``torch.nn``, and ``trust_remote_code`` is
                False.
        """
        saved = self._saved_activation or _activation_in(self.config)
        if saved is not None:
            return activation_from_name(saved, self.trust_remote_code, self._saved_arguments)
        return nn.Sigmoid() if self.num_labels == 1 else nn.Identity()

    @property
    def keep_in_fp32_modules(self) -> list[str]:
        """Paths of linear layers that compute in float32."""
        return list(self._fp32_modules)

    def set_keep_in_fp32_modules(self, module_names: Sequence[str]) -> None:
        """Let plain linear layers compute in float32 although the model has fewer bits or runs under
        autocast; their weights stay as they are. The choice replaces the one before, and is saved.

        Raises:
            InvalidOption: a name is none of the model's linear layers, or the backend is not torch.
        """
        if module_names and self.backend != "torch":
            raise InvalidOption("keep_in_fp32_modules needs backend='torch'")
        self._fp32_modules = full_precision.select(self, module_names, self._fp32_modules)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "activation_fn":
            check_activation(value)
            # An attribute and no module of the pipeline, although it may be an nn.Module.
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    # -- files

    def config_dict(self) -> dict[str, Any]:
        activation = self.activation_fn or nn.Identity()
        warn_if_foreign(activation)
        config = {**super().config_dict(), "activation_fn": activation_name(activation)}
        if arguments := activation_arguments(activation):
            config["activation_fn_arguments"] = arguments
        return {**config, "keep_in_fp32_modules": self._fp32_modules} if self._fp32_modules else config

    def _read_config(self, config: dict[str, Any]) -> None:
        self._saved_activation = config.get("activation_fn")
        self._saved_arguments = config.get("activation_fn_arguments")
        self._saved_fp32 = list(config.get("keep_in_fp32_modules") or [])

    def _load(self, name_or_path: str, options: LoadOptions) -> Pipeline:
        check_name(name_or_path)
        return super()._load(name_or_path, options)

    def _load_folder(self, folder: Path, options: LoadOptions) -> Pipeline:
        if not has_onnx_alone(folder):
            return super()._load_folder(folder, options)
        if options.backend != "onnx":
            raise MissingModelFile(
                f"{str(folder)!r} has an ONNX file and no config.json, which backend={options.backend!r} "
                "needs: load it with backend='onnx'"
            )
        if (folder / MODULES_NAME).is_file():
            return super()._load_folder(folder, options)
        return Pipeline(named_modules(self._default_modules(folder, options)), {}, {}, None)

    def _default_modules(self, folder: Path, options: LoadOptions) -> list[nn.Module]:
        shared = {"trust_remote_code": options.trust_remote_code}
        config_kwargs = {**shared, **options.config_kwargs}
        causal = not has_onnx_alone(folder) and _is_causal(folder, config_kwargs)
        transformer = Transformer(
            str(folder),
            transformer_task="text-generation" if causal else "sequence-classification",
            model_kwargs={**shared, **options.model_kwargs},
            processor_kwargs={**shared, **options.processor_kwargs},
            config_kwargs=config_kwargs,
            backend=options.backend,
        )
        return [transformer, _yes_or_no(transformer)] if causal else [transformer]


def _is_causal(folder: Path, config_kwargs: dict[str, Any]) -> bool:
    config = load_config(folder, "sequence-classification", config_kwargs)
    architectures = getattr(config, "architectures", None) or [""]
    return architectures[0].endswith("ForCausalLM")


def _yes_or_no(transformer: Transformer) -> LogitScore:
    tokenizer = transformer.tokenizer
    ids = {word: tokenizer.convert_tokens_to_ids(word) for word in ("yes", "no")}
    missing = [word for word, id_ in ids.items() if id_ is None or id_ == tokenizer.unk_token_id]
    if missing:
        raise ModelConfigError(
            f"the tokenizer of this causal model has no token {' and no '.join(map(repr, missing))}, which "
            "it would answer with; pass modules=[Transformer(…), LogitScore(true_token_id=…)]"
        )
    return LogitScore(true_token_id=ids["yes"], false_token_id=ids["no"])


def _activation_in(config: Any) -> str | None:
    """The activation that a transformers configuration names, as generations before the pipeline wrote it."""
    newer = getattr(config, "sentence_transformers", None)
    if isinstance(newer, dict) and newer.get("activation_fn"):
        return newer["activation_fn"]
    older = getattr(config, "sbert_ce_default_activation_function", None)
    if older is not None:
        del config.sbert_ce_default_activation_function  # saved with the pipeline's settings from here on
    return older


def _rename(value: Any, kwargs: dict[str, Any], older: str, newer: str) -> Any:
    if older not in kwargs:
        return value
    if value is not None:
        raise InvalidOption(f"{newer} and its older name {older} are both given; pass {newer} only")
    tell_older_name("CrossEncoder", older, newer)
    return kwargs.pop(older)


def _without_former(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Keywords without those that once existed and have no effect."""
    if "num_workers" in kwargs:
        tell_once("CrossEncoder: num_workers has no effect any more; leave it out")
    return {name: value for name, value in kwargs.items() if name != "num_workers"}
