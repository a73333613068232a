"""The live collection with its vectors stored otherwise, in a scratch folder: it stays as it is itself."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from indexing import Collection
from indexing.documents import ChunkSettings
from indexing.errors import BadInput

__all__ = ["MOST_DOCUMENTS", "scratch_collections"]

MOST_DOCUMENTS = 20_000
"""More are not embedded again for a report: with the bundled model that is seconds, with a transformer it may
be the better part of an hour.
"""


@contextmanager
def scratch_collections(
    collection: Collection, precisions: list[str], check: Callable[[], None]
) -> Iterator[dict[str, Collection]]:
    """For each of `precisions` a collection of the same documents, embedded by the same model and ordered by
    the settings of what is live. `check` is called between batches, and ends the work by raising.

    Raises:
        BadInput: there are too many documents.
        DiskFull: the folder for temporary files has no room.
    """
    if not precisions:
        yield {}
        return
    if (count := collection.count()) > MOST_DOCUMENTS:
        raise BadInput(
            f"other precisions embed all documents again for the report, and {count:,} are more than"
            f" {MOST_DOCUMENTS:,}: make the precision a serving with `stlib reindex {collection.name}"
            " --precision P --no-promote`, and compare that serving"
        )
    with tempfile.TemporaryDirectory(prefix="stlib-report-") as folder, ExitStack() as stack:
        made = {}
        for precision in precisions:
            made[precision] = stack.enter_context(
                _make(collection, precision, Path(folder) / precision, check)
            )
        yield made


def _make(collection: Collection, precision: str, home: Path, check: Callable[[], None]) -> Collection:
    info = collection.info()
    scratch = Collection.create(
        "scratch",
        collection.encoder,
        precision=precision,
        engine=info.engine,
        chunk=ChunkSettings(**info.chunking),
        home=home,
        sparse=collection.sparse_encoder,
    )
    try:
        documents = (one.to_dict() for one in collection.documents())
        scratch.add(documents, progress=lambda *_: check())
        settings = replace(collection.settings(), reranker=None)
        made = scratch.create_serving(settings, note="as what is live", needs_gate=False)
        scratch.promote(made.id)
        scratch.refresh()
        return scratch
    except BaseException:
        scratch.close()
        raise
