"""Mail: letters with every sort of part, mailboxes of many, Outlook's files, and what cannot be a letter."""

from __future__ import annotations

import base64
import gzip
import struct
import time
from pathlib import Path

import pytest

from indexing.documents import Document, Skipped
from indexing.documents.formats.mime import parse_letter
from indexing.documents.formats.rtf_packing import unpack_rtf
from indexing.documents.source import SourceFile
from indexing.documents.unreadable import Unreadable
from tests.unit.documents.made_outlook import outlook
from tests.unit.documents.reading import read_bytes

HEAD = (
    "From: =?utf-8?q?Anna_M=C3=BCller?= <anna@example.org>\n"
    "To: Bob <bob@example.org>, carol@example.org\n"
    'Cc: "Dee, D." <dee@example.org>\n'
    "Subject: =?utf-8?b?UmVjaG51bmc=?= =?iso-8859-1?q?_f=FCr?=\n Mai\n"
    "Date: Wed, 01 May 2024 12:00:00 +0200\n"
    "Message-ID: <one@example.org>\nMIME-Version: 1.0\n"
)
LINES = (
    "From: Anna Müller <anna@example.org>\n"
    "To: Bob <bob@example.org>, carol@example.org\n"
    "Cc: Dee, D. <dee@example.org>"
)
FIELDS = {
    "from": "Anna Müller <anna@example.org>",
    "to": ["Bob <bob@example.org>", "carol@example.org"],
    "cc": ["Dee, D. <dee@example.org>"],
    "date": "2024-05-01T10:00:00Z",
}


def letter(rest: str, head: str = HEAD) -> bytes:
    return (head + rest).encode()


def parts(kind: str, *inner: str, boundary: str = "==b==") -> str:
    body = "".join(f"--{boundary}\n{part}\n" for part in inner)
    return f'Content-Type: multipart/{kind}; boundary="{boundary}"\n\n{body}--{boundary}--\n'


ATTACHED = "Content-Disposition: attachment"
PLAIN = "Content-Type: text/plain; charset=utf-8\n\nDie Rechnung über 50 €."
HTML = "Content-Type: text/html; charset=utf-8\n\n<p>Die <b>Rechnung</b> als Seite.</p>"


