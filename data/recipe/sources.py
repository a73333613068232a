"""Readers that turn open text any machine can install into :class:`~data.recipe.text.Pair` objects.

Every reader takes a path and yields pairs; none needs the network. ``fetch.sh`` says where the files come
from; ``README.md`` lists their licences.
"""

from __future__ import annotations

import ast
import csv
import gzip
import json
import re
import warnings
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from data.recipe.text import Pair, make_pair

_CITATION = re.compile(r"\[[^\]]*\]")
_BRACES = re.compile(r"[{}]")


def package_list(path: Path) -> Iterator[Pair | None]:
    """Tab-separated list with a header; first column a package name, last column its one-line summary."""
    with path.open(encoding="utf-8", errors="replace", newline="") as lines:
        rows = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        next(rows, None)
        for row in rows:
            if len(row) >= 2:
                name = re.sub(r"[-_./@]+", " ", row[0]).strip()
                yield make_pair("package-list", name, row[-1], min_words=6)


def debian_descriptions(path: Path) -> Iterator[Pair | None]:
    """A Debian ``Translation-en`` file: short description as query, long description as text."""
    for block in _read_text(path).split("\n\n"):
        head, _, body = block.partition("Description-en: ")
        if not head.startswith("Package:"):
            continue
        short, _, long = body.partition("\n")
        paragraphs = [part for part in long.split("\n .\n") if part.strip()]
        yield make_pair("debian", short, " ".join(paragraphs[:2]), min_words=10)
        if len(paragraphs) > 2:
            yield make_pair("debian", short, " ".join(paragraphs[2:4]), min_words=20)


def wordnet(folder: Path) -> Iterator[Pair | None]:
    """WordNet ``data.*`` files: the words of a synset as query, its gloss with examples as text."""
    for path in sorted(folder.glob("data.*")):
        for line in _read_text(path).splitlines():
            if line.startswith("  ") or " | " not in line:
                continue  # licence header
            fields, _, gloss = line.partition(" | ")
            parts = fields.split()
            words = [parts[4 + 2 * i].replace("_", " ") for i in range(int(parts[3], 16))]
            yield make_pair("wordnet", ", ".join(re.sub(r"\(\w+\)$", "", word) for word in words), gloss)


def dictd(index: Path) -> Iterator[Pair | None]:
    """A dictd dictionary (``NAME.index`` beside ``NAME.dict.dz``): headword as query, entry as text."""
    content = gzip.decompress(index.with_suffix(".dict.dz").read_bytes())
    for line in index.read_text(encoding="utf-8").splitlines():
        headword, offset, length = line.split("\t")[:3]
        if headword.startswith("00"):
            continue  # database description
        start = _dictd_number(offset)
        entry = content[start : start + _dictd_number(length)].decode("utf-8", errors="replace")
        yield make_pair(index.stem, headword, _dictionary_text(entry), min_words=5)


