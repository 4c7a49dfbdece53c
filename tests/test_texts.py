"""Names that would write to a terminal, or that a spreadsheet would compute."""

import logging

import pytest
from walls import polyline, write_scene

from crackcli.cli.logs import StderrHandler
from crackcli.files import write_csv
from crackcli.report import ReportTask, write_report
from crackcli.report.formats.csv import read_rows
from crackcli.scan.inputs import find_rasters
from crackcli.texts import cell, cell_text, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("wall\x1b[2J\x1b]0;owned\x07", r"wall\x1b[2J\x1b]0;owned\x07"),
        ("a\rb\nc\x9b31m", r"a\x0db\x0ac\x9b31m"),
        ("invoice\u202egpj.exe", r"invoice\u202egpj.exe"),
        ("north\udcff", r"north\xff"),
        ("façade, 北 1.jpg", "façade, 北 1.jpg"),
    ],
)
def test_unprintable_characters_are_escaped(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize(
    "text", ["=1+1", "+49 30", "-x", "@SUM(A1)", "\tx", "'=1", "''@a", "-", "wall", "'s wall", ""]
)
def test_cells_are_read_back_and_none_begins_like_a_formula(text):
    assert cell_text(cell(text)) == text
    assert cell(text) == "-" or cell(text)[:1] not in set("=+-@\t\r")


def test_a_table_with_hostile_texts_has_one_row_for_each(tmp_path):
    texts = ["=cmd|' /C calc'!A0", "a\rb", "two\nlines", 'a "b", c', "-1 is a name"]

    write_csv(tmp_path / "t.csv", ["text", "number"], [{"text": t, "number": -1} for t in texts])

    rows = read_rows(tmp_path / "t.csv")
    assert [row["text"] for row in rows] == [texts[0], r"a\x0db", *texts[2:]]
    assert {row["number"] for row in rows} == {"-1"}
    assert b"\r" not in (tmp_path / "t.csv").read_bytes()


def test_the_log_writes_no_control_characters(capsys):
    handler = StderrHandler()

    handler.emit(logging.makeLogRecord({"msg": "wall\x1b[2J.png: missing\nadvice"}))

    assert capsys.readouterr().err == "wall\\x1b[2J.png: missing\nadvice\n"


def test_scenes_have_names_without_control_characters_and_none_of_ours(tmp_path):
    for name in ("a\x1b[31m.png", "b\rc.png", "cracks.gpkg.png", "report.json.tif", "=1.png"):
        (tmp_path / name).touch()

    found = find_rasters([tmp_path])

    assert found.failures == []
    names = {page.path.name: name for name, page in found.named().items()}
    assert names["a\x1b[31m.png"] == "a_[31m"
    assert names["b\rc.png"] == "b_c"
    assert names["=1.png"] == "=1"
    assert names["cracks.gpkg.png"] == "cracks.gpkg_png"
    assert names["report.json.tif"] == "report.json_tif"


def test_a_photograph_named_like_a_file_of_a_report_does_not_block_it(tmp_path):
    mask = polyline((60, 90), [(10.0, 20.0), (40.0, 45.0), (80.0, 12.0)], 3)
    for name in ("cracks.gpkg_png", "=1+1"):
        write_scene(tmp_path / name, mask)

    write_report(ReportTask(tmp_path, formats=("csv", "gpkg"), joint_likelihood=1))

    text = (tmp_path / "cracks.csv").read_text()
    assert "\n'=1+1-0001,'=1+1," in text
    assert {row["scene_id"] for row in read_rows(tmp_path / "cracks.csv")} == {
        "cracks.gpkg_png",
        "=1+1",
    }
