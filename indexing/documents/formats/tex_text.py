"""The words in a piece of LaTeX: commands give what they show, formulas stay as they are written."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["argument", "plain_text"]

_LONGEST = 4_000  # characters of an argument that is looked for; past that a brace was left open
_LONGEST_PICTURE = 50_000
_COMMENT = re.compile(r"(?<!\\)((?:\\\\)*)%[^\n]*(?:\n[ \t]*(?=\S))?")
_VERBATIM = re.compile(r"\\(?:verb\*?|lstinline)([^\w\s{*])([^\n]{0,500}?)\1")
_TOKEN = re.compile(
    r"\\(?P<command>[A-Za-z@]+)\*?[ \t]*|\\(?P<symbol>.)|(?P<mark>[{}~&$]|``|''|---?)", re.DOTALL
)
_MARKS = {"~": "\u00a0", "&": "  ", "``": "“", "''": "”", "--": "–", "---": "—", "{": "", "}": "", "$": ""}
_BRACKET = re.compile(r"\[[^\[\]\n]{0,200}\][ \t]*")
_ROW_ENDS = re.compile(
    r"(?:\[[^\[\]\n]{0,50}\])?(?:[ \t\n]*\\(?:hline|toprule|midrule|bottomrule)\b)*[ \t]*\n?"
)
_NAME = re.compile(r"\{([\w*]{1,40})\}")
_ACCENTS = {
    **{
        "'": "\u0301",
        "`": "\u0300",
        "^": "\u0302",
        '"': "\u0308",
        "~": "\u0303",
        "c": "\u0327",
        "v": "\u030c",
    },
    **{
        "=": "\u0304",
        ".": "\u0307",
        "u": "\u0306",
        "H": "\u030b",
        "r": "\u030a",
        "k": "\u0328",
        "d": "\u0323",
    },
}
_ACCENTED = re.compile(r"[ \t]*(?:\{\\?([A-Za-z]?)\}|\\?([A-Za-z]))")
_SYMBOLS = {
    **{"ss": "ß", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "o": "ø", "O": "Ø", "aa": "å", "AA": "Å"},
    **{"l": "ł", "L": "Ł", "i": "ı", "dots": "…", "ldots": "…", "textellipsis": "…", "LaTeX": "LaTeX"},
    **{"TeX": "TeX", "BibTeX": "BibTeX", "textbackslash": "\\", "textasciitilde": "~", "textbar": "|"},
    **{"textasciicircum": "^", "copyright": "©", "pounds": "£", "euro": "€", "S": "§", "P": "¶", "dag": "†"},
    **{"textemdash": "—", "textendash": "–", "quad": " ", "qquad": " ", "par": "\n\n", "newline": "\n"},
    **{
        "item": "\n- ",
        "textless": "<",
        "textgreater": ">",
        "textquotedblleft": "“",
        "textquotedblright": "”",
    },
    **{
        "degree": "°",
        "texttrademark": "™",
        "textregistered": "®",
        "tabularnewline": "\n",
        "textunderscore": "_",
    },
    **{"footnote": " ", "times": "×", "leq": "≤", "geq": "≥", "neq": "≠", "approx": "≈", "infty": "∞"},
    **{"rightarrow": "→", "to": "→", "leftarrow": "←", "pm": "±", "cdot": "·", "alpha": "α", "beta": "β"},
    **{"gamma": "γ", "delta": "δ", "epsilon": "ε", "varepsilon": "ε", "theta": "θ", "lambda": "λ", "mu": "μ"},
    **{
        "pi": "π",
        "rho": "ρ",
        "sigma": "σ",
        "tau": "τ",
        "phi": "φ",
        "varphi": "φ",
        "omega": "ω",
        "Delta": "Δ",
    },
    **{
        "Sigma": "Σ",
        "Omega": "Ω",
        "in": "∈",
        "sum": "∑",
        "int": "∫",
        "prod": "∏",
        "partial": "∂",
        "sqrt": "√",
    },
}
_ESCAPED = {"\\": "\n", " ": " ", "\n": " ", "-": "", "/": "", "(": "", ")": "", "[": "", "]": "", ",": " "}
# Commands whose arguments are names, sizes and addresses, and how many of them are.
_UNSAID = {
    **dict.fromkeys(
        "label ref eqref pageref cite citep citet citeauthor citeyear nocite autoref cref Cref bibliography "
        "usepackage bibliographystyle documentclass input include includegraphics vspace hspace pagestyle "
        "thispagestyle geometry hypersetup graphicspath index glossary RequirePackage pagenumbering color "
        "hyphenation addbibresource usetheme usecolortheme bibitem theoremstyle ProvidesPackage lstset "
        "usetikzlibrary sisetup captionsetup selectlanguage newcounter stepcounter phantom newboolean "
        "textcolor href DeclareGraphicsExtensions NeedsTeXFormat title author date hypertarget tikzset "
        "texorpdfstring thanks".split(),
        1,
    ),
    **dict.fromkeys(
        "newcommand renewcommand providecommand DeclareMathOperator newtheorem setcounter setlength "
        "addtocounter addtolength definecolor colorlet rule fontsize PassOptionsToPackage def multicolumn "
        "multirow".split(),
        2,
    ),
    **dict.fromkeys(("newenvironment", "renewenvironment"), 3),
}
# Environments that have an argument of layout, and those that are no text.
_LAID_OUT = {
    "tabular": 1,
    "tabular*": 2,
    "tabularx": 2,
    "array": 1,
    "longtable": 1,
    "minipage": 1,
    "multicols": 1,
}
_NO_TEXT = frozenset(("tikzpicture", "pgfpicture", "thebibliography"))


def argument(text: str, at: int) -> tuple[str, int]:
    """(what is between the brace at `at` and its end, where it goes on). An open brace ends with its line."""
    depth = 0
    for found in re.compile(r"\\.|[{}]", re.DOTALL).finditer(text, at, at + _LONGEST):
        depth += {"{": 1, "}": -1}.get(found.group(), 0)
        if depth == 0:
            return text[at + 1 : found.start()], found.end()
    end = text.find("\n", at)
    end = len(text) if end < 0 else end
    return text[at + 1 : end], end


def plain_text(text: str) -> str:
    """What a reader of the page sees of `text`, nearly; blank lines stay."""
    text = _COMMENT.sub(r"\1", text)
    parts: list[str] = []
    at = 0
    while (found := _TOKEN.search(text, at)) is not None:
        parts.append(text[at : found.start()])
        at = found.end()
        if found["mark"]:
            parts.append(_MARKS[found["mark"]])
        elif (verbatim := _VERBATIM.match(text, found.start())) is not None:
            parts.append(verbatim[2])
            at = verbatim.end()
        elif (accent := _accent(text, found)) is not None:
            parts.append(accent[0])
            at = accent[1]
        elif found["symbol"]:
            parts.append(_ESCAPED.get(found["symbol"], found["symbol"]))
            if found["symbol"] == "\\" and (row := _ROW_ENDS.match(text, at)):
                at = row.end()
        else:
            shown, at = _command(text, found["command"], at)
            parts.append(shown)
    parts.append(text[at:])
    return "".join(parts)


def _accent(text: str, found: re.Match[str]) -> tuple[str, int] | None:
    """A letter with its accent, and where the text goes on."""
    name = found["symbol"] or found["command"]
    mark = _ACCENTS.get(name)
    letter = _ACCENTED.match(text, found.end()) if mark else None
    if (
        letter is None
        or mark is None
        or (name.isalpha() and text[found.end() : found.end() + 1] not in ("{", "\\"))
    ):
        return None
    plain = letter[1] or letter[2]
    return (unicodedata.normalize("NFC", plain + mark) if plain else name), letter.end()


def _command(text: str, name: str, at: int) -> tuple[str, int]:
    """What a command shows of itself, and where the text goes on: its arguments, if they are to be read."""
    if name in ("begin", "end"):
        return _environment(text, name, at)
    shown = _SYMBOLS.get(name, "")
    if name == "item" and text[at : at + 1] == "[":
        return "\n- ", at
    if name in ("def", "let"):
        at = _skip(text, re.compile(r"[ \t]*\\[A-Za-z@]+[ \t=]*(?:#\d)*"), at)
    if bracket := _BRACKET.match(text, at):
        at = bracket.end()
    for _ in range(_UNSAID.get(name, 0)):
        at = _skip(text, re.compile(r"[ \t]*(?:\\[A-Za-z@]+[ \t]*)?(?:\[[^\[\]\n]{0,200}\])*[ \t]*"), at)
        if text[at : at + 1] != "{":
            break
        at = argument(text, at)[1]
    return shown, at


def _environment(text: str, name: str, at: int) -> tuple[str, int]:
    found = _NAME.match(text, at)
    if not found:
        return "", at
    at = found.end()
    if name == "end":
        return "\n", at
    if found[1] in _NO_TEXT:
        end = text.find(f"\\end{{{found[1]}}}", at, at + _LONGEST_PICTURE)
        return "", end if end >= 0 else at
    if bracket := _BRACKET.match(text, at):
        at = bracket.end()
    for _ in range(_LAID_OUT.get(found[1], 0)):
        if text[at : at + 1] == "{":
            at = argument(text, at)[1]
    return "\n", at


def _skip(text: str, pattern: re.Pattern[str], at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at
