"""The page of a report in headless Chromium, opened from its folder."""

import base64
import json
import time

import cv2
import numpy as np
import pytest
from affine import Affine
from browser import opened
from walls import crackcli, polyline, write_scene

from crackcli.files import sha256
from crackcli.finetuning.page_reviews import read_page_reviews
from crackcli.report.formats.csv import read_rows

pytestmark = pytest.mark.browser

NAME = "<b>wall<!-- & 'pier' \"3\" <_script> ${x}"  # as text it harms nothing
ROWS, COLS = 900, 1400
CRACKS = {  # by width: points (x, y)
    9: [(100.0, 150.0), (500.0, 220.0), (900.0, 120.0), (1300.0, 200.0)],
    5: [(150.0, 420.0), (600.0, 520.0), (1000.0, 400.0)],
    3: [(200.0, 700.0), (500.0, 640.0), (760.0, 760.0)],
}


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """A report with a page of one photograph with three cracks."""
    out = tmp_path_factory.mktemp("page") / "out"
    mask = np.zeros((ROWS, COLS), np.uint8)
    for width, points in CRACKS.items():
        mask |= polyline(mask.shape, points, width, finer=1)
    noise = np.random.default_rng(1).normal(0, 3, mask.shape)
    image = np.clip(cv2.GaussianBlur(170.0 - 120 * mask, (0, 0), 0.7) + noise, 0, 255)
    source = out.parent / "wall.png"
    cv2.imwrite(str(source), image.astype(np.uint8))
    write_scene(
        out / NAME, mask, Affine.identity(), source={"sha256": sha256(source), "file": NAME}
    )
    record = {"scenes": [{"scene": NAME, "source": str(source)}]}
    (out / "run.json").write_text(json.dumps(record), encoding="utf-8")
    named = ("--asset-id", NAME)
    done = crackcli("report", out, "--html", "--gsd-mm", "0.5", "--joint-likelihood", "1", *named)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture
def page(out):
    """The page when its photograph and its table are shown; at the end there was no complaint and
    no request beyond the folder."""
    with opened(out / "report" / "index.html") as browser:
        browser.wait("document.querySelectorAll('.body .row').length > 2")
        browser.wait("document.querySelector('#bar').textContent")
        yield browser
        assert browser.complaints() == []
        addresses = browser.addresses()
        assert any(address.endswith(".jpg") for address in addresses)
        beyond = [one for one in addresses if not one.startswith("file://")]
        assert beyond == []


def ids(page):
    """The cracks in the table, from top to bottom."""
    return [row.get_attribute("title") for row in page.all(".body .row")]


def by_column(out, name):
    """Ids of cracks.csv, sorted downwards by a column."""
    rows = sorted(read_rows(out / "cracks.csv"), key=lambda row: -float(row[name]))
    return [row["crack_id"] for row in rows]


def place_of(page, x, y):
    """Where a pixel of the photograph lies on the screen, from the middle of the picture."""
    return page.run(
        "const picture = document.querySelector('#picture');"
        "const { viewport } = OpenSeadragon.getViewer(picture);"
        f"const point = new OpenSeadragon.Point({x}, {y});"
        "const at = viewport.imageToViewerElementCoordinates(point);"
        "return [at.x - picture.clientWidth / 2, at.y - picture.clientHeight / 2];"
    )


def move_to(page, x, y, click=False):
    """Move the pointer to a pixel of the photograph."""
    from selenium.webdriver import ActionChains

    right, down = place_of(page, x, y)
    (picture,) = page.all("#picture")
    chain = ActionChains(page.driver).move_to_element_with_offset(
        picture, round(right), round(down)
    )
    (chain.click() if click else chain).perform()


def test_a_click_on_a_crack_opens_its_panel(page, out):
    x, y = CRACKS[9][1]

    move_to(page, x, y, click=True)
    page.wait("!document.querySelector('#panel').hidden")

    widest = by_column(out, "width_max_mm")[0]
    (heading,) = page.all("#panel h2")
    (row,) = page.all('.body .row[aria-selected="true"]')
    assert heading.text == row.get_attribute("title") == widest
    assert "#0/" in page.driver.current_url
    words = page.all("#panel")[0].text
    assert "mm" in words
    assert "±" in words
    assert page.all("#panel figure canvas")


def test_the_pointer_on_a_crack_shows_its_name_width_and_length(page, out):
    move_to(page, *CRACKS[5][1])
    page.wait("!document.querySelector('#hint').hidden")

    (hint,) = page.all("#hint")
    name, kind, width, length = hint.text.split("\n")
    assert name == by_column(out, "width_max_mm")[1]
    assert kind == "crack"
    assert "mm" in width
    assert "mm" in length


def test_the_crop_and_the_lines_are_drawn(page):
    x, y = CRACKS[9][1]
    move_to(page, x, y, click=True)
    page.wait("!document.querySelector('#panel').hidden")
    page.run("await new Promise((later) => setTimeout(later, 500));")

    shot = cv2.imdecode(
        np.frombuffer(base64.b64decode(page.driver.get_screenshot_as_base64()), np.uint8), 1
    )
    crop = page.all("#panel figure canvas")[0].rect
    top, left = round(crop["y"]), round(crop["x"])
    part = shot[top : top + round(crop["height"]), left : left + round(crop["width"])]
    assert (part.mean(axis=2) < 90).mean() > 0.01  # the crack
    assert (part.mean(axis=2) > 140).mean() > 0.5  # the wall
    picture = page.all("#picture")[0].rect
    whole = shot[round(picture["y"]) :, round(picture["x"]) :][:, : round(picture["width"])]
    coloured = whole.max(axis=2).astype(int) - whole.min(axis=2) > 60
    assert coloured.sum() > 200  # the wall is grey, lines are not


