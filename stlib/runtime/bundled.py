"""Where the model that comes with the package lies."""

from __future__ import annotations

from pathlib import Path

from stlib.runtime.errors import ModelNotFoundError

BUNDLED_MODEL_NAME = "stlib-static-en"
"""Name of the bundled model; usable wherever a model path is."""

_PACKAGE = Path(__file__).resolve().parents[1]
_CANDIDATES = (
    _PACKAGE / "_data" / "models" / BUNDLED_MODEL_NAME,  # installed from a wheel
    _PACKAGE.parent / "data" / "models" / BUNDLED_MODEL_NAME,  # checkout or editable install
)


def default_model_path() -> Path:
    """Folder of the bundled model, in an installed package or in a checkout.

    Raises:
        ModelNotFoundError: the installation lacks the model.
    """
    for folder in _CANDIDATES:
        if folder.is_dir():
            return folder
    looked = " nor ".join(str(folder) for folder in _CANDIDATES)
    raise ModelNotFoundError(
        f"the bundled model {BUNDLED_MODEL_NAME!r} is neither at {looked}; "
        "reinstall stlib or pass a model path"
    )
