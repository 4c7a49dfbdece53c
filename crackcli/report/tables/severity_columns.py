"""Grades of cracks as columns, and profiles as a table: no file has grades without caveats.

``cracks.csv`` and ``scenes.csv`` contain the caveats in a column of their own, GeoJSON in its
foreign member, the GeoPackage in the table ``severity_profiles``.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

from crackcli.cracks.crack import Crack
from crackcli.cracks.widths import MASK_METHOD
from crackcli.report.severity import POSSIBLY, Grade, SeverityProfile, grade, worst
from crackcli.report.tables.columns import Row
from crackcli.scenes.scale import Scale

SeverityProfiles = tuple[SeverityProfile, ...]

FIELDS: dict[str, type] = {
    "class": str,
    "label": str,
    "status": str,
    "limit_mm": float,
    "exceed_mm": float,
    "exceed_sigma": float,
    "clause": str,
}
CAVEATS = "severity_caveats"
BY_HAND = "by hand"  # status of a class that a person wrote
ByPeople = Mapping[str, Any]  # values that people wrote about one crack, by column
NOTHING: ByPeople = MappingProxyType({})
PROFILE_COLUMNS: dict[str, type] = {
    "profile": str,
    "column_name": str,
    "title": str,
    "clause": str,
    "classes": str,
    "limits_mm": str,
    "width_graded": str,
    "source": str,
    "caveat": str,
}


def crack_columns(profiles: SeverityProfiles) -> dict[str, type]:
    """Return the columns of the grades of a crack: ``sev_<column>_class`` and so on."""
    return {
        f"sev_{profile.column}_{field}": kind
        for profile in profiles
        for field, kind in FIELDS.items()
    }


def scene_columns(profiles: SeverityProfiles) -> dict[str, type]:
    """Return the columns of the grades of a scene: the worst class and its status, the number of
    cracks in each class, and of those that only possibly exceed their limit."""
    return {
        name: kind
        for profile in profiles
        for name, kind in {
            f"severity_max_{profile.column}": str,
            f"sev_{profile.column}_max_status": str,
            **{f"sev_{profile.column}_n_{one.name}": int for one in profile.classes},
            f"sev_{profile.column}_n_possibly": int,
        }.items()
    }


def unc_in_mm(sigma_px: float | None, value_px: float, scale: Scale | None) -> float | None:
    """Return the standard uncertainty in mm of a length in pixels, including that of the scale if
    known; None if the scale or the uncertainty in pixels is unknown."""
    if scale is None or sigma_px is None:
        return None
    return float(
        ((sigma_px * scale.mm_per_px) ** 2 + (value_px * (scale.sigma or 0.0)) ** 2) ** 0.5
    )


def grade_crack(
    profile: SeverityProfile,
    crack: Crack,
    scale: Scale | None,
    measurable: bool | None = None,
    by_people: ByPeople = NOTHING,
) -> Grade | None:
    """Return the grade of a crack; None without a scale.

    If its width is of the mask, or it is not ``measurable`` (None: unknown), it exceeds a limit at
    most possibly. A class in ``by_people`` counts instead.
    """
    written = by_people.get(f"sev_{profile.column}_class")
    if written is not None:
        label = profile.classes[profile.rank(written)].label
        return Grade(written, label, BY_HAND, None, None, None)
    if scale is None:
        return None
    width_px = getattr(crack.widths, f"{profile.width}_px")
    unc = unc_in_mm(getattr(crack.widths, f"{profile.width}_sigma_px"), width_px, scale)
    certain = crack.widths.method != MASK_METHOD and measurable is not False
    return grade(profile, width_px * scale.mm_per_px, unc, certain=certain)


def crack_grades(
    crack: Crack,
    scale: Scale | None,
    profiles: SeverityProfiles,
    measurable: bool | None = None,
    by_people: ByPeople = NOTHING,
) -> Row:
    """Return the values of `crack_columns`; None without a scale."""
    row: Row = {}
    for profile in profiles:
        found = grade_crack(profile, crack, scale, measurable, by_people)
        values = dict.fromkeys(FIELDS) if found is None else fields_of(found, profile)
        row |= {f"sev_{profile.column}_{field}": value for field, value in values.items()}
    return row


def fields_of(found: Grade, profile: SeverityProfile) -> Row:
    """Return the values of `FIELDS` of a grade."""
    facts = asdict(found) | {"clause": profile.clause}
    facts["class"] = facts.pop("name")
    for name, decimals in (("exceed_mm", 4), ("exceed_sigma", 2)):
        facts[name] = None if facts[name] is None else round(facts[name], decimals)
    return {field: facts[field] for field in FIELDS}


def scene_grades(
    cracks: Sequence[Crack],
    scale: Scale | None,
    profiles: SeverityProfiles,
    measurable: Sequence[bool | None] | None = None,
    by_people: Mapping[str, ByPeople] = MappingProxyType({}),
) -> Row:
    """Return the values of `scene_columns`; None without a scale.

    ``measurable`` has a value for each of ``cracks``, or is None if unknown for all; ``by_people``
    has the values of people by crack id.
    """
    row: Row = dict.fromkeys(scene_columns(profiles))
    if scale is None:
        return row
    known = [None] * len(cracks) if measurable is None else measurable
    for profile in profiles:
        found = [
            grade_crack(profile, crack, scale, one, by_people.get(crack.id, NOTHING))
            for crack, one in zip(cracks, known, strict=True)
        ]
        grades = [one for one in found if one is not None]
        top = worst(profile, grades)
        counts = Counter(one.name for one in grades)
        row |= {
            f"severity_max_{profile.column}": top.name if top else None,
            f"sev_{profile.column}_max_status": top.status if top else None,
            f"sev_{profile.column}_n_possibly": sum(one.status == POSSIBLY for one in grades),
            **{f"sev_{profile.column}_n_{one.name}": counts[one.name] for one in profile.classes},
        }
    return row


def nested(rows: list[Row], profiles: SeverityProfiles) -> list[Row]:
    """Return rows in the form of GeoJSON: grades in one member ``severity``, by profile."""
    if not profiles:
        return rows
    taken = {
        profile.name: {field: f"sev_{profile.column}_{field}" for field in FIELDS}
        for profile in profiles
    }
    flat = crack_columns(profiles)
    return [
        {name: value for name, value in row.items() if name not in flat}
        | {
            "severity": {
                profile: {field: row[column] for field, column in columns.items()}
                for profile, columns in taken.items()
            }
        }
        for row in rows
    ]


def profile_rows(profiles: SeverityProfiles) -> list[Row]:
    """Return the profiles as rows by `PROFILE_COLUMNS`."""
    return [
        {
            "profile": profile.name,
            "column_name": f"sev_{profile.column}",
            "title": profile.title,
            "clause": profile.clause,
            "classes": "; ".join(f"{one.name} {one.label}" for one in profile.classes),
            "limits_mm": "; ".join(f"{limit:g}" for limit in profile.limits_mm),
            "width_graded": profile.graded,
            "source": profile.source,
            "caveat": profile.caveat,
        }
        for profile in profiles
    ]


def caveats(profiles: SeverityProfiles) -> str:
    """Return the caveats of all profiles in one text."""
    return " | ".join(
        f"{profile.name} ({profile.clause}; {profile.graded}): {profile.caveat}"
        for profile in profiles
    )
