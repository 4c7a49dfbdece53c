"""Severity: crack widths graded by the limits of standards, within their uncertainty.

A `SeverityProfile` is data: ``severity_profiles.toml`` contains those of the package; a file of the
same form may contain those of a contract. With one standard uncertainty u, a width w *exceeds* a
limit if w - u lies above it, and *possibly exceeds* it if w + u does. A crack gets the worst class
whose limit it exceeds or possibly exceeds. A width of the mask, or one of unknown uncertainty,
exceeds a limit at most possibly.

No profile decides what is safe: its caveat accompanies every grade.
"""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from crackcli.errors import CrackError, InputError, UsageError
from crackcli.files import kind_of

MAX_MM = 1e6  # larger limits are typing errors
SHIPPED = Path(__file__).with_name("severity_profiles.toml")
SIGMAS = 1.0  # standard uncertainties on either side of a width
EXCEEDED, POSSIBLY, NOT_EXCEEDED = "exceeded", "possibly exceeded", "not exceeded"
WIDTHS = {
    "max": "largest mean width over a running window, never of one pixel",
    "p95": "95th percentile along the crack",
    "median": "median along the crack",
    "mean": "mean along the crack",
}
TEXTS = ("title", "clause", "source", "caveat")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # forbidden, but texts may have several lines
NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
COLUMN = re.compile(r"[a-z0-9_]{1,14}")
CLASS = re.compile(r"[A-Za-z0-9_]{1,10}")


@dataclass(frozen=True)
class Class:
    """A class of a profile: cracks wider than ``above_mm``, which is 0 for the first."""

    name: str
    label: str
    above_mm: float


@dataclass(frozen=True)
class SeverityProfile:
    """Limits of a standard, from the mildest class to the worst.

    ``width`` is the graded width, one of `WIDTHS`; ``column`` is the part of column names.
    """

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
        """The column of the graded width."""
        return f"width_{self.width}_mm"

    @property
    def limits_mm(self) -> list[float]:
        """The limits of all classes after the first."""
        return [one.above_mm for one in self.classes[1:]]

    def rank(self, name: str) -> int:
        """Return the index of a class, 0 for the mildest."""
        return [one.name for one in self.classes].index(name)


@dataclass(frozen=True)
class Grade:
    """The class of one width by a profile.

    ``limit_mm`` is the limit of the class, or the first limit for the mildest class; ``status``
    says whether it is exceeded, ``exceed_mm`` by how much, and ``exceed_sigma`` by how many
    standard uncertainties (None: unknown). A class that a person wrote has no limit.
    """

    name: str
    label: str
    status: str
    limit_mm: float | None
    exceed_mm: float | None
    exceed_sigma: float | None


def grade(
    profile: SeverityProfile, width_mm: float, unc_mm: float | None, *, certain: bool
) -> Grade:
    """Return the grade of a width with its standard uncertainty (None: unknown).

    A width that is not ``certain`` exceeds a limit at most possibly.
    """
    margin = SIGMAS * (unc_mm or 0.0)
    found = max(
        i for i, one in enumerate(profile.classes) if i == 0 or width_mm + margin > one.above_mm
    )
    limit = profile.classes[max(found, 1)].above_mm
    if found == 0:
        status = NOT_EXCEEDED
    elif certain and unc_mm is not None and width_mm - margin > limit:
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
    """Return the worst grade: by class, then exceeded before possibly exceeded."""
    return max(
        grades,
        key=lambda one: (profile.rank(one.name), one.status == EXCEEDED),
        default=None,
    )


def find_profiles(wanted: Sequence[str]) -> tuple[SeverityProfile, ...]:
    """Return the profiles of these names; a name may also be a file of profiles, or ``user=FILE``.

    Raises `UsageError` for an unknown name and for two profiles of one name, `InputError` for a
    file that cannot be read or is invalid.
    """
    found: dict[str, SeverityProfile] = {}
    for word in wanted:
        path = word.removeprefix("user=")
        if path != word or path.endswith(".toml"):
            own = read_profiles(Path(path))
        elif word in shipped_profiles():
            own = {word: shipped_profiles()[word]}
        else:
            raise UsageError(
                f"--severity {word}: unknown profile; use {', '.join(shipped_profiles())}, or a "
                "file of your own (user=limits.toml)"
            )
        for name, profile in own.items():
            columns = {other.column for other in found.values() if other != profile}
            if profile.column in columns or found.get(name, profile) != profile:
                raise UsageError(f"--severity: two profiles are named '{name}'; rename one of them")
            found[name] = profile
    return tuple(found.values())


