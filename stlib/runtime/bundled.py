"""Where the models that come with the package lie."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from stlib.errors import ModelNotFound

BUNDLED_MODEL_NAME = "stlib-static-en"
"""Name of the bundled model; usable wherever a model path is."""

BUNDLED_RERANKER_NAME = "stlib-rerank-en"
"""Name of the bundled reranker; usable wherever a reranker is."""

# From 0 to 1, see difflib: a letter more or less, a part left out or exchanged.
_ALIKE = 0.75

_PACKAGE = Path(__file__).resolve().parents[1]
_CANDIDATES = (
    _PACKAGE / "_data" / "models",  # installed from a wheel
    _PACKAGE.parent / "data" / "models",  # checkout or editable install
)


def default_model_path() -> Path:
    """Folder of the bundled model, in an installed package or in a checkout.

    Raises:
        ModelNotFound: the installation lacks the model.
    """
    return _find_bundled(BUNDLED_MODEL_NAME)


def default_reranker_path() -> Path:
    """Folder of the bundled reranker, in an installed package or in a checkout.

    Raises:
        ModelNotFound: the installation lacks the reranker.
    """
    return _find_bundled(BUNDLED_RERANKER_NAME)


def close_bundled_name(name: str) -> str | None:
    """The bundled model or reranker that a bare name is nearly that of; None for paths and other names."""
    known = (BUNDLED_RERANKER_NAME, BUNDLED_MODEL_NAME)
    return next(iter(get_close_matches(name.strip().lower(), known, 1, _ALIKE)), None)


def _find_bundled(name: str) -> Path:
    folders = [folder / name for folder in _CANDIDATES]
    for folder in folders:
        if folder.is_dir():
            return folder
    looked = " nor ".join(str(folder) for folder in folders)
    raise ModelNotFound(
        f"the bundled model {name!r} is neither at {looked}; reinstall stlib or pass a model path"
    )
