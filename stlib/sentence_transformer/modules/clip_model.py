"""CLIP as earlier generations saved it."""

from __future__ import annotations

from typing import Any

from stlib.base.modules.transformer import Transformer
from stlib.base.transformer.modality import infer_methods
from stlib.util.older_names import tell_older_name

_DEFAULT_MODEL = "openai/clip-vit-base-patch32"


class CLIPModel(Transformer):
    """Embed texts and pictures in one space by a model of two towers; ``features["sentence_embedding"]`` is
    ``[n, d]``.

    Folders of all generations load; for new models take :class:`Transformer`.

    Args:
        model_name_or_path: folder or model id; ``model_name`` is its older name.
        kwargs: as for :class:`Transformer`, and ``processor_name``, another folder for the processor.
    """

    def __init__(
        self, model_name_or_path: str = _DEFAULT_MODEL, _from_auto_load: bool = False, **kwargs: Any
    ) -> None:
        if not _from_auto_load:  # nobody chose it who loads an older folder
            tell_older_name("stlib.models", "CLIPModel", "Transformer")
        model_name_or_path = kwargs.pop("model_name", model_name_or_path)
        if "processor_name" in kwargs:
            kwargs["tokenizer_name_or_path"] = kwargs.pop("processor_name")
        super().__init__(model_name_or_path, **kwargs)

    @classmethod
    def _default_modalities(cls, task: str) -> tuple[dict[Any, dict[str, Any]], str]:
        from transformers import CLIPModel as TransformersCLIPModel

        return infer_methods(TransformersCLIPModel, ["text", "image"]), "sentence_embedding"