@cache
def shipped_profiles() -> dict[str, SeverityProfile]:
    """Return the profiles of the package by name."""
    return read_profiles(SHIPPED)


def read_profiles(path: Path) -> dict[str, SeverityProfile]:
    """Read the profiles of a file, by name; raises `InputError` if it is invalid."""
    try:
        if path.exists() and (kind := kind_of(path)) != "file":
            raise ValueError(f"it is a {kind}")
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(
            f"{path}: cannot be read as severity profiles ({reason}); write it like "
            "crackcli/report/severity_profiles.toml"
        ) from error
    if not tables:
        raise InputError(f"{path}: contains no severity profile; begin one with [its-name]")
    profiles = {}
    for name, table in tables.items():
        try:
            profiles[name] = parse(name, table)
        except InvalidProfile as wrong:
            raise InputError(f"{path}: [{name}] {wrong}") from wrong
    return profiles


class InvalidProfile(CrackError):
    """A profile is invalid; the text continues a sentence that begins with its name."""


def parse(name: str, table: Any) -> SeverityProfile:
    """Return a profile from its TOML table; raises `InvalidProfile`."""
    require(isinstance(table, dict), "is not a table; write [name] above its keys")
    require(NAME.fullmatch(name), "is not a valid name; use lower-case letters, digits and hyphens")
    unknown = sorted(table.keys() - {*TEXTS, "classes", "width", "column"})
    require(not unknown, f"has unknown keys: {', '.join(unknown)}")
    for key in TEXTS:
        text = table.get(key)
        require(isinstance(text, str) and text.strip(), f"lacks {key}; add it as text")
        plain = text.replace("\n", " ").replace("\t", " ")
        require(not CONTROL.search(plain), f"has control characters in {key}; take them out")
    width = table.get("width", "max")
    require(
        isinstance(width, str) and width in WIDTHS,
        f"grades by width '{width}'; use one of: {', '.join(WIDTHS)}",
    )
    column = table.get("column", name.replace("-", "_"))
    require(
        isinstance(column, str) and COLUMN.fullmatch(column),
        "needs a column of at most 14 characters: lower-case letters, digits and _",
    )
    texts = {key: table[key].strip() for key in TEXTS}
    return SeverityProfile(name, **texts, classes=parse_classes(table), width=width, column=column)


def parse_classes(table: dict[str, Any]) -> tuple[Class, ...]:
    """Return the classes of a profile from its TOML table; raises `InvalidProfile`."""
    entries = table.get("classes")
    if (
        not isinstance(entries, list)
        or len(entries) < 2
        or not all(isinstance(e, dict) for e in entries)
    ):
        raise InvalidProfile("lacks classes; add two or more, from the mildest to the worst")
    classes: list[Class] = []
    for place, entry in enumerate(entries, 1):
        which = f"class {place}"
        unknown = sorted(entry.keys() - {"class", "label", "above_mm"})
        require(not unknown, f"{which} has unknown keys: {', '.join(unknown)}")
        name, label, above = entry.get("class"), entry.get("label"), entry.get("above_mm")
        require(
            isinstance(name, str) and CLASS.fullmatch(name),
            f"{which} needs a class of at most 10 letters or digits",
        )
        require(
            name.casefold() not in (one.name.casefold() for one in classes),
            f"{which} is named '{name}' like another",
        )
        require(
            isinstance(label, str) and label.strip(), f"{which} lacks a label; add one in words"
        )
        require(
            not CONTROL.search(label), f"{which} has control characters in its label; take them out"
        )
        if place == 1:
            require(above is None, "class 1 is the mildest and has no above_mm; remove it")
            classes.append(Class(name, label, 0.0))
            continue
        number = isinstance(above, int | float) and not isinstance(above, bool)
        number = number and abs(above) < MAX_MM  # also of integers that no float can hold
        require(
            number and above > classes[-1].above_mm,
            f"{which} needs above_mm in mm, more than {classes[-1].above_mm:g}",
        )
        classes.append(Class(name, label, float(above)))
    return tuple(classes)


def require(holds: object, otherwise: str) -> None:
    """Raise `InvalidProfile` with the text ``otherwise`` unless a condition holds."""
    if not holds:
        raise InvalidProfile(otherwise)
