"""The ``encode`` family of :class:`stlib.SentenceTransformer`: one call, a stream, or several processes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from stlib.base.inference import InferenceModel, take_inputs
from stlib.base.inputs import as_list
from stlib.base.pool import Pool
from stlib.errors import InvalidOption
from stlib.sentence_transformer.encoding import (
    SENTENCE_EMBEDDING,
    EncodeOptions,
    check_options,
    collect,
)
from stlib.util.lists import refuse_text
from stlib.util.older_names import warn_older_name


class EncodingModel(InferenceModel):
    """A pipeline that turns inputs into embeddings; the settings of its own are ``truncate_dim``."""

    truncate_dim: int | None

    def encode(
        self,
        inputs: Any = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        output_value: str | None = SENTENCE_EMBEDDING,
        precision: str | None = "float32",
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        device: Any = None,
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
        pool: Any = None,
        chunk_size: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Embed one input or many.

        Args:
            inputs: a text, a pair of texts, or a collection of them; ``sentences`` is its older name.
            prompt_name: name of one of ``prompts`` to put in front of each text.
            prompt: the text itself to put in front; wins over ``prompt_name``.
            batch_size: scale of one forward pass: about 64 tokens for each unit, so that short texts share a
                pass (on a CPU; eight times as many elsewhere). 1 means one input at a time.
            show_progress_bar: None shows one if this module's logger is at level INFO or below.
            output_value: ``"sentence_embedding"``; ``"token_embeddings"`` for one ``[tokens, d]`` tensor per
                input; the name of another result of the modules; or None for all of them, a dict per input.
            precision: ``"float32"``, ``"int8"``, ``"uint8"``, ``"binary"`` or ``"ubinary"``; see
                :func:`stlib.quantize_embeddings`. int8 and uint8 take their ranges from the inputs of the
                call.
            convert_to_numpy: sentence embeddings as one array ``[n, d]`` (``[d]`` for a single input).
            convert_to_tensor: as one tensor on the model's device instead. If both are False: a list of
                tensors.
            device: move the model there first. A list of devices starts a process on each, for this call.
            normalize_embeddings: scale vectors to unit length, after truncation.
            truncate_dim: keep the first so many dimensions; default: the model's ``truncate_dim``.
            pool: encode by the processes of :meth:`start_multi_process_pool`.
            chunk_size: inputs per task of a process; default: a tenth of its share, 5,000 at most.
            kwargs: keywords for modules that declare them (:meth:`get_model_kwargs`); ``task`` is always
                allowed.

        Returns:
            As the arguments say; row i belongs to input i.

        Raises:
            InvalidInput: an input is not what the model takes.
            WorkerFailed: a process of the pool ended or failed.
            InvalidOption: an argument has no meaning; UnknownKeyword and UnknownPrompt are special cases.
        """
        inputs = take_inputs(self, inputs, kwargs)
        self._first_module()  # refuses a model without modules
        check_options(batch_size, precision, output_value, kwargs, self.get_model_kwargs())
        items, single = as_list(inputs)
        to_host = pool is not None or bool(self.devices_of(device))
        as_tensor = convert_to_tensor and output_value == SENTENCE_EMBEDDING
        as_numpy = convert_to_numpy and not as_tensor and output_value == SENTENCE_EMBEDDING
        options = EncodeOptions(
            prompt=self.resolve_prompt(prompt, prompt_name),
            output_value=output_value,
            normalize=normalize_embeddings,
            truncate_dim=self.truncate_dim if truncate_dim is None else truncate_dim,
            to_cpu=as_numpy or to_host,
            keywords=kwargs,
        )
        values = self.run_inputs(items, batch_size, options, show_progress_bar, device, pool, chunk_size)
        result = collect(values, precision, as_numpy, as_tensor)
        return result[0] if single else result

    def encode_query(
        self,
        inputs: Any = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        output_value: str | None = SENTENCE_EMBEDDING,
        precision: str | None = "float32",
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        device: Any = None,
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
        pool: Any = None,
        chunk_size: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Embed queries: :meth:`encode` with ``task="query"`` and, unless one is given, the prompt
        ``"query"``.
        """
        if prompt_name is None and prompt is None:
            prompt_name = self.task_prompt_name("query")
        return self.encode(
            inputs,  # the rest by name: a subclass may take them as **kwargs
            prompt_name=prompt_name,
            prompt=prompt,
            batch_size=batch_size,
            show_progress_bar=show_progress_bar,
            output_value=output_value,
            precision=precision,
            convert_to_numpy=convert_to_numpy,
            convert_to_tensor=convert_to_tensor,
            device=device,
            normalize_embeddings=normalize_embeddings,
            truncate_dim=truncate_dim,
            pool=pool,
            chunk_size=chunk_size,
            task="query",
            **kwargs,
        )

    def encode_document(
        self,
        inputs: Any = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        output_value: str | None = SENTENCE_EMBEDDING,
        precision: str | None = "float32",
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        device: Any = None,
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
        pool: Any = None,
        chunk_size: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Embed documents: :meth:`encode` with ``task="document"``.

        Unless a prompt is given, it is the first there is of ``"document"``, ``"passage"`` and ``"corpus"``.
        As every model has ``"document"``, empty or not, the other two are only taken when they are named:
        ``encode_document(texts, prompt_name="passage")``.
        """
        if prompt_name is None and prompt is None:
            prompt_name = self.task_prompt_name("document")
        return self.encode(
            inputs,  # the rest by name: a subclass may take them as **kwargs
            prompt_name=prompt_name,
            prompt=prompt,
            batch_size=batch_size,
            show_progress_bar=show_progress_bar,
            output_value=output_value,
            precision=precision,
            convert_to_numpy=convert_to_numpy,
            convert_to_tensor=convert_to_tensor,
            device=device,
            normalize_embeddings=normalize_embeddings,
            truncate_dim=truncate_dim,
            pool=pool,
            chunk_size=chunk_size,
            task="document",
            **kwargs,
        )

    def encode_stream(self, inputs: Iterable[Any], window: int = 4096, **kwargs: Any) -> Iterator[np.ndarray]:
        """Embed any number of inputs in bounded memory.

        Args:
            inputs: any iterable, a generator included; read one window at a time.
            window: inputs held at a time.
            kwargs: as for :meth:`encode`.

        Yields:
            What :meth:`encode` returns for each window, in the order of the inputs.

        Raises:
            InvalidOption: the precision is int8 or uint8, whose codes of different windows could not be
                compared.
        """
        if kwargs.get("precision") in ("int8", "uint8"):
            raise InvalidOption(
                "int8 and uint8 take their ranges from the inputs of a call, so windows would not be "
                "comparable; stream float32 and use quantize_embeddings(…, ranges=…)"
            )
        refuse_text(inputs=inputs)
        if window < 1:
            raise InvalidOption(f"window is {window}; use 1 or more")
        remaining = iter(inputs)
        while batch := list(itertools.islice(remaining, window)):
            yield self.encode(batch, **kwargs)

    def encode_multi_process(
        self,
        sentences: list[Any],
        pool: Pool,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = 32,
        chunk_size: int | None = None,
        show_progress_bar: bool | None = None,
        precision: str | None = "float32",
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
    ) -> np.ndarray:
        """Older way to write ``encode(sentences, pool=pool, …)``."""
        warn_older_name("encode_multi_process(sentences, pool, …)", "encode(sentences, pool=pool, …)")
        return self.encode(
            sentences,
            prompt_name=prompt_name,
            prompt=prompt,
            batch_size=batch_size,
            show_progress_bar=show_progress_bar,
            precision=precision,
            normalize_embeddings=normalize_embeddings,
            truncate_dim=truncate_dim,
            pool=pool,
            chunk_size=chunk_size,
        )

    def prompt_for(self, task: str, prompt: str | None, prompt_name: str | None) -> str | None:
        """The text that :meth:`encode_query` (task ``"query"``) or :meth:`encode_document` put in front."""
        if prompt is not None:
            return prompt
        if prompt_name is None:
            prompt_name = self.task_prompt_name(task)
        return self.resolve_prompt(None, prompt_name)

    def treats_roles_alike(self, query: dict[str, str | None], document: dict[str, str | None]) -> bool:
        """Whether it is certain that :meth:`encode_query` and :meth:`encode_document` give a text one vector.

        Args:
            query: ``prompt`` and ``prompt_name`` that queries would be encoded with.
            document: those for documents.
        """
        own, usual = (
            (kind.encode, kind.encode_query, kind.encode_document) for kind in (type(self), EncodingModel)
        )
        ignored = getattr(self[0], "ignores_task", False) and "task" not in self.get_model_kwargs()
        if own != usual or not ignored:
            return False
        prompts = self.prompt_for("query", **query), self.prompt_for("document", **document)
        return (prompts[0] or "") == (prompts[1] or "")
