"""Homes with something to erase, and the bytes of all that lies in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexing import Collection

MARKER = "zyzzogetonqua"
"""A word that is nowhere else."""
SECRET = f"The {MARKER} of the cellar was opened by nobody but the gardener."


def bytes_below(folder: Path) -> bytes:
    """All that its files hold, names included."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return b"".join(str(path).encode() + path.read_bytes() for path in files)


def fill(collection: Collection, count: int = 40) -> None:
    collection.add(
        [
            {"id": "secret", "text": SECRET, "title": f"Of {MARKER}", "metadata": {"who": MARKER}},
            *({"id": f"d{i}", "text": f"Number {i} tells of gardens and of cellars."} for i in range(count)),
        ]
    )


@pytest.fixture
def notes(home):
    with Collection.create("notes", home=home) as collection:
        fill(collection)
        yield collection
