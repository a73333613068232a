"""A collection says at once that its model cannot read what was put into it."""

from __future__ import annotations

import numpy as np
import pytest

from indexing import Collection
from indexing.writing.legible import MULTILINGUAL_MODEL
from stlib.runtime import Encoder

ENGLISH = "The river was so high that we could not cross it."
GERMAN = "Der Fluss war so hoch, dass wir nicht über die Brücke gehen konnten."
FOREIGN = [
    "Река была такой высокой, что мы не могли её перейти.",
    "كان النهر مرتفعا جدا ولم نستطع عبوره",
    "河水太高了，我们过不去，桥对所有车辆都关闭了。",
    "川の水位がとても高くて渡れず、橋は閉鎖されています。",
    "강물이 너무 높아서 건널 수 없었다.",
    "Το ποτάμι ήταν πολύ ψηλό.",
    "הנהר היה כל כך גבוה",
    "แม่น้ำสูงมากจนเราข้ามไม่ได้",
    "नदी इतनी ऊँची थी",
]


def notes_of(home, texts, **how):
    with Collection.create("notes", home=home, **how) as collection:
        vectors = np.eye(4, dtype=np.float32)[[0] * len(texts)] if "dimension" in how else None
        report = collection.add(
            [{"id": str(n), "text": text} for n, text in enumerate(texts)], vectors=vectors
        )
        return report.notes


@pytest.mark.parametrize("text", FOREIGN)
def test_another_script_is_named(tmp_path, text):
    (note,) = notes_of(tmp_path, [text])
    assert note.startswith("The texts are in a script that the model stlib-static-en does not know")
    assert note.endswith(f"stlib reindex notes --model {MULTILINGUAL_MODEL}, or the folder of such a model")


@pytest.mark.parametrize("texts", [[ENGLISH], [GERMAN], [ENGLISH] * 40 + FOREIGN[:1], ["12 34", "& ="]])
def test_what_can_be_read_is_not(tmp_path, texts):
    assert notes_of(tmp_path, [*texts, "a plain line"]) == []


@pytest.mark.parametrize(("many", "says"), [(3, "60% of"), (1, "33% of")])
def test_how_many_is_said(tmp_path, many, says):
    (note,) = notes_of(tmp_path, [ENGLISH, GERMAN, *FOREIGN[:many]])
    assert note.startswith(says if many == 1 else "Most of the texts are")


def test_a_model_that_cannot_tell_says_nothing(tmp_path):
    assert notes_of(tmp_path / "1", FOREIGN, dimension=4) == []
    assert notes_of(tmp_path / "2", FOREIGN, model=lambda texts: np.ones((len(texts), 3), np.float32)) == []


def test_only_what_was_added_is_looked_at(tmp_path):
    with Collection.create("notes", home=tmp_path) as collection:
        collection.add([{"id": str(n), "text": text} for n, text in enumerate(FOREIGN)])
        assert collection.add([{"id": "en", "text": ENGLISH}]).notes == []
        assert collection.add([{"id": "en", "text": ENGLISH}]).notes == []
        assert len(collection.add([{"id": "ru", "text": FOREIGN[0]}]).notes) == 1


def test_letters_are_counted():
    shares = Encoder.load().unread_shares([ENGLISH, FOREIGN[0], f"{ENGLISH} Ω", ""])
    assert shares[0] == shares[3] == 0.0
    assert shares[1] > 0.6
    assert 0 < shares[2] < 0.05
