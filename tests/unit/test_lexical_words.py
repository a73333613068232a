"""What counts as one word: normal forms, accents, scripts without spaces, languages, and names."""

from __future__ import annotations

import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexing import Collection
from indexing.lexical import LexicalReader, LexicalSnapshot, LexicalTail, LexicalWriter, TailChange, analyze
from indexing.lexical.analysis import STEMMERS, analyze_block, blocks, is_symbol, name_terms, plain_text
from indexing.lexical.folding import fold_marks
from indexing.lexical.identifiers import _HINT, _names_in, cut_identifiers, identifiers
from indexing.lexical.question import MAX_QUERY_WORDS, PARTS_WEIGHT, WHOLE_WEIGHT, query_words
from indexing.lexical.runs import cut_runs, index_pieces, question_pieces

FILLER = [
    (1000 + i, f"Note {i}", f"Nothing of interest stands in the note {i} of the file.") for i in range(20)
]


def index(folder, texts):
    with LexicalWriter(folder) as writer:
        writer.apply([*((key, "", text) for key, text in enumerate(texts)), *FILLER])
        writer.publish(folder / "1")
    return LexicalSnapshot.open(folder / "1")


def found(snapshot, text):
    return [key for key in snapshot.search(text, 100).doc_keys.tolist() if key < 1000]


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("Caf\u00e9 Central", "Cafe\u0301"),
        ("Cafe\u0301 Central", "cafe"),
        ("Mün\u00adchen", "munchen"),
        ("zero\u200bwidth", "zerowidth"),
        ("İstanbul’da", "istanbul"),
        ("ISTANBUL", "İSTANBUL"),
        ("ΟΔΥΣΣΕΥΣ", "οδυσσεύς"),
        ("ὀδυσσεύς", "ΟΔΥΣΣΕΥΣ"),
        ("STRASSE", "straße"),
        ("ＡＢＣ１２３", "abc123"),
        ("ﾃﾞｰﾀﾍﾞｰｽ", "データベース"),
        ("ﬁnance", "finance"),
        ("naïveté", "NAIVETE"),
        ("Łódź", "lodz"),
        ("שָׁלוֹם עֲלֵיכֶם", "שלום"),
        ("שלום", "שָׁלוֹם"),
        ("مُحَمَّد", "محمد"),
        ("أحمد", "احمد"),
        ("سلـــام", "سلام"),
        ("ёлка", "елка"),
        ("٢٠٢٤", "2024"),
        ("don’t panic", "don't"),
        ("“quoted” — words…", "quoted"),
        ("हिन्दी भाषा", "हिन्दी"),
    ],
)
def test_normal_forms_find_each_other(tmp_path, written, asked):
    assert found(index(tmp_path, [written, "other words"]), asked) == [0]


@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        ("résumé", "resume"),
        ("Ωμέγα", "Ωμεγα"),
        ("мой ёж", "мой еж"),
        ("がぎぐ", "がぎぐ"),
        ("हिन्दी", "हिन्दी"),
    ],
)
def test_only_marks_that_people_leave_out_are_folded(marked, plain):
    assert fold_marks(marked) == plain


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("我们研究机器学习的方法", "机器学习"),
        ("我们研究机器学习的方法", "学习"),
        ("我家有一只猫", "猫"),
        ("東京都に住んでいます", "東京"),
        ("データベースを使う", "データ"),
        ("서울에서 만나요", "서울"),
        ("학교에 갑니다", "학교"),
        ("ภาษาไทยไม่มีช่องว่าง", "ภาษา"),
        ("ภาษาไทยไม่มีช่องว่าง", "ช่องว่าง"),
        ("我用Python编程", "python"),
        ("使用lru_cache缓存结果", "lru_cache"),
    ],
)
def test_words_are_found_inside_a_run(tmp_path, written, asked):
    other = "他们去买水果和蔬菜。彼は海で泳ぐ。그는 바다로 간다. เขาไปทะเล"
    assert found(index(tmp_path, [written, other]), asked)[0] == 0


