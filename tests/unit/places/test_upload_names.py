"""Names of uploaded files, hostile ones among them."""

from __future__ import annotations

import pytest

from app.uploads.names import numbered, safe_name
from indexing.errors import BadInput


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("notes.txt", "notes.txt"),
        ("Été 2024 – plan.md", "Été 2024 – plan.md"),
        ("笔记.md", "笔记.md"),
        ("../../etc/notes.txt", "notes.txt"),
        ("/etc/passwd.txt", "passwd.txt"),
        ("C:\\Users\\ann\\notes.txt", "notes.txt"),
        ("..\\..\\notes.txt", "notes.txt"),
        ("no\x00tes.txt", "notes.txt"),
        ("a\nb\tc.txt", "abc.txt"),
        ("\x1b[2Jnotes.md", "[2Jnotes.md"),
        ("inv\u202etxt.exe.md", "invtxt.exe.md"),
        ("\u200fnotes\u200b.txt", "notes.txt"),
        (".hidden.txt", "hidden.txt"),
        ("\u200b.txt", "file.txt"),
        ("notes .txt", "notes.txt"),
        ("notes.txt. . ", "notes.txt"),
        ('a<b>:"|?*.csv', "a_b______.csv"),
        ("CON.txt", "_CON.txt"),
        ("nul.txt", "_nul.txt"),
        ("com1.backup.txt", "_com1.backup.txt"),
        ("lpt¹.md", "_lpt¹.md"),
        ("console.txt", "console.txt"),
        ("e\u0301.txt", "\u00e9.txt"),
        ("\ud800.txt", "?.txt".replace("?", "_")),
        ("x" * 500 + ".jsonl", "x" * 144 + ".jsonl"),
        ("é" * 200 + ".md", "é" * 73 + ".md"),
    ],
)
def test_what_a_browser_says_becomes_a_plain_name(given, kept):
    name = safe_name(given)
    assert name == kept
    assert safe_name(name) == name
    assert len(numbered(name, 10_000).encode()) <= 160


@pytest.mark.parametrize(
    "given",
    ["", ".", "..", "/", "notes", "run.exe", "txt", ".txt", "a.txt/", "a.t\u200bxt\u202e"],
)
def test_what_cannot_be_read_is_refused(given):
    with pytest.raises(BadInput, match=r"this format is not supported; supported: .*\.parquet .*\.txt"):
        safe_name(given)


def test_a_second_file_of_a_name_gets_a_number():
    assert numbered("notes.v2.txt", 2) == "notes.v2 (2).txt"
