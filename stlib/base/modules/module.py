"""The base of all building blocks: a step over one features dict that knows how to save and load itself."""

from __future__ import annotations

import functools
import inspect
import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn

from stlib.base import weights as weight_files
from stlib.base.folder import missing_file, read_json_object
from stlib.errors import ModelConfigError
from stlib.util import file_io
from stlib.util.config_keys import drop_unknown_keys
from stlib.util.older_names import warn_older_name

if TYPE_CHECKING:
    from typing_extensions import Self

# Up to these the weights themselves tell what is wrong with them.
_USUAL_SIZE = 100_000  # of one number in a configuration
_FEW_NUMBERS = 10_000_000

_OLDER_DIMENSION_NAMES = ("get_sentence_embedding_dimension", "get_word_embedding_dimension")


class Module(ABC, nn.Module):
    """One step of a pipeline: ``forward`` takes the features dict and returns it, enriched.

    Usual keys of the dict, each for a batch of ``n`` inputs:

    - ``input_ids``, ``attention_mask``, ``token_type_ids``: ``[n, tokens]``
    - ``token_embeddings``: ``[n, tokens, d]``
    - ``sentence_embedding``: ``[n, d]``
    - ``prompt_length``: tokens of the prompt in front of each input, special tokens included

    A subclass names the constructor arguments that are its configuration in ``config_keys``: they are written
    to ``config_file_name`` by :meth:`save_config`, and :meth:`load` builds the module from them.
    """

    config_file_name: ClassVar[str] = "config.json"
    """Name of the configuration file inside the module's folder."""

    config_keys: ClassVar[list[str]] = []
    """Attributes that make up the configuration; each is a constructor argument of the same name."""

    config_key_renames: ClassVar[dict[str, str]] = {}
    """Older configuration keys and what they are called now."""

    ignores_unknown_keys: ClassVar[bool] = False
    """Whether a configuration of a newer version loads without the keys that are unknown here; each is named
    in a warning. Elsewhere they are an error, as nobody can tell what they do.
    """

    older_config_keys: ClassVar[tuple[str, ...]] = ()
    """Keys of earlier generations that the constructor takes beside its named arguments."""

    save_in_root: ClassVar[bool] = False
    """Save into the model's folder itself (first module only) rather than into ``{index}_{Class}``."""

    without_memory: ClassVar[bool] = False
    """Whether the module's two steps, preparing and running, share no state, so that the next batch may be
    prepared while one runs. Counts for the class that says so, not for classes made from it.
    """

    forward_kwargs: ClassVar[set[str]] = set()
    """Keywords of ``encode`` that ``forward`` takes."""

    @abstractmethod
    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Enrich the features dict and return it."""

    @abstractmethod
    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        """Write the module to a folder; usually :meth:`save_config` and :meth:`save_torch_weights`."""

    def on_model_ready(self, model: nn.Module) -> None:
        """Called once the whole model is built, for modules that must know their neighbours."""

    def get_config_dict(self) -> dict[str, Any]:
        """The values of ``config_keys``."""
        return {key: getattr(self, key) for key in self.config_keys}

    def save_config(self, output_path: str, filename: str | None = None) -> None:
        """Write the configuration as JSON to ``filename`` (default: ``config_file_name``)."""
        path = Path(output_path) / (filename or self.config_file_name)
        path.write_text(json.dumps(self.get_config_dict(), indent=4), encoding="utf-8")

    def save_torch_weights(self, output_path: str, safe_serialization: bool = True) -> None:
        """Write the weights as ``model.safetensors``, or as ``pytorch_model.bin`` if asked to."""
        weight_files.save_weights(self, Path(output_path), safe_serialization)

    @classmethod
    def load(
        cls,
        model_name_or_path: str,
        subfolder: str = "",
        token: bool | str | None = None,
        cache_folder: str | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
        *,
        init_defaults: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Build the module from its configuration file. Subclasses with weights load those as well.

        Args:
            model_name_or_path: folder or model id.
            subfolder: the module's folder inside the model, e.g. ``"1_Pooling"``.
            token: access token for private models, or True for the stored one.
            cache_folder: where downloads are kept; default: the Hugging Face cache.
            revision: branch, tag or commit.
            local_files_only: never use the network.
            init_defaults: values for configuration keys that the file lacks.

        Raises:
            MissingModelFile: there is no configuration file though the module needs one.
            ModelConfigError: the file holds keys or values that the constructor does not take.
        """
        config = cls.load_config(
            model_name_or_path, subfolder, None, token, cache_folder, revision, local_files_only
        )
        if not config and cls.config_keys and not init_defaults:
            raise missing_file(model_name_or_path, subfolder, cls.config_file_name)
        config = cls.without_unknown_keys(config, model_name_or_path, subfolder)
        return cls.from_config({**(init_defaults or {}), **config}, model_name_or_path, subfolder)

    @classmethod
    def without_unknown_keys(
        cls, config: dict[str, Any], model_name_or_path: str = "", subfolder: str = ""
    ) -> dict[str, Any]:
        """The configuration without keys of a newer version, which a warning names; see
        :attr:`ignores_unknown_keys`.
        """
        if not cls.ignores_unknown_keys:
            return config
        taken = [name for name in inspect.signature(cls).parameters if name != "older"]
        known = [*taken, *cls.older_config_keys]
        return drop_unknown_keys(config, known, cls._name_config(model_name_or_path, subfolder))

    @classmethod
    def from_config(cls, config: dict[str, Any], model_name_or_path: str = "", subfolder: str = "") -> Self:
        """``cls(**config)``, with an error that names the file when the two do not fit.

        Raises:
            ModelConfigError: the constructor does not take the configuration.
        """
        try:
            return cls(**config)
        except (TypeError, ValueError, RuntimeError) as error:  # torch raises the last one for sizes
            reason = str(error).strip().splitlines()[0]
            where = cls._name_config(model_name_or_path, subfolder)
            raise ModelConfigError(f"{where} does not describe a {cls.__name__}: {reason}") from error

    @classmethod
    def check_sizes(cls, config: dict[str, Any], model_name_or_path: str, subfolder: str, *hub: Any) -> None:
        """Refuse sizes in a configuration that the weights do not bear out, before room is made for them.

        Classes that users write are built without this check, as they may need what it keeps from them.

        Args:
            config: arguments of the constructor.
            model_name_or_path: the model, with ``subfolder`` and ``hub`` as in :meth:`load`.

        Raises:
            ModelConfigError: the module would be larger than the weights that are there for it.
        """
        places = (weight_files.SAFETENSORS_NAME, weight_files.PYTORCH_NAME)
        found = (file_io.load_file_path(model_name_or_path, name, subfolder, *hub) for name in places)
        path = next((path for path in found if path is not None), None)
        if path is None or not cls.__module__.startswith("stlib."):
            return
        stored = Path(path).stat().st_size  # no number takes less than a byte
        where = cls._name_config(model_name_or_path, subfolder)
        for key, value in config.items():
            sizes = [n for n in (value if isinstance(value, list) else [value]) if isinstance(n, int)]
            if sizes and max(sizes) > max(stored, _USUAL_SIZE):
                raise ModelConfigError(f"{where}: {key} is {value}, and {path} has {stored:,} bytes")
        with torch.device("meta"):  # sizes without room for them
            module = cls.from_config(config, model_name_or_path, subfolder)
        needed = sum(one.numel() for one in module.parameters())
        if needed > max(stored, _FEW_NUMBERS):
            raise ModelConfigError(
                f"{where} describes {needed:,} numbers, and {path} has {stored:,} bytes; get the model again"
            )

    @classmethod
    def _name_config(cls, model_name_or_path: str, subfolder: str) -> str:
        parts = (str(model_name_or_path), subfolder, cls.config_file_name)
        return "/".join(part for part in parts if part)

    @classmethod
    def load_config(
        cls,
        model_name_or_path: str,
        subfolder: str = "",
        config_filename: str | None = None,
        token: bool | str | None = None,
        cache_folder: str | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
    ) -> dict[str, Any]:
        """The configuration file as a dict, older keys renamed; ``{}`` if there is none.

        Raises:
            ModelConfigError: the file is no JSON object.
        """
        path = file_io.load_file_path(
            model_name_or_path,
            config_filename or cls.config_file_name,
            subfolder,
            token,
            cache_folder,
            revision,
            local_files_only,
        )
        if path is None:
            return {}
        config = read_json_object(Path(path))
        return {cls.config_key_renames.get(key, key): value for key, value in config.items()}

    @staticmethod
    def load_file_path(
        model_name_or_path: str,
        filename: str,
        subfolder: str = "",
        token: bool | str | None = None,
        cache_folder: str | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
    ) -> str | None:
        """Path of a file of the model, or None; see :func:`stlib.util.file_io.load_file_path`."""
        return file_io.load_file_path(
            model_name_or_path, filename, subfolder, token, cache_folder, revision, local_files_only
        )

    @staticmethod
    def load_dir_path(
        model_name_or_path: str,
        subfolder: str = "",
        token: bool | str | None = None,
        cache_folder: str | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
    ) -> str | None:
        """Path of a folder of the model, or None; see :func:`stlib.util.file_io.load_dir_path`."""
        return file_io.load_dir_path(
            model_name_or_path, subfolder, token, cache_folder, revision, local_files_only
        )

    @classmethod
    def load_torch_weights(
        cls,
        model_name_or_path: str,
        subfolder: str = "",
        token: bool | str | None = None,
        cache_folder: str | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
        model: Self | None = None,
    ) -> Any:
        """Load ``model.safetensors``, else ``pytorch_model.bin`` (tensors only, nothing is unpickled).

        Returns:
            ``model`` with the weights in it, or a dict of tensors when ``model`` is None.

        Raises:
            MissingModelFile: there is neither file.
            WeightsMismatch: the weights do not fit ``model``.
        """
        for name in (weight_files.SAFETENSORS_NAME, weight_files.PYTORCH_NAME):
            path = file_io.load_file_path(
                model_name_or_path, name, subfolder, token, cache_folder, revision, local_files_only
            )
            if path is not None:
                state = weight_files.read_weights(Path(path))
                return state if model is None else weight_files.put_weights(model, state, path)
        raise missing_file(model_name_or_path, subfolder, weight_files.SAFETENSORS_NAME)

    def __getattr__(self, name: str) -> Any:
        # The older names also of modules that users write and that define the name of today.
        if name in _OLDER_DIMENSION_NAMES and hasattr(type(self), "get_embedding_dimension"):
            return functools.partial(_dimension_by_older_name, self, name)
        return super().__getattr__(name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.get_config_dict()})"


