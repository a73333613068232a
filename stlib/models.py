"""Documented short path of :mod:`stlib.sentence_transformer.modules`."""

from typing import TYPE_CHECKING, Any

from stlib.older_paths import add_older_path
from stlib.sentence_transformer import modules
from stlib.util.registry import ENTRIES

if TYPE_CHECKING:
    from stlib.sentence_transformer.modules import *  # noqa: F403 - the names of __all__, for type checkers

__all__ = modules.__all__

add_older_path("stlib.models.Module", "stlib.base.modules.module")
add_older_path("stlib.models.InputModule", "stlib.base.modules.input_module")
add_older_path("stlib.models.tokenizer", "stlib.sentence_transformer.modules.tokenizer")
add_older_path("stlib.models.tokenizer.WordTokenizer", "stlib.sentence_transformer.modules.tokenizer.word")
for _entry in (entry for entry in ENTRIES if entry.short_path):
    add_older_path(f"stlib.models.{_entry.short_path}", f"stlib.{_entry.home}")


def __getattr__(name: str) -> Any:
    return getattr(modules, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(modules)})
