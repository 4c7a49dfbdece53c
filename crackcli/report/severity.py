"""Severity: crack widths graded by the limits of standards, as far as the width is known.

A `SeverityProfile` is data: ``severity_profiles.toml`` has those of the package, a file of the same
form those of a contract.  A grade never says more than the measurement: with one standard
uncertainty u, a limit is *exceeded* by a width w where w - u lies above it, and *possibly exceeded*
where w + u does.  A crack is in the worst class whose limit it exceeds or possibly exceeds.  A
width that was not measured on the photograph, or whose uncertainty is unknown, exceeds nothing for
certain.

No profile decides what is safe: its caveat belongs to every grade.
"""

import math
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from crackcli.errors import CrackError, InputError, UsageError

SHIPPED = Path(__file__).with_name("severity_profiles.toml")
SIGMAS = 1.0  # uncertainties that are held against, and for, a width
EXCEEDED, POSSIBLY, NOT = "exceeded", "possibly exceeded", "not exceeded"
WIDTHS = {
    "max": "largest mean width over a running window, never of one pixel",
    "p95": "95th percentile along the crack",
    "median": "median along the crack",
    "mean": "mean along the crack",
}
TEXTS = ("title", "clause", "source", "caveat")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # in a label; texts may be of several lines
NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
COLUMN = re.compile(r"[a-z0-9_]{1,14}")
CLASS = re.compile(r"[A-Za-z0-9_]{1,10}")


@dataclass(frozen=True)
class Class:
    """A class of a profile; a crack of it is wider than ``above_mm``, 0 of the first."""

    name: str
    label: str
    above_mm: float


@dataclass(frozen=True)
class SeverityProfile:
    """Limits of a standard, from the least class to the worst; ``width`` is one of `WIDTHS`,
    ``column`` the name within names of columns."""

    name: str
    title: str
    clause: str
    source: str
    caveat: str
    classes: tuple[Class, ...]
    width: str
    column: str

    @property
    def graded(self) -> str:
        """The column with the width that is graded."""
        return f"width_{self.width}_mm"

    @property
    def limits_mm(self) -> list[float]:
        return [one.above_mm for one in self.classes[1:]]

    def rank(self, name: str) -> int:
        """The place of a class, 0 for the least."""
        return [one.name for one in self.classes].index(name)


@dataclass(frozen=True)
class Grade:
    """What a profile says of one width: the class, its label, whether ``limit_mm`` is exceeded
    (its own; the first one for the least class), by how much, and by how many standard
    uncertainties, None where they are unknown."""

    name: str
    label: str
    status: str
    limit_mm: float
    exceed_mm: float
    exceed_sigma: float | None


def grade(profile: SeverityProfile, width_mm: float, unc_mm: float | None, *, sure: bool) -> Grade:
    """The grade of a width with its standard uncertainty (None: unknown); what is not ``sure``
    exceeds a limit possibly at most."""
    margin = SIGMAS * (unc_mm or 0.0)
    found = max(
        i for i, one in enumerate(profile.classes) if i == 0 or width_mm + margin > one.above_mm
    )
    limit = profile.classes[max(found, 1)].above_mm
    if found == 0:
        status = NOT
    elif sure and unc_mm is not None and width_mm - margin > limit:
        status = EXCEEDED
    else:
        status = POSSIBLY
    over = width_mm - limit
    return Grade(
        name=profile.classes[found].name,
        label=profile.classes[found].label,
        status=status,
        limit_mm=limit,
        exceed_mm=over,
        exceed_sigma=over / unc_mm if unc_mm else None,
    )


def worst(profile: SeverityProfile, grades: Sequence[Grade]) -> Grade | None:
    """The worst of some grades: by class, then what is certain before what is possible."""
    return max(
        grades,
        key=lambda one: (profile.rank(one.name), one.status == EXCEEDED),
        default=None,
    )


