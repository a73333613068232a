"""Reports: figures equal those of `evaluate` and of hands, and what comes from outside stays text."""

from __future__ import annotations

import json
import re
import shlex
import time
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from app.cli import main
from app.facade.caller import Caller, NotAllowed
from app.facade.feedback import record
from app.facade.jobs import find_job
from app.facade.reports import past_reports, read_report, start_report, write_report
from app.feedback.judged import read_judged
from app.report.history import forget_reports, forget_reports_with, keep_report, list_reports
from app.report.making import make_report
from app.report.model import Report
from app.report.rendering import render
from app.report.systems import ReportChoices, parse_system, spell_system
from app.settings import Location
from indexing import Collection
from indexing.errors import BadInput
from indexing.evaluation import read_beir
from indexing.search.settings import SearchSettings

HOSTILE = '<script>alert(1)</script> "&\u202e](http://x.example/)'
TEXTS = {
    "bee": ("Bee", "Bees make honey from the nectar of flowers."),
    "cat": ("Cat", "Cats purr when they are content and sleep all day."),
    "dog": (HOSTILE, "Dogs bark at strangers and guard the house."),
    "cow": ("Cow", "Cows eat grass and give milk."),
    "hen": ("Hen", "Hens lay eggs in the straw."),
    "owl": ("Owl", "Owls hunt mice at night."),
}
QUESTIONS = {
    "1": "which animal makes honey",
    "2": "purr",
    "3": f"barks at strangers {HOSTILE}",
    "4": "milk of an animal",
    "5": "who hunts in the dark",
}
GRADES = {
    "1": {"bee": 2, "cat": 0},
    "2": {"cat": 1},
    "3": {"dog": 1, "owl": 1},
    "4": {"cow": 1, "hen": 0},
    "5": {"owl": 1, "gone": 1},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    home, judged = folder / "home", folder / "judged"
    with Collection.create("zoo", home=home) as zoo:
        zoo.add({"id": id_, "title": title, "text": text} for id_, (title, text) in TEXTS.items())
        zoo.reindex(ranking={"weights": {"keyword": 3.0}}, promote=False)
    (judged / "qrels").mkdir(parents=True)
    lines = [json.dumps({"_id": id_, "text": text}) for id_, text in QUESTIONS.items()]
    (judged / "queries.jsonl").write_text("\n".join(lines), encoding="utf-8")
    rows = [f"{q}\t{d}\t{grade}" for q, grades in GRADES.items() for d, grade in grades.items()]
    (judged / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\n" + "\n".join(rows), encoding="utf-8"
    )
    return Location(home), judged


@pytest.fixture(scope="module")
def report(place):
    location, judged = place
    return make_report(location, "zoo", str(judged), who="ann")


def test_figures_are_those_of_evaluate(place, report):
    location, judged = place
    beir = read_beir(judged)
    assert [spell_system(one.system) for one in report.systems] == [
        "1,hybrid",
        "1,semantic",
        "1,keyword",
        "1,hybrid,rerank=stlib-rerank-en",
        "2,hybrid",
    ]
    with Collection.open("zoo", **location.arguments()) as zoo:
        for one in report.systems:
            rerank = {"rerank": one.system.rerank} if one.system.rerank else {}
            found = zoo.evaluate(
                beir.queries, beir.qrels, mode=one.system.mode, serving=one.system.serving, **rerank
            )
            assert {name: figure.mean for name, figure in one.metrics.items()} == pytest.approx(found.metrics)
            for question, values in found.per_query.items():
                assert {name: one.values[name][question] for name in values} == values
        assert report.seq == zoo.info().last_seq
        assert report.baseline.memory == len(TEXTS) * zoo.info().dimension
    assert report.missing == 1


def test_differences_and_judged_answers_are_those_of_hands(report):
    base, other = report.baseline, report.systems[2]
    for name, apart in other.differences.items():
        each = [other.values[name][question] - value for question, value in base.values[name].items()]
        assert apart.mean == pytest.approx(sum(each) / 5)
        assert (apart.wins, apart.losses) == (sum(one > 0 for one in each), sum(one < 0 for one in each))
        assert apart.low <= apart.mean <= apart.high
        assert apart.p <= apart.p_holm
    assert base.differences == {}
    # Hybrid search finds all six documents; so many of them have a grade.
    assert base.judged == pytest.approx(sum(n / 6 for n in (2, 1, 2, 2, 1)) / 5)


def test_text_that_no_vector_covers_is_counted(tmp_path):
    location = Location(tmp_path / "home")
    with Collection.create("notes", **location.arguments()) as notes:
        notes.add([{"id": "a", "text": "One passage of text."}, {"id": "b", "text": "Another passage."}])
    judged = tmp_path / "judged"
    (judged / "qrels").mkdir(parents=True)
    (judged / "queries.jsonl").write_text('{"_id": "1", "text": "passage"}\n')
    (judged / "qrels" / "test.tsv").write_text("1\ta\t1\n")
    covered = make_report(location, "notes", str(judged)).coverage
    letters = len("Onepassageoftext.") + len("Anotherpassage.")
    assert (covered.documents, covered.passages, covered.without) == (2, 2, 0)
    assert (covered.characters, covered.uncovered, covered.limit) == (letters, 0, None)


class Page(HTMLParser):
    """Checks that tags close in order; collects tags, attributes and text."""

    void = ("meta", "line", "circle", "rect")

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.texts = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_parses_loads_nothing_and_shows_titles_as_text(report):
    html = render(report, "html")
    page = Page(html)
    assert not {"script", "link", "img", "iframe", "object", "a"} & set(page.tags)
    assert not {"src", "href", "onload", "srcset"} & {name for name, _ in page.attributes}
    assert "url(" not in html and "@import" not in html
    assert HOSTILE.replace("\u202e", "\\u202e") in "".join(page.texts)
    assert "\u202e" not in html
    plots = html.count("<svg")
    assert plots >= 3 and html.count("<desc>") == plots and html.count('role="img"') == plots


def test_json_and_markdown_say_the_same(report):
    kept = json.loads(render(report, "json"))
    again = Report.from_dict(kept)
    assert again == report
    assert render(again, "html") == render(report, "html")
    markdown = render(report, "md")
    assert re.findall(r"(?<!\\)<\w|(?<!\\)\]\(", markdown) == []
    assert f"{report.baseline.metrics['NDCG@10'].mean:.3f}".lstrip("0") in markdown


def test_the_printed_command_gives_the_same_metrics(place, report, tmp_path, monkeypatch, capsys):
    location, _ = place
    monkeypatch.setenv("STLIB_HOME", str(location.home))
    words = shlex.split(report.command)
    assert words[0] == "stlib" and words[-2:] == ["-o", "report.html"]
    out = tmp_path / "again.json"
    with pytest.raises(SystemExit) as end:
        main([*words[1:-1], str(out)])
    assert end.value.code == 0
    again = Report.from_dict(json.loads(out.read_text(encoding="utf-8")))
    assert again.command == report.command
    assert (again.judgments, again.seq) == (report.judgments, report.seq)
    for one, before in zip(again.systems, report.systems, strict=True):
        assert (one.metrics, one.values, one.differences) == (
            before.metrics,
            before.values,
            before.differences,
        )
        assert (one.fingerprints, one.name) == (before.fingerprints, before.name)
    assert "NDCG@10" in capsys.readouterr().out


def test_other_precisions_are_measured_beside_the_collection(place):
    location, judged = place
    choices = ReportChoices(precisions=("float32", "int8", "ubinary"), modes=("semantic",))
    made = make_report(location, "zoo", str(judged), "test", choices)
    assert [(one.system.mode, one.precision) for one in made.systems] == [
        ("hybrid", "int8"),
        ("semantic", "float32"),
        ("semantic", "int8"),
        ("semantic", "ubinary"),
    ]
    d = made.baseline.memory / len(TEXTS)
    assert [one.memory for one in made.systems] == [6 * d, 24 * d, 6 * d, 6.75 * d]
    with Collection.open("zoo", **location.arguments()) as zoo:
        assert [one.precision for one in zoo.generations()] == ["int8"]


def test_feedback_is_measured_and_its_absence_said(place):
    location, _ = place
    with pytest.raises(BadInput, match="nobody has judged an answer in 'zoo' yet"):
        make_report(location, "zoo", "feedback")


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        (ReportChoices(servings=(9,)), "no serving 9; there are: 1, 2"),
        (ReportChoices(systems=("1",)), "write a serving and a mode"),
        (ReportChoices(modes=("loud",)), "mode 'loud': use one of hybrid, semantic, keyword"),
        (ReportChoices(systems=("1,hybrid",), modes=("hybrid",)), "give one of the two"),
    ],
)
def test_choices_that_there_are_not_are_named(place, choices, message):
    location, judged = place
    with pytest.raises(BadInput, match=re.escape(message)):
        make_report(location, "zoo", str(judged), "test", choices)


