"""Text as it was meant: declared encodings as browsers take them, guesses, bad bytes, what looks binary."""

from __future__ import annotations

import re
from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexing.documents.encodings import DECLARABLE, codec_of, guess_codec, name_of
from indexing.documents.source import Decoded, SourceFile, Unreadable, decode, decode_declared, text_lines

DECLARED = re.compile(rb"charset=([\w.:-]+)")
RUSSIAN = "Протокол собрания жильцов: ремонт крыши намечен на май."


def declare(label: str, text: bytes) -> bytes:
    return b"<meta charset=" + label.encode() + b">" + text


def read_declared(label: str, text: bytes) -> Decoded:
    decoded = decode(declare(label, text), DECLARED)
    return Decoded(decoded.text.partition(">")[2], decoded.note)


class TestDeclared:
    @pytest.mark.parametrize(
        ("label", "text", "codec"),
        [
            ("gb2312", "朱镕基谈经济改革 与 喆 字", "gb18030"),
            ("GBK", "朱镕基", "gb18030"),
            ("chinese", "会议记录", "gbk"),
            ("euc-kr", "똠방각하 펲시콜라 회의록", "cp949"),
            ("ks_c_5601-1987", "똠방각하 회의록", "cp949"),
            ("Shift_JIS", "第①回会議の議事録 髙橋さん", "cp932"),
            ("x-sjis", "会議の議事録", "cp932"),
            ("euc-jp", "第①回の会議", "euc_jis_2004"),
            ("iso-2022-jp", "会議の議事録", "iso2022_jp"),
            ("iso-8859-9", "Toplantı tutanağı “önemli” – İstanbul", "cp1254"),
            ("iso-8859-1", "“quoted” – 5 €", "cp1252"),
            ("us-ascii", "“quoted” – 5 €", "cp1252"),
            ("tis-620", "รายงานการประชุม “สำคัญ”", "cp874"),
            ("windows-874", "รายงานการประชุม", "cp874"),
            ("x-mac-cyrillic", "Протокол", "mac_cyrillic"),
            ("big5", "會議紀錄 裏碁銹", "cp950"),
            ("big5-hkscs", "會議紀錄 㗎", "big5hkscs"),
            ("latin1", "café", "cp1252"),
            ("cp1251", "Протокол", "cp1251"),
            ("koi8-r", "Протокол", "koi8-r"),
            ("iso-8859-8-i", "פרוטוקול", "iso8859-8"),
        ],
    )
    def test_labels_mean_what_they_mean_to_browsers(self, label, text, codec):
        assert read_declared(label, text.encode(codec)) == Decoded(text)

    @pytest.mark.parametrize(
        "label", ["utf-7", "x-unknown", "base64", "utf-16", "utf-16le", "hz-gb-2312", "rot13"]
    )
    def test_other_labels_leave_it_at_utf_8(self, label):
        assert read_declared(label, "+AOk- é".encode()) == Decoded("+AOk- é")

    def test_the_first_label_that_is_known_counts_and_none_in_a_comment(self):
        head = b"<!-- charset=koi8-r --><meta charset=no-such><meta charset=windows-1251>"
        assert decode(head + "хлеб".encode("cp1251"), DECLARED).text.endswith(">хлеб")

    def test_a_mark_wins(self):
        assert decode(b"\xef\xbb\xbf" + declare("windows-1251", "é".encode()), DECLARED).text.endswith(">é")

    def test_a_false_declaration_is_not_believed_where_the_text_is_utf_8(self):
        assert read_declared("euc-kr", "é – ń".encode()) == Decoded("é – ń")
        # One that can be true is: browsers obey it.
        assert read_declared("windows-1252", "é".encode()) == Decoded("Ã©")

    def test_only_bad_bytes_are_replaced_and_counted(self):
        bad = "会議".encode("cp932") + b"\xff" + "の議事録".encode("cp932") + b"\x81"
        assert read_declared("shift_jis", bad) == Decoded(
            "会議\ufffdの議事録\ufffd", "has 2 characters that are not valid Shift_JIS: read as \ufffd"
        )
        assert read_declared("utf-8", RUSSIAN.encode() + b"\xff") == Decoded(
            RUSSIAN + "\ufffd", "has 1 character that is not valid UTF-8: read as \ufffd"
        )

    def test_a_label_from_elsewhere(self):
        assert decode_declared("議事".encode("cp932"), "SJIS") == Decoded("議事")
        assert decode_declared("議事".encode(), "nonsense") == Decoded("議事")
        assert decode_declared("議事".encode("utf-16"), "SJIS") == Decoded("議事")

    @given(st.sampled_from(sorted(DECLARABLE)), st.data())
    def test_what_is_written_in_a_declared_encoding_is_read(self, encoding, data):
        codec = DECLARABLE[encoding][0]
        text = data.draw(st.text(alphabet(codec), max_size=60))
        assert read_declared(encoding, text.encode(codec)) == Decoded(text)

    def test_every_encoding_is_its_own_label(self):
        assert {name: codec_of(name) for name in DECLARABLE} == {name: name for name in DECLARABLE}
        assert codec_of("utf-7") is None


