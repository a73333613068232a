"""The log of a job stays small, and progress is said in plain numbers."""

from __future__ import annotations

import pytest

from app.jobs.log import KEPT_LINES, LIMIT_BYTES, read_tail, trim_log
from app.jobs.model import Job
from app.settings import jobs_at_once
from app.wording import format_progress
from indexing.errors import BadInput


def test_a_log_is_cut_to_its_end_while_it_is_written(tmp_path):
    path = tmp_path / "1.log"
    with path.open("a", encoding="utf-8") as file:  # as a worker's stderr is
        for i in range(20_000):
            file.write(f"line {i} {'x' * 40}\n")
            file.flush()
            trim_log(path)
            assert path.stat().st_size <= LIMIT_BYTES + 100
    assert [line.split()[1] for line in read_tail(path)] == [str(i) for i in range(19_800, 20_000)]


def test_one_endless_line_is_bounded_too(tmp_path):
    path = tmp_path / "1.log"
    path.write_bytes(b"\xff" * 10 * LIMIT_BYTES)
    trim_log(path)
    assert path.stat().st_size <= 2 * LIMIT_BYTES
    assert len(read_tail(path)) == 1 <= KEPT_LINES
    assert read_tail(tmp_path / "2.log") == []


def job(**values):
    empty = dict.fromkeys(Job.__dataclass_fields__)
    return Job(**{**empty, "state": "running", "done": 0, "unit": "documents", "updated": 0.0, **values})


def test_rate_and_time_left():
    half = job(done=500, total=1000, started=100.0, updated=110.0)
    assert (half.rate, half.seconds_left) == (50.0, 10.0)
    assert job(started=100.0, updated=100.0).seconds_left is None
    assert job(done=5, started=100.0, updated=110.0).seconds_left is None
    assert job(state="done", done=9, total=9, started=1.0, updated=4.0).seconds_left is None
    assert half.to_dict()["started"] == "1970-01-01T00:01:40+00:00"


def test_progress_in_words():
    assert format_progress(0, None, "", 0.0, None) == ""
    assert format_progress(12_000, 27_907, "documents", 5900.0, 200.0) == (
        "43 %, 12,000 documents, 5,900/s, 3 min 20 s left"
    )
    assert format_progress(7, None, "questions", 3.5, None) == "7 questions, 4/s"


@pytest.mark.parametrize("text", ["-1", "two", "1.5", "²"])
def test_the_number_of_jobs_at_once_is_checked(text):
    with pytest.raises(BadInput, match="give a whole number, or 0 for none"):
        jobs_at_once({"STLIB_JOBS": text})
    assert jobs_at_once({"STLIB_JOBS": "3"}) == 3
    assert jobs_at_once({"STLIB_JOBS": "0"}) == 0
    assert jobs_at_once({}) == 1
