"""Tracks: the same crack through several campaigns, under one id.

A track is named after the first crack that it had, and keeps its name when later campaigns are
added. Where cracks merge, the track of the longest goes on; where one splits, the longest piece
keeps the track. The others' tracks end or begin there and are listed as parents.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from crackcli.comparison.campaign import Campaign
from crackcli.comparison.change import Change

Scene = tuple[Campaign, Campaign, Sequence[Change]]  # of a comparison of two campaigns


@dataclass(frozen=True)
class Track:
    """The id of a track, and those of the tracks that merged into it or that it split from."""

    id: str
    parents: tuple[str, ...] = ()


def find_tracks(steps: Sequence[Sequence[Scene]]) -> dict[str, Track]:
    """Return the track of each change, by its id; ``steps`` are the comparisons of one campaign
    with the next, in order of time."""
    tracks: dict[str, Track] = {}
    known: dict[tuple[str, str], str] = {}  # track of each crack of the last campaign
    used: set[str] = set()
    for step in steps:
        ongoing: dict[tuple[str, str], str] = {}
        taken: set[str] = set()
        lengths = {before.scene.name: lengths_of(before) for before, _, _ in step}
        for before, after, change in by_length(step):
            earlier, later = before.scene.name, after.scene.name
            by_size = sorted(change.ids_before, key=lengths[earlier].__getitem__, reverse=True)
            sources = [known.get((earlier, name)) for name in by_size]
            found = list(dict.fromkeys(source for source in sources if source is not None))
            free = [source for source in found if source not in taken]
            name = free[0] if free else new_name(change, used)
            taken.add(name)
            used.add(name)
            tracks[change.id] = Track(name, tuple(one for one in found if one != name))
            ongoing |= {(later, crack): name for crack in change.ids_after}
        known = ongoing
    return tracks


def by_length(step: Sequence[Scene]) -> list[tuple[Campaign, Campaign, Change]]:
    """Return the changes of a step with their campaigns, the longest first."""
    found = [(before, after, change) for before, after, changes in step for change in changes]
    return sorted(found, key=lambda one: -max(one[2].before.length, one[2].after.length))


def lengths_of(campaign: Campaign) -> dict[str, float]:
    """Return the lengths of the cracks of a campaign in px, by id."""
    if not len(campaign.ids):
        return {}
    lengths = campaign.columns["length_px"].astype(float).tolist()
    return dict(zip(campaign.ids.tolist(), lengths, strict=True))


def new_name(change: Change, used: set[str]) -> str:
    """Return the name of a track that begins with a change: that of its first crack, with a number
    if a track has that name already, as where another campaign has a crack of the same id."""
    name = (change.ids_before or change.ids_after)[0]
    number, found = 1, name
    while found in used:
        number += 1
        found = f"{name}.{number}"
    return found