class TestLetter:
    def test_subject_people_date_and_text(self):
        kind = "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable"
        rest = f"{kind}\n\nF=FCr\n dich\n"
        assert read_bytes("a.eml", letter(rest)).items == [
            Document("a.eml", f"{LINES}\n\nFür\n dich", "Rechnung für Mai", FIELDS)
        ]

    def test_plain_text_is_preferred_and_html_read_where_it_is_all(self):
        both = read_bytes("a.eml", letter(parts("alternative", PLAIN, HTML))).document()
        assert both.text == f"{LINES}\n\nDie Rechnung über 50 €."
        html = read_bytes(
            "a.eml", letter(parts("alternative", "Content-Type: text/plain\n\n \n", HTML))
        ).document()
        assert html.text == f"{LINES}\n\nDie Rechnung als Seite."
        assert read_bytes("a.eml", letter(HTML)).document().text == f"{LINES}\n\nDie Rechnung als Seite."

    def test_attachments_are_documents_of_their_own(self):
        table = base64.b64encode(b"id,text\nr1,Bread\n").decode()
        data = letter(
            parts(
                "mixed",
                parts("alternative", PLAIN, HTML, boundary="inner"),
                f'Content-Type: text/markdown; name="notes.md"\n{ATTACHED}\n\n# Head\n\nBody',
                f'Content-Type: text/csv\nContent-Disposition: attachment; filename="t.csv"\n'
                f"Content-Transfer-Encoding: base64\n\n{table}",
                'Content-Type: image/png\nContent-Disposition: attachment; filename="a.png"\n\nx',
                f"Content-Type: text/plain\n{ATTACHED}; filename*=utf-8''..%2F..%2F%C3%A4.txt\n\nupwards",
                'Content-Type: text/plain\nContent-Disposition: attachment; filename="ä.txt"\n\ntwice',
            )
        )
        reading = read_bytes("in/a.eml", data)
        assert reading.items == [
            Document("in/a.eml", f"{LINES}\n\nDie Rechnung über 50 €.", "Rechnung für Mai", FIELDS),
            Document("in/a.eml#notes.md", "Head\n\nBody", "Head"),
            Document("r1", "Bread"),
            Document("in/a.eml#ä.txt", "upwards"),
            Document("in/a.eml#ä (2).txt", "twice"),
        ]
        assert reading.notes == ["has attachments of a kind that is not read: .png"]

    def test_a_forwarded_letter_is_one_level_down_and_no_further(self):
        attached = 'Content-Type: text/plain; name="deep.txt"\nContent-Disposition: attachment\n\nnever'
        inner = "Subject: Inner\nFrom: eve@example.org\nMIME-Version: 1.0\n" + parts(
            "mixed", PLAIN, attached, boundary="i"
        )
        data = letter(parts("mixed", PLAIN, "Content-Type: message/rfc822\n\n" + inner))
        assert read_bytes("a.eml", data).items[1:] == [
            Document(
                "a.eml#Inner",
                "From: eve@example.org\n\nDie Rechnung über 50 €.",
                "Inner",
                {"from": "eve@example.org"},
            )
        ]

    def test_an_attachment_that_cannot_be_read_costs_itself(self):
        broken = f'Content-Type: text/plain\n{ATTACHED}; filename="b.txt"\n\n' + "\x01" * 50
        reading = read_bytes("a.eml", letter(parts("mixed", PLAIN, broken)))
        assert reading.items[1:] == [Skipped("a.eml", None, "b.txt: looks binary, not text")]

    @pytest.mark.parametrize(
        "name", ["/etc/passwd", "../../../../etc/passwd", "C:\\\\etc\\\\passwd", "etc/passwd"]
    )
    def test_a_name_is_never_a_path(self, name):
        attached = f'Content-Type: text/plain\n{ATTACHED}; filename="{name}"\n\nwhat was sent'
        (_, item) = read_bytes("a.eml", letter(parts("mixed", PLAIN, attached))).items
        assert isinstance(item, Document)
        assert item.text == "what was sent" and item.id.endswith("etc/passwd")
        part = SourceFile("/docs/a.eml", "a.eml", "a.eml", "mail").member(name, b"x", "text")
        assert not Path(part.path).exists()

    def test_flowed_lines_are_joined(self):
        rest = "Content-Type: text/plain; format=flowed\n\nOne long \nline.\n> quoted \n> too\n-- \nAnna\n"
        text = read_bytes("a.eml", letter(rest, "")).document().text
        assert text == "One long line.\n> quoted \n> too\n-- \nAnna"

    @pytest.mark.parametrize(
        ("header", "date"),
        [
            ("Wed, 01 May 2024 12:00:00 GMT", "2024-05-01T12:00:00Z"),
            ("1 May 2024 23:30 -0300 (BRT)", "2024-05-02T02:30:00Z"),
            ("yesterday", None),
            ("Wed, 99 May 99999 12:00:00 +0000", None),
        ],
    )
    def test_dates_are_iso_in_utc_or_left_out(self, header, date):
        found = read_bytes("a.eml", f"Subject: s\nDate: {header}\n\nx".encode()).document()
        assert found.metadata.get("date") == date

    @pytest.mark.parametrize(
        ("subject", "title"),
        [
            ("Grüße".encode("cp1252"), "Grüße"),
            ("Grüße".encode(), "Grüße"),
            (b"=?gb2312?b?lszM?=", "".join(["柺", "", ""])),
            (b"=?no-such?q?abc?=", "abc"),
            (b"=?utf-8?b?!!!?=", "=?utf-8?b?!!!?="),
            (b"a\n =?utf-8?q?b?=\n =?utf-8?q?c?=\n d", "a bc d"),
        ],
    )
    def test_subjects_as_programs_wrote_them(self, subject, title):
        if b"gb2312" in subject:
            title = base64.b64decode(b"lszM").decode("gb18030", "replace")
        assert parse_letter(b"Subject: " + subject + b"\n\nx").subject == title

    def test_what_says_nothing_is_skipped(self):
        assert read_bytes("a.eml", b"").reason() == "no text in it"
        assert read_bytes("a.eml", b"From: a@b.c\nX: y\n\n \n").reason() == "no text in it"
        assert read_bytes("a.eml", b"Subject: only\n\n").items == [Document("a.eml", "only")]

    def test_a_saved_page(self):
        page = "From: <Saved by a browser>\nSubject: The page\n" + parts(
            "related", HTML, "Content-Type: image/gif\n\nx"
        )
        assert read_bytes("a.mhtml", page.encode()).document().text.endswith("Die Rechnung als Seite.")


