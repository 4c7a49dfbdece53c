"""The published numbers, and tables that agree with single runs."""

import csv
import math
from dataclasses import replace

import pytest

from crackcli.datasets.pixel_labels import LabelledSet
from crackcli.datasets.pixel_scores import PixelScores
from crackcli.engines.engine import EngineFacts
from crackcli.evaluation.candidates import OURS, STUDY, Candidate, OpenedMethod
from crackcli.evaluation.evaluate import Entry, EvaluateTask, Evaluation, Scores
from crackcli.evaluation.growth import Growth
from crackcli.evaluation.measures import MaskMeasures
from crackcli.evaluation.published import GROWTH, PUBLISHED_1, PUBLISHED_2, PUBLISHED_3
from crackcli.evaluation.tables import compare_published, make_tables, table_1
from crackcli.evaluation.tabular import (
    Column,
    Estimate,
    Table,
    to_markdown,
    to_records,
    write_table,
)
from crackcli.inference.options import ModelOptions

TASK = EvaluateTask("data", "out", growth=True)


def entry(method, protocol=STUDY, right=50, model="a", sets=("walls",)):
    """A method that marks 100 pixels, ``right`` of them among the 100 crack pixels."""
    facts = EngineFacts(
        "onnx", "cpu", f"{model}.onnx", model * 64, "vgg11", method, "both", 256, 32, 59, 1.0
    )
    pixels = PixelScores(
        marked=100, marked_right=right, labelled=100, labelled_found=right, pixels=1000
    )
    scores = Scores(
        pixels=dict.fromkeys(TASK.tolerances(protocol), pixels),
        crack_free=PixelScores(marked=10, pixels=1000) if protocol == OURS else PixelScores(),
        found=(MaskMeasures(1, right, right, right),),
        true=(MaskMeasures(1, 100, 100, 100),),
        seconds=3.0,
        megapixels=0.5,
    )
    candidate = Candidate(protocol, method, ModelOptions())
    growth = {"strokes": Growth(0.9, 0.2, 0.8, 0.3, 0.85, 0.25)}
    return Entry(OpenedMethod(candidate, facts), dict.fromkeys(sets, scores), growth, {})


def evaluation(*entries, sets=("walls",)):
    best = {"strokes": Growth(1, 0, 1, 0, 1, 0)}
    return Evaluation([LabelledSet(name, ()) for name in sets], list(entries), {}, best, [])


@pytest.mark.parametrize("method", PUBLISHED_1)
def test_published_f1_and_iou_agree(method):
    numbers = {name: value / 100 for name, value in PUBLISHED_1[method].items()}
    f1, precision, recall = (numbers[f"{name}_pct"] for name in ("f1", "precision", "recall"))

    assert numbers["iou_pct"] == pytest.approx(f1 / (2 - f1), abs=2e-4)
    assert f1 == pytest.approx(2 * precision * recall / (precision + recall), abs=3e-4)


def test_the_published_tables_cover_these_methods():
    assert PUBLISHED_1["lrp"]["f1_pct"] == 37.43
    assert PUBLISHED_1.keys() - PUBLISHED_2.keys() == {"raw", "cae"}
    assert PUBLISHED_2.keys() - PUBLISHED_3.keys() == {"unet"}
    assert set(PUBLISHED_3["lrp"]) == set(GROWTH)


def test_the_mean_over_seeds_is_the_mean_of_single_runs():
    seeds = {"a": 50, "b": 60, "c": 80}
    runs = [entry("lrp", right=right, model=model) for model, right in seeds.items()]

    pooled = table_1(evaluation(*runs), TASK).rows[0]
    single = [table_1(evaluation(run), TASK).rows[0] for run in runs]

    assert pooled["models"] == 3
    for name in ("f1_pct", "precision_pct", "recall_pct", "iou_pct", "seconds_per_megapixel"):
        each = [row[name].mean for row in single]
        assert pooled[name].mean == pytest.approx(sum(each) / 3)
    assert pooled["f1_pct"].spread == pytest.approx(0.1527525)
    assert math.isnan(single[0]["f1_pct"].spread)