def test_a_run_is_cut_in_pairs_and_thai_in_threes():
    assert cut_runs("abc 机器学习, ok") == ("abc  , ok", ["机器学习"])
    assert index_pieces("机器人") == ["机", "器", "人", "机器", "器人"]
    assert question_pieces("机器人") == ["机器", "器人"]
    assert question_pieces("猫") == ["猫"]
    assert question_pieces("ภาษาไทย") == ["ภาษ", "าษา", "ษาไ", "าไท", "ไทย"]
    assert question_pieces("ที่นี่") == ["ที่นี่"]  # two letters with their signs


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("Die Häuser der Städte sind nicht so hoch wie die Türme und die Kirchen.", "Haus Turm"),
        ("Les chevaux et les maisons étaient grandes, et elles sont pour nous.", "maison grande"),
        ("Las canciones de la educación son para los niños y las niñas.", "canción"),
        ("Las canciones de la educación son para los niños y las niñas.", "educacion"),
        ("Книги лежали на столах, и мы читали их каждый день.", "книга стол"),
        ("Οι δρόμοι της πόλης είναι γεμάτοι με αυτοκίνητα.", "δρόμος"),
        ("Evlerin kapıları çok güzel ve bahçeler için daha büyük.", "kapı"),
    ],
)
def test_stems_follow_the_language_of_the_text(tmp_path, written, asked):
    snapshot = index(tmp_path, [written])
    for word in asked.split():
        assert found(snapshot, word) == [0], word


def test_a_snapshot_knows_its_languages(tmp_path):
    german = "Das ist ein Satz, und er ist nicht auf Englisch, sondern auf Deutsch."
    snapshot = index(tmp_path, [german] * 3)
    assert snapshot.languages == ("en", "de")
    with LexicalWriter(tmp_path, base=snapshot) as writer:
        writer.apply([(500, "", "La rivière est dans la ville, et elle est très belle pour nous.")])
        writer.publish(tmp_path / "2")
    assert LexicalSnapshot.open(tmp_path / "2").languages == ("en", "de", "fr")


def test_forms_of_one_word_are_as_rare_as_the_word(tmp_path):
    """A single German document must not come first for an English word because its stem is rare there."""
    german = "Wir haben running als Sport, und das ist nicht so schwer wie es die anderen sagen."
    english = "The running of the race is a matter of the legs and of the lungs."
    snapshot = index(tmp_path, [german, english, *[f"He was running to the station {i}." for i in range(9)]])
    assert [word.forms for word in query_words("running", snapshot.languages)] == [("run", "running")]
    hits = snapshot.search("running", 20)
    scores = dict(zip(hits.doc_keys.tolist(), hits.scores.tolist(), strict=True))
    assert set(scores) == set(range(11))
    assert scores[0] == pytest.approx(scores[1], rel=0.15)


MIXED = [
    "Die Häuser der Stadt sind nicht so hoch wie die Türme, und das ist gut so.",
    "Les maisons de la ville sont grandes, et elles ne sont pas pour nous: voilà.",
    "The houses of the city are tall — that’s what AB-1234/7 says in the section 3.11.4.",
    "机器学习 and os.path.join, getElementById in the HTTPServer",
    "Дом стоит на улице, и это хорошо. Jürgen@example.com",
    "ราคาสินค้า 12,50",
]


