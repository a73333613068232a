"""Adapters (LoRA and its kin) on the transformers model inside a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stlib.base.adapters import attach_adapter, require_peft
from stlib.errors import InvalidOption
from stlib.util.file_io import checked_relative_path, resolve_model_folder

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
        self._adapted().add_adapter(adapter_config, adapter_name)

    def load_adapter(self, peft_model_id: str | None = None, *args: Any, **kwargs: Any) -> None:
        """Load an adapter from a folder or model id; it is active afterwards.

        Args:
            peft_model_id: folder or model id. Nothing in it is unpickled: its weights must be safetensors.
            args: see ``kwargs``; the next positional argument is ``adapter_name``.
            kwargs: ``adapter_name`` (default ``"default"``), ``is_trainable``, and further arguments of
                transformers' ``load_adapter``; ``peft_config`` and ``adapter_state_dict`` load an adapter
                that is in memory. ``revision``, ``token``, ``cache_dir``, ``local_files_only`` and
                ``subfolder`` say where a model id is found; ``adapter_kwargs`` may hold them too.

        Raises:
            ModelNotFound, MissingModelFile: there is no such adapter, or its folder is incomplete.
            ModelConfigError, WeightsMismatch: its files are of no use.
            UntrustedCode: its configuration would make ``peft`` import code or unpickle files.
        """
        model = self._adapted()
        if peft_model_id is None:
            model.load_adapter(None, *args, **kwargs)
            return
        inner = dict(kwargs.pop("adapter_kwargs", None) or {})
        given = {name: source.pop(name) for source in (inner, kwargs) for name in _PLACES if name in source}
        subfolder = kwargs.pop("subfolder", inner.pop("subfolder", ""))
        folder = resolve_model_folder(
            str(peft_model_id), **{_PLACES[name]: value for name, value in given.items()}
        )
        if args:
            kwargs["adapter_name"], *rest = args
            if rest:
                raise InvalidOption(
                    "load_adapter takes peft_model_id and adapter_name by position; name the rest"
                )
        name = kwargs.pop("adapter_name", None) or "default"
        attach_adapter(model, Path(folder) / checked_relative_path(subfolder), name, **kwargs)

    def set_adapter(self, adapter_name: list[str] | str) -> None:
        """Use the named adapter, or several at once, and no other."""
        self._adapted().set_adapter(adapter_name)

    def disable_adapters(self) -> None:
        """Compute as the base model does; the adapters stay."""
        self._adapted().disable_adapters()

    def enable_adapters(self) -> None:
        """Use the active adapters again."""
        self._adapted().enable_adapters()

    def active_adapters(self) -> list[str]:
        """Names of the adapters in use."""
        return self._adapted().active_adapters()

    def active_adapter(self) -> str:
        """Name of the first adapter in use."""
        return self.active_adapters()[0]

    def get_adapter_state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """Weights of one adapter alone: ``adapter_name`` (default: the active one), ``state_dict``."""
        return self._adapted().get_adapter_state_dict(*args, **kwargs)

    def delete_adapter(self, adapter_names: list[str] | str) -> None:
        """Take one adapter or several out of the model."""
        self._adapted().delete_adapter(adapter_names)

    def _adapted(self) -> Any:
        require_peft()
        self.check_peft_compatible_model()
        return self.transformers_model
