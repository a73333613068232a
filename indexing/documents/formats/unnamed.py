"""Files whose names say nothing of what is in them: their first bytes do, else they are text or not read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module

from indexing.documents.model import NO_READER, Item
from indexing.documents.source import NOT_TEXT, SourceFile, Unreadable

__all__ = ["read"]

_SNIFFED = 2048
# What a file begins with, and its reader.
_BEGINNINGS = (
    (re.compile(rb"%PDF-\d"), "pdf"),
    (re.compile(rb"From \S.*\d\d?:\d\d"), "mail"),
    (
        re.compile(
            rb"(?:Return-Path|Received|Delivered-To|Message-ID|MIME-Version|From|X-[\w-]+): .*\n[\w-]+:", re.I
        ),
        "mail",
    ),
    (re.compile(rb"\s*<(?:!doctype html|html)\b", re.I), "html"),
    (re.compile(rb"\s*<\?xml\b"), "xml"),
    (re.compile(rb"(?:[.']\\\".*\n)*[.'](?:TH|Dd|so) "), "man"),
    (re.compile(rb"\d+\r?\n\d\d:\d\d:\d\d,\d{3} --> "), "subtitles"),
)


def read(file: SourceFile) -> Iterator[Item]:
    with file.open() as stream:
        head = stream.peek(_SNIFFED)[:_SNIFFED]
    found = next((format_ for begins, format_ in _BEGINNINGS if begins.match(head)), "text")
    module = import_module(f"indexing.documents.formats.{found}")
    told = replace(file, format=found)  # shares the notes
    try:
        yield from module.read(told)
    except Unreadable as error:
        raise Unreadable(NO_READER if str(error) == NOT_TEXT else str(error)) from error
    file.bytes_read = told.bytes_read