def test_a_tail_of_many_languages_is_scored_as_the_snapshot_would(tmp_path):
    documents = [(key, f"Title {key} über", text) for key, text in enumerate(MIXED)]
    with LexicalWriter(tmp_path) as writer:
        writer.apply(documents)
        writer.publish(tmp_path / "1")
    snapshot = LexicalSnapshot.open(tmp_path / "1")
    tail = LexicalTail(0, 0).follow(
        TailChange(key + 1, key, False, title, text) for key, title, text in documents
    )
    assert tail.languages == set(snapshot.languages)
    for text in [*MIXED, "haus maison house", "join path", "学习", "element by id"]:
        words = query_words(text, snapshot.languages)
        keys, scores = tail.search(words, snapshot)
        hits = snapshot.search(text, 50)
        assert sorted(keys.tolist()) == sorted(hits.doc_keys.tolist())
        mine = dict(zip(keys.tolist(), scores.tolist(), strict=True))
        np.testing.assert_allclose([mine[key] for key in hits.doc_keys.tolist()], hits.scores, atol=3e-4)
        alone = LexicalReader(None, tail)
        assert alone.search(text, 50).doc_keys.tolist()[:1] == hits.doc_keys.tolist()[:1]
        assert alone.spread(text) == pytest.approx(snapshot.spread(text))


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("Order AB-1234/7 today.", "AB-1234/7"),
        ("Order AB-1234/7 today.", "ab-1234"),
        ("Order AB-1234/7 today.", "1234"),
        ("Order AB1234 today.", "1234"),
        ("since version 3.11.4, it", "3.11.4"),
        ("python-3.11.4.tar.gz", "3.11.4"),
        ("mail jane.doe@example.com.", "jane.doe@example.com"),
        ("mail jane.doe@example.com.", "example.com"),
        ("see https://example.com/a/b-1?x=y#z", "https://example.com/a/b-1"),
        ("see https://example.com/a/b-1?x=y#z", "example.com"),
        ("call os.path.join(a, b)", "os.path.join"),
        ("call os.path.join(a, b)", "join"),
        ("the functools.lru_cache decorator", "lru_cache"),
        ("calls getElementById", "getelementbyid"),
        ("calls getElementById", "element"),
        ("an HTTPServer object", "server"),
        ("written in C++ and C#", "C++"),
        ("the __init__ method", "__init__"),
        ("AB–1234 with a dash", "AB-1234"),
        ("ＡＢ－１２３４ in full width", "AB-1234"),
        (r"in C:\Users\jane\notes.txt", "notes.txt"),
    ],
)
def test_names_are_found_whole_and_in_parts(tmp_path, written, asked):
    assert found(index(tmp_path, [written, "something else of the kind"]), asked) == [0]


@pytest.mark.parametrize(
    ("whole", "parts"),
    [
        ("AB-1234/7", "AB 1234 7"),
        ("3.11.4", "3 11 4"),
        ("jane.doe@example.com", "jane doe example com"),
        ("os.path.join", "os path join"),
        ("lru_cache", "lru cache"),
        ("getElementById", "get element by id"),
        ("C++", "C"),
    ],
)
def test_the_whole_wins_over_its_parts(tmp_path, whole, parts):
    texts = [f"{parts} {parts} {parts} again", f"the word {whole} once", f"{parts} and more", f"{parts} too"]
    assert found(index(tmp_path, texts), whole)[0] == 1
    assert set(found(index(tmp_path / "again", texts), parts)) == {0, 1, 2, 3}


def test_weights_of_a_name():
    words = {word.forms: word.weight for word in query_words("Find AB-1234/7")}
    assert words == {
        ("ab-1234/7",): WHOLE_WEIGHT, ("find",): 1.0, ("ab-1234",): PARTS_WEIGHT / 4,
        ("ab",): PARTS_WEIGHT / 4, ("1234",): PARTS_WEIGHT / 4, ("7",): PARTS_WEIGHT / 4,
    }  # fmt: skip


def test_compounds_of_letters_are_words():
    assert identifiers("A high-speed, state-of-the-art fan -- really") == []
    assert cut_identifiers("a high-speed fan", 5) == ("a high-speed fan", [])


def test_long_data_makes_no_names():
    assert name_terms("data:image/png;base64," + "aGVsbG8gd29ybGQ/" * 50) == []


@given(st.text(alphabet="ABab12-._/@+#& é–", max_size=14))
@settings(max_examples=300, deadline=None)
def test_the_hint_misses_no_name(text):
    text = unicodedata.normalize("NFC", text)
    if text.isascii() and any(_names_in(word) for word in text.split()):
        assert _HINT.search(text), text


@given(st.text(max_size=60))
@settings(max_examples=100, deadline=None)
def test_any_text_is_found_by_itself(text):
    """Every document has all words of the question that it is itself."""
    for language in ("en", "de", "ar"):
        terms = set(analyze(text, language))
        for word in query_words(text, ("de", "ar")):
            assert not terms.isdisjoint(word.forms), (word, terms)


