"""Which encoding bytes are in: what a label means, and a guess where nothing is declared.

Labels mean what they mean to browsers (the WHATWG standard): `gb2312` is GBK, `euc-kr` is its superset cp949,
`iso-8859-1` is Windows-1252. UTF-7 is no encoding of documents, so no label leads to it.

The guess takes two roads. In a language of Latin letters a letter beyond ASCII stands alone between others,
elsewhere they come in runs: over 1,003 texts in 20 languages, 20 to 8,000 bytes long, a mean run of 1.5 bytes
parts the two. The runs are given to charset-normalizer; Latin letters are weighed here by what languages
write, as it takes Windows-1252 for another encoding in 4 of 10 texts. `formats/README.md` has the figures.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import webencodings

__all__ = ["DECLARABLE", "codec_of", "decode_with", "guess_codec", "name_of"]

# What Python calls the standard's encodings, the first that reads all of a text: a superset where the
# standard has one, then a neighbour that has more characters.
DECLARABLE: dict[str, tuple[str, ...]] = {
    "utf-8": ("utf-8",),
    "ibm866": ("cp866",),
    **{f"iso-8859-{n}": (f"iso8859-{n}",) for n in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)},
    "iso-8859-8-i": ("iso8859-8",),
    "koi8-r": ("koi8-r",),
    "koi8-u": ("koi8-u",),
    "macintosh": ("mac-roman",),
    "windows-874": ("cp874",),
    **{f"windows-{n}": (f"cp{n}",) for n in range(1250, 1259)},
    "x-mac-cyrillic": ("mac-cyrillic",),
    "gbk": ("gb18030",),
    "gb18030": ("gb18030",),
    "big5": ("big5hkscs", "cp950"),
    "euc-jp": ("euc_jp", "euc_jis_2004"),
    "iso-2022-jp": ("iso2022_jp", "iso2022_jp_ext", "iso2022_jp_2004"),
    "shift_jis": ("cp932",),
    "euc-kr": ("cp949",),
}
_RUN = re.compile(rb"[\x80-\xff]+")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
_NO_CHARACTER = re.compile("[\uf8f0-\uf8f3]")  # what cp932 gives for bytes that are none in Shift_JIS
_KANA = re.compile("[\u3041-\u30ff]")
_HEBREW = frozenset(range(0xE0, 0xFB))  # its letters in Windows-1255 and ISO-8859-8
_WINDOW = 8 * 1024
_WINDOWS = 4
# A mean run of bytes beyond ASCII that is shorter is a language of Latin letters, a longer one is none;
# between the two it is one if nearly every such byte is a letter at home in it.
_SHORT_RUN, _LONG_RUN = 1.5, 2.3
_AT_HOME = 0.85
_OTHER_SCRIPTS = [
    *("cp1251", "koi8_r", "koi8_u", "cp866", "iso8859_5", "mac_cyrillic", "cp1253", "iso8859_7", "cp1255"),
    *("cp1256", "iso8859_6", "cp874", "cp932", "euc_jp", "gb18030", "big5hkscs", "cp949"),
]


class _Latin(NamedTuple):
    codec: str
    letters: frozenset[str]  # of one language, or of some that are written alike
    doubt: float  # how many letters better it must be than Windows-1252


# By language, for what sets Turkish in its encoding apart from Czech in another is that no language has both
# readings of all its letters.
_LETTERS = {
    "german": "äöüß",
    "french": "éèêëàâçîïôûùœ",
    "spanish": "ñóíáúüé",
    "portuguese": "ãõçáéíóúâêôà",
    "italian": "àèéìòù",
    "nordic": "åæøäö",
    "icelandic": "þðæöáéíóúý",
    "polish": "ąćęłńóśźż",
    "czech": "áčďéěíňóřšťúůýžľĺŕäô",
    "hungarian": "áéíóöőúüű",
    "south_slavic": "čćđšž",
    "romanian": "ăâîşţ",
    "turkish": "ığşçöüâî",
    "baltic": "āčēģīķļņšūž ąęėįų õäöü",
    "vietnamese": "âđêôơưàáéèíóúùă\u0300\u0301\u0303\u0309\u0323",
}
_WEST = ("german", "french", "spanish", "portuguese", "italian", "nordic", "icelandic")
_CENTRAL = ("polish", "czech", "hungarian", "south_slavic", "romanian")
_LATIN = [
    _Latin(codec, frozenset(_LETTERS[language]), doubt)
    for codec, languages, doubt in (
        ("cp1252", _WEST, 0.0),
        ("cp1250", _CENTRAL, 0.4),
        ("cp1254", ("turkish",), 0.4),
        ("cp1257", ("baltic",), 0.9),
        ("cp1258", ("vietnamese",), 0.9),
        ("iso8859-2", _CENTRAL, 1.2),
        ("mac_roman", _WEST, 1.5),
        ("cp850", _WEST, 1.5),
    )
    for language in languages
]
# In names and quotations of any language.
_GUESTS = frozenset("éëèöüä")
# Signs of running text; between two letters only the apostrophe and the middle dot have a place.
_SIGNS = frozenset("“”„‘‚–—…«»•°§€£©®¡¿\xa0\xad·’")
_AFTER_FIGURES = frozenset("²³¹½¼¾ºªµ×±")


def codec_of(label: str) -> str | None:
    """The encoding, a key of `DECLARABLE`, that browsers take `label` for. None for what they do not know.

    UTF-16 in a label that could be read as ASCII cannot be true: it is UTF-8 then, as in browsers.
    """
    found = webencodings.lookup(label)
    if found is None:
        return None
    return "utf-8" if found.name.startswith("utf-16") else found.name if found.name in DECLARABLE else None


def decode_with(data: bytes, encoding: str) -> tuple[str, int]:
    """(text, how many characters could not be read and became U+FFFD). `encoding` is a key of `DECLARABLE`
    or a codec.
    """
    codecs = DECLARABLE.get(encoding, (encoding,))
    for codec in codecs:
        try:
            text = data.decode(codec)
        except UnicodeDecodeError:
            continue
        if codec == "cp932" and _NO_CHARACTER.search(text):
            return _NO_CHARACTER.subn("\ufffd", text)
        return text, 0
    text = data.decode(codecs[0], "replace")
    if codecs[0] == "cp932":
        text = _NO_CHARACTER.sub("\ufffd", text)
    try:
        meant = data.count("\ufffd".encode(codecs[0]))
    except UnicodeEncodeError:
        meant = 0
    return text, max(text.count("\ufffd") - meant, 1)


def name_of(encoding: str) -> str:
    """What people call a codec or a key of `DECLARABLE`."""
    name = encoding.replace("_", "-").lower()
    if name.startswith(("cp125", "cp874")):
        return f"Windows-{name[2:]}"
    if name.startswith("windows"):
        return name.capitalize()
    return _NAMES.get(name) or name.replace("iso8859", "iso-8859").upper()


_NAMES = {
    "utf-8-sig": "UTF-8",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "gb18030": "GB 18030",
    "gbk": "GBK",
    "big5": "Big5",
    "big5hkscs": "Big5",
    "cp932": "Shift_JIS",
    "shift-jis": "Shift_JIS",
    "cp949": "EUC-KR",
    "cp866": "IBM 866",
    "cp850": "IBM 850",
    "ibm866": "IBM 866",
    "mac-roman": "Mac Roman",
    "macintosh": "Mac Roman",
    "mac-cyrillic": "Mac Cyrillic",
    "x-mac-cyrillic": "Mac Cyrillic",
}


def guess_codec(data: bytes) -> str:
    """The codec that bytes which are not UTF-8 are most likely in; Windows-1252 where nothing tells.

    Looks at no more than 32 KiB around bytes beyond ASCII.
    """
    sample = _sample(data)
    runs = _RUN.findall(sample)
    mean = sum(map(len, runs)) / max(len(runs), 1)
    if mean < _LONG_RUN:
        latin, share = _best_latin(sample)
        if mean < _SHORT_RUN or share > _AT_HOME:
            return latin
    return _best_of_other_scripts(sample, _OTHER_SCRIPTS) or "cp1252"


def _sample(data: bytes) -> bytes:
    """Windows that begin shortly before a byte beyond ASCII; cut where no character of two bytes is cut."""
    windows: list[bytes] = []
    at = 0
    while len(windows) < _WINDOWS and (found := _RUN.search(data, at)):
        start = max(at, found.start() - 64)
        at = start + _WINDOW
        if at < len(data):
            end = max(data.rfind(blank, found.end(), at) for blank in (b"\n", b" ", b",", b">"))
            at = end + 1 if end > 0 else at
        windows.append(data[start:at])
    return b"".join(windows)


def _best_latin(sample: bytes) -> tuple[str, float]:
    """(codec, share of the characters beyond ASCII that are letters or signs at home in it)."""
    count = max(sum(map(len, _RUN.findall(sample))), 1)
    scores = [_weigh(sample.decode(latin.codec, "replace"), latin) for latin in _LATIN]
    best = max(range(len(_LATIN)), key=lambda at: scores[at] - _LATIN[at].doubt)
    return _LATIN[best].codec, scores[best] / count


def _weigh(text: str, latin: _Latin) -> float:
    """One for each character beyond ASCII that is at home where it stands, less for others."""
    score = 0.0
    for found in _BEYOND_ASCII.finditer(text):
        at = found.start()
        char, before, after = text[at], text[at - 1 : at], text[at + 1 : at + 2]
        if char.isupper() and before.islower():
            score -= 1  # no word is written like this
        elif char.lower() in latin.letters:
            score += 1
        elif char.lower() in _GUESTS:
            score += 0.5
        elif char.isalpha():
            score -= 0.5
        elif char in _SIGNS:
            score += -1 if before.isalpha() and after.isalpha() and char not in "’·\xad" else 0.9
        elif char in _AFTER_FIGURES:
            score += 0.5 if not before.isalpha() else -0.5
        else:
            score -= 3 if char < "\xa0" or char == "\ufffd" else 1
    return score


def _best_of_other_scripts(sample: bytes, codecs: list[str]) -> str | None:
    import charset_normalizer  # heavy, and few files need it

    japanese = sample.decode("euc_jp", "replace")
    high = sum(map(len, _RUN.findall(sample)))
    if len(_KANA.findall(japanese)) > high // 10 and japanese.count("\ufffd") <= 1 + high // 100:
        return "euc_jp"  # kana of EUC-JP are single letters of the Korean alphabet in EUC-KR
    best = charset_normalizer.from_bytes(sample, cp_isolation=codecs).best()
    if best is None:
        return None
    narrow = sum("\uff61" <= char <= "\uff9f" for char in str(best))
    if best.encoding == "cp932" and narrow > len(sample) // 4:
        # Narrow katakana are one byte each: nearly any text can be read as a row of them.
        return _best_of_other_scripts(sample, [codec for codec in codecs if codec != "cp932"])
    if best.encoding.startswith("koi8") and set(b"".join(_RUN.findall(sample))) <= _HEBREW:
        # Russian in capitals alone, without the five last letters of that table, is rather Hebrew.
        return _best_of_other_scripts(sample, [codec for codec in codecs if not codec.startswith("koi8")])
    return str(best.encoding)
