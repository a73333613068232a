"""When two questions are one."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from app.feedback.questions import normalise_question, question_hash

SAMPLE = Path(__file__).resolve().parents[3] / "data" / "sample"


@pytest.mark.parametrize(
    ("asked", "normal"),
    [
        ("Who makes HONEY?", "who makes honey"),
        ("  who\tmakes\u00a0honey ?! ", "who makes honey"),
        ("ｗｈｏ makes ﬁrewood", "who makes firewood"),
        ("STRASSE Straße", "strasse strasse"),
        ("C++ or C# or C", "c++ or c# or c"),
        ("a+b", "a b"),
        ("what is `os.path`?", "what is os path"),
        ("…", "..."),
        ("   ", ""),
    ],
)
def test_questions_are_compared_by_their_words(asked, normal):
    assert normalise_question(asked) == normal
    assert question_hash(asked) == hashlib.sha256(normal.encode()).hexdigest()


def test_the_rule_is_that_of_the_sample():
    def of_the_sample(text):
        return " ".join(re.findall(r"\w+", text.casefold()))

    for name in ("queries.jsonl", "asked/queries.jsonl"):
        for line in (SAMPLE / name).read_text(encoding="utf-8").splitlines():
            text = json.loads(line)["text"]
            assert normalise_question(text) == of_the_sample(text)