class TestMailbox:
    def test_a_document_for_each_letter(self):
        box = (
            b"From anna Wed May  1 12:00:00 2024\nSubject: One\nMessage-ID: <1@x>\n\n"
            b">From here on\n\nFrom where?\n\n"
            b"From bob Wed May  1 13:00:00 2024\nSubject: Two\n\nSecond.\n\n"
            b"From eve Wed May  1 14:00:00 2024\nSubject: Three\nMessage-ID: <1@x>\n\nThird.\n"
        )
        expected = [
            Document("box.mbox#1@x", "From here on\n\nFrom where?", "One"),
            Document("box.mbox#2", "Second.", "Two"),
            Document("box.mbox#1@x (2)", "Third.", "Three"),
        ]
        assert read_bytes("box.mbox", box).items == expected
        packed = read_bytes("box.mbox.gz", gzip.compress(box)).items
        assert [(item.id, item.text) for item in packed] == [
            (item.id.replace("mbox", "mbox.gz"), item.text) for item in expected
        ]

    def test_attachments_of_its_letters(self):
        attached = 'Content-Type: text/plain\nContent-Disposition: attachment; filename="a.txt"\n\nattached'
        box = b"From anna Wed May  1 12:00:00 2024\n" + letter(parts("mixed", PLAIN, attached))
        assert [item.id for item in read_bytes("b.mbox", box).items] == [
            "b.mbox#one@example.org",
            "b.mbox#one@example.org/a.txt",
        ]

    def test_one_letter_with_the_line_of_a_mailbox(self):
        assert (
            read_bytes("a.eml", b"From x Wed May 1 12:00:00 2024\nSubject: s\n\nt").document().id == "a.eml"
        )


class TestHostile:
    """Nothing of this raises, hangs or loses the text; all of it was found to do one of them somewhere."""

    @pytest.mark.parametrize(
        "data",
        [
            b"Subject: s\nContent-Type: text/plain; " + b'a="; ' * 100_000 + b"\n\nbody",
            b"Subject: s\nTo: " + b"(" * 100_000 + b"\n\nbody",
            b"Subject: s\nTo: " + b"<" * 100_000 + b"\n\nbody",
            b"Subject: s " + b"=?a?q?" * 50_000 + b"\n\nbody",
            b"Subject: s\n" + b"X: y\n" * 100_000 + b"\nbody",
            b"Subject: s\nContent-Type: multipart/mixed\n\nbody",
            b'Subject: s\nContent-Type: text/plain; charset="\x00"\n\nbody',
            b"Subject: s\nContent-Transfer-Encoding: base64\n\nbody",
            b"Subject: s\nContent-Type: text/plain; charset*0*=x''%zz\n\nbody",
        ],
        ids=[
            "parameters",
            "comments",
            "brackets",
            "words",
            "headers",
            "parts",
            "charset",
            "base64",
            "rfc2231",
        ],
    )
    def test_headers_that_take_long_or_lie(self, data):
        started = time.process_time()
        found = parse_letter(data)
        assert found.subject.startswith("s")
        assert time.process_time() - started < 3
        assert found.body.strip() == "body" or b"base64" in data

    @pytest.mark.parametrize("depth", [50, 900, 5_000])
    def test_parts_within_parts_within_parts(self, depth):
        data = b"Subject: s\n"
        for number in range(depth):
            data += b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (number, number)
        data += b"Content-Type: text/plain\n\nthe bottom\n"
        started = time.process_time()
        assert parse_letter(data).subject == "s"
        assert time.process_time() - started < 5

    def test_a_letter_of_ever_more_letters(self):
        data = b"Subject: s\nContent-Type: message/rfc822\n\n" * 1500 + b"Subject: last\n\nx"
        assert parse_letter(data).subject == "s"


