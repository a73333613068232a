"""Documents of many segments by place and by key, as of one sorted array."""

from __future__ import annotations

import numpy as np
import pytest

from indexing.views.document_list import DocumentList, distinct_documents

CASES = {
    "nothing": [],
    "empty segments": [[], []],
    "one": [[3, 4, 9]],
    "one after the other": [[1, 2, 3], [], [4, 7], [8], [20, 22, 23]],
    "passages of one document in two segments": [[1, 1, 2], [2, 2, 5, 6]],
    "changed documents come back": [[1, 2, 5, 8], [2, 9], [1, 10]],
    "in no order": [[5, 1, 5], [9, 2]],
}


@pytest.mark.parametrize("segments", CASES.values(), ids=CASES)
def test_as_of_one_sorted_array(segments):
    columns = [np.asarray(segment, np.int64) for segment in segments]
    expected = np.unique(np.concatenate([np.empty(0, np.int64), *columns]))
    found = DocumentList(distinct_documents(column) for column in columns)
    assert len(found) == len(expected)
    np.testing.assert_array_equal(found.at(np.arange(len(expected))), expected)
    np.testing.assert_array_equal(found.at(np.arange(len(expected))[::-2]), expected[::-2])
    keys = np.arange(-1, 26)
    np.testing.assert_array_equal(found.places(keys), np.searchsorted(expected, keys))
    np.testing.assert_array_equal(found.places(keys[::-3]), np.searchsorted(expected, keys[::-3]))
    np.testing.assert_array_equal(found.contains(keys), np.isin(keys, expected))


def test_what_is_ascending_is_not_copied():
    columns = [np.arange(5), np.arange(5, 9)]
    assert all(
        np.shares_memory(part, column)
        for part, column in zip(DocumentList(map(distinct_documents, columns))._parts, columns, strict=True)
    )
