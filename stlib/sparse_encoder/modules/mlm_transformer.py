"""A transformer with its masked-language head, under the name that the first sparse models have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from stlib.base.modules.transformer import Transformer
from stlib.base.transformer.modality import default_config
from stlib.util.older_names import tell_older_name

if TYPE_CHECKING:
    from typing_extensions import Self

_TASK = "fill-mask"


class MLMTransformer(Transformer):
    """Older name of ``Transformer(…, transformer_task="fill-mask")``, which new models use.

    Args:
        args, kwargs: as for :class:`~stlib.base.modules.transformer.Transformer`.
    """

    without_memory: ClassVar[bool] = True

    def __init__(self, *args: Any, _from_auto_load: bool = False, **kwargs: Any) -> None:
        if not _from_auto_load:
            tell_older_name("MLMTransformer", "the class", "Transformer(…, transformer_task='fill-mask')")
        super().__init__(*args, **{"transformer_task": _TASK, **kwargs})

    @classmethod
    def load(
        cls,
        model_name_or_path: str,
        subfolder: str = "",
        *args: Any,
        init_defaults: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Self:
        """See :meth:`Transformer.load`."""
        defaults: Any = {"_from_auto_load": True, **(init_defaults or {})}
        keywords: dict[str, Any] = {**kwargs, "init_defaults": defaults}
        return super().load(model_name_or_path, subfolder, *args, **keywords)

    @classmethod
    def _default_modalities(cls, task: str) -> tuple[dict[Any, dict[str, Any]], str]:
        # Files of the generation that had this class name no task.
        return default_config(_TASK if task == "feature-extraction" else task)
