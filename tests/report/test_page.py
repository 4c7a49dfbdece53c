"""The page of a report: what its files contain, and that names in them are only text."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from walls import crackcli, photographed, polyline, trace_array, write_scene

from crackcli.report import html
from crackcli.report.formats.csv import read_rows
from crackcli.report.html.data import CRACK, FINENESS, JOINT, means, north_deg, write_data
from crackcli.report.html.pages import write_pages
from crackcli.report.tables.rows import SceneCracks
from crackcli.scenes.scale import Scale

ASSETS = Path(html.__file__).with_name("assets")
HOSTILE = "<b>wall<!-- & 'pier' \"3\" </script> ${x}"
LINES = ([(20.0, 31.0), (90.0, 52.0), (180.0, 40.0)], [(30.0, 80.0), (170.0, 84.0)])


def wall(out, name="wall"):
    """A finished scan of a photograph with two cracks."""
    mask = np.zeros((120, 200), np.uint8)
    for points in LINES:
        mask |= polyline(mask.shape, points, 5)
    noise = np.random.default_rng(1).normal(0, 2, mask.shape)
    return photographed(out, name, mask, np.clip(160 - 100 * mask + noise, 0, 255).astype(np.uint8))


def report(out, *options):
    """Report a scan, with a page."""
    done = crackcli("report", out, "--html", *options)
    assert done.returncode == 0, done.stderr
    return done


def data_of(path):
    """The name and the data in a file of data, which is nothing else."""
    found = re.fullmatch(r'crackcli\.receive\("([a-z0-9 ]+)",(.*)\);\n', path.read_text("ascii"))
    return found[1], json.loads(found[2])


def survey_of(out):
    name, survey = data_of(out / "report" / "survey.js")
    assert name == "survey"
    return survey


class Parsed(HTMLParser):
    """Tags with their attributes, the policy, and all texts within scripts and styles."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.inline, self.policy = [], [], {}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if dict(attrs).get("http-equiv") == "Content-Security-Policy":
            for rule in dict(attrs)["content"].split(";"):
                name, *sources = rule.split()
                self.policy[name] = sources

    def handle_data(self, data):
        if self.lasttag in ("script", "style") and data.strip():
            self.inline.append(data)


def test_the_page_has_a_strict_policy_and_nothing_inline():
    page = Parsed(ASSETS / "index.html")
    names = {name for _, attributes in page.tags for name in attributes}

    assert page.policy["default-src"] == ["'none'"]
    assert page.policy["script-src"] == ["'self'"]
    assert page.policy["img-src"] == ["'self'"]
    assert page.policy["base-uri"] == page.policy["form-action"] == ["'none'"]
    assert not any("unsafe" in source for rule in page.policy.values() for source in rule)
    assert page.inline == []
    assert not any(name.startswith("on") or name == "style" for name in names)


def test_the_only_style_in_a_script_is_that_of_openseadragon():
    library = (ASSETS / "openseadragon" / "openseadragon.min.js").read_text(encoding="utf-8")
    own = "".join(path.read_text(encoding="utf-8") for path in ASSETS.glob("*.js"))
    (style,) = re.findall(r'\.textContent="(@media[^"]+)"', library)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()

    policy = Parsed(ASSETS / "index.html").policy
    assert policy["style-src"] == ["'self'", f"'sha256-{digest}'"]
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", own)


def test_everything_that_the_page_loads_lies_beside_it(tmp_path):
    out = tmp_path / "out"
    wall(out)
    report(out)
    folder = out / "report"

    page = Parsed(folder / "index.html")

    addresses = [a.get("src") or a.get("href") for t, a in page.tags if t in ("script", "link")]
    assert len(addresses) > 5
    assert all((folder / address).is_file() for address in addresses)
    assert not re.search(r"https?:", (folder / "index.html").read_text(encoding="utf-8"))


def test_openseadragon_comes_with_its_licence_and_version():
    library = (ASSETS / "openseadragon" / "openseadragon.min.js").read_text(encoding="utf-8")

    assert library.startswith("//! openseadragon 6.1.1\n")
    assert "OpenSeadragon contributors" in (ASSETS / "openseadragon" / "LICENSE.txt").read_text(
        encoding="utf-8"
    )


def test_every_text_of_the_page_is_in_the_catalogue():
    catalogue = (ASSETS / "texts.js").read_text(encoding="utf-8")
    known = set(re.findall(r"^    (\w+):", catalogue, re.MULTILINE))
    used = {
        name
        for path in ASSETS.glob("*.js")
        for name in re.findall(r'\btext\("(\w+)"', path.read_text(encoding="utf-8"))
    }

    assert used
    assert used <= known


def test_the_table_of_the_page_is_that_of_the_report(tmp_path):
    out = tmp_path / "out"
    wall(out)
    report(out, "--gsd-mm", "0.5")

    survey = survey_of(out)
    rows = [dict(zip(survey["columns"], row, strict=True)) for row in survey["rows"]]

    assert survey["unit"] == "mm"
    expected = {row["crack_id"]: row for row in read_rows(out / "cracks.csv")}
    cracks = [row for row in rows if row["kind"] == CRACK]
    assert {row["id"] for row in cracks} == set(expected)
    assert [row["kind"] for row in rows if row not in cracks] == [JOINT]  # the straight line
    for row in cracks:
        known = expected[row["id"]]
        assert row["width"] == pytest.approx(float(known["width_max_mm"]), rel=1e-3)
        assert row["length"] == pytest.approx(float(known["length_mm"]), rel=1e-3)
        assert row["x"] == pytest.approx(float(known["width_max_col"]), abs=0.6)


