"""Names that are no cross-encoder's, told before the hub is asked, which may take a minute."""

from __future__ import annotations

from pathlib import Path

from stlib.errors import InvalidOption, ModelConfigError, ModelNotFound, StlibError

__all__ = ["check_name"]


def check_name(name: str) -> None:
    """Refuse a blank name, those of the models that come with the package, and nearly those.

    Raises:
        InvalidOption: the name is blank.
        ModelNotFound, ModelConfigError: the name, or the folder, is that of another kind of model.
    """
    # Here, as a tokenizer's library is loaded with it, which an import of CrossEncoder need not wait for.
    from stlib.runtime import BUNDLED_MODEL_NAME, BUNDLED_RERANKER_NAME, close_bundled_name

    if not name.strip():
        raise InvalidOption(
            f"the model's name is {name!r}; give a folder or a model id like 'owner/name', or modules="
        )
    path = Path(name)
    if path.is_dir():
        if _is_interaction(path):
            raise ModelConfigError(f"{name!r} holds {_how_to_load(repr(name), repr(name))}")
        return
    if path.exists() or "/" in name:
        return
    if name == BUNDLED_MODEL_NAME:
        raise ModelNotFound(
            f"{name!r} is the bundled embedding model, which gives vectors and no score for a pair; load it "
            "with SentenceTransformer, or give a cross-encoder"
        )
    how = _how_to_load("", repr(BUNDLED_RERANKER_NAME))
    if name == BUNDLED_RERANKER_NAME:
        raise ModelNotFound(f"{name!r} is {how}")
    if close_bundled_name(name) == BUNDLED_RERANKER_NAME:
        raise ModelNotFound(
            f"there is no model {name!r}; did you mean {BUNDLED_RERANKER_NAME!r}? That is {how}"
        )


def _how_to_load(path: str, name: str) -> str:
    return (
        "a reranker without torch, which CrossEncoder does not run: load it with "
        f"stlib.runtime.InteractionReranker.load({path}), or search with Collection.search(rerank={name})"
    )


def _is_interaction(folder: Path) -> bool:
    from stlib.runtime.files import read_object
    from stlib.runtime.interaction_reranker import MODEL_TYPE

    try:
        return read_object(folder / "config.json").get("model_type") == MODEL_TYPE
    except (StlibError, OSError):
        return False  # the loader tells what is wrong with it