@lru_cache
def alphabet(codec: str) -> str:
    """Printable characters that `codec` writes in one or two bytes."""
    ones = [bytes([byte]) for byte in range(0x20, 0x100)]
    twos = [bytes([lead, trail]) for lead in range(0x81, 0xFF, 3) for trail in range(0x40, 0xFF, 2)]
    if codec == "utf-8":
        return "aé ж会😀\u0301"
    if codec == "iso2022_jp":
        return "ab 会議の"
    characters = {char for raw in ones + twos for char in raw.decode(codec, "ignore")}
    return "".join(sorted(char for char in characters if char.isprintable() and _survives(char, codec)))


def _survives(char: str, codec: str) -> bool:
    return char.encode(codec, "ignore").decode(codec, "ignore") == char


class TestUndeclared:
    @pytest.mark.parametrize("bad", [b"\x96", b"\xff", b"\xc3", b"\xe2\x82", b"\xed\xa0\x80"])
    def test_bad_bytes_leave_utf_8_what_it_is(self, bad):
        text, note = decode((RUSSIAN + " Größe, naïve. ").encode() + bad + b" Ende")
        assert re.sub("\ufffd+", "?", text) == RUSSIAN + " Größe, naïve. ? Ende"
        count = text.count("\ufffd")
        assert note == (
            "has 1 character that is not valid UTF-8: read as \ufffd"
            if count == 1
            else f"has {count} characters that are not valid UTF-8: read as \ufffd"
        )

    def test_replacement_characters_of_the_text_are_not_counted(self):
        assert decode("é\ufffdé\ufffd".encode() + b"\xff") == Decoded(
            "é\ufffdé\ufffd\ufffd", "has 1 character that is not valid UTF-8: read as \ufffd"
        )

    def test_a_file_cut_inside_a_character(self):
        whole = "# Überschrift\n\nGrüße aus München, Käse für alle.€".encode()
        for cut in (1, 2):
            text, note = decode(whole[:-cut])
            assert text == "# Überschrift\n\nGrüße aus München, Käse für alle.\ufffd"
            assert note == "has 1 character that is not valid UTF-8: read as \ufffd"

    @pytest.mark.parametrize(
        ("text", "codec"),
        [
            ("café", "cp1252"),
            ("Die Straße nach Zürich führt über den Fluß.", "cp1252"),
            ("Le cœur déçu mais l’âme plutôt naïve", "cp1252"),
            ("A decisão não é fácil, coração", "cp1252"),
            ("Protokół z zebrania mieszkańców, część druga", "cp1250"),
            ("Zápis ze schůze nájemníků o střeše", "cp1250"),
            ("A lakógyűlés jegyzőkönyve, tetőfelújítás", "cp1250"),
            ("Toplantı tutanağı: çatı onarımı şubatta başlayacak", "cp1254"),
            ("Sapulces protokols: jumta jāremontē līdz rudenim, šķūnis", "cp1257"),
            (RUSSIAN, "cp1251"),
            (RUSSIAN, "koi8_r"),
            (RUSSIAN, "cp866"),
            (RUSSIAN, "iso8859_5"),
            ("Πρακτικά της συνέλευσης των ενοίκων για τη στέγη", "cp1253"),
            ("פרוטוקול אסיפת הדיירים בנושא תיקון הגג", "cp1255"),
            ("פרוטוקול האסיפה: תיקון הגג בבניין ארזים נקבע לחודש מאי.", "cp1255"),
            ("محضر اجتماع السكان بشأن إصلاح السقف", "cp1256"),
            ("รายงานการประชุมผู้พักอาศัยเรื่องการซ่อมหลังคา", "cp874"),
            ("会議の議事録:屋根の修理は五月に始まる予定です。", "cp932"),
            ("会議の議事録:屋根の修理は五月に始まる予定です。", "euc_jp"),
            ("会议记录:屋顶的维修计划于五月开始,请大家注意。", "gb18030"),
            ("會議紀錄:屋頂的維修計劃於五月開始,請大家注意。", "big5hkscs"),
            ("입주자 회의록: 지붕 수리는 오월에 시작할 예정입니다.", "cp949"),
        ],
    )
    def test_the_encoding_a_text_looks_like(self, text, codec):
        raw = text.encode(codec)
        assert guess_codec(raw) == codec
        assert decode(raw) == Decoded(text, f"is not valid UTF-8: read as {name_of(codec)}")
        # Far inside a file of ASCII, and many times over.
        assert guess_codec(b"plain text\n" * 20_000 + raw) == codec
        assert guess_codec((raw + b"\n") * 2000) == codec

    def test_escapes_of_iso_2022_jp_are_read(self):
        assert decode("会議の議事録\n二行目\n".encode("iso2022_jp")) == Decoded("会議の議事録\n二行目\n")
        assert decode(b"\x1b$ is an escape") == Decoded("\x1b$ is an escape")

    @pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
    @pytest.mark.parametrize(
        "text",
        [
            "Zwölf Boxkämpfer",
            "会议记录：明天上午十点开会讨论问题。",
            RUSSIAN,
            "会議は Tokyo で行います。",
            "회의록: 지붕 수리",
        ],
    )
    def test_utf_16_without_a_mark(self, codec, text):
        assert decode(text.encode(codec)) == Decoded(text)
        assert decode(text.encode(codec) + b"\x41") == Decoded(
            text + "\ufffd", "has 1 character that is not valid UTF-16: read as \ufffd"
        )

    @pytest.mark.parametrize("codec", ["gb18030", "big5hkscs", "cp949", "cp932", "euc_jp", "cp1251", "utf-8"])
    def test_other_text_is_not_taken_for_utf_16(self, codec):
        text = "Текст 一二三\nа б в 会の" * 40
        raw = text.encode(codec, "ignore")
        assert decode(raw).text == raw.decode(codec) or guess_codec(raw)

    def test_utf_7_is_never_read(self):
        assert decode(b"+ADw-script+AD4-") == Decoded("+ADw-script+AD4-")

    @given(st.binary(max_size=400))
    def test_any_bytes_give_a_text_or_one_reason(self, data):
        try:
            text, note = decode(data, DECLARED)
        except Unreadable:
            return
        if "\ufffd" in text:
            assert note or "\ufffd".encode() in data or b"\x1b$" in data or b"\xfd" in data

    @given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
    def test_utf_8_is_read_as_it_is(self, text):
        if not text.startswith("\ufeff"):
            assert decode(text.encode()) == Decoded(text)


