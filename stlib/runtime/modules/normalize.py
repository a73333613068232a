"""Scale embeddings to unit length."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stlib.runtime.files import read_object
from stlib.runtime.modules.base import SENTENCE_EMBEDDING, Features, unit_length


@dataclass(frozen=True)
class Normalize:
    """Scale one entry of the features to unit L2 length; zero vectors stay zero."""

    module_input_name: str = SENTENCE_EMBEDDING
    module_output_name: str = SENTENCE_EMBEDDING

    dimension = None

    @classmethod
    def load(cls, folder: Path) -> Normalize:
        """Folders of older models hold no file for this module; its defaults are meant then."""
        config = read_object(folder / "config.json")
        source = config.get("module_input_name") or SENTENCE_EMBEDDING
        return cls(source, config.get("module_output_name") or source)

    def forward(self, features: Features) -> Features:
        if self.module_input_name in features:
            features[self.module_output_name] = unit_length(features[self.module_input_name])
        return features

    def signature(self) -> dict[str, Any]:
        return {"kind": "Normalize", **asdict(self)}
