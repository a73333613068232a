"""Downloads outside the model hub, and a progress bar that shows nothing."""

from __future__ import annotations

import os
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from tqdm import tqdm

from stlib.errors import InvalidInput

_CHUNK = 1 << 16
# Seconds without a byte after which a server is taken for dead.
_TIMEOUT = 60


def http_get(url: str, path: str) -> None:
    """Download ``url`` to the file ``path``, whose folders are made; shows a progress bar.

    ``path`` appears only when it is complete: what is under way lies beside it and is removed on failure.

    Raises:
        InvalidInput: the address is neither ``http://`` nor ``https://``.
        OSError: the server refuses (``urllib.error.HTTPError``), is not reached, breaks off, or the file
            cannot be written.
    """
    scheme = urllib.parse.urlsplit(url).scheme.lower()
    if scheme not in ("http", "https"):
        raise InvalidInput(f"cannot download {url!r}: only http and https addresses are fetched")
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=target.parent, prefix=f"{target.name}.", suffix="_part")
    try:
        with os.fdopen(handle, "wb") as file:
            _copy(url, file, f"Downloading {target.name}")
        Path(partial).replace(target)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def _copy(url: str, file: Any, description: str) -> None:
    with urllib.request.urlopen(url, timeout=_TIMEOUT) as response:  # noqa: S310 - the scheme was checked
        size = response.headers.get("Content-Length")
        total = None if size is None else int(size)
        with tqdm(total=total, unit="B", unit_scale=True, leave=False, desc=description) as progress:
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                progress.update(len(chunk))
        if total is not None and file.tell() != total:
            raise OSError(f"{url} broke off after {file.tell()} of {total} bytes; try again")


class disabled_tqdm(tqdm):
    """A ``tqdm`` that never shows anything, for libraries that take a class of progress bars."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["disable"] = True
        super().__init__(*args, **kwargs)

    def __delattr__(self, attr: str) -> None:
        try:
            super().__delattr__(attr)
        except AttributeError:
            # huggingface_hub deletes a lock that a disabled bar does not have.
            if attr != "_lock":
                raise
