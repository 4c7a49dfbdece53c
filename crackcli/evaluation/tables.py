"""The tables of an evaluation, and the study's own as data.

The study's set is not available, so its numbers and ours are of different photographs: what can be
compared is how far each method lies from a network that learnt pixel labels, on the same
photographs: the ratio to the U-Net.

Source of `PUBLISHED_1`, `PUBLISHED_2`, `PUBLISHED_3`: Forest, Porta, Tuia, Fink 2024, as in the
slides on the study: one classifier, 100 cracked test patches, and 100 trajectories.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from crackcli.datasets.pixel_scores import PixelScores
from crackcli.evaluation.candidates import OURS, STUDY
from crackcli.evaluation.evaluate import Entry, EvaluateTask, Evaluation, Scores
from crackcli.evaluation.growth import Growth
from crackcli.evaluation.measures import errors
from crackcli.evaluation.published import GROWTH, PUBLISHED_1, PUBLISHED_2, PUBLISHED_3
from crackcli.evaluation.study_protocol import start_of
from crackcli.evaluation.tabular import Cell, Column, Estimate, Row, Table
from crackcli.evaluation.trajectories import STROKES

ORACLE = "unet"
POOLED = "all sets"
TRUE_PIXELS = "true pixels"
PERCENT = 100.0


PROTOCOLS_DIFFER = (
    "Protocol *study*: a photograph is one tile, its map is cut by isodata and closed "
    "(`simple+final`), cracked photographs only, 0 px. Protocol *ours*: a photograph is a scene, "
    "scanned and refined as by `crackcli scan`, sound photographs included."
)
SPREAD = "Several models of a network: mean ± standard deviation."
NOTES_1 = (
    PROTOCOLS_DIFFER,
    "Pixels of all photographs are counted together. *Marked on sound*: share of the pixels of "
    "photographs without a crack. Seconds are those of explaining: *study*, the map alone, per "
    "megapixel of the tile; *ours*, the whole scan, files included, per megapixel of the "
    "photograph.",
    SPREAD,
)
NOTES_2 = (
    "Count: 8-connected components of at least 50 px. Width: the largest of a photograph, of such "
    "components; by the study's estimator (Carrasco et al. 2021), and by ours, that of `crackcli "
    "report` without setting joints aside. Photographs whose true value is 0 are left out of a "
    "MAPE; in *ours*, sound photographs count for the count.",
    SPREAD,
)
NOTES_3 = (
    "*strokes*: the study's flat strokes, 1 to 17 px wide, on sound photographs. *drawn*: one "
    "random crack of 1.5 to 5 px, 0.25 px wider at each step, with soft edges, each step with "
    "noise of its own; the true width is the drawn one. Five steps. *true pixels*: the same "
    "measures on the true mask, the best that a mask of whole pixels can do.",
    "Pearson's r and the slope over the steps by trajectory, then their means; r is 0 where what "
    "is measured does not change; trajectories whose true value does not change are left out. The "
    "study does not publish its rules for either, and its draws depend on its file names: these "
    "are seeded draws of our own.",
    SPREAD,
)

WHO = (
    Column("set", "set"),
    Column("protocol", "protocol"),
    Column("method", "method"),
    Column("network", "network", hidden=True),
    Column("start", "start", hidden=True),
    Column("baseline", "compared with", hidden=True),
    Column("models", "models", hidden=True),
)
TABLE_1 = (
    *WHO[:2],
    Column("tolerance_px", "px"),
    *WHO[2:],
    Column("f1_pct", "F1", 1, PERCENT),
    Column("precision_pct", "precision", 1, PERCENT),
    Column("recall_pct", "recall", 1, PERCENT),
    Column("iou_pct", "IoU", 1, PERCENT),
    Column("f1_to_unet", "F1 / U-Net's", 2),
    Column("false_alarms_pct", "marked on sound", 2, PERCENT),
    Column("seconds_per_megapixel", "s / MP", 2),
)
TABLE_2 = (
    *WHO,
    Column("count_mae", "count, MAE", 2),
    Column("area_mape_pct", "area, MAPE", 1, PERCENT),
    Column("width_study_mape_pct", "width (study's), MAPE", 1, PERCENT),
    Column("width_ours_mape_pct", "width (ours), MAPE", 1, PERCENT),
    Column("area_mape_to_unet", "area / U-Net's", 2),
    Column("seconds_per_megapixel", "s / MP", 2),
)
TABLE_3 = (
    Column("experiment", "experiment"),
    *WHO[1:],
    Column("area_r", "area, r", 2),
    Column("area_slope_mape_pct", "area, slope MAPE", 1, PERCENT),
    Column("width_study_r", "width (study's), r", 2),
    Column("width_study_slope_mape_pct", "width (study's), slope MAPE", 1, PERCENT),
    Column("width_ours_r", "width (ours), r", 2),
    Column("width_ours_slope_mape_pct", "width (ours), slope MAPE", 1, PERCENT),
)


Numbers = dict[str, float]


@dataclass(frozen=True)
class Group:
    """The entries that differ by their models only: seeds of one network."""

    protocol: str
    method: str
    network: str
    start: str
    baseline: str
    entries: list[Entry]

    def row(self, numbers: Callable[[Entry], Numbers], **labels: Cell) -> Row:
        """Labels, and each number over all entries."""
        each = [numbers(entry) for entry in self.entries]
        return {
            **labels,
            "protocol": self.protocol,
            "method": self.method,
            "network": self.network,
            "start": self.start,
            "baseline": self.baseline,
            "models": len(self.entries),
            **{name: Estimate(tuple(one[name] for one in each)) for name in each[0]},
        }


def groups_of(entries: Iterable[Entry]) -> list[Group]:
    """Protocol by protocol, the study's methods first and in its order."""
    found: dict[tuple[str, ...], list[Entry]] = defaultdict(list)
    for entry in entries:
        facts, contender = entry.seat.facts, entry.seat.contender
        who = contender.protocol, contender.method, facts.network, facts.start
        found[*who, facts.baseline or ""].append(entry)
    order = {method: number for number, method in enumerate(PUBLISHED_1)}
    ranked = sorted(
        found, key=lambda key: (key[0] != STUDY, order.get(key[1], len(order)), *key[1:])
    )
    return [Group(*key, found[key]) for key in ranked]


