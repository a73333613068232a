"""What this machine and this installation offer."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import logging
import os
import platform
import re
import sys
from collections.abc import Iterator
from typing import Any

from stlib.errors import MissingDependency

logger = logging.getLogger(__name__)


def is_dist_initialized() -> bool:
    """Whether this process belongs to a group of ``torch.distributed`` (which some builds of torch lack)."""
    import torch

    return torch.distributed.is_available() and torch.distributed.is_initialized()


def get_device_name() -> str:
    """The strongest torch device here: ``"cuda:0"``, ``"mps"``, ``"npu"``, ``"xpu"``, ``"hpu"`` or ``"cpu"``.

    Of several CUDA devices it is this process's own, by the variable ``LOCAL_RANK`` of launchers or by its
    rank in the group.
    """
    import torch

    if torch.cuda.is_available():
        return f"cuda:{_local_rank(torch.cuda.device_count())}"
    if torch.backends.mps.is_available():
        return "mps"
    for name in ("npu", "xpu", "hpu"):
        backend = getattr(torch, name, None)
        if backend is not None and backend.is_available():
            return name
    return "cpu"


def _local_rank(n_devices: int) -> int:
    import torch

    if "LOCAL_RANK" in os.environ:
        return int(os.environ["LOCAL_RANK"])
    rank = torch.distributed.get_rank() if is_dist_initialized() else 0
    return rank if rank < n_devices else 0


def get_installed_version(package_name: str) -> str | None:
    """Version of an installed distribution (or of ``"python"``), or None.

    Of a module that is imported already it is its ``__version__``, which is what runs.
    """
    if package_name == "python":
        return platform.python_version()
    running = getattr(sys.modules.get(package_name.replace("-", "_")), "__version__", None)
    if isinstance(running, str):
        return running
    try:
        return importlib.metadata.version(package_name)
    except importlib.metadata.PackageNotFoundError:
        return None


# What messages about missing packages hold, and what brings the package; the first match wins.
_PACKAGES = (
    (
        r"\bread_video\b|\btorchcodec\b",
        "torchcodec",
    ),  # transformers asks torchvision for it without torchcodec
    (r"\bpillow\b|\bpil\b", "pillow"),
    (r"\btorchvision\b", "torchvision"),
    (r"\bsoundfile\b", "soundfile"),
    (r"\blibrosa\b", "librosa"),
)


@contextlib.contextmanager
def suggest_extra_on_exception() -> Iterator[None]:
    """Add to an error about a missing package inside the ``with`` block how to install it."""
    try:
        yield
    except (ImportError, AttributeError) as error:
        for pattern, package in _PACKAGES:
            if re.search(pattern, str(error), re.IGNORECASE):
                raise type(error)(f"{error}; run: pip install -U {package}") from error
        raise


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


def check_version_requirements(requirements: dict[str, Any] | None, source: str | None = None) -> None:
    """Refuse a model whose author says that it needs other versions than those installed.

    A requirement that cannot be understood is logged and passed over: a slip in a model's configuration
    should not keep the model from loading.

    Args:
        requirements: package name to a version specifier (PEP 440), e.g. ``{"transformers": ">=5.1,<6"}``, or
            to ``{"specifier": …, "reason": …}``. ``"python"`` stands for Python, ``"pytorch"`` for torch.
        source: the model, for the error.

    Raises:
        MissingDependency: a package is missing or has another version; the message says what to install.
    """
    if not isinstance(requirements or {}, dict):
        logger.warning("the requirements of %s are no object of package names and are ignored", source)
        return
    problems, remedies = [], []
    for name, wanted in (requirements or {}).items():
        name = "torch" if name == "pytorch" else name
        detail = wanted if isinstance(wanted, dict) else {"specifier": wanted}
        specifier, reason = detail.get("specifier", ""), detail.get("reason", "")
        installed = get_installed_version(name)
        fits = _fits(installed, specifier)
        if fits is None:
            logger.warning("the requirement %r of %s on %s cannot be understood", specifier, source, name)
        elif not fits:
            there = f"{installed} is installed" if installed else "it is not installed"
            problems.append(f"{name}{specifier}, but {there}" + (f" ({reason})" if reason else ""))
            remedies += [] if name == "python" else [f"'{name}{specifier}'"]
    if problems:
        remedy = f"; run: pip install -U {' '.join(remedies)}" if remedies else ""
        model = f"the model {source!r}" if source else "this model"
        raise MissingDependency(f"{model} needs {'; '.join(problems)}{remedy}")


def _fits(installed: str | None, specifier: Any) -> bool | None:
    """Whether a version is inside a specifier; None if either cannot be understood."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.version import InvalidVersion

    try:
        allowed = SpecifierSet(specifier, prereleases=True)
        return installed is not None and allowed.contains(installed)
    except (InvalidSpecifier, InvalidVersion, TypeError, AttributeError):
        return None


def is_accelerate_available() -> bool:
    """Whether ``accelerate`` can be imported."""
    return importlib.util.find_spec("accelerate") is not None


def is_datasets_available() -> bool:
    """Whether Hugging Face ``datasets`` can be imported."""
    return importlib.util.find_spec("datasets") is not None


def is_training_available() -> bool:
    """Whether the packages that training needs can be imported (extra ``train``)."""
    return is_accelerate_available() and is_datasets_available()


def require_training() -> None:
    """Raise :class:`~stlib.errors.MissingDependency` if the packages that training needs are missing."""
    if not is_training_available():
        raise MissingDependency(
            "training needs accelerate and datasets; run: pip install accelerate datasets"
        )