class ModuleWithWeights(Module):
    """A module whose folder holds its configuration and its weights."""

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        self.save_config(output_path)
        self.save_torch_weights(output_path, safe_serialization=safe_serialization)

    @classmethod
    def load(
        cls,
        model_name_or_path: str,
        subfolder: str = "",
        token: bool | str | None = None,
        cache_folder: str | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
        **kwargs: Any,
    ) -> Self:
        """See :meth:`Module.load`; reads the weights as well."""
        hub = (token, cache_folder, revision, local_files_only)
        if config := cls.load_config(model_name_or_path, subfolder, None, *hub):
            cls.check_sizes(config, model_name_or_path, subfolder, *hub)
        module = super().load(model_name_or_path, subfolder, *hub)
        return cls.load_torch_weights(model_name_or_path, subfolder, *hub, model=module)


class DimensionNames:
    """The older names of ``get_embedding_dimension``, which scripts and saved code still call."""

    def get_embedding_dimension(self) -> int:
        """Size of the last axis of what the module produces."""
        raise AttributeError(f"{type(self).__name__} does not define get_embedding_dimension")

    def get_sentence_embedding_dimension(self) -> int:
        """Older name of :meth:`get_embedding_dimension`."""
        return _dimension_by_older_name(self, "get_sentence_embedding_dimension")

    def get_word_embedding_dimension(self) -> int:
        """Older name of :meth:`get_embedding_dimension`."""
        return _dimension_by_older_name(self, "get_word_embedding_dimension")


def _dimension_by_older_name(module: Any, name: str) -> Any:
    warn_older_name(f"{name}()", "get_embedding_dimension()", FutureWarning, stacklevel=3)
    return module.get_embedding_dimension()


def embedding_dimension_of(module: nn.Module) -> int | None:
    """A module's output dimension by whichever of the documented getters it has, or None."""
    for name in ("get_embedding_dimension", *_OLDER_DIMENSION_NAMES):
        getter = getattr(module, name, None)
        if callable(getter):
            dimension = getter()
            return None if dimension is None else int(dimension)
    return None
