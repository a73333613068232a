"""The ``encode`` family of :class:`stlib.MultiVectorEncoder`."""

from __future__ import annotations

from typing import Any

from stlib.base.inference import InferenceModel, take_inputs
from stlib.base.inputs import as_list
from stlib.multi_vector_encoder.encoding import (
    TOKEN_EMBEDDINGS,
    TokenOptions,
    check_options,
    tell_pooled_twice,
)
from stlib.multi_vector_encoder.modules.token_pooling import BaseTokenPooling
from stlib.util.tensor import tensor_to_numpy


class TokenEncodingModel(InferenceModel):
    """A pipeline that turns each input into a matrix of token vectors."""

    def encode(
        self,
        inputs: Any = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        output_value: str | None = TOKEN_EMBEDDINGS,
        convert_to_numpy: bool = False,
        device: Any = None,
        normalize_embeddings: bool = False,
        pool: Any = None,
        chunk_size: int | None = None,
        token_pooling: BaseTokenPooling | None = None,
        task: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Token vectors of one input or many. Prefer :meth:`encode_query` and :meth:`encode_document`, which
        say what the inputs are.

        Args:
            inputs: a text or a collection of texts; ``sentences`` is its older name.
            prompt_name: name of one of ``prompts`` to put in front of each text.
            prompt: the text itself to put in front; wins over ``prompt_name``.
            batch_size: scale of one forward pass: about 64 tokens for each unit, so that short texts share a
                pass (on a CPU; eight times as many elsewhere). 1 means one input at a time.
            show_progress_bar: None shows one if this module's logger is at level INFO or below.
            output_value: ``"token_embeddings"``; None for a dict with all features of each input, with
                padding.
            convert_to_numpy: arrays rather than tensors on the model's device; results leave it batch by
                batch.
            device: move the model there first. A list of devices starts a process on each, for this call.
            normalize_embeddings: scale vectors to unit length, for models that do not do so themselves.
            pool: encode by the processes of :meth:`start_multi_process_pool`; results are on the CPU then.
            chunk_size: inputs per task of a process; default: a tenth of its share, 5,000 at most.
            token_pooling: join vectors of inputs whose task it is for; see
                :class:`~stlib.multi_vector_encoder.modules.HierarchicalTokenPooling`.
            task: ``"query"`` or ``"document"``, which decides lengths, expansion and what is left out.
            kwargs: keywords for modules that declare them (:meth:`get_model_kwargs`).

        Returns:
            A list with ``[tokens, d]`` for each input; for a single input that alone.

        Raises:
            InvalidInput: an input is not what the model takes.
            WorkerFailed: a process of the pool ended or failed.
            InvalidOption: an argument has no meaning; UnknownKeyword and UnknownPrompt are special cases.
        """
        inputs = take_inputs(self, inputs, kwargs)
        self._first_module()  # refuses a model without modules
        check_options(batch_size, output_value, kwargs, self.get_model_kwargs())
        tell_pooled_twice(self, token_pooling, task)
        items, single = as_list(inputs)
        as_numpy = convert_to_numpy and output_value is not None
        options = TokenOptions(
            prompt=self.resolve_prompt(prompt, prompt_name),
            output_value=output_value,
            normalize=normalize_embeddings,
            token_pooling=token_pooling,
            to_cpu=as_numpy or pool is not None or bool(self.devices_of(device)),
            keywords={**kwargs, "task": task},
        )
        rows: Any = self.run_inputs(items, batch_size, options, show_progress_bar, device, pool, chunk_size)
        if as_numpy:
            rows = [tensor_to_numpy(row) for row in rows]
        return rows[0] if single else list(rows)

    def encode_query(
        self,
        inputs: Any = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        output_value: str | None = TOKEN_EMBEDDINGS,
        convert_to_numpy: bool = False,
        device: Any = None,
        normalize_embeddings: bool = False,
        pool: Any = None,
        chunk_size: int | None = None,
        token_pooling: BaseTokenPooling | None = None,
        **kwargs: Any,
    ) -> Any:
        """Token vectors of queries: :meth:`encode` with ``task="query"`` and, unless one is given, the prompt
        ``"query"``.
        """
        if prompt_name is None and prompt is None:
            prompt_name = self.task_prompt_name("query")
        return self.encode(
            inputs=inputs,
            prompt_name=prompt_name,
            prompt=prompt,
            batch_size=batch_size,
            show_progress_bar=show_progress_bar,
            output_value=output_value,
            convert_to_numpy=convert_to_numpy,
            device=device,
            normalize_embeddings=normalize_embeddings,
            pool=pool,
            chunk_size=chunk_size,
            token_pooling=token_pooling,
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
        output_value: str | None = TOKEN_EMBEDDINGS,
        convert_to_numpy: bool = False,
        device: Any = None,
        normalize_embeddings: bool = False,
        pool: Any = None,
        chunk_size: int | None = None,
        token_pooling: BaseTokenPooling | None = None,
        **kwargs: Any,
    ) -> Any:
        """Token vectors of documents: :meth:`encode` with ``task="document"`` and, unless one is given, the
        first prompt there is of ``"document"``, ``"passage"`` and ``"corpus"``.
        """
        if prompt_name is None and prompt is None:
            prompt_name = self.task_prompt_name("document")
        return self.encode(
            inputs=inputs,
            prompt_name=prompt_name,
            prompt=prompt,
            batch_size=batch_size,
            show_progress_bar=show_progress_bar,
            output_value=output_value,
            convert_to_numpy=convert_to_numpy,
            device=device,
            normalize_embeddings=normalize_embeddings,
            pool=pool,
            chunk_size=chunk_size,
            token_pooling=token_pooling,
            task="document",
            **kwargs,
        )
