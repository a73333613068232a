"""The language below manual pages: strings, special characters, and the arguments of a macro."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["Strings", "split_arguments"]

_LONGEST = 64 * 1024  # of a line that is expanded; strings may name strings
_DEPTH = 8
_SPECIAL = {
    **{"bu": "•", "em": "—", "en": "–", "hy": "-", "mi": "-", "pl": "+", "aq": "'", "dq": '"', "co": "©"},
    **{"rg": "®", "tm": "™", "lq": "“", "rq": "”", "oq": "‘", "cq": "’", "Fo": "«", "Fc": "»", "ga": "`"},
    **{"->": "→", "<-": "←", "<>": "↔", "ua": "↑", "da": "↓", "mu": "×", "di": "÷", "de": "°", "ha": "^"},
    **{"ti": "~", "rs": "\\", "at": "@", "sh": "#", "Do": "$", "or": "|", "ba": "|", "br": "|", "la": "⟨"},
    **{"ra": "⟩", "lB": "[", "rB": "]", "lC": "{", "rC": "}", "+-": "±", ">=": "≥", "<=": "≤", "!=": "≠"},
    **{"==": "≡", "~=": "≈", "if": "∞", "sc": "§", "ps": "¶", "dg": "†", "dd": "‡", "ct": "¢", "Po": "£"},
    **{"Ye": "¥", "eu": "€", "Eu": "€", "ss": "ß", "AE": "Æ", "ae": "æ", "OE": "Œ", "oe": "œ", "o/": "ø"},
    **{"O/": "Ø", "-D": "Ð", "Sd": "ð", "TP": "Þ", "Tp": "þ", "oa": "å", "oA": "Å", "ul": "_"},
    **{"sl": "/", "fm": "′", "sd": "″", "12": "½", "14": "¼", "34": "¾", "S1": "¹", "S2": "²", "S3": "³"},
    **{"*a": "α", "*b": "β", "*g": "γ", "*d": "δ", "*e": "ε", "*l": "λ", "*m": "μ", "*p": "π", "*s": "σ"},
    **{"*w": "ω", "*D": "Δ", "*W": "Ω", "*S": "Σ", "mc": "µ", "is": "∫", "sr": "√", "pd": "∂", "no": "¬"},
    **{"mo": "∈", "nb": "⊄", "OK": "✓", "lh": "☜", "rh": "☞", "sq": "□", "ci": "○", "ff": "ff", "fi": "fi"},
    **{"fl": "fl", "Fi": "ffi", "Fl": "ffl", "r!": "¡", "r?": "¿", "Of": "ª", "Om": "º", "lz": "◊"},
}
_ACCENTS = {
    "'": "\u0301",
    "`": "\u0300",
    "^": "\u0302",
    ":": "\u0308",
    "~": "\u0303",
    ",": "\u0327",
    "v": "\u030c",
}
_SINGLE = {
    **{
        "-": "-",
        "e": "\\",
        "\\": "\\",
        "~": "\u00a0",
        " ": " ",
        "0": " ",
        "'": "'",
        "`": "`",
        ".": ".",
        "t": "\t",
    },
    **{"E": "\\", "q": "", "_": "_"},
}
_ESCAPE = re.compile(
    r"""\\(?:
        ["\#].*                                          # a comment
      | f(?:\[[^\]]*\]|\(..|.)                           # a font
      | [FgkMmnVY](?:\[[^\]]*\]|\(..|[+-]?.)             # a register, a colour
      | \*(?:\[(?P<long>[^\]]*)\]|\((?P<two>..)|(?P<one>.))
      | \((?P<special>..) | \[(?P<named>[^\]]*)\] | C'(?P<char>[^']*)'
      | s(?:\[[^\]]*\]|'[^']*'|\([+-]?..|[+-]?\d{1,2}|.)  # a size
      | [ABbDHhLlNoRSvwXxZ]'[^']*'                       # positions, lines
      | (?P<single>.)
    )""",
    re.VERBOSE,
)
_ARGUMENT = re.compile(r'"((?:[^"]|"")*)"?|((?:\\.|[^\s\\])+|\\$)')


def split_arguments(rest: str) -> list[str]:
    """The arguments of a macro: words, or what stands between double quotes."""
    rest = re.split(r'(?<!\\)\\["#]', rest, maxsplit=1)[0]
    return [
        quoted.replace('""', '"') if quoted or not word else word for quoted, word in _ARGUMENT.findall(rest)
    ]


class Strings:
    """The strings that a page defines."""

    def __init__(self) -> None:
        self._strings = {
            "Aq": "'",
            "lq": "“",
            "rq": "”",
            "R": "®",
            "Tm": "™",
            "C+": "C++",
            'L"': '"',
            'R"': '"',
        }

    def define(self, rest: str) -> None:
        """`name value`, as `.ds` has it."""
        name, _, value = rest.partition(" ")
        if len(self._strings) < 1000:
            self._strings[name] = value.lstrip(" ").removeprefix('"')[:1000]

    def expand(self, text: str, depth: int = 0) -> str:
        """`text` as it is read: strings put in, special characters as Unicode, no fonts and sizes."""
        if "\\" not in text:
            return text
        return _ESCAPE.sub(lambda found: self._meaning(found, depth), text[:_LONGEST])[:_LONGEST]

    def _meaning(self, found: re.Match[str], depth: int) -> str:
        if (single := found["single"]) is not None:
            return _SINGLE.get(single, "" if not single.isalnum() or single in "acdpruz" else single)
        special = found["special"] or found["named"] or found["char"]
        if special is not None:
            return _special(special)
        name = found["long"] or found["two"] or found["one"]
        if name and depth < _DEPTH:
            return self.expand(self._strings.get(name, ""), depth + 1)
        return ""


def _special(name: str) -> str:
    if name in _SPECIAL:
        return _SPECIAL[name]
    if len(name) == 2 and name[0] in _ACCENTS and name[1].isalpha():
        return unicodedata.normalize("NFC", name[1] + _ACCENTS[name[0]])
    if re.fullmatch(r"u[0-9A-F]{4,6}(?:_[0-9A-F]{4,6})*", name):
        codes = [int(code, 16) for code in name[1:].split("_")]
        return "".join(chr(code) for code in codes if code < 0x110000 and not 0xD800 <= code < 0xE000)
    if name.startswith("char") and name[4:].isdigit() and int(name[4:]) < 256:
        return chr(int(name[4:]))
    return ""
