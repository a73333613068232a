"""Which of the models that a catalog names may be opened.

A catalog is a file, and a home that was copied here is somebody else's: the model that it names could be any
path, or any name on the hub, where asking already tells who asks. So a name in a catalog opens nothing. A
model is used if it

1. is given by hand, which records its fingerprint and where it lies in this machine's state;
2. comes with the package;
3. has a fingerprint that was recorded so: it is loaded from the place that was recorded, never from the one
   that the catalog names;
4. has a fingerprint that the environment's STLIB_TRUSTED_MODELS lists (separated by commas), which is for
   services that nobody gives a model by hand: only then the place that the catalog names counts.

Whatever was loaded because of its fingerprint is compared with it afterwards.
"""

from __future__ import annotations

import logging
import os
import re
from datetime import datetime, timezone
from pathlib import Path

from indexing.errors import BadInput, StorageError, UntrustedModel
from indexing.storage.machine import change_record, read_record

__all__ = [
    "TRUSTED_VARIABLE",
    "recorded_source",
    "remember_model",
    "trusted_source",
    "used_models",
]

logger = logging.getLogger(__name__)

TRUSTED_VARIABLE = "STLIB_TRUSTED_MODELS"

_RECORD = "models"
_HUB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?")
_SHOWN = 200  # characters of a name that somebody else wrote


def remember_model(fingerprint: str, source: str, *, replace: bool = True) -> bool:
    """Records that the model of this fingerprint was used by hand, and where it is loaded from.

    `source` is the absolute path of a folder or file, or a name on the hub. A place that was recorded before
    is overwritten if `replace`. False, with a warning, where this machine's state cannot be written.
    """
    try:
        before = read_record(_RECORD).get(fingerprint)
        if before is not None and (not replace or before.get("source") == source):
            return True
        with change_record(_RECORD) as models:
            now = datetime.now(timezone.utc).isoformat(timespec="seconds")
            models[fingerprint] = {"source": source, "when": now}
    except StorageError as error:
        logger.warning("that the model %s was used here cannot be remembered: %s", source, error)
        return False
    return True


def recorded_source(fingerprint: str) -> str | None:
    """Where the model of this fingerprint was loaded from when it was last given by hand; None if never."""
    try:
        source = read_record(_RECORD).get(fingerprint, {}).get("source")
    except StorageError as error:
        logger.warning("which models were used here cannot be told: %s", error)
        return None
    return source if isinstance(source, str) and source else None


def used_models() -> list[str]:
    """Where models lie that were used by hand on this machine, the last one first."""
    try:
        entries = read_record(_RECORD).values()
    except StorageError as error:
        logger.warning("which models were used here cannot be told: %s", error)
        return []
    found = [entry for entry in entries if isinstance(entry.get("source"), str) and entry["source"]]
    found.sort(key=lambda entry: str(entry.get("when")), reverse=True)
    return list(dict.fromkeys(entry["source"] for entry in found))


def trusted_source(name: str, fingerprint: str, *, what: str = "model", by_hand: str = "--model") -> str:
    """Where to load the model from that a catalog calls `name`: an absolute path, or a name on the hub.

    Only this machine's state and the environment are asked. `what` it is and which option takes it `by_hand`
    are for the message.

    Raises:
        UntrustedModel: it was never used here, or lies in the working folder.
        BadInput: it was used here, and is no longer where it was.
    """
    source = recorded_source(fingerprint)
    if source is not None:
        return _checked_source(source, f"{what} {_quote(name)}", by_hand)
    came = f"{what} {_quote(name)}, fingerprint {_quote(fingerprint[:12])}, which this collection names,"
    give = f"give {by_hand} PATH (by program {_argument(by_hand)}=) once, which records it here"
    if fingerprint not in _trusted_fingerprints():
        raise UntrustedModel(
            f"{came} was never used on this machine, and whoever wrote the collection may be a stranger: "
            f"nothing was opened or asked for. If you know it, {give}; a service lists it in "
            f"{TRUSTED_VARIABLE}={_quote(fingerprint)}. Keyword search needs no model"
        )
    return _checked_source(name, came, by_hand)


def _checked_source(source: str, came: str, by_hand: str) -> str:
    """`source` if it is there, and cannot be taken for anything in the working folder."""
    if Path(source).is_absolute():
        if not Path(source).exists():
            raise BadInput(
                f"{came} would be loaded from {_quote(source)}, which is gone: give {by_hand} PATH with its "
                "new place once"
            )
        return source
    if not _HUB_NAME.fullmatch(source) or Path(source).exists():
        raise UntrustedModel(
            f"{came} would be looked for in the working folder, as {_quote(source)}: give {by_hand} PATH "
            "with the folder that you mean"
        )
    return source


def _trusted_fingerprints() -> set[str]:
    listed = os.environ.get(TRUSTED_VARIABLE, "").split(",")
    return {fingerprint.strip() for fingerprint in listed} - {""}


def _argument(option: str) -> str:
    return option.lstrip("-")


def _quote(text: str) -> str:
    """Somebody else's text, quoted, without control characters and with an end."""
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
