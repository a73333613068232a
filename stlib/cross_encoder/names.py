"""Names that are no cross-encoder's, told before the hub is asked, which may take a minute."""

from __future__ import annotations

from pathlib import Path

from stlib.errors import InvalidOption, ModelConfigError, ModelNotFound
from stlib.runtime import BUNDLED_MODEL_NAME, BUNDLED_RERANKER_NAME, ModelError, close_bundled_name
from stlib.runtime.files import read_object
from stlib.runtime.interaction_reranker import MODEL_TYPE

__all__ = ["check_name"]


def check_name(name: str) -> None:
    """Refuse a blank name, those of the models that come with the package, and nearly those.

    Raises:
        InvalidOption: the name is blank.
        ModelNotFound, ModelConfigError: the name, or the folder, is that of another kind of model.
    """
    if not name.strip():
        raise InvalidOption(
            f"the model's name is {name!r}; give a folder or a model id like 'owner/name', or modules="
        )
    path = Path(name)
    if path.is_dir():
        if _model_type(path) == MODEL_TYPE:
            raise ModelConfigError(f"{name!r} holds {_how_to_load(repr(name))}")
        return
    if path.exists() or "/" in name:
        return
    if name == BUNDLED_MODEL_NAME:
        raise ModelNotFound(
            f"{name!r} is the bundled embedding model, which gives vectors and no score for a pair; load it "
            "with SentenceTransformer, or give a cross-encoder"
        )
    if name == BUNDLED_RERANKER_NAME:
        raise ModelNotFound(f"{name!r} is {_how_to_load('')}")
    if close_bundled_name(name) == BUNDLED_RERANKER_NAME:
        raise ModelNotFound(
            f"there is no model {name!r}; did you mean {BUNDLED_RERANKER_NAME!r}? That is {_how_to_load('')}"
        )


def _how_to_load(path: str) -> str:
    return (
        "a reranker without torch, which CrossEncoder does not run: load it with "
        f"stlib.runtime.InteractionReranker.load({path}), or search with "
        f"Collection.search(rerank={path or repr(BUNDLED_RERANKER_NAME)})"
    )


def _model_type(folder: Path) -> object:
    try:
        return read_object(folder / "config.json").get("model_type")
    except (ModelError, OSError):
        return None  # the loader tells what is wrong with it
