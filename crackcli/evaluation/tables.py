"""The tables of an evaluation, and comparisons with the numbers of Forest et al. 2024.

The photographs of the paper are not available, so its numbers and ours come from different ones.
Comparable is the ratio to the U-Net, which was trained on pixel labels, on the same photographs.

Source of `PUBLISHED_1`, `PUBLISHED_2`, `PUBLISHED_3`: Forest, Porta, Tuia, Fink 2024, as in their
slides: one classifier, 100 cracked test patches, and 100 trajectories.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from crackcli.datasets.pixel_scores import PixelScores
from crackcli.evaluation.candidates import OURS, STUDY
from crackcli.evaluation.evaluate import Entry, EvaluateTask, Evaluation, Scores
from crackcli.evaluation.growth import Growth
from crackcli.evaluation.measures import errors
from crackcli.evaluation.published import GROWTH, PUBLISHED_1, PUBLISHED_2, PUBLISHED_3
from crackcli.evaluation.study_protocol import study_start
from crackcli.evaluation.tabular import Cell, Column, Estimate, Row, Table
from crackcli.evaluation.trajectories import STROKES

REFERENCE = "unet"  # the method that ratios are relative to
POOLED = "all sets"
TRUE_PIXELS = "true pixels"
PERCENT = 100.0


PROTOCOLS_DIFFER = (
    "Protocol *study* (Forest et al. 2024): a photograph is one tile, its map is thresholded by "
    "isodata and closed (`simple+final`), cracked photographs only, 0 px. Protocol *ours*: a "
    "photograph is a scene, scanned and refined as by `crackcli scan`, crack-free photographs "
    "included."
)
SPREAD = "Several models of a network: mean ± standard deviation."
NOTES_1 = (
    PROTOCOLS_DIFFER,
    "Pixels of all photographs are counted together. *False positives*: fraction of the pixels "
    "of crack-free photographs that is marked. Seconds: in *study*, of the score map alone, per "
    "megapixel of the tile; in *ours*, of the whole scan with its files, per megapixel of the "
    "photograph.",
    SPREAD,
)
NOTES_2 = (
    "Count: 8-connected components of at least 50 px. Width: the largest of such components in a "
    "photograph, by the paper's estimator (Carrasco et al. 2021) and by ours, that of `crackcli "
    "report` without separating joints. Photographs with a true value of 0 are left out of a "
    "MAPE; in *ours*, crack-free photographs count for the count.",
    SPREAD,
)
NOTES_3 = (
    "*strokes*: the paper's flat strokes, 1 to 17 px wide, on crack-free photographs. *drawn*: "
    "one random crack of 1.5 to 5 px, 0.25 px wider at each step, with soft edges and new noise "
    "at each step; the true width is the drawn one. Five steps. *true pixels*: the same measures "
    "on the true mask, an upper bound for masks of whole pixels.",
    "Pearson's r and the slope over the steps of each trajectory, then their means. r is 0 if the "
    "measure does not change; trajectories whose true value does not change are left out. The "
    "paper does not publish its rules for either, and its draws depend on its file names; these "
    "draws are seeded.",
    SPREAD,
)

METHOD_COLUMNS = (
    Column("set", "set"),
    Column("protocol", "protocol"),
    Column("method", "method"),
    Column("network", "network", hidden=True),
    Column("start", "start", hidden=True),
    Column("baseline", "baseline", hidden=True),
    Column("models", "models", hidden=True),
)
TABLE_1 = (
    *METHOD_COLUMNS[:2],
    Column("tolerance_px", "px"),
    *METHOD_COLUMNS[2:],
    Column("f1_pct", "F1", 1, PERCENT),
    Column("precision_pct", "precision", 1, PERCENT),
    Column("recall_pct", "recall", 1, PERCENT),
    Column("iou_pct", "IoU", 1, PERCENT),
    Column("f1_to_unet", "F1 / U-Net's", 2),
    Column("false_alarms_pct", "false positives", 2, PERCENT),
    Column("seconds_per_megapixel", "s / MP", 2),
)
TABLE_2 = (
    *METHOD_COLUMNS,
    Column("count_mae", "count, MAE", 2),
    Column("area_mape_pct", "area, MAPE", 1, PERCENT),
    Column("width_study_mape_pct", "width (paper's), MAPE", 1, PERCENT),
    Column("width_ours_mape_pct", "width (ours), MAPE", 1, PERCENT),
    Column("area_mape_to_unet", "area / U-Net's", 2),
    Column("seconds_per_megapixel", "s / MP", 2),
)
TABLE_3 = (
    Column("experiment", "experiment"),
    *METHOD_COLUMNS[1:],
    Column("area_r", "area, r", 2),
    Column("area_slope_mape_pct", "area, slope MAPE", 1, PERCENT),
    Column("width_study_r", "width (paper's), r", 2),
    Column("width_study_slope_mape_pct", "width (paper's), slope MAPE", 1, PERCENT),
    Column("width_ours_r", "width (ours), r", 2),
    Column("width_ours_slope_mape_pct", "width (ours), slope MAPE", 1, PERCENT),
)


Numbers = dict[str, float]


class Setting(NamedTuple):
    """What distinguishes the rows of a table, apart from the set."""

    protocol: str
    method: str
    network: str
    start: str
    baseline: str


@dataclass(frozen=True)
class Group:
    """The entries of one setting: models of one network, trained with different seeds."""

    setting: Setting
    entries: list[Entry]

    def row(self, numbers: Sequence[Numbers], **labels: Cell) -> Row:
        """Return a row of labels and of the numbers of each entry."""
        return {
            **labels,
            **self.setting._asdict(),
            "models": len(self.entries),
            **{name: Estimate(tuple(one[name] for one in numbers)) for name in numbers[0]},
        }


def group_entries(entries: Iterable[Entry]) -> list[Group]:
    """Group entries by setting, sorted by protocol, then the paper's methods in its order."""
    found: dict[Setting, list[Entry]] = defaultdict(list)
    for entry in entries:
        facts, candidate = entry.method.facts, entry.method.candidate
        names = facts.network, facts.start, facts.baseline or ""
        found[Setting(candidate.protocol, candidate.method, *names)].append(entry)
    order = {method: number for number, method in enumerate(PUBLISHED_1)}
    ranked = sorted(
        found, key=lambda key: (key.protocol != STUDY, order.get(key.method, len(order)), *key[1:])
    )
    return [Group(setting, found[setting]) for setting in ranked]


