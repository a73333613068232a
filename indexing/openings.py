"""How a document opens: the sentence that says what it is about.

The vector of a static model is a mean over all words of a passage. A text that opens with `Run command with
arguments and return its output.` and goes on with two hundred words on what happens otherwise loses what it
is about among them. So the vector of the first passage leans half on its title and first sentence.

NDCG@10 by meaning with and without, exact vectors of the bundled model: 0.299 and 0.275 on cranfield's train
questions, 0.301 and 0.279 on those of the sample corpus. As a passage of its own, the opening gains as much
and costs a vector more; shorter passages throughout, or the title alone, gain less on one of the two or lose.

An opening that is unlike what follows is a greeting or a licence, and leaning on it loses what the text is
about. Of files that open so, hybrid search has 0.957 among the first three where vectors lean, 0.989 where
they do not (`bench_formats.py`); NDCG@10 by meaning on the sample's questions is 0.393 then, not 0.396.
"""

from __future__ import annotations

from indexing.documents.chunk import Span
from indexing.documents.sentences import sentence_spans

__all__ = ["LEAST_ALIKE", "opening_of"]

LEAST_ALIKE = 0.6
"""Cosine of an opening and its passage, below which the vector does not lean."""

_LONGEST = 400  # characters of an opening
_LEAST_REST = 60  # characters after it; a shorter text has nothing to be lost among


def opening_of(title: str, text: str, first: Span) -> Span | None:
    """Where the first sentence of a text lies, after one that only repeats the title; `first` is the first
    passage. None where that is about all that the passage has.
    """
    start, end = first
    if end - start <= _LEAST_REST:
        return None
    looked_at = min(end, start + _LONGEST)
    ends = [int(stop) for _, stop in sentence_spans(text, start, looked_at)]
    if ends and text[start : ends[0]].strip() == title.strip():
        ends = ends[1:]
    if not ends or not text[ends[0] : looked_at].strip() or end - ends[0] < _LEAST_REST:
        return None
    return start, ends[0]
