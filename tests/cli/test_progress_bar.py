"""What a run says on stderr where there is no terminal."""

import re

from crackcli.cli import progress_bar as progress


def test_lines_every_half_minute_tell_the_time_left_of_a_run_that_goes_on(monkeypatch, capsys):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    report = progress.lines("scan")

    for seconds, share in ((0, 0.5), (10, 0.52), (30, 0.6), (40, 0.62), (60, 0.7)):
        now[0] = 100.0 + seconds
        report(share, "wall.tif")

    said = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in said] == ["scan: 60%", "scan: 70%"]
    assert [re.search(r"(\d+) min left wall\.tif", line)[1] for line in said] == ["2", "2"]
