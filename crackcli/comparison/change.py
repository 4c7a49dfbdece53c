"""A change of a crack between two campaigns: new, grown, shrunk, stable, gone or hidden."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import shapely

from crackcli.comparison.dates import SurveyDate
from crackcli.comparison.evidence.significance import p_value
from crackcli.comparison.evidence.stretch import Difference
from crackcli.comparison.outputs.conditions import Condition


@dataclass(frozen=True)
class CompareTask:
    """Two output folders with a report each, the output folder, and thresholds.

    Centrelines that are ``tolerance_px`` apart match, or `SIGMAS` of the alignment more. Where the
    uncertainty of a change is unknown, a crack has grown if its length grew by more than
    ``grown_length_px``, or its mean or its largest width by more than ``grown_width_px``. Changes
    that meet a condition of ``fail_on`` are listed in the summary. ``pairs`` is a CSV file with the
    names of scenes that belong together; with ``same_grid`` no photographs are aligned.
    """

    before: Path
    after: Path
    output: Path
    tolerance_px: float = 5.0
    grown_length_px: float = 10.0
    grown_width_px: float = 0.5
    dates: tuple[SurveyDate, ...] = ()  # of the campaigns; none: by EXIF and names
    fail_on: tuple[Condition, ...] = ()
    pairs: Path | None = None
    same_grid: bool = False
    later: tuple[Path, ...] = ()  # further campaigns, in order of time
    gauges: str | None = None  # a file of points or lines, or "auto"
    step: int = 1  # which comparison of one campaign with the next this is

    def label(self, name: str) -> str:
        """Return the name of a scene or change of this step, unlike those of other steps."""
        return name if self.step == 1 else f"{name}-{self.step}"

    def steps(self) -> list["CompareTask"]:
        """Return the comparisons of each campaign with the next."""
        folders = [self.before, self.after, *self.later]
        return [
            replace(
                self,
                before=folders[number],
                after=folders[number + 1],
                later=(),
                dates=self.dates[number : number + 2],
                step=number + 1,
            )
            for number in range(len(folders) - 1)
        ]


@dataclass(frozen=True)
class Totals:
    """Size of a change in one campaign, in px of that; 0 if the campaign does not contain it.

    Lengths and areas are summed over cracks; ``width_mean`` is weighted by length.
    """

    length: float = 0.0
    width_mean: float = 0.0
    width_max: float = 0.0
    area: float = 0.0

    def times(self, factor: float) -> "Totals":
        """Return the same in px of which ``factor`` are one of these."""
        lengths = (factor * self.length, factor * self.width_mean, factor * self.width_max)
        return Totals(*lengths, factor**2 * self.area)


@dataclass(frozen=True, eq=False)
class Change:
    """A crack, or several that belong together, in two campaigns.

    ``kind``            new, grown, shrunk, stable, gone or hidden
    ``relation``        of the cracks before and after: one, split, merged, several, or none
    ``hidden_by``       why the other photograph could not have shown a hidden crack
    ``before, after``   sizes of the whole cracks, each in px of its photograph
    ``differences``     by quantity, in px of the later photograph; without those not comparable
    ``common_px``       length of the stretch on which both have a measured width
    ``tip_px``          longest unbroken part of the later crack that was not there before
    ``alignment_px``    standard deviation of the alignment per axis, there
    ``missed``          probability that a crack in one campaign only was missed in the other
    ``comparable``      True if all widths were measured by the same method and tone curve
    ``matched_share``   fraction of the samples of both campaigns that have a partner
    ``rejected``        True if a person rejected all of its cracks of one campaign
    ``geometry``        centreline in px of the later photograph; of the earlier one if it is gone
    """

    id: str
    kind: str
    relation: str
    hidden_by: str
    ids_before: tuple[str, ...]
    ids_after: tuple[str, ...]
    before: Totals
    after: Totals
    comparable: bool
    matched_share: float
    geometry: shapely.MultiLineString
    joint: bool = False
    rejected: bool = False
    differences: dict[str, Difference] = field(default_factory=dict)
    common_px: float = 0.0
    tip_px: float | None = None
    alignment_px: float = 0.0
    missed: float | None = None

    @property
    def tests(self) -> dict[str, float]:
        """The p-values of the change, by quantity; one that is in one campaign only has one test,
        of its presence."""
        if self.relation == "none":
            return {} if self.missed is None else {"presence": self.missed}
        return {
            name: p_value(one.value, one.sigma)
            for name, one in self.differences.items()
            if one.sigma
        }


def kind_by_thresholds(change: Change, task: CompareTask) -> str:
    """Return the kind of a change by its differences without an uncertainty."""
    limits = {
        "length": task.grown_length_px,
        "width_mean": task.grown_width_px,
        "width_max": task.grown_width_px,
    }
    unknown = {
        name: change.differences[name].value
        for name in limits
        if name in change.differences and change.differences[name].sigma is None
    }
    if any(value > limits[name] for name, value in unknown.items()):
        return "grown"
    return "shrunk" if any(-value > limits[name] for name, value in unknown.items()) else "stable"


def significant_quantities(change: Change, critical: float) -> list[str]:
    """Return the tests of a change that are significant at a p-value."""
    return [name for name, p in change.tests.items() if p <= critical]


def decided(change: Change, critical: float) -> Change:
    """Return a matched change with its kind by its significant differences, if any."""
    if change.relation == "none":
        return change
    values = [change.differences[name].value for name in significant_quantities(change, critical)]
    if not values:
        return change
    return replace(change, kind="grown" if max(values) > 0 else "shrunk")
