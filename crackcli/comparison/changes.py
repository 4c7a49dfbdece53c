"""The cracks of two campaigns of one scene matched, and their changes measured."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import shapely

from crackcli.arrays import Float64, Int64
from crackcli.comparison.campaign import Campaign
from crackcli.comparison.change import Change, CompareTask, Totals, kind_by_thresholds
from crackcli.comparison.evidence.samples import Alignment, Samples, local_scale
from crackcli.comparison.evidence.significance import missed, null_scale
from crackcli.comparison.evidence.stretch import Difference, compare_stretch
from crackcli.comparison.evidence.visibility import Hidden, most_common
from crackcli.comparison.outputs.columns import QUANTITIES
from crackcli.cracks.matching import Match, match

JOINT_GROWTH = 0.25  # fraction of its length or mean width by which a joint must grow to count
SIGMAS = 3.0  # of the alignment, by which the tolerance of a match is larger


def compare(
    before: Campaign, after: Campaign, alignment: Alignment, task: CompareTask
) -> list[Change]:
    """Return the changes between two campaigns of one scene, of cracks and of joints.

    Cracks of the earlier campaign come first, by id, then new ones. A change is one of joints if
    joints make up most of its length in both campaigns, unless it grew by more than `JOINT_GROWTH`.
    Those that could be significant have the kind "stable" (`decided`). Lines that a person rejected
    do not count; if they are all of a match in one campaign, the change is ``rejected``.
    """
    pair = Pair(before, after, alignment, task)
    changes: list[Change] = []
    counts = {"c": 0, "j": 0, "r": 0}
    for change in calibrated([pair.reviewed_change(found) for found in pair.matches()]):
        letter = "r" if change.rejected else "j" if change.joint else "c"
        counts[letter] += 1
        name = f"{after.scene.name}-{letter}{counts[letter]:04d}"
        changes.append(replace(change, id=name))
    return changes


class Pair:
    """Two campaigns of one scene, with the earlier one carried over to px of the later one.

    ``carried`` are the samples of the earlier campaign in px of the later one, ``placed`` (S, 2)
    the places of those of the later campaign in the earlier photograph. ``scales`` are px of the
    later photograph per px of the earlier one, and ``hidden`` the reasons why the other photograph
    could not have shown a sample, each for the samples of the earlier and of the later campaign.
    ``sigmas`` are the largest standard deviations of the alignment along the lines of both.
    """

    def __init__(
        self, before: Campaign, after: Campaign, alignment: Alignment, task: CompareTask
    ) -> None:
        self.before, self.after, self.task = before, after, task
        self.carried = before.samples.carried(alignment)
        self.placed = alignment.to_before(after.samples.points)
        self.lines = shapely.transform(before.lines, alignment.to_after)
        self.scales = (
            local_scale(before.samples.points, alignment),
            local_scale(self.placed, alignment),
        )
        along = self.carried, after.samples
        self.sigmas = tuple(
            largest_by_line(alignment.sigma_px(samples.points), samples, len(campaign.lines))
            for samples, campaign in zip(along, (before, after), strict=True)
        )
        # Without photographs the repeatability of a scan is unknown.
        self.photographed = before.visibility.known and after.visibility.known
        trusted = [alignment.trusted(samples.points) for samples in along]
        reach = task.tolerance_px + SIGMAS * float(np.median(np.concatenate([*self.sigmas, [0]])))
        self.hidden = (
            after.visibility.reasons(self.carried.points, self.carried.width, trusted[0], reach),
            before.visibility.reasons(
                self.placed,
                after.samples.width / self.scales[1],
                trusted[1],
                reach / float(np.median(self.scales[1])) if len(after.samples) else reach,
            ),
        )

    def matches(self) -> list[Match]:
        """Return the matches of the lines of both, within the tolerance at each."""
        tolerances = (self.task.tolerance_px + SIGMAS * sigma for sigma in self.sigmas)
        return list(match(self.lines, self.after.lines, *tolerances))

    def not_rejected(self, found: Match) -> Match:
        """Return a match without the lines that a person rejected."""
        return replace(
            found,
            before=self.before.not_rejected(found.before),
            after=self.after.not_rejected(found.after),
        )

    def reviewed_change(self, found: Match) -> Change:
        """Return the change of one match without the cracks that people rejected; of all, marked,
        if one side has no other."""
        kept = self.not_rejected(found)
        sides = [(bool(one.before), bool(one.after)) for one in (found, kept)]
        rejected = sides[0] != sides[1]
        return replace(self.change(found if rejected else kept), rejected=rejected)

    def change(self, found: Match) -> Change:
        """Return the change of one match."""
        lines = self.after.lines[found.after] if found.after else self.lines[found.before]
        sigma = np.concatenate([self.sigmas[0][found.before], self.sigmas[1][found.after]])
        change = Change(
            id="",
            kind="stable",
            relation=relation_of(found),
            hidden_by="",
            ids_before=tuple(self.before.ids[found.before]),
            ids_after=tuple(self.after.ids[found.after]),
            before=measure(self.before, found.before),
            after=measure(self.after, found.after),
            comparable=self.comparable(found),
            matched_share=found.fraction,
            geometry=shapely.MultiLineString([*shapely.get_parts(lines)]),
            alignment_px=float(sigma.max()),
        )
        one_sided = change.relation == "none"
        change = self.one_sided(change, found) if one_sided else self.matched(change, found)
        joint = mostly_joints(self.before, found.before) and mostly_joints(self.after, found.after)
        return replace(change, joint=joint and (one_sided or not self.outgrew_joint(change, found)))

    def matched(self, change: Change, found: Match) -> Change:
        """Return the change of a crack that both campaigns have, with its differences."""
        rows = self.rows_of(found)
        earlier, later = self.carried.of(rows[0]), self.after.samples.of(rows[1])
        stretch = compare_stretch(
            earlier,
            later,
            self.hidden[0][rows[0]],
            self.hidden[1][rows[1]],
            self.task.tolerance_px + SIGMAS * change.alignment_px,
            self.after.window_px or 1.0,
            change.alignment_px,
        )
        length = stretch.length
        if not self.photographed:
            length = replace(length, sigma=None)
        differences = {"length": length}
        measured = stretch.width_mean is not None and self.before.tone == self.after.tone
        was = self.size_before(change, found)
        for name in QUANTITIES[1:]:
            one: Difference | None = getattr(stretch, name)
            if measured and one is not None:
                differences[name] = one
            elif name == "area" or (change.comparable and not self.photographed):  # by the masks
                value = getattr(change.after, name) - getattr(was, name)
                differences[name] = Difference(value, None)
        change = replace(
            change,
            comparable=measured or change.comparable,
            differences=differences,
            common_px=stretch.common_px,
            tip_px=stretch.tip_px,
        )
        if self.photographed:
            return change
        return replace(change, kind=kind_by_thresholds(change, self.task))

    def one_sided(self, change: Change, found: Match) -> Change:
        """Return the change of a crack that one campaign has: new, gone, or hidden in the other."""
        rows = self.rows_of(found)
        side, is_new = (1, True) if found.after else (0, False)
        reasons = self.hidden[side][rows[side]]
        hidden_by = most_common(reasons)
        if hidden_by:
            return replace(change, kind="hidden", hidden_by=hidden_by.value)
        other = self.before.visibility if is_new else self.after.visibility
        places = (self.placed if is_new else self.carried.points)[rows[side]]
        size = change.after if is_new else self.size_before(change, found)
        chance = None
        if other.known:
            limit_px = float(np.median(other.limit_at(places[reasons == Hidden.SHOWN])))
            width_px = size.width_mean / (self.scale_of(found) if is_new else 1.0)
            chance = missed(width_px, limit_px)
        factor = 1.0 if is_new else -1.0
        return replace(
            change,
            kind="new" if is_new else "gone",
            missed=chance,
            tip_px=change.after.length if is_new else 0.0,
            differences={
                name: Difference(factor * getattr(size, name), None) for name in QUANTITIES
            },
        )

    def rows_of(self, found: Match) -> tuple[Int64, Int64]:
        """Return the samples of a match in the earlier and in the later campaign."""
        earlier, later = self.before.samples, self.after.samples
        return earlier.rows_of(found.before), later.rows_of(found.after)

    def scale_of(self, found: Match) -> float:
        """Return px of the later photograph per px of the earlier one at the cracks of a match."""
        scales = [own[rows] for own, rows in zip(self.scales, self.rows_of(found), strict=True)]
        return float(np.median(np.concatenate(scales)))

    def size_before(self, change: Change, found: Match) -> Totals:
        """Return the size of a match in the earlier campaign in px of the later photograph."""
        return change.before.times(self.scale_of(found))

    def comparable(self, found: Match) -> bool:
        """Return True if the widths of a match were measured by the same method and tone curve, or
        if one side is empty."""
        if not found.before or not found.after:
            return True
        methods = self.before.width_methods(found.before) | self.after.width_methods(found.after)
        return len(methods) == 1

    def outgrew_joint(self, change: Change, found: Match) -> bool:
        """Return True if a joint grew by more than `JOINT_GROWTH`, so that it may be a crack."""
        limit, was = 1 + JOINT_GROWTH, self.size_before(change, found)
        wider = change.comparable and change.after.width_mean > limit * was.width_mean
        return wider or change.after.length > limit * was.length


def calibrated(changes: Sequence[Change]) -> list[Change]:
    """Return the changes of a scene with the uncertainties of widths and areas by how well its two
    photographs repeat each other (`crackcli.comparison.evidence.significance`)."""
    factors = {}
    for name in ("width_mean", "width_max", "area"):
        known = [change.differences[name] for change in changes if name in change.differences]
        ratios = np.array([one.value / one.sigma for one in known if one.sigma])
        factors[name] = null_scale(ratios)
    return [
        replace(
            change,
            differences={
                name: one
                if one.sigma is None
                else replace(one, sigma=factors.get(name, 1) * one.sigma)
                for name, one in change.differences.items()
            },
        )
        for change in changes
    ]


def largest_by_line(values: Float64, samples: Samples, lines: int) -> Float64:
    """Return the largest of the values (S,) at the samples of each line (N,); nan count as 0, as
    what is unknown is not compared."""
    found = np.zeros(lines)
    np.maximum.at(found, samples.owner, np.nan_to_num(values))
    return found


def mostly_joints(campaign: Campaign, lines: list[int]) -> bool:
    """Return True if joints make up over half of the total length, or if ``lines`` is empty."""
    if not lines:
        return True
    length = campaign.columns["length_px"][lines].astype(float)
    return float(length[campaign.joint[lines]].sum()) > float(length.sum()) / 2


def relation_of(found: Match) -> str:
    """Return how the cracks of two campaigns belong together."""
    earlier, later = len(found.before), len(found.after)
    if not earlier or not later:
        return "none"
    if earlier == later == 1:
        return "one"
    if later == 1:
        return "merged"
    return "split" if earlier == 1 else "several"


def measure(campaign: Campaign, cracks: list[int]) -> Totals:
    """Return the size of some cracks of a campaign together."""
    if not cracks:
        return Totals()
    length, mean, largest, area = (
        campaign.columns[f"{name}_px"][cracks].astype(float) for name in QUANTITIES
    )
    return Totals(
        length=float(length.sum()),
        width_mean=float(np.average(mean, weights=length)),
        width_max=float(largest.max()),
        area=float(area.sum()),
    )
