"""Adapters (LoRA and its kin) on the transformers model inside a model."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from stlib.base.adapters import (
    adapter_weights,
    attach_adapter,
    has_adapter,
    merge_into_base,
    put_adapter,
    require_peft,
    several_adapters_are_fine,
)
from stlib.errors import InvalidOption, UnknownKeyword
from stlib.util.file_io import check_relative_path, resolve_model_folder

if TYPE_CHECKING:
    from torch import Tensor

# Arguments of load_adapter that say where an adapter is found, and what resolve_model_folder calls them.
_PLACES = {
    "token": "token",
    "cache_dir": "cache_folder",
    "revision": "revision",
    "local_files_only": "local_files_only",
}


class PeftAdapterMixin:
    """What a model does with adapters; all of it concerns the first transformers model inside.

    Every method raises :class:`~stlib.errors.InvalidOption` if there is no such model, and
    :class:`~stlib.errors.MissingDependency` if ``peft`` is not installed.
    """

    transformers_model: Any

    def has_peft_compatible_model(self) -> bool:
        """Whether there is a transformers model inside that can take adapters."""
        return hasattr(self.transformers_model, "_hf_peft_config_loaded")

    def check_peft_compatible_model(self) -> None:
        """Raise :class:`~stlib.errors.InvalidOption` unless :meth:`has_peft_compatible_model`."""
        if not self.has_peft_compatible_model():
            raise InvalidOption(
                "adapters need a transformers model inside, which this model lacks; build it with a "
                "Transformer module and backend='torch'"
            )

    def add_adapter(self, adapter_config: Any, adapter_name: str | None = None) -> None:
        """Put a fresh adapter into the model, ready to be trained, and make it active.

        Args:
            adapter_config: a configuration of ``peft``, e.g. ``LoraConfig(target_modules=["query"])``.
            adapter_name: default: ``"default"``.
        """
        model = self._adapt()
        with several_adapters_are_fine():
            model.add_adapter(adapter_config, adapter_name)

    def load_adapter(
        self,
        peft_model_id: str | os.PathLike[str] | None = None,
        adapter_name: str | None = None,
        peft_config: Any = None,
        adapter_state_dict: dict[str, Tensor] | None = None,
        is_trainable: bool = False,
        adapter_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Load an adapter from a folder, a model id or memory; it is active afterwards.

        Args:
            peft_model_id: folder or model id. Nothing in it is unpickled: its weights must be safetensors.
            adapter_name: default: ``"default"``.
            peft_config: with ``adapter_state_dict``, an adapter in memory: its configuration …
            adapter_state_dict: … and its weights, as :meth:`get_adapter_state_dict` returns them.
            is_trainable: let its weights learn.
            adapter_kwargs: the same as ``kwargs``.
            kwargs: where a model id is found: ``revision``, ``token``, ``cache_dir``, ``local_files_only``,
                ``subfolder``.

        Raises:
            ModelNotFound, MissingModelFile: there is no such adapter, or its folder is incomplete.
            ModelConfigError, WeightsMismatch: its files are of no use.
            UntrustedCode: its configuration would make ``peft`` import code.
            InvalidOption: there is an adapter of this name, or an argument has no meaning.
        """
        model = self._adapt()
        name = adapter_name or "default"
        places = {**(adapter_kwargs or {}), **kwargs}
        if unknown := set(places) - set(_PLACES) - {"subfolder"}:
            allowed = ", ".join([*_PLACES, "subfolder"])
            raise UnknownKeyword(
                f"load_adapter does not take {', '.join(sorted(unknown))}; it takes: {allowed}"
            )
        if peft_model_id is not None:
            subfolder = check_relative_path(places.pop("subfolder", None) or "")
            where = {_PLACES[key]: value for key, value in places.items()}
            folder = resolve_model_folder(os.fspath(peft_model_id), **where)
            attach_adapter(model, folder / subfolder, name, is_trainable)
        elif peft_config is not None and adapter_state_dict is not None:
            put_adapter(model, peft_config, adapter_state_dict, name, is_trainable)
        else:
            raise InvalidOption(
                "there is no adapter to load; pass a folder, a model id, or peft_config and "
                "adapter_state_dict"
            )
        model.eval()

    def set_adapter(self, adapter_name: list[str] | str) -> None:
        """Use the named adapter, or several at once, and no other."""
        self._adapt().set_adapter(adapter_name)

    def disable_adapters(self) -> None:
        """Compute as the base model does; the adapters stay."""
        self._adapt().disable_adapters()

    def enable_adapters(self) -> None:
        """Use the active adapters again."""
        self._adapt().enable_adapters()

    def active_adapters(self) -> list[str]:
        """Names of the adapters in use."""
        return self._adapt().active_adapters()

    def active_adapter(self) -> str:
        """Name of the first adapter in use."""
        return self.active_adapters()[0]

    def get_adapter_state_dict(
        self, adapter_name: str | None = None, state_dict: dict[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Weights of one adapter alone.

        Args:
            adapter_name: default: the active one.
            state_dict: take the tensors from here rather than from the model.
        """
        return adapter_weights(self._adapt(), adapter_name, state_dict)

    def delete_adapter(self, adapter_names: list[str] | str) -> None:
        """Take one adapter or several out of the model."""
        self._adapt().delete_adapter(adapter_names)

    def merge_and_unload(self) -> None:
        """Fold the active adapters into the weights of the base, so that the model is a whole one again.

        It then computes the same without ``peft``, and can be exported, merged with others, or saved whole.

        Raises:
            InvalidOption: the model has no adapter.
        """
        model = self._adapt()
        if not has_adapter(model):
            raise InvalidOption("the model has no adapter to merge; it is a whole model already")
        merge_into_base(model)

    def _adapt(self) -> Any:
        require_peft()
        self.check_peft_compatible_model()
        return self.transformers_model