def views(evaluation: Evaluation) -> Iterator[tuple[str, Callable[[Entry], Scores]]]:
    """Every set and, where there are several, all of them pooled."""
    names = [each.name for each in evaluation.sets]
    for name in names:
        yield name, lambda entry, name=name: entry.scores[name]
    if len(names) > 1:
        yield POOLED, lambda entry: sum(entry.scores.values(), Scores())


def table_1(evaluation: Evaluation, task: EvaluateTask) -> Table:
    """Pixel scores, false alarms, time."""

    def numbers(scores: Scores, tolerance: int) -> Numbers:
        pixels = scores.pixels.get(tolerance, PixelScores())
        cracked = pixels.labelled > 0
        return {
            "f1_pct": pixels.f1 if cracked else math.nan,
            "precision_pct": pixels.precision if cracked else math.nan,
            "recall_pct": pixels.recall,
            "iou_pct": pixels.iou if cracked else math.nan,
            "false_alarms_pct": scores.sound.marked_share,
            "seconds_per_megapixel": per_megapixel(scores),
        }

    rows = [
        group.row(
            lambda entry, of=of, tolerance=tolerance: numbers(of(entry), tolerance),
            set=name,
            tolerance_px=tolerance,
        )
        for name, of in views(evaluation)
        for group in groups_of(evaluation.entries)
        for tolerance in task.tolerances(group.protocol)
    ]
    add_ratio(rows, "f1_pct", "f1_to_unet")
    return Table("Table 1: crack pixels, in per cent", revealed(TABLE_1, rows), rows, NOTES_1)


def table_2(evaluation: Evaluation) -> Table:
    """Errors of count, area and largest width."""

    def numbers(scores: Scores) -> Numbers:
        found = errors(scores.found, scores.true)
        return {
            "count_mae": found.count_mae,
            "area_mape_pct": found.area_mape,
            "width_study_mape_pct": found.width_study_mape,
            "width_ours_mape_pct": found.width_ours_mape,
            "seconds_per_megapixel": per_megapixel(scores),
        }

    rows = [
        group.row(lambda entry, of=of: numbers(of(entry)), set=name)
        for name, of in views(evaluation)
        for group in groups_of(evaluation.entries)
    ]
    add_ratio(rows, "area_mape_pct", "area_mape_to_unet")
    columns = revealed(TABLE_2, rows)
    return Table("Table 2: count, area and largest width, errors", columns, rows, NOTES_2)