def test_a_system_is_read_as_it_is_written():
    for text in ("3,hybrid", "3,hybrid,rerank=", "3,semantic,precision=binary,rerank=/a,b=c/model"):
        assert spell_system(parse_system(text)) == text


def test_reports_are_kept_and_damaged_ones_left_out(place, report):
    location, _ = place
    number = keep_report(location, report)
    (past,) = [one for one in list_reports(location, report.uuid) if one.id == number]
    assert past.metrics["NDCG@10"] == report.baseline.metrics["NDCG@10"].mean
    caller = Caller("ann", "page")
    with Collection.open("zoo", **location.arguments()) as zoo:
        assert read_report(caller, location, zoo, number) == report
        path = location.home / "reports" / report.uuid / f"{number:06}.json"
        path.write_text("[" * 100_000)
        assert number not in [one.id for one in past_reports(caller, location, zoo)]


def test_a_report_needs_the_right_to_improve(place):
    location, judged = place
    visitor = Caller("bob", "page", rights=frozenset({"search"}))
    with pytest.raises(NotAllowed):
        write_report(visitor, location, "zoo", str(judged))
    with pytest.raises(NotAllowed):
        start_report(visitor, location, "zoo", str(judged), "test", ReportChoices())


def test_what_was_erased_is_in_no_report_that_is_kept(place, report):
    location, _ = place
    folder = location.home / "reports" / "another"
    kept = replace(report, uuid="another")
    keep_report(location, kept)
    keep_report(location, replace(kept, questions={**report.questions, "6": 'say "hush\u00e9"'}))
    keep_report(location, replace(kept, source="feedback"))
    assert forget_reports_with(location, "another", ['say "hush\u00e9"']) == 2
    assert [one.name for one in folder.glob("*.json")] == ["000001.json"]
    forget_reports(location, "another")
    assert not folder.exists()