class TestOutlook:
    def test_a_letter_of_outlook(self):
        assert read_bytes("a.msg", outlook(LETTER)).items == [
            Document(
                "a.msg",
                "From: Anna <anna@example.org>\nTo: Bob <bob@example.org>\n\nDie Rechnung.\nAnna",
                "Rechnung für Mai",
                {
                    "from": "Anna <anna@example.org>",
                    "to": ["Bob <bob@example.org>"],
                    "date": "2024-05-01T10:00:00Z",
                },
            ),
            Document("a.msg#a.txt", "attached " * 512),
            Document("a.msg#Inner", "Deep.", "Inner"),
        ]

    def test_html_where_there_is_no_plain_text_and_old_codepages(self):
        tree = {
            "__substg1.0_0037001E": "Привет".encode("cp1251"),
            "__substg1.0_10130102": "<p>Счёт</p>".encode("cp1251"),
            "__properties_version1.0": bytes(32) + fixed(0x3FFD, struct.pack("<Q", 1251)),
        }
        assert read_bytes("a.msg", outlook(tree)).items == [Document("a.msg", "Счёт", "Привет")]

    def test_compressed_rtf(self):
        # The examples of MS-OXRTFCP, 3.1: the second one repeats what it is writing.
        packed = "2d0000002b0000004c5a4675f1c5c7a703000a00726370673132354232"
        packed += "0af32068656c090020627705b06c647d0a800fa0"
        assert unpack_rtf(bytes.fromhex(packed)) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
        repeats = "1a0000001c0000004c5a4675e2d44b51" + "410004205758595a0d6e7d010eb0"
        assert unpack_rtf(bytes.fromhex(repeats)) == b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"
        for broken in (b"", bytes(20)):
            with pytest.raises(Unreadable):
                unpack_rtf(broken)

    def test_mail_as_it_travels_that_is_called_msg(self):
        assert read_bytes("a.msg", b"Subject: s\n\nt").items == [Document("a.msg", "t", "s")]

    def test_text_that_is_only_in_rtf(self):
        rtf = b"{\\rtf1\\ansi\\ansicpg1252 Only in \\b RTF\\b0 .}"
        packed = struct.pack("<II4sI", len(rtf) + 12, len(rtf), b"MELA", 0) + rtf
        tree = {"__substg1.0_10090102": packed, "__substg1.0_0037001F": "s".encode("utf-16-le")}
        letter = {**tree, "__properties_version1.0": bytes(32)}
        assert read_bytes("a.msg", outlook(letter)).items == [Document("a.msg", "Only in RTF.", "s")]

    def test_damaged_files_are_one_skip(self):
        whole = outlook(LETTER)
        for size in (8, 100, 512, 600, 2000):
            (item,) = read_bytes("a.msg", whole[:size]).items
            assert isinstance(item, Skipped)
        assert read_bytes("a.msg", outlook({"other": b"x"})).reason() == (
            "is not a mail of Outlook, though it is called .msg"
        )


def fixed(tag: int, value: bytes, kind: int = 3) -> bytes:
    return struct.pack("<HHI", kind, tag, 6) + value


TICKS = 133_590_312_000_000_000  # 2024-05-01 10:00 UTC, in 100 ns since 1601
LETTER = {
    "__properties_version1.0": bytes(32) + fixed(0x0039, struct.pack("<Q", TICKS), 0x40),
    "__substg1.0_0037001F": "Rechnung für Mai".encode("utf-16-le"),
    "__substg1.0_0C1A001F": "Anna".encode("utf-16-le"),
    "__substg1.0_5D01001F": "anna@example.org".encode("utf-16-le"),
    "__substg1.0_1000001F": "Die Rechnung.\r\nAnna".encode("utf-16-le"),
    "__recip_version1.0_#00000000": {
        "__substg1.0_3001001F": "Bob".encode("utf-16-le"),
        "__substg1.0_39FE001F": "bob@example.org".encode("utf-16-le"),
    },
    "__attach_version1.0_#00000000": {
        "__substg1.0_3707001F": "a.txt".encode("utf-16-le"),
        "__substg1.0_37010102": b"attached " * 512,  # a multiple of sectors
    },
    "__attach_version1.0_#00000001": {
        "__substg1.0_3701000D": {
            "__substg1.0_0037001F": "Inner".encode("utf-16-le"),
            "__substg1.0_1000001F": "Deep.".encode("utf-16-le"),
        },
    },
}