def table_3(evaluation: Evaluation) -> Table:
    """How well growth is followed."""
    rows = []
    for name, best in evaluation.best_growth.items():
        rows += [
            group.row(lambda entry, name=name: growth_numbers(entry.growth[name]), experiment=name)
            for group in groups_of(evaluation.entries)
        ]
        alone = {key: Estimate((value,)) for key, value in growth_numbers(best).items()}
        rows.append({"experiment": name, "protocol": "", "method": TRUE_PIXELS, **alone})
    columns = revealed(TABLE_3, rows)
    return Table("Table 3: growth, means over trajectories", columns, rows, NOTES_3)


def revealed(columns: tuple[Column, ...], rows: Sequence[Row]) -> tuple[Column, ...]:
    """The columns; what tells contenders of one method apart is shown where there are several, and
    the start where it is not what the protocol would have."""
    shown = {"models": any(row.get("models", 1) != 1 for row in rows)}
    for name in ("network", "start", "baseline"):
        known: dict[tuple[Cell, Cell], set[Cell]] = defaultdict(set)
        for row in rows:
            known[row["protocol"], row["method"]].add(row.get(name, ""))
        shown[name] = any(len(values) > 1 for values in known.values())
    shown["start"] |= any(
        row["protocol"] == STUDY and row["start"] not in (start_of(str(row["method"])), "none")
        for row in rows
    )
    return tuple(replace(c, hidden=c.hidden and not shown.get(c.name, False)) for c in columns)


def growth_numbers(growth: Growth) -> Numbers:
    return {
        "area_r": growth.area_r,
        "area_slope_mape_pct": growth.area_slope_mape,
        "width_study_r": growth.width_study_r,
        "width_study_slope_mape_pct": growth.width_study_slope_mape,
        "width_ours_r": growth.width_ours_r,
        "width_ours_slope_mape_pct": growth.width_ours_slope_mape,
    }


def per_megapixel(scores: Scores) -> float:
    """Seconds."""
    return scores.seconds / scores.megapixels if scores.megapixels else math.nan


def add_ratio(rows: Sequence[Row], name: str, ratio: str) -> None:
    """Each number over the U-Net's mean in the rows that agree in all else; nan without one."""

    def like(row: Row) -> tuple[Cell | None, ...]:
        return tuple(row.get(key) for key in ("set", "protocol", "tolerance_px"))

    oracles = {like(row): row[name].mean for row in rows if row["method"] == ORACLE}
    for row in rows:
        row[ratio] = row[name].over(oracles.get(like(row), math.nan))


def beside(table: Table, published: dict[str, Numbers], name: str) -> Table:
    """One number of the study's methods: as published, and here by either protocol (all sets, 0 px,
    flat strokes), each also as a ratio to that of its own U-Net where one is published."""
    (column,) = (column for column in table.columns if column.name == name)
    last = [row for row in table.rows if row.get("set") == table.rows[-1].get("set")]
    rows: list[Row] = []
    for method, numbers in published.items():
        row: Row = {"method": method, "published": Estimate((numbers[name] / column.factor,))}
        for protocol in (STUDY, OURS):
            found = (
                ours[name]
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
        oracle = next((row[source].mean for row in rows if row["method"] == ORACLE), None)
        if oracle is not None:  # none is published of growth
            for row in rows:
                row[f"{source}_to_unet"] = row[source].over(oracle)
            columns.append(Column(f"{source}_to_unet", "/ U-Net's", 2))
    title = column.title[0].upper() + column.title[1:]
    return Table(title + ", per cent" * (column.factor > 1), tuple(columns), rows)


def all_beside(tables: Sequence[Table]) -> list[Table]:
    """What the study published, beside what came out here."""
    published = (PUBLISHED_1, PUBLISHED_2, PUBLISHED_3)
    chosen = (("f1_pct",), ("count_mae", "area_mape_pct", "width_study_mape_pct"), GROWTH)
    return [
        beside(table, numbers, name)
        for table, numbers, names in zip(tables, published, chosen, strict=False)
        for name in names
    ]


def tables_of(evaluation: Evaluation, task: EvaluateTask) -> list[Table]:
    """Tables 1 and 2, and 3 where growth was asked for."""
    tables = [table_1(evaluation, task), table_2(evaluation)]
    return [*tables, table_3(evaluation)] if evaluation.best_growth else tables
