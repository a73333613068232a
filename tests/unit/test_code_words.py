"""Identifiers become words for the model, and only there."""

from __future__ import annotations

import pytest

from indexing import Collection
from indexing.documents import read_paths
from indexing.embed import chunk_text


def test_a_symbol_is_embedded_with_its_words():
    text = "int getHTTPCode2(int maxTries) { return max_tries; }"
    assert chunk_text("HttpClient.getHTTPCode2 (client.java)", text) == (
        "HttpClient.getHTTPCode2 (client.java) Http Client get HTTP Code2 get HTTP Code2\n"
        "int get HTTP Code2(int max Tries) { return max_tries; }"
    )
    assert chunk_text("client.java", "import java.util.ArrayList;") == (
        "client.java\nimport java.util.Array List;"
    )


@pytest.mark.parametrize("title", ["", "GitHub", "Notes (notes.md)", "(a.py", "README.md"])
def test_other_documents_are_embedded_as_they_are(title):
    text = "JavaScript runs on GitHub."
    assert chunk_text(title, text) == (f"{title}\n{text}" if title else text)


SOURCE = """
function loadSettings(path) { return JSON.parse(readFile(path)); }

function computeRetryDelay(attempt) {
  return Math.min(LIMIT, BASE * 2 ** attempt);
}

function showBanner(page) { page.append(makeBanner(page.title)); }

class RequestQueue {
  pushRequest(request) { this.items.push(request); }
  takeNext() { return this.items.shift(); }
}
"""


def test_a_function_is_found_by_what_it_does(home, tmp_path):
    (tmp_path / "net.js").write_text(SOURCE)
    with Collection.create("code", home=home) as collection:
        collection.add(read_paths([tmp_path / "net.js"]))
        found = collection.search("where is the retry delay computed", mode="semantic")
        assert found.results[0].id == "net.js#computeRetryDelay"
        assert collection.get(["net.js#computeRetryDelay"])["net.js#computeRetryDelay"].text in SOURCE
        found = collection.search("add a request to the queue", mode="semantic")
        assert {result.id for result in found.results[:2]} == {
            "net.js#RequestQueue",
            "net.js#RequestQueue.pushRequest",
        }