def test_feedback_of_the_held_out_side_alone_measures_what_was_tuned(tmp_path):
    location, caller = Location(tmp_path / "home"), Caller("ann")
    with Collection.create("zoo", **location.arguments()) as zoo:
        zoo.add({"id": id_, "title": title, "text": text} for id_, (title, text) in TEXTS.items())
        for text, id_ in [(f"{word} {id_}", id_) for id_ in TEXTS for word in ("who is", "find", "about")]:
            record(caller, location, zoo, text, id_, "up")
        judged = read_judged(location, zoo)
        everything = make_report(location, "zoo", "feedback", choices=ReportChoices(modes=("keyword",)))
        assert everything.side == "all" and len(everything.questions) == len(judged.queries())
        tuned = zoo.create_serving(SearchSettings(weights={"keyword": 2.0}), note="tuned", needs_gate=True)
        choices = ReportChoices(servings=(tuned.id,))
        made = make_report(location, "zoo", "feedback", choices=choices)
    assert made.side == "heldout" and any("held-out side" in note for note in made.notes)
    assert set(made.questions) == {one.id for one in judged.side("heldout")}
    assert [one.tuned for one in made.systems] == [False, True]


def test_a_job_makes_a_report_and_keeps_it(place):
    location, judged = place
    job = start_report(Caller("ann"), location, "zoo", str(judged), "test", ReportChoices(modes=("keyword",)))
    deadline = time.monotonic() + 60
    while not (job := find_job(location, job.id)).finished and time.monotonic() < deadline:
        time.sleep(0.2)
    assert (job.state, job.error) == ("done", "")
    with Collection.open("zoo", **location.arguments()) as zoo:
        made = read_report(Caller("ann"), location, zoo, job.result["report"])
    assert [one.system.mode for one in made.systems] == ["hybrid", "keyword"] and made.who == "ann"


def test_visitors_name_no_folder_and_no_model_of_this_machine(place):
    location, judged = place
    visitor = Caller("bob", "page")
    with pytest.raises(BadInput, match="upload them first"):
        start_report(visitor, location, "zoo", str(judged), "test", ReportChoices())
    with pytest.raises(BadInput, match="none that this page offers"):
        start_report(visitor, location, "zoo", "feedback", "", ReportChoices(rerankers=("/etc",)))
