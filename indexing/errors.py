"""What `indexing` raises when it cannot do what was asked.

    IndexingError
    ├── UnknownCollection     no collection of this name
    ├── CollectionExists      a collection of this name is already there
    ├── ModelMismatch         another model, or another dimension, than the collection was made with
    ├── UntrustedModel        a collection names a model that was never used on this machine
    ├── BadInput              something the caller gave cannot be used
    │   ├── BadLine           one line of a file cannot be used; knows the file and the line number
    │   ├── AnotherIsLive     a serving is live that was not expected to be
    │   ├── GateNotPassed     a serving that was learned has not shown that it is better
    │   └── UnconfirmedSource a folder that nobody named on this machine would be read
    ├── FilterError           a metadata filter cannot be understood; knows the position
    ├── RerankingFailed       the reranker cannot be loaded, or failed
    ├── LockedError           another process holds the lock that is needed
    │   └── LoadTaken         ... as it goes on with the bulk load that this one was at
    ├── StorageError          the catalog or a file could not be read or written
    │   ├── DiskFull          ... because no space is left
    │   ├── ConnectionLost    ... because the database server cannot be reached, or went away
    │   └── MilvusFailed      ... because Milvus cannot be used
    │       └── MilvusUnavailable  as it cannot be reached, or did not answer in time
    └── CorruptView           a derived file does not match its checksum; it can be rebuilt
        └── ForeignView       ... because another machine, or another version, wrote it

Every message is one line that a person can act on: what came, what is allowed, what to do next.
"""

from __future__ import annotations

__all__ = [
    "AnotherIsLive",
    "BadInput",
    "BadLine",
    "CollectionExists",
    "ConnectionLost",
    "CorruptView",
    "DiskFull",
    "FilterError",
    "ForeignView",
    "GateNotPassed",
    "IndexingError",
    "LoadTaken",
    "LockedError",
    "MilvusFailed",
    "MilvusUnavailable",
    "ModelMismatch",
    "RerankingFailed",
    "StorageError",
    "UnconfirmedSource",
    "UnknownCollection",
    "UntrustedModel",
]


class IndexingError(Exception):
    """Base of everything `indexing` raises on purpose."""


class UnknownCollection(IndexingError):
    """No collection has this name; the message lists the names that exist."""


class CollectionExists(IndexingError):
    """A collection of this name exists already."""


class ModelMismatch(IndexingError):
    """The model, or its dimension, is not the one the collection was made with; the message names both."""


class UntrustedModel(IndexingError):
    """A catalog names a model that is not bundled, was never used on this machine and was not given by hand;
    it was not opened.
    """


class RerankingFailed(IndexingError):
    """A reranker cannot be loaded, or failed on what it was given; the ranking before it stands."""


class BadInput(IndexingError):
    """Something the caller gave cannot be used: a missing path, a document without text, a wrong type."""


class BadLine(BadInput):
    """One line of a file cannot be used; the other lines can.

    Attributes: `source` (the file as the person named it), `line` (counted from 1), `reason`.
    """

    def __init__(self, source: str, line: int, reason: str) -> None:
        super().__init__(f"{source}, line {line}: {reason}")
        self.source = source
        self.line = line
        self.reason = reason

    def __reduce__(self) -> tuple[type[BadLine], tuple[str, int, str]]:
        return type(self), (self.source, self.line, self.reason)


class AnotherIsLive(BadInput):
    """Another serving is live than the one that was expected: somebody was faster, or it was done before."""


class GateNotPassed(BadInput):
    """A serving that was learned has not shown on held-out questions that it is better, and nobody gave a
    reason to promote it all the same.
    """


class UnconfirmedSource(BadInput):
    """A collection that was copied here names folders of this machine that nobody named here. `roots` are
    their paths.
    """

    def __init__(self, message: str, roots: list[str]) -> None:
        super().__init__(message)
        self.roots = roots

    def __reduce__(self) -> tuple[type[UnconfirmedSource], tuple[str, list[str]]]:
        return type(self), (str(self), self.roots)


class FilterError(IndexingError):
    """A metadata filter cannot be understood. `position` is the character where it went wrong, from 0."""

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position


class LockedError(IndexingError):
    """Another process is writing here; nothing was waited for and nothing was changed."""


class LoadTaken(LockedError):
    """A bulk load was started again, given up or finished: who is left over from an earlier start of it may
    not write any more, and nothing was written.
    """


class StorageError(IndexingError):
    """The catalog or one of its files could not be read or written."""


class DiskFull(StorageError):
    """No space is left on the disk; what was committed before is kept."""


class ConnectionLost(StorageError):
    """A database server cannot be reached, or the connection ended. What was acknowledged is stored."""


class MilvusFailed(StorageError):
    """Milvus, which only has copies, cannot be used: it is away, or refuses what is asked. Nothing is lost.
    The message names its address, without a token.
    """


class MilvusUnavailable(MilvusFailed):
    """It cannot be reached, did not answer in time, or the environment says of it what cannot be."""


class CorruptView(IndexingError):
    """A derived file is torn, truncated or altered. It is safe to throw away and rebuild."""


class ForeignView(CorruptView):
    """A derived file was not written with this machine's key: by another machine, or an earlier version."""
