"""The ``encode`` family of :class:`stlib.SparseEncoder`."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from stlib.base.inference import InferenceModel, check_encode_keywords, take_inputs
from stlib.base.inputs import as_list
from stlib.errors import InvalidOption
from stlib.sparse_encoder.encoding import SparseEncodeOptions, collect

_LAYOUTS: dict[Any, str | None] = {True: "coo", False: None, "coo": "coo", "csr": "csr"}


class SparseEncodingModel(InferenceModel):
    """A pipeline that turns inputs into sparse vectors; the setting of its own is ``max_active_dims``."""

    max_active_dims: int | None

    def encode(
        self,
        inputs: Any = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        convert_to_tensor: bool = True,
        convert_to_sparse_tensor: bool | str = True,
        save_to_cpu: bool = False,
        device: Any = None,
        max_active_dims: int | None = None,
        pool: Any = None,
        chunk_size: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Embed one input or many.

        Args:
            inputs: a text or a collection of texts; ``sentences`` is its older name.
            prompt_name: name of one of ``prompts`` to put in front of each text.
            prompt: the text itself to put in front; wins over ``prompt_name``.
            batch_size: scale of one forward pass: about 64 tokens for each unit, so that short texts share a
                pass (on a CPU; eight times as many elsewhere). 1 means one input at a time.
            show_progress_bar: None shows one if this module's logger is at level INFO or below.
            convert_to_tensor: one tensor ``[n, d]`` (``[d]`` for a single input); False: a list of ``[d]``.
            convert_to_sparse_tensor: True or ``"coo"`` for torch's COO layout, ``"csr"`` for CSR (a list's
                entries stay COO), False for dense tensors.
            save_to_cpu: results on the CPU, batch by batch, rather than on the model's device.
            device: move the model there first. A list of devices starts a process on each, for this call.
            max_active_dims: keep the so many largest values of each vector; default: the model's.
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
        if batch_size < 1:
            raise InvalidOption(f"batch_size is {batch_size}; use 1 or more")
        limit = check_max_active_dims(self.max_active_dims if max_active_dims is None else max_active_dims)
        check_encode_keywords(kwargs, self.get_model_kwargs())
        layout = _layout(convert_to_sparse_tensor)
        items, single = as_list(inputs)
        to_host = save_to_cpu or pool is not None or bool(self.devices_of(device))
        options = SparseEncodeOptions(
            prompt=self.resolve_prompt(prompt, prompt_name),
            max_active_dims=limit,
            sparse=layout is not None,
            to_cpu=to_host,
            keywords=kwargs,
        )
        values = self.run_inputs(items, batch_size, options, show_progress_bar, device, pool, chunk_size)
        if single:
            return collect(values, layout, False, self.device)[0]
        return collect(values, layout, convert_to_tensor, self.device)

    def encode_query(
        self,
        inputs: Any = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        convert_to_tensor: bool = True,
        convert_to_sparse_tensor: bool | str = True,
        save_to_cpu: bool = False,
        device: Any = None,
        max_active_dims: int | None = None,
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
            inputs=inputs,
            prompt_name=prompt_name,
            prompt=prompt,
            batch_size=batch_size,
            show_progress_bar=show_progress_bar,
            convert_to_tensor=convert_to_tensor,
            convert_to_sparse_tensor=convert_to_sparse_tensor,
            save_to_cpu=save_to_cpu,
            device=device,
            max_active_dims=max_active_dims,
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
        convert_to_tensor: bool = True,
        convert_to_sparse_tensor: bool | str = True,
        save_to_cpu: bool = False,
        device: Any = None,
        max_active_dims: int | None = None,
        pool: Any = None,
        chunk_size: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Embed documents: :meth:`encode` with ``task="document"`` and, unless one is given, the first prompt
        there is of ``"document"``, ``"passage"`` and ``"corpus"``.
        """
        if prompt_name is None and prompt is None:
            prompt_name = self.task_prompt_name("document")
        return self.encode(
            inputs=inputs,
            prompt_name=prompt_name,
            prompt=prompt,
            batch_size=batch_size,
            show_progress_bar=show_progress_bar,
            convert_to_tensor=convert_to_tensor,
            convert_to_sparse_tensor=convert_to_sparse_tensor,
            save_to_cpu=save_to_cpu,
            device=device,
            max_active_dims=max_active_dims,
            pool=pool,
            chunk_size=chunk_size,
            task="document",
            **kwargs,
        )


def check_max_active_dims(value: Any) -> int | None:
    """The value, if it is None or a number of dimensions.

    Raises:
        InvalidOption: it is neither.
    """
    if value is None or (isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1):
        return None if value is None else int(value)
    raise InvalidOption(f"max_active_dims is {value!r}; use None or a number from 1 on")


def _layout(value: bool | str) -> str | None:
    try:
        return _LAYOUTS[value]
    except (KeyError, TypeError):
        raise InvalidOption(
            f"convert_to_sparse_tensor is {value!r}; use True, False, 'coo' or 'csr'"
        ) from None