def test_the_ratio_is_to_the_unet_of_the_same_protocol_and_set():
    rows = table_1(
        evaluation(
            entry("lrp", right=30),
            entry("unet", right=60),
            entry("lrp", OURS, right=80),
            entry("unet", OURS, right=100),
        ),
        TASK,
    ).rows

    ratios = {(r["protocol"], r["method"], r["tolerance_px"]): r["f1_to_unet"].mean for r in rows}
    assert ratios[STUDY, "lrp", 0] == pytest.approx(0.5)
    assert ratios[OURS, "lrp", 2] == pytest.approx(0.8)
    assert ratios[STUDY, "unet", 0] == 1


def test_without_a_unet_there_is_no_ratio():
    table = table_1(evaluation(entry("lrp")), TASK)

    titles = [column.title for column in table.shown]
    assert dict(zip(titles, table.texts()[0], strict=True))["F1 / U-Net's"] == "-"
    assert to_records(table)[0]["f1_to_unet"] is None


def test_the_published_numbers_stand_beside_ours_with_their_ratio():
    tables = make_tables(evaluation(entry("lrp", right=30), entry("unet", right=60)), TASK)
    f1, count, *_ = compare_published(tables)

    rows = {row["method"]: row for row in f1.rows}
    assert rows["lrp"]["published"].mean == pytest.approx(0.3743)
    assert rows["lrp"]["published_to_unet"].mean == pytest.approx(37.43 / 83.67)
    assert rows["lrp"][STUDY].mean == pytest.approx(0.3)
    assert rows["lrp"]["study_to_unet"].mean == pytest.approx(0.5)
    assert "| deeplift | 34.4 | 0.41 | - | - |" in to_markdown(f1)
    assert count.title == "Count, MAE"


def test_no_unet_is_published_for_growth():
    *_, width = compare_published(make_tables(evaluation(entry("lrp"), entry("unet")), TASK))

    assert [c.title for c in width.shown] == ["method", "published", "here, study", "here, ours"]
    assert "| lrp | 37.8 | 30.0 | - |" in to_markdown(width)


def test_networks_and_numbers_of_models_are_shown_where_they_differ():
    one = entry("lrp")
    facts = replace(one.method.facts, network="resnet18", model_sha256="r")
    other = replace(one, method=replace(one.method, facts=facts))

    def titles(*entries):
        return [column.title for column in table_1(evaluation(*entries), TASK).shown]

    assert not {"network", "models"} & set(titles(one))
    assert "network" in titles(one, other)
    assert "models" in titles(one, entry("lrp", model="b"))


def test_false_positives_are_given_in_our_protocol_only():
    rows = table_1(evaluation(entry("lrp"), entry("lrp", OURS)), TASK).rows

    fractions = {
        (row["protocol"], row["tolerance_px"]): row["false_alarms_pct"].mean for row in rows
    }
    assert math.isnan(fractions[STUDY, 0])
    assert fractions[OURS, 0] == fractions[OURS, 2] == 0.01


def test_several_sets_are_pooled_too():
    sets = ("roads", "walls")
    table = table_1(evaluation(entry("lrp", sets=sets), sets=sets), TASK)

    assert [row["set"] for row in table.rows] == ["roads", "walls", "all sets"]
    assert table.rows[2]["f1_pct"].mean == table.rows[0]["f1_pct"].mean


def test_methods_have_the_order_of_the_paper_with_the_true_pixels_last():
    names = ("zebra", "unet", "lrp", "inputxgrad")
    _, _, growth = make_tables(evaluation(*map(entry, names)), TASK)

    methods = [row["method"] for row in growth.rows]
    assert methods == ["inputxgrad", "lrp", "unet", "zebra", "true pixels"]


def test_a_table_as_markdown_csv_and_records(tmp_path):
    table = Table(
        "Numbers",
        (Column("method", "method"), Column("f1_pct", "F1", 1, 100.0), Column("seconds", "s", 2)),
        [{"method": "lrp", "f1_pct": Estimate((0.5, 0.6)), "seconds": Estimate((math.nan,))}],
        ("A note.",),
    )

    assert to_markdown(table).split("\n")[2:] == [
        "| method | F1 | s |",
        "| --- | ---: | ---: |",
        "| lrp | 55.0 ± 7.1 | - |",
        "",
        "A note.",
        "",
    ]
    write_table(tmp_path / "table.csv", table)

    (row,) = csv.DictReader((tmp_path / "table.csv").read_text().splitlines())
    assert (row["method"], row["f1_pct"], row["seconds"]) == ("lrp", "55", "")
    assert float(row["f1_pct_sd"]) == pytest.approx(7.07107)
    assert to_records(table)[0]["f1_pct_each"] == [50, 60]
