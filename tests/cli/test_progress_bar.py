"""Progress on stderr: lines without a terminal, a bar on one, megapixels and their rate in both."""

import io
import logging
import re
import sys
import threading

import pytest
from rich.console import Console
from rich.table import Table

from crackcli.cli import progress_bar
from crackcli.cli.logs import StderrHandler, configure_logging, literal, tell
from crackcli.cli.progress_bar import Throughput, plain_lines, show_progress
from crackcli.progress import Stage, in_pixels, part


@pytest.fixture
def clock(monkeypatch):
    """Return the time in seconds that the module gets, as a list of one number."""
    now = [100.0]
    monkeypatch.setattr(progress_bar.time, "monotonic", lambda: now[0])
    return now


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_lines_every_half_minute_show_the_time_left_of_a_resumed_run(clock, capsys):
    with plain_lines("scan") as report:
        for seconds, fraction in ((0, 0.5), (10, 0.52), (30, 0.6), (40, 0.62), (60, 0.7)):
            clock[0] = 100.0 + seconds
            report(fraction, "wall.tif")
        clock[0] = 340.0

    *printed, last = capsys.readouterr().err.splitlines()
    assert last == "scan: 100%, 4 min"
    assert [line.split(",")[0] for line in printed] == ["scan: 60%", "scan: 70%"]
    assert [re.search(r"(\d+) min left: wall\.tif", line)[1] for line in printed] == ["2", "2"]


def test_a_run_without_progress_yet_shows_no_time_left(clock, capsys):
    with plain_lines("scan") as report:
        for seconds in (0, 30):
            clock[0] = 100.0 + seconds
            report(0.0, "wall.tif")

    assert capsys.readouterr().err.splitlines()[0] == "scan: 0%: wall.tif"


def test_lines_show_megapixels_and_their_rate(clock, capsys):
    with plain_lines("scan") as plain:
        report = in_pixels(part(plain, 0, 0.5), 400)
        for seconds, fraction in ((0, 0.1), (30, 0.25)):
            clock[0] = 100.0 + seconds
            report(fraction, "wall.tif: scores")

    line, _ = capsys.readouterr().err.splitlines()
    assert line == "scan: 12%, 100 of 400 MP, 2.0 MP/s, 6 min left: wall.tif: scores"


def test_the_rate_is_that_of_the_stage():
    throughput = Throughput()

    texts = [
        throughput.describe(Stage(words, done, 20), now)
        for words, done, now in (("a", 5, 0), ("a", 10, 10), ("b", 0, 11), ("b", 8, 13))
    ]

    assert texts == [
        "5.0 of 20.0 MP",
        "10.0 of 20.0 MP, 0.50 MP/s",
        "0.0 of 20.0 MP",
        "8.0 of 20.0 MP, 4.0 MP/s",
    ]
    assert throughput.describe("writing csv", 14) == ""


def test_a_stage_is_text_to_all_functions_that_pass_it_on():
    reported = []

    part(lambda fraction, words: reported.append((fraction, words)), 0.5, 1)(0, Stage("a", 1, 2))

    assert reported == [(0.5, "a")]
    assert (reported[0][1].done_mp, reported[0][1].total_mp) == (1, 2)


def test_the_bar_shows_stage_and_megapixels(monkeypatch, clock):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "160")

    with show_progress("scan", quiet=False) as report:
        measured = in_pixels(report, 400)
        measured(0.0, "wall[1].tif: scores")
        clock[0] += 10
        measured(0.25, "wall[1].tif: scores")
        threading.Event().wait(0.4)  # the bar is redrawn every 0.1 s

    shown = terminal.getvalue()
    for text in ("scan", " 25%", "100 of 400 MP, 10.0 MP/s", "left", "wall[1].tif: scores"):
        assert text in shown


@pytest.mark.parametrize("means", ["log", "tell"])
def test_messages_go_above_the_bar_as_they_are(monkeypatch, means):
    """Neither at the end of the bar, nor wrapped, nor read as markup."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "60")
    log = logging.Logger("crackcli.test")
    log.addHandler(StderrHandler())
    message = f"[bold]a[/bold] {'long ' * 20}message: /survey/wall.tif"

    with show_progress("scan", quiet=False) as report:
        report(0.5, "wall.tif")
        log.warning(message) if means == "log" else tell(message)

    cleared = "\r\x1b[2K"  # the line of the bar
    assert f"{cleared}{message}\n" in terminal.getvalue()
    tell("afterwards")
    assert terminal.getvalue().endswith("afterwards\n")


def test_the_bar_ends_at_100_per_cent_and_not_before(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)

    with show_progress("scan", quiet=False) as report:
        report(1.0, "wall.tif: mask")
        before = terminal.getvalue()

    assert "100%" not in before
    assert "100%" in terminal.getvalue().splitlines()[-2]


def test_a_run_that_stops_leaves_no_bar(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)

    def run():
        with show_progress("scan", quiet=False) as report:
            report(0.5, "wall.tif")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()

    assert "100%" not in terminal.getvalue()
    assert terminal.getvalue().endswith("\x1b[2K")  # the line of the bar is cleared


def test_a_narrow_terminal_keeps_the_numbers(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "80")

    with show_progress("scan", quiet=False) as report:
        in_pixels(report, 400)(0.25, f"{'very ' * 12}long name.tif: scores")
        threading.Event().wait(0.4)  # the bar is redrawn every 0.1 s

    assert " 25% 100 of 400 MP" in (shown := re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue()))
    assert "left very very" in shown


def test_quiet_shows_no_progress(capsys):
    with show_progress("scan", quiet=True) as report:
        report(0.5, "wall.tif")

    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("quiet", "verbose", "level"),
    [
        (False, False, logging.INFO),
        (False, True, logging.DEBUG),
        (True, False, logging.WARNING),
        (True, True, logging.WARNING),
    ],
)
def test_verbose_logs_details_unless_quiet(monkeypatch, quiet, verbose, level):
    log = logging.getLogger("crackcli")
    monkeypatch.setattr(log, "level", log.level)

    configure_logging(quiet=quiet, verbose=verbose)

    assert log.level == level


def test_names_in_tables_are_no_markup():
    console = Console(file=io.StringIO(), width=60)
    table = Table()
    table.add_column("source")
    table.add_row(literal("[bold]wall[/bold] caf\udce9"))

    console.print(table)

    assert r"[bold]wall[/bold] caf\xe9" in console.file.getvalue()
