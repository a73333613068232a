"""What became of a job, in sentences; whatever a result of somebody else's table may be."""

from __future__ import annotations

import pytest

from app.jobs.kinds import KINDS
from app.jobs.model import Job
from app.jobs.words import say_result, say_state, say_title


def job(**values):
    given = {"id": 1, "kind": "index", "collection": "notes", "arguments": {}, "created": 0.0, "updated": 0.0}
    return Job(**{**given, **values})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "Waits for its turn."),
        ({"state": "running"}, "Has begun."),
        (
            {
                "state": "running",
                "started": 0.0,
                "updated": 10.0,
                "done": 50,
                "total": 100,
                "unit": "documents",
            },
            "50 %, 50 documents, 5/s, 10.0 s left",
        ),
        ({"state": "running", "cancel_requested": True}, "Ends after its next commit."),
        ({"state": "done", "started": 1.0, "ended": 3.5}, "Done in 2.50 s."),
        ({"state": "cancelled", "done": 3}, "Cancelled. What it stored is kept."),
        (
            {"state": "interrupted", "error": "it was stopped"},
            "Interrupted: it was stopped. Resume goes on where it was.",
        ),
        ({"state": "failed", "error": "the disk is full"}, "Failed: the disk is full"),
    ],
)
def test_a_state_is_one_sentence(values, said):
    assert say_state(job(**values)) == said


def test_an_index_tells_what_was_read_and_what_was_not():
    result = {
        "added": 1200,
        "updated": 0,
        "unchanged": 3,
        "skipped": 1,
        "skips": [{"source": "a.txt", "line": None, "reason": "looks binary"}],
        "unsupported_files": {".pdf": 2, "": 1},
        "notes": ["b.txt is no UTF-8"],
    }
    assert say_result(job(result=result)) == [
        "1,200 added, 3 unchanged.",
        "1 skipped.",
        "Not of a kind that can be read: 2 × .pdf, 1 × no extension.",
        "a.txt: looks binary",
        "b.txt is no UTF-8",
    ]


@pytest.mark.parametrize("kind", [*KINDS, "bake"])
@pytest.mark.parametrize(
    "result", [None, {}, {"added": []}, {"modes": 3}, {"serving": None}, {"errors": 7}, {"gate": []}]
)
def test_a_result_that_is_none_of_ours_is_left_out(kind, result):
    assert say_result(job(kind=kind, result=result)) == []
    assert say_title(job(kind=kind))
