"""Which files there are: each extension that is read, names, packings, attachments, encodings."""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from indexing.documents.formats.registry import EXTENSIONS, NAMES
from tests.people_files.facts import FACTS, FILLERS, FOREIGN
from tests.people_files.facts import NAMES as PEOPLE
from tests.people_files.makers import MAKERS, make_letter

__all__ = ["UNMADE", "AskedFile", "plan_files", "short_plan", "title_words_asked", "write_files"]

UNMADE = frozenset((".xlsb",))
"""Read, but nothing here writes it."""

LEAST = 8
"""Files of each reader at least."""

# Codecs that are declared, by the label that pages use for them.
_LABELS = {
    "koi8-r": "koi8-r",
    "iso8859-1": "iso-8859-1",
    "iso8859-2": "iso-8859-2",
    "cp1254": "iso-8859-9",
    "cp1256": "windows-1256",
    "shift_jis": "x-sjis",
    "iso2022_jp": "iso-2022-jp",
    "gb18030": "gb2312",
    "cp949": "ks_c_5601-1987",
    "mac-roman": "macintosh",
}
_EMPTY = frozenset(
    "a an and any are at be by can did do does for from get has have how i if in is it may me much my of off "
    "on or our out says should than the their them there they this to up us was we were what when where "
    "which who why will with you your der die das wer que".split()
)


@dataclass(frozen=True)
class AskedFile:
    """A file, the group it is counted in, and the question that it answers."""

    path: str
    group: str
    title: str
    question: str
    content: Callable[[], bytes]


def plan_files() -> list[AskedFile]:
    """All files, in an order that is always the same."""
    source = _Facts()
    files = [_plain(source, extension) for extension in sorted(EXTENSIONS) if extension not in UNMADE]
    files += [_named(source, name) for name in sorted(NAMES)[::3]]
    files += [_manual(source, section) for section in ("1", "3", "3pm", "5", "7", "8", "1ssl", "4")]
    files += [_without_extension(source) for _ in range(LEAST)]
    counts = {reader: sum(file.group == reader for file in files) for reader in MAKERS}
    for reader in MAKERS:
        own = sorted(e for e, r in EXTENSIONS.items() if r == reader and e not in UNMADE)
        files += [_plain(source, own[n % len(own)]) for n in range(LEAST - counts[reader] if own else 0)]
    files += [_packed(source, name) for name in _PACKED]
    files += [_attached(source, extension) for extension in _ATTACHED]
    files += _encoded()
    return files


def short_plan() -> list[AskedFile]:
    """One or two of each reader and of each group beside them."""
    kept: dict[str, list[AskedFile]] = {}
    for file in plan_files():
        kept.setdefault(file.group, []).append(file)
    most = {"encoding": 12}
    return [file for group, files in kept.items() for file in files[:: _step(files, most.get(group, 2))]]


