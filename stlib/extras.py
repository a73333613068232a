"""Optional packages, with an error that says what to install. Importing this loads nothing."""

from __future__ import annotations

import importlib
import shlex
from typing import Any

from stlib.errors import MissingDependency

# What each extra brings. Messages name the packages: on package indexes this project's own name is another's.
PACKAGES = {
    "milvus": ("pymilvus",),
    "onnx": ("onnxruntime", "onnx", "onnxscript"),
    "openvino": ("openvino", "nncf"),
    "postgres": ("psycopg[binary]",),
    "ray": ("ray[data]",),
    "recipes": ("scikit-learn",),
    "remote": ("fsspec",),
    "train": ("datasets", "accelerate"),
}


def require(package: str, extra: str) -> Any:
    """Import an optional package that an extra of this project brings.

    Raises:
        MissingDependency: it is not installed; the message names the packages of the extra.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != package.split(".")[0]:
            raise
        raise MissingDependency(
            f"this needs the package {error.name!r}, which is missing; run: "
            f"pip install {shlex.join(PACKAGES[extra])}"
        ) from error
