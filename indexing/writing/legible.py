"""Whether the model of a collection can read the texts that were added: a model of one language knows the
words of another script as unknown, or letter by letter, and finds nothing by their meaning.
"""

from __future__ import annotations

from indexing.catalog.database import reading
from indexing.catalog.reads import beginnings_after
from indexing.models.held import Encoders
from indexing.session import Session

__all__ = ["MULTILINGUAL_MODEL", "note_on_unread"]

MULTILINGUAL_MODEL = "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2"
"""Small, of some fifty languages, and needs no prompts."""

_SAMPLED = 100  # texts of a run
_CHARACTERS = 300  # of each
_UNREAD = 0.35  # part of a text's letters; see `TokenReader.unread_shares`
_WORTH_A_NOTE = 0.1  # part of the texts


def note_on_unread(session: Session, encoders: Encoders, seq: int) -> str | None:
    """What to say of the documents after the change `seq`, by a sample of them; None if they can be read."""
    live = session.live()
    tell = getattr(encoders.held(live.generation), "unread_shares", None)
    if tell is None:  # nothing was embedded, or by a function that has no tokens
        return None
    with reading(session.database) as connection:
        texts = beginnings_after(connection, session.id, seq, live.state.last_seq, _SAMPLED, _CHARACTERS)
    unread = sum(share >= _UNREAD for share in tell(texts))
    if not texts or unread < _WORTH_A_NOTE * len(texts):
        return None
    return (
        f"{_how_many(unread, len(texts))} in a script that the model {live.generation.model} does not know:"
        " keyword search finds them, search by meaning does not. A multilingual model does: stlib reindex"
        f" {session.name} --model {MULTILINGUAL_MODEL}, or the folder of such a model"
    )


def _how_many(unread: int, sampled: int) -> str:
    share = unread / sampled
    if share > 0.9:
        return "The texts are"
    return "Most of the texts are" if share > 0.5 else f"{share:.0%} of the texts are"