def set_names(evaluation: Evaluation) -> list[str]:
    """Return the names of the sets, and `POOLED` if there are several."""
    names = [each.name for each in evaluation.sets]
    return [*names, POOLED] if len(names) > 1 else names


def scores_of(entry: Entry, name: str) -> Scores:
    """Return the scores of an entry on a set, or on all of them for `POOLED`."""
    return sum(entry.scores.values(), Scores()) if name == POOLED else entry.scores[name]


def table_1(evaluation: Evaluation, task: EvaluateTask) -> Table:
    """Return the table of pixel scores, false positives and time."""

    def numbers(scores: Scores, tolerance: int) -> Numbers:
        pixels = scores.pixels.get(tolerance, PixelScores())
        cracked = pixels.labelled > 0
        return {
            "f1_pct": pixels.f1 if cracked else math.nan,
            "precision_pct": pixels.precision if cracked else math.nan,
            "recall_pct": pixels.recall,
            "iou_pct": pixels.iou if cracked else math.nan,
            "false_alarms_pct": scores.crack_free.marked_fraction,
            "seconds_per_megapixel": seconds_per_megapixel(scores),
        }

    rows = [
        group.row(
            [numbers(scores_of(entry, name), tolerance) for entry in group.entries],
            set=name,
            tolerance_px=tolerance,
        )
        for name in set_names(evaluation)
        for group in group_entries(evaluation.entries)
        for tolerance in task.tolerances(group.setting.protocol)
    ]
    add_ratio(rows, "f1_pct", "f1_to_unet")
    columns = reveal_columns(TABLE_1, rows)
    return Table("Table 1: crack pixels, in per cent", columns, rows, NOTES_1)


def table_2(evaluation: Evaluation) -> Table:
    """Return the table of errors of count, area and largest width."""

    def numbers(scores: Scores) -> Numbers:
        found = errors(scores.found, scores.true)
        return {
            "count_mae": found.count_mae,
            "area_mape_pct": found.area_mape,
            "width_study_mape_pct": found.width_study_mape,
            "width_ours_mape_pct": found.width_ours_mape,
            "seconds_per_megapixel": seconds_per_megapixel(scores),
        }

    rows = [
        group.row([numbers(scores_of(entry, name)) for entry in group.entries], set=name)
        for name in set_names(evaluation)
        for group in group_entries(evaluation.entries)
    ]
    add_ratio(rows, "area_mape_pct", "area_mape_to_unet")
    columns = reveal_columns(TABLE_2, rows)
    return Table("Table 2: count, area and largest width, errors", columns, rows, NOTES_2)


def table_3(evaluation: Evaluation) -> Table:
    """Return the table of how well measures follow growing cracks."""
    rows: list[Row] = []
    for name, best in evaluation.best_growth.items():
        rows += [
            group.row(
                [growth_numbers(entry.growth[name]) for entry in group.entries], experiment=name
            )
            for group in group_entries(evaluation.entries)
        ]
        alone = {key: Estimate((value,)) for key, value in growth_numbers(best).items()}
        rows.append({"experiment": name, "protocol": "", "method": TRUE_PIXELS, **alone})
    columns = reveal_columns(TABLE_3, rows)
    return Table("Table 3: growth, means over trajectories", columns, rows, NOTES_3)


