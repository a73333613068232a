"""Scale embeddings to unit length."""

from __future__ import annotations

from typing import Any, ClassVar

from stlib.base.modules.module import Module
from stlib.util.tensor import normalize_embeddings


class Normalize(Module):
    """Scale ``features[module_input_name]`` to unit L2 length, so that dot product equals cosine.

    Args:
        module_input_name: key to read.
        module_output_name: key to write; the same one by default.
    """

    without_memory: ClassVar[bool] = True
    config_keys: ClassVar[list[str]] = ["module_input_name", "module_output_name"]

    def __init__(
        self, module_input_name: str = "sentence_embedding", module_output_name: str | None = None
    ) -> None:
        super().__init__()
        self.module_input_name = module_input_name
        self.module_output_name = module_output_name or module_input_name

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        features[self.module_output_name] = normalize_embeddings(features[self.module_input_name])
        return features

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        self.save_config(output_path)

    @classmethod
    def load(cls, model_name_or_path: str = "", subfolder: str = "", *args: Any, **kwargs: Any) -> Normalize:
        """Folders of older models hold no file for this module; its defaults are meant then."""
        hub = ("token", "cache_folder", "revision", "local_files_only")
        if not model_name_or_path:
            return cls()
        config = cls.load_config(
            model_name_or_path, subfolder, None, *args, **{k: kwargs[k] for k in hub if k in kwargs}
        )
        return cls.from_config(config, model_name_or_path, subfolder)
