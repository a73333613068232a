"""From what was trained to a serving: saved whole or not at all, recorded as known on this machine, and made
a candidate.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Container
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.settings import Location
from app.tuning.data import Judged
from app.tuning.levers import Fitted
from indexing import Collection
from indexing.models.encoders import FullModelEncoder
from indexing.models.rerankers import FullModelReranker, record_reranker
from indexing.names import DEFAULT_MODE, SERVING_RERANKER
from indexing.search.probe import Probe
from indexing.serving.reindex import ReindexProgress
from indexing.storage.files import (
    FolderLock,
    disk_errors,
    fsync_file,
    fsync_folder,
    remove,
    remove_temporary,
    temporary_beside,
)
from indexing.storage.paths import collection_place

__all__ = ["drop_unused_models", "make_candidate", "models_folder", "rank_with", "save_model"]

_CARD = "README.md"  # quotes texts, and no part of what a model computes
_NAME_LENGTH = 16


def models_folder(location: Location, name: str) -> Path:
    """Where what was trained for a collection is kept; it goes with the collection."""
    return collection_place(name, location.home, location.db).folder / "models"


def make_candidate(
    collection: Collection,
    fitted: Fitted,
    folder: Path,
    *,
    who: str = "",
    note: str | None = None,
    known: Container[int] = (),
    progress: ReindexProgress | None = None,
) -> int:
    """The id of a serving of what a lever made, which needs the gate. What was trained is saved in `folder`.

    A model that embeds makes a generation of its own; a build of it that was interrupted goes on with the
    next call for the same model, unless its serving is among the `known`, which were tested before. Nothing
    becomes live.

    Raises:
        BadInput, DiskFull, LockedError: as `Collection.reindex`.
    """
    settings, note = fitted.settings, fitted.note if note is None else note
    saved = None if fitted.made is None else os.fspath(save_model(fitted.made, folder))
    if fitted.lever != "full":
        if saved is not None:
            settings = replace(settings, reranker=record_reranker(saved))
        return collection.create_serving(settings, note=note).id
    model = fitted.model or saved
    assert model is not None
    made = collection.reindex(model, promote=False, who=who, progress=progress, needs_gate=True).serving
    as_wanted = made.ranking == settings.ranking() and made.reranker == settings.reranker
    if as_wanted and made.id not in known:
        return made.id
    return collection.create_serving(settings, note=note, made_from=made.id).id


def rank_with(probe: Probe, fitted: Fitted, *, mode: str = DEFAULT_MODE) -> Callable[[Judged], list[str]]:
    """Ranks questions through the real index by what a lever made, before it is saved.

    Raises:
        ValueError: it is a model that embeds, for which there is no index yet.
    """
    if fitted.lever == "full":
        raise ValueError("a model that embeds ranks by an index of its own: make a candidate of it first")
    reranker = SERVING_RERANKER if fitted.made is None else fitted.made
    return lambda question: probe.rank(question.text, fitted.settings, mode=mode, rerank=reranker)


def save_model(model: Any, folder: Path) -> Path:
    """Saves a reranker or a model in a folder below `folder` that is named by its fingerprint, so that the
    same one is there once. It appears when it is whole.

    Raises:
        StorageError, DiskFull: it cannot be written. LockedError: another process saves one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with disk_errors(folder), FolderLock(folder, what="models of the collection"):
        remove_temporary(folder)
        target = folder / _fingerprint(model)
        if target.is_dir():
            return target
        temporary = temporary_beside(target)
        try:
            (model.model if isinstance(model, FullModelReranker) else model).save(os.fspath(temporary))
            (temporary / _CARD).unlink(missing_ok=True)
            for path in sorted(temporary.rglob("*"), reverse=True):
                (fsync_folder if path.is_dir() else fsync_file)(path)
            fsync_folder(temporary)
            temporary.rename(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        fsync_folder(folder)
    return target


def drop_unused_models(collection: Collection, folder: Path) -> list[Path]:
    """Deletes the models in `folder` that no serving of `collection` names; returns them."""
    if not folder.is_dir():
        return []
    used = {generation.model for generation in collection.generations()}
    used |= {serving.reranker for serving in collection.servings() if serving.reranker}
    names = {Path(name).name for name in used}
    unused = [path for path in sorted(folder.iterdir()) if path.is_dir() and path.name not in names]
    for path in unused:
        remove(path)
    return unused


def _fingerprint(model: Any) -> str:
    """Of the weights, for the name of a folder."""
    found = getattr(model, "fingerprint", None)
    return str(found or FullModelEncoder(model).fingerprint)[:_NAME_LENGTH]