def find_profiles(wanted: Sequence[str]) -> tuple[SeverityProfile, ...]:
    """The profiles of these names; a name may be a file of profiles, or ``user=`` and such a file.

    Raises `UsageError` for a name that is not known, with the menu, and for one that is there
    twice; `InputError` for a file that cannot be read or is not as it must be.
    """
    found: dict[str, SeverityProfile] = {}
    for word in wanted:
        path = word.removeprefix("user=")
        if path != word or path.endswith(".toml"):
            own = read_profiles(Path(path))
        elif word in shipped():
            own = {word: shipped()[word]}
        else:
            raise UsageError(
                f"'{word}' is no severity profile; choose one of: {', '.join(shipped())}; or give "
                "a file of your own, user=limits.toml"
            )
        for name, profile in own.items():
            columns = {other.column for other in found.values() if other != profile}
            if profile.column in columns or found.get(name, profile) != profile:
                raise UsageError(f"two severity profiles are named '{name}'; rename one of them")
            found[name] = profile
    return tuple(found.values())


@cache
def shipped() -> dict[str, SeverityProfile]:
    """The profiles of the package."""
    return read_profiles(SHIPPED)


def read_profiles(path: Path) -> dict[str, SeverityProfile]:
    """The profiles of a file by name; an `InputError` that says what is wrong with it."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(
            f"{path} cannot be read as severity profiles ({reason}); its form is that of "
            "crackcli/severity_profiles.toml"
        ) from error
    if not tables:
        raise InputError(f"{path} holds no severity profile; begin one with [its-name]")
    profiles = {}
    for name, table in tables.items():
        try:
            profiles[name] = parse(name, table)
        except WrongProfile as wrong:
            raise InputError(f"{path}: [{name}] {wrong}") from wrong
    return profiles


class WrongProfile(CrackError):
    """A profile is not as it must be; the text goes on after its name."""


def parse(name: str, table: Any) -> SeverityProfile:
    """A profile from its table."""
    require(isinstance(table, dict), "is no table; write [name] above its keys")
    require(NAME.fullmatch(name), "is no name; use small letters, digits and hyphens")
    unknown = sorted(table.keys() - {*TEXTS, "classes", "width", "column"})
    require(not unknown, f"has keys that are not known: {', '.join(unknown)}")
    for key in TEXTS:
        text = table.get(key)
        require(isinstance(text, str) and text.strip(), f"lacks {key}: say it in a text")
        plain = text.replace("\n", " ").replace("\t", " ")
        require(not CONTROL.search(plain), f"has control characters in {key}; take them out")
    width = table.get("width", "max")
    require(width in WIDTHS, f"grades by width '{width}'; choose one of: {', '.join(WIDTHS)}")
    column = table.get("column", name.replace("-", "_"))
    require(
        isinstance(column, str) and COLUMN.fullmatch(column),
        "needs a column of 14 characters at most: small letters, digits and _",
    )
    texts = {key: table[key].strip() for key in TEXTS}
    return SeverityProfile(name, **texts, classes=parse_classes(table), width=width, column=column)


def parse_classes(table: dict[str, Any]) -> tuple[Class, ...]:
    """The classes of a profile, from its table."""
    entries = table.get("classes")
    require(
        isinstance(entries, list)
        and len(entries) >= 2
        and all(isinstance(e, dict) for e in entries),
        "lacks classes: give two or more, from the least to the worst",
    )
    classes: list[Class] = []
    for place, entry in enumerate(entries, 1):
        which = f"class {place}"
        unknown = sorted(entry.keys() - {"class", "label", "above_mm"})
        require(not unknown, f"{which} has keys that are not known: {', '.join(unknown)}")
        name, label, above = entry.get("class"), entry.get("label"), entry.get("above_mm")
        require(
            isinstance(name, str) and CLASS.fullmatch(name),
            f"{which} needs a class of 10 letters or digits at most",
        )
        require(
            name.casefold() not in (one.name.casefold() for one in classes),
            f"{which} is named '{name}' like another",
        )
        require(isinstance(label, str) and label.strip(), f"{which} lacks a label: say it in words")
        require(
            not CONTROL.search(label), f"{which} has control characters in its label; take them out"
        )
        if place == 1:
            require(above is None, "class 1 is the least and has no above_mm")
            classes.append(Class(name, label, 0.0))
            continue
        number = isinstance(above, int | float) and not isinstance(above, bool)
        require(
            number and math.isfinite(above) and above > classes[-1].above_mm,
            f"{which} needs above_mm, millimetres, more than {classes[-1].above_mm:g}",
        )
        classes.append(Class(name, label, float(above)))
    return tuple(classes)


def require(holds: object, otherwise: str) -> None:
    if not holds:
        raise WrongProfile(otherwise)
