"""Reranking on the search page, with a real cross-encoder and in a real browser."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from playwright.sync_api import expect

from indexing import Collection

pytestmark = pytest.mark.browser

# Retrieval falls for the words of the question, a reader for what answers it.
DOCUMENTS = [
    (
        "rise",
        "Rising dough",
        "Yeast turns sugar into gas, and the bubbles lift the dough before it bakes.",
    ),
    ("why", "Questions about dough", "Why is it called dough? Why do people ask why? Bakers rise early."),
    ("sour", "Sourdough", "Wild yeast and bacteria live in the starter, which is fed with flour every day."),
    ("flat", "Flat bread", "Without yeast the dough stays flat: matzo and tortillas are baked at once."),
    ("oven", "Oven", "An oven bakes bread and other dough at high heat."),
    ("prices", "Prices rise", "Why do prices rise? Dough is also a word for money."),
    ("sun", "Sunrise", "The sun rises in the east because the earth turns."),
]
QUESTION = "why do bakers use yeast"
ADDRESS_OF_QUESTION = "q=why+do+bakers+use+yeast"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reranking")
    fill("kitchen", folder)
    return folder


@pytest.fixture(scope="module")
def model(folder, ms_marco):
    """The reranker's place: a link, so that a test can take the model away. No line break fits into it."""
    link = folder / ("model" * 20)
    link.symlink_to(ms_marco)
    return link


@pytest.fixture(scope="module")
def address(serve, folder, model):
    """The search page over a small collection, with a reranker."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("STLIB_RERANK", str(model))
        with serve(folder) as url:
            yield url


@pytest.fixture(scope="module")
def before(folder):
    """The answer without the reranker."""
    with Collection.open("kitchen", home=folder) as collection:
        return collection.search(QUESTION).results


@pytest.fixture(scope="module")
def after(folder, ms_marco, before):
    """The answer with it; the order is another one."""
    with Collection.open("kitchen", home=folder) as collection:
        results = collection.search(QUESTION, rerank=ms_marco).results
    assert ids(results) != ids(before)
    return results


def fill(name, folder):
    with Collection.create(name, home=folder) as collection:
        collection.add({"id": id_, "title": title, "text": text} for id_, title, text in DOCUMENTS)


def ids(results):
    return [result.id for result in results]


def shows(page, results):
    """Wait until the cards are those of `results`, in their order."""
    shown = page.locator(".st-card tr").filter(has=page.get_by_text("id", exact=True)).locator("td")
    expect(shown).to_have_text(ids(results))


def test_the_toggle_orders_as_a_search_does_and_lasts(visit, address, before, after):
    with visit(f"{address}/?{ADDRESS_OF_QUESTION}") as page:
        shows(page, before)
        page.get_by_text("Rerank", exact=True).click()
        # The model is loaded first: the old order does not stand under the new question meanwhile.
        expect(page.get_by_label("Searching")).to_be_attached()
        expect(page.locator(".st-card")).to_have_count(0)
        shows(page, after)
        assert page.url == f"{address}/?{ADDRESS_OF_QUESTION}&rerank=1"
        expect(page.locator(".st-summary > summary")).to_contain_text("7 documents reranked")
        page.reload()
        shows(page, after)
        expect(page.get_by_role("switch", name="Rerank")).to_be_checked()
        page.get_by_text("Rerank", exact=True).click()
        shows(page, before)
        assert page.url == f"{address}/?{ADDRESS_OF_QUESTION}"
        expect(page.locator(".st-summary > summary")).not_to_contain_text("reranked")


def test_the_score_tells_what_the_reranker_said_on_a_phone_too(visit, address, phone, width_of, after):
    with visit(f"{address}/?{ADDRESS_OF_QUESTION}&rerank=1", **phone) as page:
        shows(page, after)
        for summary in page.locator("summary").all():
            summary.click()
        for card, result in zip(page.locator(".st-card").all(), after, strict=True):
            expect(card.get_by_text(f"Score {result.score:.3f}")).to_be_visible()
            rows = card.locator("tr").all_inner_texts()
            parts = result.parts
            assert rows[:2] == [
                f"by reading\t{parts['rerank_share']:.3f} ({parts['rerank']:.3f}, "
                f"rank {parts['rerank_rank']})",
                f"by retrieval\t{parts['retrieval_share']:.3f} ({parts['retrieval']:.3f}, "
                f"rank {parts['retrieval_rank']})",
            ]
        assert page.locator(".st-summary").get_by_text("rerank", exact=True).is_visible()
        assert width_of(page) == 390


def test_without_its_model_the_page_answers_and_says_so(
    visit, address, folder, model, ms_marco, phone, width_of, before, after
):
    fill("pantry", folder)  # the page has loaded no reranker for it yet
    question = f"{address}/?{ADDRESS_OF_QUESTION}&collection=pantry&rerank=1"
    with taken_away(model, ms_marco), visit(question, **phone) as page:
        shows(page, before)
        hint = page.get_by_role("status").filter(has_text="not reranked: ")
        expect(hint).to_contain_text(f"'{model}' holds neither modules.json nor config.json")
        assert hint.is_visible()
        assert width_of(page) == 390
        expect(page.get_by_test_id("stException")).to_have_count(0)

    with visit(question, **phone) as page:  # mended while the server runs
        shows(page, after)
        expect(page.get_by_role("status").filter(has_text="not reranked: ")).to_have_count(0)


@contextmanager
def taken_away(model, ms_marco):
    """An empty folder in the reranker's place, whatever happens meanwhile."""
    model.unlink()
    model.mkdir()
    try:
        yield
    finally:
        model.rmdir()
        model.symlink_to(ms_marco)
