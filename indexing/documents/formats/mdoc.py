"""The macros of mdoc, in which BSD manuals are written: they name what a word is, and nest within a line."""

from __future__ import annotations

from indexing.documents.formats.troff import Strings, split_arguments

__all__ = ["Mdoc"]

_CLOSES = frozenset(".,:;)]?!")
_AROUND = {
    **{"Op": "[]", "Oo": "[]", "Dq": "“”", "Do": "“”", "Qq": '""', "Qo": '""', "Sq": "‘’", "So": "‘’"},
    **{"Pq": "()", "Po": "()", "Bq": "[]", "Bo": "[]", "Brq": "{}", "Bro": "{}", "Aq": "<>", "Ao": "<>"},
    **{"Ql": "‘’"},
}
_ENDS = {"Oc": "]", "Dc": "”", "Qc": '"', "Sc": "’", "Pc": ")", "Bc": "]", "Brc": "}", "Ac": ">"}
_OPEN = frozenset(("Oo", "Do", "Qo", "So", "Po", "Bo", "Bro", "Ao"))
_WORDS = {
    "Ux": "UNIX",
    "Bx": "BSD",
    "Fx": "FreeBSD",
    "Nx": "NetBSD",
    "Ox": "OpenBSD",
    "Dx": "DragonFly",
    "At": "AT&T UNIX",
}
_PLAIN = frozenset(
    "Ad An Ar Cd Cm Dv Em Er Ev Fa Fr Ft Ic In Lb Li Lk Ms Mt Nd No Pa Pf St Sx Sy Tn Va Vt Xo Fd Hf".split()
)
_NOTHING = frozenset("Dd Os Rs Re Bk Ek Xc Fc Ec Eo Sm Db Bsx Ud Ux".split())


class Mdoc:
    """Reads the macro lines of one page; keeps what its head says of it."""

    def __init__(self) -> None:
        self.name = self.section = self.summary = ""

    def line(self, name: str, rest: str, strings: Strings) -> tuple[str, str] | None:
        """(text, heading, tag, break, verbatim or filled; the words), or None: no macro of mdoc."""
        words = [strings.expand(word) for word in split_arguments(rest)]
        if name == "Dt":
            self.section = words[1] if len(words) > 1 else ""
            self.name = words[0].lower() if words and not self.name else self.name
            return "text", ""
        if name in ("Sh", "Ss"):
            return "heading", " ".join(words)
        if name == "Nd":
            self.summary = " ".join(words)
            return "text", f"– {self.summary}"
        if name == "Nm" and words and words[0][:1] not in _CLOSES and not self.summary:
            self.name = words[0]
        if name == "It":
            return "tag", self._inline(words)
        if name in ("Pp", "Bl", "El", "Lp"):
            return "break", ""
        if name == "Bd":
            return ("verbatim" if "-literal" in words or "-unfilled" in words else "filled"), ""
        if name == "Ed":
            return "filled", ""
        if name in ("Dl", "D1"):
            return "text", f"\n{self._inline(words)}\n"
        if name.startswith("%"):
            return "text", " ".join(words) + ","
        if name in _NOTHING and name not in _WORDS:
            return "text", ""
        if self._known(name):
            return "text", self._inline([name, *words])
        return None

    def _known(self, word: str) -> bool:
        return (
            word in _PLAIN or word in _AROUND or word in _ENDS or word in _WORDS
            or word in ("Fl", "Fn", "Fo", "Nm", "Xr", "Ns", "Ap")
        )  # fmt: skip

    def _inline(self, words: list[str]) -> str:
        """The words of a line with their macros: `Op Fl a Ar file` is `[-a file]`."""
        text, closing, glue, at = "", "", True, 0
        while at < len(words):
            word = words[at]
            at += 1
            piece, attached = word, word in _CLOSES
            if word in _AROUND:
                piece, attached = _AROUND[word][0], False
                if word not in _OPEN:
                    closing = _AROUND[word][1] + closing
                text += ("" if glue else " ") + piece
                glue = True
                continue
            if word in _ENDS:
                piece, attached = _ENDS[word], True
            elif word == "Ns":
                glue = True
                continue
            elif word == "Ap":
                text, glue = text + "'", True
                continue
            elif word == "Fl":
                follows = at < len(words) and not self._known(words[at]) and words[at] not in _CLOSES
                piece = "-" + (words[at] if follows else "")
                at += follows
            elif word == "Nm":
                named = at < len(words) and not self._known(words[at]) and words[at] not in _CLOSES
                piece = words[at] if named else self.name
                at += named
            elif word == "Xr" and at < len(words):
                section = words[at + 1] if at + 1 < len(words) and words[at + 1][:1].isdigit() else ""
                piece = f"{words[at]}({section})" if section else words[at]
                at += 1 + bool(section)
            elif word in ("Fn", "Fo") and at < len(words):
                ends = next((i for i in range(at + 1, len(words)) if words[i] in _CLOSES), len(words))
                piece = f"{words[at]}({', '.join(words[at + 1 : ends])})"
                at = ends
            elif word in _WORDS:
                piece = _WORDS[word]
            elif word in _PLAIN:
                continue
            text += piece if attached or glue else f" {piece}"
            glue = word in ("(", "[")
        return _closed(text, closing)


def _closed(text: str, closing: str) -> str:
    """What was opened on a line is closed before the full stop that ends it."""
    body = text.rstrip("".join(_CLOSES - set(")]"))) if closing else text
    return body + closing + text[len(body) :]
