"""Write a model so that its files land together or not at all."""

from __future__ import annotations

import inspect
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from stlib.base.loading import MODULES_NAME
from stlib.util.registry import saved_type

# Weights that would be read instead of, or beside, those just written.
_WEIGHT_PATTERNS = (
    "model*.safetensors",
    "pytorch_model*.bin",
    "*.index.json",
    "adapter_config.json",
    "adapter_model.safetensors",
    "adapter_model.bin",
)


@contextmanager
def transaction(target: Path) -> Iterator[Path]:
    """A fresh folder beside ``target`` that takes its place, file by file, when the block ends without an
    error.

    Files of ``target`` that the block does not write stay, except weights in folders that got new weights.
    ``modules.json``, by which a folder is recognised as a model, moves last.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".saving", dir=target.parent))
    try:
        yield work
        _publish(work, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def save_modules(
    modules: Mapping[str, nn.Module], module_kwargs: dict[str, list[str]], folder: Path, safe: bool
) -> None:
    """Save every module into its folder and write ``modules.json``."""
    entries = []
    for index, (name, module) in enumerate(modules.items()):
        in_root = index == 0 and getattr(module, "save_in_root", False)
        inner = "" if in_root else f"{index}_{type(module).__name__}"
        (folder / inner).mkdir(exist_ok=True)
        save_module(module, folder / inner, safe)
        entry: dict[str, Any] = {
            "idx": index,
            "name": name,
            "path": inner,
            "type": module_type(module, folder),
        }
        if module_kwargs.get(name):
            entry["kwargs"] = module_kwargs[name]
        entries.append(entry)
    (folder / MODULES_NAME).write_text(json.dumps(entries, indent=2), encoding="utf-8")


def module_type(module: nn.Module, folder: Path | None = None) -> str:
    """The type that ``modules.json`` carries for a module; code that came with a model is copied along."""
    own = getattr(module, "saved_type", None)
    if isinstance(own, str):
        return own
    cls = type(module)
    if folder is not None and cls.__module__.startswith("transformers_modules."):
        return f"{_copy_code(cls, folder)}.{cls.__name__}"
    return saved_type(cls)


def save_module(module: nn.Module, folder: Path, safe: bool) -> None:
    """Call ``save`` of a module, with ``safe_serialization`` if its generation knows that."""
    save: Any = module.save
    if "safe_serialization" in inspect.signature(save).parameters:
        save(str(folder), safe_serialization=safe)
    else:  # modules of earlier generations
        save(str(folder))


def _copy_code(cls: type, folder: Path) -> str:
    """Copy the file that defines a class, and the files it imports, beside the model; returns the module's
    name.
    """
    from transformers.dynamic_module_utils import get_relative_import_files

    source = Path(str(sys.modules[cls.__module__].__file__))
    for path in (source, *map(Path, get_relative_import_files(str(source)))):
        shutil.copy(path, folder / path.name)
    return source.stem


def _publish(work: Path, target: Path) -> None:
    # mkdtemp gives private folders; a model gets the permissions that any new folder here would have.
    umask = os.umask(0)
    os.umask(umask)
    work.chmod(0o777 & ~umask)
    if not target.exists():
        work.replace(target)
        return
    files = sorted((p for p in work.rglob("*") if p.is_file()), key=lambda p: p.name == MODULES_NAME)
    for path in files:
        place = target / path.relative_to(work)
        place.parent.mkdir(parents=True, exist_ok=True)
        path.replace(place)
    for written in {path.parent.relative_to(work) for path in files if _is_weights(path)}:
        for old in (target / written).iterdir():
            if _is_weights(old) and old.relative_to(target) not in {p.relative_to(work) for p in files}:
                old.unlink()


def _is_weights(path: Path) -> bool:
    return any(path.match(pattern) for pattern in _WEIGHT_PATTERNS)
