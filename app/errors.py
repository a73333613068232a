"""What the app raises beside the errors of `indexing`."""

from __future__ import annotations

from indexing.errors import BadInput

__all__ = ["NotFound"]


class NotFound(BadInput):
    """What was named is not there: a job, a model, a report, a document."""
