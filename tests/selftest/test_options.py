"""Options of a self-test that make no sense."""

import pytest

from crackcli.errors import UsageError
from crackcli.inference.options import ModelOptions
from crackcli.selftest.run import SelftestTask

WIDTHS = (0.25, 1.0, 4.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths_px": (2.0,)}, "--widths 2: at least two widths are needed, each above 0"),
        ({"widths_px": (0.0, 2.0)}, "--widths 0,2: at least two widths"),
        ({"widths_px": (float("nan"), 2.0)}, "--widths nan,2: at least two widths"),
        ({"contrast": 0.0}, "--contrast 0: must be above 0 and at most 1"),
        ({"count": 2}, "--count 2: too few cracks for 3 widths; use 24"),
        ({"zooms": (3.0,)}, "--zoom 3: not supported"),
    ],
)
def test_options_out_of_range_are_refused(tmp_path, options, message):
    settings = {"widths_px": WIDTHS, "count": 6, "contrast": 0.5} | options

    with pytest.raises(UsageError, match=message):
        SelftestTask(tmp_path / "wall.tif", tmp_path / "out", **settings)


def test_a_baseline_beside_scan_is_refused(tmp_path):
    with pytest.raises(UsageError, match="--baseline out, or --scan"):
        SelftestTask(
            tmp_path / "wall.tif",
            tmp_path / "out",
            scan=tmp_path,
            model_options=ModelOptions(baseline="black"),
        )