def test_the_table_sorts_and_filters(page, out):
    assert ids(page) == by_column(out, "width_max_mm")

    next(one for one in page.all(".sort") if one.text.startswith("Length")).click()
    assert ids(page) == by_column(out, "length_mm")

    widths = sorted(float(row["width_max_mm"]) for row in read_rows(out / "cracks.csv"))
    (field,) = page.all('#filters input[aria-label^="Wider"]')
    field.send_keys(f"{widths[1] + 0.01:.3f}")
    assert ids(page) == by_column(out, "width_max_mm")[:1]
    assert page.all(".count")[0].text == "1 of 3"


def test_the_table_is_used_by_keyboard(page, out):
    from selenium.webdriver import Keys

    (grid,) = page.all('[role="grid"]')
    grid.send_keys(Keys.ARROW_DOWN)
    page.wait("!document.querySelector('#panel').hidden")
    grid.send_keys(Keys.ARROW_DOWN)
    second = by_column(out, "width_max_mm")[1]
    page.wait(f"document.querySelector('#panel h2').textContent === {json.dumps(second)}")
    grid.send_keys(Keys.ESCAPE)

    page.wait("document.querySelector('#panel').hidden")
    assert not page.all('.body .row[aria-selected="true"]')


def test_an_address_leads_to_a_crack(page, out):
    third = by_column(out, "width_max_mm")[2]

    page.run(f"location.hash = '#0/' + encodeURIComponent({json.dumps(third)})")

    page.wait(f"document.querySelector('#panel h2')?.textContent === {json.dumps(third)}")
    (bar,) = page.all("#bar")
    assert "mm" in bar.text
    assert "px" in bar.text


def test_a_review_is_kept_and_saved_as_learn_reads_it(page, out, tmp_path):
    from selenium.webdriver import ActionChains, Keys

    first, second, _ = by_column(out, "width_max_mm")
    (grid,) = page.all('[role="grid"]')
    for crack, key in ((first, "r"), (second, "a")):
        grid.send_keys(Keys.ARROW_DOWN)
        page.wait(f"document.querySelector('#panel h2')?.textContent === {json.dumps(crack)}")
        ActionChains(page.driver).send_keys(key).perform()
    page.all("#panel textarea")[0].send_keys(f"{NAME}\t")
    page.driver.refresh()
    page.wait("document.querySelectorAll('.body .row').length > 2")

    assert page.all("#review .count")[0].text == "2 reviewed"
    assert [mark.text for mark in page.all(".mark") if mark.text] == ["✕", "✓"]
    behaviour = {"behavior": "allow", "downloadPath": str(tmp_path)}
    page.driver.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)
    page.all("#review button")[0].click()
    saved = tmp_path / "review.json"
    until = time.monotonic() + 10
    while not saved.exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert read_page_reviews(saved, out) == {first: "rejected", second: "accepted"}
    assert json.loads(saved.read_text("utf-8"))["cracks"][second]["note"] == NAME


def test_a_verdict_is_taken_back(page):
    from selenium.webdriver import ActionChains, Keys

    (grid,) = page.all('[role="grid"]')
    grid.send_keys(Keys.ARROW_DOWN)
    page.wait("!document.querySelector('#panel').hidden")
    ActionChains(page.driver).send_keys("j").perform()
    assert len(page.all('.review [aria-pressed="true"]')) == 1
    ActionChains(page.driver).send_keys("u").perform()

    assert page.all('.review [aria-pressed="true"]') == []
    assert page.all("#review button") == []


def test_hostile_names_are_shown_as_text(page):
    (title,) = page.all("#title")

    move_to(page, *CRACKS[9][1], click=True)
    page.wait("!document.querySelector('#panel').hidden")

    assert title.text.startswith(NAME)
    assert NAME in page.all("#panel")[0].text
    assert page.run("return document.querySelectorAll('b, #title *').length") == 0


def test_the_survey_has_totals_and_all_cracks_by_width(page, out):
    page.driver.find_element("id", "to-survey").click()

    cards = [card.text.split("\n") for card in page.all(".cards li")]
    assert ["1", "photographs"] in cards
    assert ["3", "cracks"] in cards
    assert [link.text for link in page.all("#survey-view table a")] == by_column(
        out, "width_max_mm"
    )
    assert len(page.all("#survey-view .chart")) == 2


def test_the_survey_is_what_is_printed(page):
    printed = page.driver.execute_cdp_cmd("Page.printToPDF", {})["data"]

    assert base64.b64decode(printed).startswith(b"%PDF")
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert page.all("#survey-view table")
    assert not page.all("#picture")


def test_the_page_fits_a_telephone(out):
    with opened(out / "report" / "index.html", 500, 900) as browser:
        browser.wait("document.querySelectorAll('.body .row').length > 2")
        wide = browser.run("return document.documentElement.scrollWidth - innerWidth")

        assert wide <= 0
        assert browser.complaints() == []
