"""Telling a path from a name of the hub, without looking further than this machine."""

from __future__ import annotations

from pathlib import Path, PureWindowsPath

__all__ = ["is_mistyped"]

# What only the names of files end in; names on the hub may have a full stop, as in "model-v1.5".
_TABLES = (".csv", ".tsv", ".json", ".jsonl", ".txt", ".gz", ".zip", ".parquet", ".arrow", ".xls", ".xlsx")
_SUFFIXES = (*_TABLES, ".xml", ".onnx", ".safetensors", ".bin", ".pt")


def is_mistyped(text: str) -> bool:
    """Whether a text can only be meant as a path, and nothing is there."""
    if not text or Path(text).expanduser().exists():
        return False
    windows = PureWindowsPath(text)
    first, slash, _ = text.partition("/")
    return (
        text.startswith((".", "/", "~"))
        or text.endswith("/")
        or text.count("/") > 1
        or "\\" in text
        or bool(windows.drive)
        or windows.suffix.lower() in _SUFFIXES
        or (bool(slash) and Path(first).is_dir())
    )