def reveal_columns(columns: tuple[Column, ...], rows: Sequence[Row]) -> tuple[Column, ...]:
    """Return the columns, with hidden ones shown where they distinguish rows of one method.

    The start is also shown if it is not the one of the paper in its protocol.
    """
    shown = {"models": any(row.get("models", 1) != 1 for row in rows)}
    for name in ("network", "start", "baseline"):
        known: dict[tuple[Cell, Cell], set[Cell]] = defaultdict(set)
        for row in rows:
            known[row["protocol"], row["method"]].add(row.get(name, ""))
        shown[name] = any(len(values) > 1 for values in known.values())
    shown["start"] |= any(
        row["protocol"] == STUDY and row["start"] not in (study_start(str(row["method"])), "none")
        for row in rows
    )
    return tuple(replace(c, hidden=c.hidden and not shown.get(c.name, False)) for c in columns)


def growth_numbers(growth: Growth) -> Numbers:
    """Return the numbers of table 3 by column."""
    return {
        "area_r": growth.area_r,
        "area_slope_mape_pct": growth.area_slope_mape,
        "width_study_r": growth.width_study_r,
        "width_study_slope_mape_pct": growth.width_study_slope_mape,
        "width_ours_r": growth.width_ours_r,
        "width_ours_slope_mape_pct": growth.width_ours_slope_mape,
    }


def seconds_per_megapixel(scores: Scores) -> float:
    """Return the seconds per megapixel; nan if no mask was made."""
    return scores.seconds / scores.megapixels if scores.megapixels else math.nan


def estimate(row: Row, name: str) -> Estimate:
    """Return a number of a row; one without values if it is missing."""
    cell = row.get(name)
    return cell if isinstance(cell, Estimate) else Estimate(())


def add_ratio(rows: Sequence[Row], name: str, ratio: str) -> None:
    """Add the ratio of each number to the mean of the U-Net in the row that is otherwise equal;
    nan without such a row."""

    def condition(row: Row) -> tuple[Cell | None, ...]:
        return tuple(row.get(key) for key in ("set", "protocol", "tolerance_px"))

    references = {
        condition(row): estimate(row, name).mean for row in rows if row["method"] == REFERENCE
    }
    for row in rows:
        row[ratio] = estimate(row, name).over(references.get(condition(row), math.nan))


def compare_column(table: Table, published: Mapping[str, Numbers], name: str) -> Table:
    """Return a column of the published methods: as published, and as found here by either protocol
    (last set, 0 px, flat strokes).

    Each number is also given as the ratio to that of its own U-Net, if there is one.
    """
    (column,) = (column for column in table.columns if column.name == name)
    last = [row for row in table.rows if row.get("set") == table.rows[-1].get("set")]
    rows: list[Row] = []
    for method, numbers in published.items():
        row: Row = {"method": method, "published": Estimate((numbers[name] / column.factor,))}
        for protocol in (STUDY, OURS):
            found = (
                estimate(ours, name)
                for ours in last
                if (ours["method"], ours["protocol"]) == (method, protocol)
                and ours.get("tolerance_px", 0) == 0
                and ours.get("experiment", STROKES) == STROKES
            )
            row[protocol] = next(found, Estimate(()))
        rows.append(row)
    sources = {"published": "published", STUDY: "here, study", OURS: "here, ours"}
    columns = [Column("method", "method")]
    for source, title in sources.items():
        columns.append(replace(column, name=source, title=title))
        reference = next(
            (estimate(row, source).mean for row in rows if row["method"] == REFERENCE), None
        )
        if reference is not None:  # the paper has no U-Net in its growth table
            for row in rows:
                row[f"{source}_to_unet"] = estimate(row, source).over(reference)
            columns.append(Column(f"{source}_to_unet", "/ U-Net's", 2))
    title = column.title[0].upper() + column.title[1:]
    return Table(title + ", per cent" * (column.factor > 1), tuple(columns), rows)


def compare_published(tables: Sequence[Table]) -> list[Table]:
    """Return a comparison of published and own numbers for each published column."""
    published = (PUBLISHED_1, PUBLISHED_2, PUBLISHED_3)
    chosen = (("f1_pct",), ("count_mae", "area_mape_pct", "width_study_mape_pct"), GROWTH)
    return [
        compare_column(table, numbers, name)
        for table, numbers, names in zip(tables, published, chosen, strict=False)
        for name in names
    ]


def make_tables(evaluation: Evaluation, task: EvaluateTask) -> list[Table]:
    """Return tables 1 and 2, and table 3 if growth was evaluated."""
    tables = [table_1(evaluation, task), table_2(evaluation)]
    return [*tables, table_3(evaluation)] if evaluation.best_growth else tables