class TestBinary:
    @pytest.mark.parametrize(
        "prose",
        [
            b"GIF89a is the signature of the format; browsers check it.",
            b"GIF8 and others",
            b"BZhang wrote the minutes of Monday.",
            b"BZh9 is how it begins",
            b"%PDF-1.7 is how the header of a portable document starts.",
            b"%PDF-1.7\nis the first line of such a file",
            b"PAR1 golf course",
            b"one\x00two three, a stray NUL",
        ],
    )
    def test_prose_that_begins_like_a_format_is_text(self, prose):
        assert decode(prose) == Decoded(prose.decode())

    @pytest.mark.parametrize(
        "data",
        [
            b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00!",
            b"BZh91AY&SY\x94$|\x0e\x00\x00\x00\x81\x00\x03@\x00 ",
            b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>",
            b"%PDF-1.4\r1 0 obj <<",
            b"PAR1\x15\x04\x15\x10\x15\x14L\x15\x02",
            b"PK\x03\x04 a spreadsheet",
            b"\x00" * 100,
            b"\x00\x01\x00\x00\x00\x0f\x00\x80\x00\x03\x00\x70GSUB",
        ],
    )
    def test_binary_is_not(self, data):
        with pytest.raises(Unreadable, match=r"^looks binary, not text$"):
            decode(data)


class TestLines:
    def read(self, data: bytes) -> tuple[list[str], list[str]]:
        file = SourceFile("a", "a", "a", "jsonl", data=data)
        lines = list(text_lines(file))
        assert file.bytes_read == len(data)
        return lines, file.notes

    def test_each_line_is_judged_and_the_note_counts(self):
        data = b"plain\ncaf\xe9\n" + "Größe\n".encode() + b"na\xefve\nGr\xc3\xb6\xc3\x9fe \xff\n"
        assert self.read(data) == (
            ["plain\n", "café\n", "Größe\n", "naïve\n", "GrÃ¶ÃŸe ÿ\n"],
            ["has 3 lines that are not valid UTF-8: read as Windows-1252"],
        )
        assert self.read(b"Gr\xc3\xb6\xc3\x9fe \xff\nok\n") == (
            ["Größe \ufffd\n", "ok\n"],
            ["has 1 character that is not valid UTF-8: read as \ufffd"],
        )

    @pytest.mark.parametrize("codec", ["cp1251", "gb18030", "cp932", "cp949"])
    def test_rows_of_an_old_encoding(self, codec):
        text = {
            "cp1251": RUSSIAN,
            "cp949": "지붕 수리는 오월에",
            "cp932": "屋根の修理は五月に",
            "gb18030": "屋顶的维修计划",
        }[codec]
        rows = [f"{number},{text}\n" for number in range(50)]
        assert self.read("".join(rows).encode(codec)) == (
            rows,
            [f"has 50 lines that are not valid UTF-8: read as {name_of(codec)}"],
        )

    def test_marks_wide_encodings_and_nul(self):
        rows = ["1,会議の議事録\n", "2,屋根の修理\n"]
        assert self.read("".join(rows).encode("iso2022_jp")) == (rows, [])
        assert self.read(b"\xef\xbb\xbfa\nb\x00c\n") == (["a\n", "bc\n"], [])
        assert self.read("é\nж\n".encode("utf-16")) == (["é\n", "ж\n"], [])
        assert self.read("会议\n记录\n".encode("utf-16-be")) == (["会议\n", "记录\n"], [])