def test_the_index_makes_the_terms_that_analysis_names(tmp_path):
    """Plain texts go to the index as they are, others as terms: the counts must be the same."""
    texts = [*MIXED, "plain words", "x" * 300, "a “b” c", "", "\ud800 lone"]
    with LexicalWriter(tmp_path) as writer:
        writer.apply([(key, "", text) for key, text in enumerate(texts)])
        writer.publish(tmp_path / "1")
    snapshot = LexicalSnapshot.open(tmp_path / "1")
    terms = [
        analyze(text, language)
        for text, language in zip(texts, ["de", "fr", "en", "en", "ru", *["en"] * 6], strict=True)
    ]
    assert snapshot.average_length("body") == pytest.approx(sum(map(len, terms)) / len(texts), rel=1e-6)
    for term in {term for each in terms for term in each}:
        assert snapshot.frequency("body", term) == sum(term in each for each in terms), term


def test_long_texts_are_analysed_in_pieces():
    text = "word " * 70_000 + "字" * 250_000
    pieces = list(blocks(text))
    assert "".join(pieces) == text and max(map(len, pieces)) <= 100_000 and len(pieces) < 10
    assert analyze("stone " * 60_000).count("stone") == 60_000


def test_every_stemmer_can_be_made():
    for language in STEMMERS:
        assert analyze_block("Öl and words", language)[0] == "ol"


def test_signs_beyond_ascii_leave_a_text_plain():
    assert plain_text("“a” – b…", "en") == (" a  - b ", True)
    assert plain_text("naïve", "en")[1] is False
    assert plain_text("plain", "de")[1] is False
    assert not re.search("[^ -~]", plain_text("€5 • §2 ©", "en")[0])


def test_a_pasted_log_is_cut():
    words = query_words(" ".join(f"module_{i}.name_{i}" for i in range(10_000)))
    assert len(words) == MAX_QUERY_WORDS and words[0].forms == ("module_0.name_0",)


def test_a_collection_of_the_version_before_is_searched_by_new_words(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("indexing.lexical.analysis.ANALYSIS_VERSION", 1)
    monkeypatch.setattr("indexing.creation.ANALYSIS_VERSION", 1)
    documents = [{"id": str(n), "text": f"Caf\u00e9 number {n}"} for n in range(40)]
    with Collection.create("old", dimension=2, home=tmp_path) as collection:
        collection.add(documents, vectors=np.eye(2, dtype=np.float32)[[0] * 40])
        assert len(collection.search("number", 50, mode="keyword").results) == 40
        collection.refresh()
    monkeypatch.undo()
    caplog.set_level("WARNING")
    with Collection.open("old", home=tmp_path) as collection:
        assert len(collection.search("cafe", 50, mode="keyword").results) == 40
        assert [serving.id for serving in collection.servings()] == [1]
    assert not [record for record in caplog.records if record.name.startswith("indexing")]


@pytest.mark.parametrize(
    ("title", "is_one"),
    [
        ("datetime.datetime.strptime", True),
        ("functools.cache(user_function, /)", True),
        ("abs(x, /) -> int", True),
        ("os", False),
        ("notes.txt", False),
        ("report.pdf", False),
        ("Dates (and times)", False),
        ("A title.", False),
        ("f(x) of a circle", False),
        ("", False),
    ],
)
def test_names_of_things_in_programs(title, is_one):
    assert is_symbol(title) == is_one


def test_words_of_a_symbol_do_not_count_as_a_title(tmp_path):
    documents = [(1, "date.today()", "Now."), (2, "Date of today", "Now."), (3, "Other", "date today now")]
    with LexicalWriter(tmp_path) as writer:
        writer.apply(documents)
        writer.publish(tmp_path / "1")
    snapshot = LexicalSnapshot.open(tmp_path / "1")
    tail = LexicalTail(0, 0).follow(
        TailChange(key, key, False, title, text) for key, title, text in documents
    )
    assert (snapshot.frequency("title", "date"), snapshot.frequency("body", "date")) == (1, 3)
    assert snapshot.search("date", 3).doc_keys.tolist()[0] == 2
    hits = snapshot.search("date.today", 3)
    assert hits.doc_keys.tolist()[0] == 1
    keys, scores = tail.search(query_words("date.today"), snapshot)
    mine = dict(zip(keys.tolist(), scores.tolist(), strict=True))
    np.testing.assert_allclose([mine[key] for key in hits.doc_keys.tolist()], hits.scores, atol=2e-4)
