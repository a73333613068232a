"""Which language a text is in: many, odd texts, and in linear time."""

from __future__ import annotations

import pytest

from indexing.languages import COMMON_WORDS, language_of

SENTENCES = {
    "en": "The river was so high that we could not cross it, and the bridge had been closed to all.",
    "de": "Der Fluss war so hoch, dass wir nicht über die Brücke gehen konnten, und es wurde schon dunkel.",
    "fr": "La rivière était si haute que nous ne pouvions pas la traverser, et le pont est fermé.",
    "es": "El río estaba tan alto que no pudimos cruzarlo, y el puente está cerrado para todos los coches.",
    "it": "Il fiume era così alto che non potevamo attraversarlo, e il ponte è chiuso per tutti da ieri.",
    "pt": "O rio estava tão alto que não pudemos atravessar, e a ponte está fechada para todos os carros.",
    "nl": "De rivier was zo hoog dat wij er niet over konden, en de brug is voor alle auto's gesloten.",
    "sv": "Floden var så hög att vi inte kunde gå över den, och bron är stängd för alla bilar.",
    "fi": "Joki oli niin korkea, että emme voineet ylittää sitä, ja silta on nyt suljettu kaikilta.",
    "pl": "Rzeka była tak wysoka, że nie mogliśmy jej przekroczyć, a most jest zamknięty dla wszystkich.",
    "tr": "Nehir o kadar yüksekti ki geçemedik ve köprü bütün arabalar için kapalı, çok değil ama bir gün.",
    "ro": "Râul era atât de mare că nu l-am putut trece, iar podul este închis pentru toate mașinile.",
    "hu": "A folyó olyan magas volt, hogy nem tudtunk átkelni rajta, és a híd is zárva van minden autó elől.",
    "vi": "Con sông dâng cao đến mức chúng tôi không thể đi qua, và cây cầu đã bị đóng với tất cả xe.",
    "ru": "Река была такой высокой, что мы не могли её перейти, и мост закрыт для всех машин.",
    "uk": "Річка була такою високою, що ми не могли її перейти, і міст закритий для всіх.",
    "el": "Το ποτάμι ήταν τόσο ψηλό που δεν μπορούσαμε να το περάσουμε.",
    "ar": "كان النهر مرتفعا جدا ولم نستطع عبوره والجسر مغلق أمام الجميع.",
    "fa": "رودخانه چنان بالا بود که نمی‌توانستیم از آن بگذریم و پل برای همه بسته است.",
    "he": "הנהר היה כל כך גבוה שלא יכולנו לחצות אותו, והגשר סגור לכולם.",
    "hi": "नदी इतनी ऊँची थी कि हम उसे पार नहीं कर सके, और पुल सबके लिए बंद है।",
    "th": "แม่น้ำสูงมากจนเราข้ามไม่ได้ และสะพานปิดสำหรับทุกคน",
    "ja": "川の水位がとても高くて渡れず、橋はすべての車に対して閉鎖されています。",
    "ko": "강물이 너무 높아서 건널 수 없었고, 다리는 모든 차에 닫혀 있다.",
    "zh": "河水太高了，我们过不去，桥对所有车辆都关闭了。",
}


@pytest.mark.parametrize("language", SENTENCES)
def test_a_sentence_is_known(language):
    assert language_of(SENTENCES[language]) == language


@pytest.mark.parametrize(
    "text",
    [
        "Floden var så høj, at vi ikke kunne komme over den, og broen er lukket for alle biler.",
        "Elva var så høy at vi ikke kunne komme over den, og broen er stengt for alle biler.",
    ],
)
def test_sisters_may_be_taken_for_each_other(text):
    assert language_of(text) in {"da", "no"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\ud800",
        "12345",
        "report",
        "München",
        "x = y * 3",
        "AB-1234/7",
        "😀😀",
        "\0",
        "Ωmega-3 fat acid level",
    ],
)
def test_what_says_too_little_has_no_language(text):
    assert language_of(text) == ""


def test_the_language_of_most_letters_counts():
    assert (
        language_of("机器学习 (machine learning) 是人工智能的一个分支，它研究如何让计算机从数据中学习。")
        == "zh"
    )
    assert (
        language_of("The sign 山 is the Chinese word for a mountain, and 川 is the one for a river.") == "en"
    )
    assert language_of("The " + SENTENCES["de"]) == "de"


def test_only_the_beginning_is_read():
    assert language_of(SENTENCES["fr"] * 12 + " Und der Rest ist auf Deutsch." * 100_000) == "fr"


def test_common_words_are_whole_words():
    for language, words in COMMON_WORDS.items():
        assert len(words) >= 30, language
        assert all(word == word.lower() and word.strip() == word for word in words)
