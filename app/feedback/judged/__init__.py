"""What people said, as graded questions: the one thing that tuning, the gate and reports read.

    judged = read_judged(location, collection)
    judged.side("train"), judged.queries(), judged.qrels(), judged.fingerprint

What is where:

    model        a question and its grades, a set of them
    judgments    several people's words as one grade; how far they agree
    split, near  train or held-out: by a hash, and where a question that is like it went
    places       the table in which that is kept
    views        who was shown what at which rank, and clicked or not
    examination  how likely ranks are looked at
    clicks       grades from many clicks
    asked        how often questions were asked
    queue        what to judge next
"""

from __future__ import annotations

from app.feedback.judged.model import HELDOUT, OUT, SIDES, TRAIN, Agreement, JudgedSet, Question
from app.feedback.judged.reading import read_judged
from app.feedback.judged.split import Leak, find_leaks

__all__ = [
    "HELDOUT",
    "OUT",
    "SIDES",
    "TRAIN",
    "Agreement",
    "JudgedSet",
    "Leak",
    "Question",
    "find_leaks",
    "read_judged",
]
