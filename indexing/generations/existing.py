"""Generations that may have been dropped by another process since one heard of them."""

from __future__ import annotations

from indexing.catalog.generations import DROPPING, GenerationInfo, read_generation
from indexing.errors import BadInput
from indexing.session import Session

__all__ = ["check_existing", "read_existing"]


def read_existing(session: Session, generation_id: int) -> GenerationInfo:
    """The generation as it is now.

    Raises:
        BadInput: it is no more, or is being dropped.
    """
    with session.looking() as (connection, _):
        generation = read_generation(connection, generation_id)
    return check_existing(session, generation_id, generation)


def check_existing(session: Session, generation_id: int, generation: GenerationInfo | None) -> GenerationInfo:
    """`generation` itself.

    Raises:
        BadInput: it is no more, or is being dropped.
    """
    if generation is None or generation.state == DROPPING:
        raise BadInput(f"generation {generation_id} of collection {session.name!r} was dropped meanwhile")
    return generation