def documentation(folder: Path, files: int | None = None) -> Iterator[Pair | None]:
    """HTML, reStructuredText and perl POD trees: each heading with the text that follows it.

    ``files`` reads about that many files, evenly spread over the tree, instead of all.
    """
    paths = sorted(folder.rglob("*"))
    for path in paths[:: max(1, len(paths) // files)] if files else paths:
        name = path.name.removesuffix(".gz")
        if not path.is_file() or path.stat().st_size > 3_000_000:
            continue
        if name.endswith((".html", ".htm")):
            yield from _html_sections(path)
        elif name.endswith((".rst", ".rst.txt")):
            yield from _rst_sections(path)
        elif name.endswith(".pod"):
            yield from _pod_sections(path)


def man_pages(folder: Path) -> Iterator[Pair | None]:
    """Manual pages: the NAME line as query, the start of DESCRIPTION as text."""
    for path in sorted(folder.rglob("*.gz")):
        text = re.sub(r"^\.\\\".*\n", "", _read_text(path), flags=re.M)
        sections = re.split(r"^\.S[Hh] +\"?([^\"\n]+)\"?\n", text, flags=re.M)
        bodies = zip(sections[1::2], sections[2::2], strict=True)
        named = {key.strip().upper(): _roff_text(body) for key, body in bodies}
        yield make_pair("manual", named.get("NAME", ""), named.get("DESCRIPTION", ""), min_words=10)


def ontology_json(path: Path) -> Iterator[Pair | None]:
    """JSON object of terms, each with ``label``, ``description`` and ``synonyms`` (``.json.zst`` too)."""
    for term in json.loads(_read_text(path)).values():
        definition = _CITATION.sub("", term.get("description") or "")
        if term.get("deprecated") or not definition:
            continue
        yield make_pair("ontology", term["label"], definition, min_words=6)
        for synonym in term.get("synonyms", [])[:2]:
            yield make_pair("ontology", synonym, f"{term['label']}: {definition}", min_words=6)


def ontology_obo(path: Path) -> Iterator[Pair | None]:
    """OBO file: term name and synonyms as queries, definition and comment as text."""
    for block in _read_text(path).split("\n[Term]\n")[1:]:
        name = re.search(r"^name: (.+)$", block, re.M)
        definition = re.search(r'^def: "((?:[^"\\]|\\.)+)"', block, re.M)
        if name and definition:
            yield make_pair("ontology", name[1], definition[1], min_words=6)
            for synonym in re.findall(r'^synonym: "([^"]+)"', block, re.M)[:2]:
                yield make_pair("ontology", synonym, f"{name[1]}: {definition[1]}", min_words=6)


def factbook(folder: Path) -> Iterator[Pair | None]:
    """World Factbook profiles as JSON: "country, topic" as query, the paragraph as text."""
    for path in sorted(folder.glob("*/*.json")):
        profile = json.loads(path.read_text(encoding="utf-8"))
        country = _factbook_country(profile)
        if country:
            for topic, text in _leaves(profile):
                yield make_pair("factbook", f"{country} {topic}", f"{country}: {text}", min_words=10)


def docstrings(folder: Path) -> Iterator[Pair | None]:
    """Python sources: first line of a docstring as query, the rest as text; read, never imported."""
    for path, tree in _parsed(folder):
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield from _docstring_pairs(node, path)


def _docstring_pairs(node: Any, path: Path) -> Iterator[Pair | None]:
    text = ast.get_docstring(node)
    if not text:
        return
    first, _, rest = text.partition("\n\n")
    name = _words_of(getattr(node, "name", path.stem))
    yield make_pair("docstring", first, f"{name} {rest}", min_words=12)
    yield make_pair("docstring", name, first, min_words=6)


def _parsed(folder: Path) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(folder.rglob("*.py")):
        inside = path.relative_to(folder).as_posix()
        if (
            path.stat().st_size > 1_000_000
            or "test/" in inside
            or "tests/" in inside
            or "site-packages/" in inside
        ):
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # invalid escapes in other people's strings
                yield path, ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            continue


def _words_of(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|[_.]+", " ", name).strip()


def _html_sections(path: Path) -> Iterator[Pair | None]:
    from lxml import html  # build-only

    content = _read_text(path).encode()
    if not content.strip():
        return
    try:
        root = html.fromstring(content, parser=html.HTMLParser(encoding="utf-8"))
    except (ValueError, html.etree.ParserError):
        return
    heading, body = "", []
    for element in root.iter("h1", "h2", "h3", "h4", "dt", "p", "dd"):
        content_text = element.text_content()
        if element.tag in ("p", "dd"):
            body.append(content_text)
        else:
            yield from _section(heading, body)
            heading, body = content_text.replace("¶", "").strip(), []
    yield from _section(heading, body)


def _section(heading: str, paragraphs: list[str]) -> Iterator[Pair | None]:
    heading = re.sub(r"^[A-Z]?[\d.]+ |^Chapter \d+\.", "", heading.strip())
    paragraphs = [part for part in paragraphs if len(part.split()) >= 8]
    if paragraphs and heading:
        yield make_pair("documentation", heading, " ".join(paragraphs[:2]), min_words=12)
    for first, second in pairwise(paragraphs[1:9]):
        sentence = re.split(r"(?<=[.?!]) ", first.strip(), maxsplit=1)[0]
        yield make_pair("documentation", sentence, second, min_words=12)


def _rst_sections(path: Path) -> Iterator[Pair | None]:
    lines = _read_text(path).splitlines()
    heading, body = "", []
    for line, following in pairwise([*lines, ""]):
        if following and re.fullmatch(r"([=\-~^\"*#+])\1{3,}", following.strip()) and line.strip():
            yield from _section(heading, "\n".join(body).split("\n\n"))
            heading, body = _rst_text(line), []
        elif not line.startswith((" " * 4, "..", "\t")):
            body.append(_rst_text(line))
    yield from _section(heading, "\n".join(body).split("\n\n"))


def _pod_sections(path: Path) -> Iterator[Pair | None]:
    for part in re.split(r"^=(?:head\d|item) ", _read_text(path), flags=re.M)[1:]:
        heading, _, body = part.partition("\n")
        prose = [
            text for text in body.split("\n\n") if text.strip() and not text.startswith((" ", "=", "\t"))
        ]
        yield from _section(_pod_text(heading), [_pod_text(text) for text in prose])


def _pod_text(text: str) -> str:
    return re.sub(r"[A-Z]<+ ?([^<>|]*?)(?:\|[^<>]*)? ?>+", r"\1", text)


def _rst_text(text: str) -> str:
    return re.sub(r":[\w:]+:|[`*|_]{1,2}(?=\S)|(?<=\S)[`*|]{1,2}", "", text)


def _roff_text(text: str) -> str:
    text = re.sub(r"^\.[A-Za-z]+ ?", "", text, flags=re.M).replace("\\-", "-")
    return re.sub(r"\\f[A-Z]|\\f\(..|\\[&/,|^ ]|\\(.)", r"\1", text).replace('"', "")


def _dictionary_text(entry: str) -> str:
    body = entry.partition("\n")[2]  # the first line repeats the headword with its pronunciation
    body = re.sub(r"\[(?:1913 Webster|WordNet[^\]]*|PJC|Webster[^\]]*|Century[^\]]*)\]", "", body)
    return _BRACES.sub("", re.sub(r"\((?:\d{4}-\d\d-\d\d|http\S+)\)|<[^>]+>", "", body))


def _dictd_number(digits: str) -> int:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    value = 0
    for digit in digits:
        value = value * 64 + alphabet.index(digit)
    return value


def _factbook_country(profile: dict[str, Any]) -> str:
    name = profile.get("Government", {}).get("Country name", {}).get("conventional short form", {})
    text = name.get("text", "") if isinstance(name, dict) else ""
    return text.split(";")[0] if text.lower() != "none" else ""


def _leaves(node: dict[str, Any], trail: str = "") -> Iterator[tuple[str, str]]:
    for key, value in node.items():
        if key == "text" and isinstance(value, str):
            yield trail, value
        elif isinstance(value, dict):
            yield from _leaves(value, key)


def _read_text(path: Path) -> str:
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    elif path.suffix == ".zst":
        import zstandard  # build-only

        content = zstandard.ZstdDecompressor().decompressobj().decompress(content)
    elif path.suffix == ".lz4":
        import lz4.frame  # build-only

        content = lz4.frame.decompress(content)
    return content.decode("utf-8", errors="replace")
