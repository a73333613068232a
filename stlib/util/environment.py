"""What this machine and this installation offer."""

from __future__ import annotations

import importlib.metadata
import importlib.util


def get_device_name() -> str:
    """The strongest torch device here: ``"cuda"``, ``"mps"``, ``"xpu"``, ``"npu"`` or ``"cpu"``."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if torch.backends.mps.is_available():
        return "mps"
    for name in ("xpu", "npu"):
        backend = getattr(torch, name, None)
        if backend is not None and backend.is_available():
            return name
    return "cpu"


def get_installed_version(package_name: str) -> str | None:
    """Version of an installed distribution, or None."""
    try:
        return importlib.metadata.version(package_name)
    except importlib.metadata.PackageNotFoundError:
        return None


def check_package_availability(package_name: str, owner: str | None = None) -> bool:
    """Whether a package can be imported and, with ``owner``, is that owner's: its home page or repository
    names it.
    """
    if importlib.util.find_spec(package_name) is None:
        return False
    if owner is None:
        return True
    try:
        metadata = importlib.metadata.metadata(package_name)
    except importlib.metadata.PackageNotFoundError:
        return False
    pages = [*metadata.get_all("Home-page", []), *metadata.get_all("Project-URL", [])]
    return any(f"{owner}/{package_name}" in page for page in pages)


def is_accelerate_available() -> bool:
    """Whether ``accelerate`` can be imported."""
    return importlib.util.find_spec("accelerate") is not None


def is_datasets_available() -> bool:
    """Whether Hugging Face ``datasets`` can be imported."""
    return importlib.util.find_spec("datasets") is not None


def is_training_available() -> bool:
    """Whether the packages that training needs can be imported (extra ``train``)."""
    return is_accelerate_available() and is_datasets_available()
