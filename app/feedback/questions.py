"""When two questions are the same one.

The rule is that of `data/sample/README.md`: the words of the case-folded question, runs of letters, digits
and underscores, joined by single spaces. Before it the text gets its compatibility form (NFKC), so that a
ligature or a full-width letter makes no other question, and a `+` or `#` that ends a word stays: C, C++ and
C# are three languages. Case, white space, quotes and punctuation make no difference.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

__all__ = ["normalise_question", "question_hash"]

_WORD = re.compile(r"\w+(?:[+#]+(?!\w))?")


def normalise_question(text: str) -> str:
    """The form by which questions are compared. One without a word stays as it is, without outer spaces."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(_WORD.findall(folded)) or " ".join(folded.split())


def question_hash(text: str) -> str:
    """The SHA-256 of the normalised question, 64 hexadecimal digits."""
    return hashlib.sha256(normalise_question(text).encode("utf-8", "surrogatepass")).hexdigest()
