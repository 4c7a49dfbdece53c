"""Carries edits of people over to the cracks of a new report, by place.

A value, such as the word in ``review``, goes to a crack if at least half of it lies within
`TOLERANCE_PX` of lines with this value. Where two values contradict each other, neither counts;
notes are joined. A value that finds no crack is not lost: the next report tries it again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import shapely

from crackcli.cracks.crack import Crack
from crackcli.cracks.matching import Nearness
from crackcli.report.people.edits import CLASS, KIND, NOTE, Edit
from crackcli.report.tables.rows import Drawn, SceneCracks, centrelines
from crackcli.report.tables.severity_columns import SeverityProfiles
from crackcli.scenes.frames import Geometries

TOLERANCE_PX = 3.0  # centrelines move by a pixel or two when a mask changes
COVERED = 0.5  # least fraction of a crack near lines of one value
CONTRADICTS = 0.25  # from this fraction on, another value makes both doubtful
Values = dict[str, dict[str, Any]]  # of people, by crack id and column


@dataclass
class Carried:
    """How many values were carried over, by column, and the edits that found no place."""

    counts: dict[str, int] = field(default_factory=dict)
    drawn: int = 0
    unplaced: list[Edit] = field(default_factory=list)


def carry_over(
    table: SceneCracks,
    edits: Sequence[Edit],
    waiting: Sequence[Edit],
    profiles: SeverityProfiles,
    carried: Carried,
) -> SceneCracks:
    """Return the scene with the edits of its earlier report, counted in ``carried``.

    Edits of the scene that are ``waiting`` since an earlier report give way to newer ones.
    """
    cracks = [*table.cracks, *table.joints]
    values: Values = {}
    drawn: list[Drawn] = []
    for generation in (edits, waiting):
        own = [edit for edit in generation if edit.scene == table.scene.name]
        known = [edit for edit in own if not edit.drawn]
        carried.unplaced += place(centrelines(cracks), cracks, known, values, profiles)
        for edit in own:
            if not edit.drawn:
                continue
            whole = shapely.box(0, 0, table.scene.cols, table.scene.rows)
            if shapely.intersects(edit.line, whole):
                drawn.append(drawn_of(edit, table.scene.name, drawn))
            else:
                carried.unplaced.append(edit)
    for one in values.values():
        for name in one:
            carried.counts[name] = carried.counts.get(name, 0) + 1
    carried.drawn += len(drawn)
    kinds = dict.fromkeys((crack.id for crack in table.cracks), "cracks")
    kinds |= {name: one[KIND] for name, one in values.items() if KIND in one}
    return replace(
        table,
        cracks=[crack for crack in cracks if kinds.get(crack.id) == "cracks"],
        joints=[crack for crack in cracks if kinds.get(crack.id) != "cracks"],
        by_people=values,
        drawn=drawn,
    )


def drawn_of(edit: Edit, scene: str, others: Sequence[Drawn]) -> Drawn:
    """Return a drawn line with an id that no other has."""
    taken = {other.id for other in others}
    number, name = 1, edit.crack_id
    while not name or name in taken:
        name = f"{scene}-d{number:04d}"
        number += 1
    line = shapely.MultiLineString([*shapely.get_parts(edit.line)])
    values = {column: value for column, value in edit.values.items() if column != KIND}
    return Drawn(name, line, edit.values.get(KIND, "cracks"), values)


def place(
    lines: Geometries,
    cracks: Sequence[Crack],
    edits: Sequence[Edit],
    values: Values,
    profiles: SeverityProfiles,
) -> list[Edit]:
    """Add the values of ``edits`` to those of the cracks at their place, whose centrelines are
    ``lines``; return the edits with the values that found none."""
    if not edits:
        return []
    places = np.array([edit.line for edit in edits], dtype=object)
    near = Nearness.of(lines, places, TOLERANCE_PX)
    here: dict[int, set[int]] = {}  # cracks at the place of each edit
    for new, old in near.links().tolist():
        here.setdefault(old, set()).add(new)
    for old, new in Nearness.of(places, lines, TOLERANCE_PX).links().tolist():
        here.setdefault(old, set()).add(new)

    taken = {(new, name) for new, crack in enumerate(cracks) for name in values.get(crack.id, {})}
    placed: dict[tuple[int, str], list[Any]] = {}
    for name in sorted({name for edit in edits for name in edit.values}):
        held = [edit.values.get(name) for edit in edits]
        menu = [value for value in dict.fromkeys(held) if allowed(name, value, profiles)]
        for new, rivals in claims(near, held, menu).items():
            agreed = name == NOTE or (len(rivals) == 1 and rivals[0][1] >= COVERED)
            if agreed and (new, name) not in taken:
                found = placed[new, name] = [value for value, _ in rivals]
                words = "; ".join(found) if name == NOTE else found[0]
                values.setdefault(cracks[new].id, {})[name] = words
    left = []
    for number, edit in enumerate(edits):
        carried = {
            name
            for new in here.get(number, ())
            for name, value in edit.values.items()
            if (new, name) in taken or value in placed.get((new, name), ())
        }
        rest = {name: value for name, value in edit.values.items() if name not in carried}
        if rest:
            left.append(replace(edit, values=rest))
    return left


def claims(
    near: Nearness, held: Sequence[Any], menu: Sequence[Any]
) -> dict[int, list[tuple[Any, float]]]:
    """Return, for each crack, the values of the ``menu`` near at least a fraction `CONTRADICTS` of
    it, with these fractions; ``held`` is the value of each edit."""
    number = {value: index for index, value in enumerate(menu)}
    holder = np.array([number.get(value, -1) for value in held])[near.other]
    kept = holder >= 0
    pairs = np.unique(np.column_stack([near.sample[kept], holder[kept]]), axis=0)
    owner = np.column_stack([near.crack[pairs[:, 0]], pairs[:, 1]])
    cells, counts = np.unique(owner, axis=0, return_counts=True)
    samples = np.bincount(near.crack)
    found: dict[int, list[tuple[Any, float]]] = {}
    for (new, value), count in zip(cells.tolist(), counts.tolist(), strict=True):
        if count >= CONTRADICTS * samples[new]:
            found.setdefault(new, []).append((menu[value], count / samples[new]))
    return found


def allowed(name: str, value: Any, profiles: SeverityProfiles) -> bool:
    """Return False for None, and for a class that no profile of this report has."""
    if value is None:
        return False
    if not (name.startswith("sev_") and name.endswith(CLASS)):
        return True
    menu = {
        f"sev_{profile.column}{CLASS}": {one.name for one in profile.classes}
        for profile in profiles
    }
    return value in menu.get(name, ())


def waiting_edits(facts: Mapping[str, Any]) -> list[Edit]:
    """Return the edits that an earlier report could not place."""
    return [Edit.of(one) for one in facts.get("unplaced", [])]