def _step(files: list[AskedFile], most: int) -> int:
    return max(1, -(-len(files) // most))


def write_files(files: list[AskedFile], folder: Path) -> None:
    for file in files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content())


def title_words_asked(file: AskedFile) -> set[str]:
    """Words that the question shares with the title and the name of its file."""
    known = words_of(file.title) | words_of(file.path)
    return words_of(file.question) & known


def words_of(text: str) -> set[str]:
    words = re.findall(r"[^\W_]+", text.casefold())
    return {word.rstrip("s") for word in words if word not in _EMPTY}


_PALE = ("Notes of the week", "For the record", "Draft, second version", "Miscellaneous")


@dataclass
class _Said:
    name: str
    title: str
    paragraphs: list[str]
    question: str


class _Facts:
    """Gives out the facts in turn, each time about others. Every third has a title that says nothing."""

    def __init__(self) -> None:
        self.count = 0

    def next(self) -> _Said:
        turn, place = divmod(self.count, len(FACTS))
        topic, text, question = FACTS[place]
        who = PEOPLE[self.count % len(PEOPLE)]
        number = 3 + (place * 11 + turn * 17) % 50
        plain = (self.count + turn) % 3 > 0
        title = f"{topic} {who}" if plain else _PALE[self.count % len(_PALE)]
        name = title.lower().replace(" ", "-") if plain else f"scan{self.count:04}"
        fillers = [FILLERS[(self.count + step) % len(FILLERS)] for step in range(2)]
        self.count += 1
        paragraphs = [fillers[0], text.format(who=who, n=number), fillers[1]]
        return _Said(name, title, paragraphs, question.format(who=who))


def _plain(source: _Facts, extension: str) -> AskedFile:
    said, reader = source.next(), EXTENSIONS[extension]
    return AskedFile(
        f"{reader}/{said.name}{extension}",
        reader,
        said.title,
        said.question,
        lambda: MAKERS[reader](said.title, said.paragraphs, extension),
    )


def _named(source: _Facts, name: str) -> AskedFile:
    said = source.next()
    written = name.upper() if len(name) % 2 else name.capitalize()
    path = f"project{source.count}/{written}"
    return AskedFile(path, "name", said.title, said.question, lambda: _text_of(said))


def _manual(source: _Facts, section: str) -> AskedFile:
    said = source.next()
    return AskedFile(
        f"man/{said.name}.{section}",
        "man",
        said.title,
        said.question,
        lambda: MAKERS["man"](said.title, said.paragraphs, section),
    )


def _without_extension(source: _Facts) -> AskedFile:
    said = source.next()
    return AskedFile(f"loose/{said.name}", "unnamed", said.title, said.question, lambda: _text_of(said))


def _text_of(said: _Said) -> bytes:
    return MAKERS["text"](said.title, said.paragraphs, "")


def _zstd(data: bytes) -> bytes:
    from backports.zstd import compress

    return compress(data)


_PACKINGS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": _zstd}
_PACKED = [
    (inner, outer)
    for n, inner in enumerate((".txt", ".md", ".csv", ".html", ".json", ".pdf", ".py", ".docx"))
    for outer in list(_PACKINGS)[n % 2 :: 2]
] + [(".tar", ".gz"), (".tar", ".xz"), (".mbox", ".gz"), (".1", ".gz")]
_ATTACHED = (".txt", ".pdf", ".docx", ".xlsx", ".csv", ".html", ".odt", ".pptx", ".rtf", ".eml")


def _packed(source: _Facts, names: tuple[str, str]) -> AskedFile:
    (inner, outer), said = names, source.next()
    reader = EXTENSIONS.get(inner, "man")
    return AskedFile(
        f"packed/{said.name}{inner}{outer}",
        "packed",
        said.title,
        said.question,
        lambda: _PACKINGS[outer](MAKERS[reader](said.title, said.paragraphs, inner)),
    )


def _attached(source: _Facts, extension: str) -> AskedFile:
    said = source.next()
    reader = EXTENSIONS[extension]

    def content() -> bytes:
        data = MAKERS[reader](said.title, said.paragraphs, extension)
        letter = ["Here is what you asked for, please look through it before we meet."]
        return make_letter("As promised", letter, ".eml", (f"{said.name}{extension}", data))

    return AskedFile(f"attached/letter{source.count}.eml", "attachment", said.title, said.question, content)


def _encoded() -> Iterator[AskedFile]:
    """Texts in each encoding; of those that pages declare it is a page that does."""
    marks = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
    for number, (codec, language, text, question) in enumerate(FOREIGN):
        title = f"{language}{number}"
        label = _LABELS.get(codec)
        if label is None:
            name, data = f"{title}.txt", marks.get(codec, b"") + f"{text}\n".encode(codec)
        else:
            name, data = f"{title}.html", f"<meta charset={label}><p>{text}".encode(codec)
        yield AskedFile(f"encoded/{name}", "encoding", title, question, lambda data=data: data)