def test_lines_of_the_page_lie_on_the_cracks(tmp_path):
    out = tmp_path / "out"
    wall(out)
    report(out)

    _, scene = data_of(out / "report" / "scenes" / "0" / "scene.js")
    ends = []
    for ((steps,),) in zip(scene["lines"], strict=True):
        points = np.cumsum(np.reshape(steps, (-1, 2)), axis=0) / FINENESS
        ends.append(sorted(points[[0, -1]].tolist()))

    for found, drawn in zip(ends, LINES, strict=True):
        assert np.abs(np.array(found) - [drawn[0], drawn[-1]]).max() < 4


def test_severity_has_its_class_clause_and_caveat(tmp_path):
    out = tmp_path / "out"
    wall(out)
    report(out, "--gsd-mm", "0.5", "--severity", "burland")

    survey = survey_of(out)
    _, scene = data_of(out / "report" / "scenes" / "0" / "scene.js")
    grade = dict(zip(scene["grade_names"], scene["grades"][0][0], strict=True))
    (row,) = (
        row for row in read_rows(out / "cracks.csv") if row["crack_id"] == survey["rows"][0][1]
    )

    assert grade["class"] == row["sev_burland_class"]
    assert grade["clause"] == row["sev_burland_clause"]
    assert survey["profiles"][0]["caveat"]
    assert survey["classes"][survey["rows"][0][6]]["name"].startswith(f"{grade['class']}: ")


def test_hostile_names_are_only_text(tmp_path):
    out = tmp_path / "out"
    name = HOSTILE.replace("/", "_")
    source = wall(out, name)
    report(out, "--asset-id", HOSTILE)

    files = sorted((out / "report").rglob("*"))
    written = [path for path in files if path.name in ("survey.js", "scene.js", "profiles.js")]

    assert source.is_file()
    assert survey_of(out)["scenes"][0]["name"] == name
    assert survey_of(out)["asset_id"] == HOSTILE
    assert len(written) == 3
    assert not any(set("<>&") & set(path.read_text("ascii")) for path in written)
    assert all(re.fullmatch(r"[\w.-]+", path.name) for path in files)


def test_data_is_ascii_json_without_marks_of_html_or_unknown_numbers(tmp_path):
    path = tmp_path / "data.js"

    write_data(path, "scene 0", {"<a>": ["mur\udce9\u202e", "é & </script>", float("nan"), 1.5]})

    assert data_of(path) == ("scene 0", {"<a>": [r"mur\xe9\u202e", "é & </script>", None, 1.5]})
    assert not set("<>&") & set(path.read_text("ascii"))


def test_the_page_is_replaced_and_removed_with_its_report(tmp_path):
    out = tmp_path / "out"
    wall(out)
    report(out, "--min-length-px", "150")
    report(out)
    both = survey_of(out)
    crackcli("report", out)

    assert len(both["rows"]) == 2
    assert not (out / "report").exists()


def test_an_edited_page_is_kept_aside(tmp_path):
    out = tmp_path / "out"
    wall(out)
    report(out)
    style = out / "report" / "report.css"
    style.write_text("body { color: teal }", encoding="utf-8")
    report(out)

    assert (out / "report" / "report.edited.css").read_text("utf-8") == "body { color: teal }"
    assert style.read_text("utf-8") == (ASSETS / "report.css").read_text("utf-8")


def test_a_scene_named_report_is_in_the_way(tmp_path):
    out = tmp_path / "out"
    wall(out, "report")

    done = crackcli("report", out, "--html")

    assert done.returncode == 73
    assert "rename the photograph" in done.stderr
    assert crackcli("report", out).returncode == 0


def test_without_its_photograph_a_scene_has_lines_and_no_tiles(tmp_path):
    out = tmp_path / "out"
    wall(out).unlink()
    report(out)

    assert survey_of(out)["scenes"][0]["levels"] == []
    assert len(survey_of(out)["rows"]) == 2
    assert not (out / "report" / "scenes" / "0" / "tiles").exists()


def test_the_page_of_1000_cracks_weighs_less_than_1_mb(tmp_path):
    rng = np.random.default_rng(1)
    side = 100
    mask = np.zeros((2000, 5000), np.uint8)
    one = polyline((side, side), [(8.0, 50.0), (30.0, 30.0), (60.0, 70.0), (92.0, 40.0)], 3)
    for row in range(0, 2000, side):
        for col in range(0, 5000, side):
            mask[row : row + side, col : col + side] = np.rot90(one, rng.integers(4))
    scene = write_scene(tmp_path / "out" / "wall", mask)
    table = SceneCracks(scene, Scale(0.5, 0.01, "option"), trace_array(mask), mask.size)
    assert len(table.cracks) == 1000

    write_pages(tmp_path, [table])

    files = [path for path in (tmp_path / "report").rglob("*") if path.is_file()]
    first = [path for path in files if path.name != "profiles.js"]  # that one only with a panel
    assert sum(path.stat().st_size for path in first) < 1e6


def test_means_leave_out_what_is_unknown():
    values = np.array([1.0, 3.0, np.nan, 5.0, np.nan, np.nan, 7.0])

    assert means(values, 2).tolist()[:2] == [2.0, 5.0]
    assert np.isnan(means(values, 2)[2])
    assert means(values, 2)[3] == 7.0


@pytest.mark.parametrize(
    ("transform", "degrees"),
    [
        (Affine(1, 0, 0, 0, -1, 0), 0),
        (Affine(1, 0, 0, 0, 1, 0), 180),
        (Affine(0, 1, 0, 1, 0, 0), 90),
        (Affine(0.866, -0.5, 0, -0.5, -0.866, 0), 330),
    ],
)
def test_north_is_where_the_map_says(transform, degrees):
    assert north_deg(transform) % 360 == pytest.approx(degrees, abs=0.1)
