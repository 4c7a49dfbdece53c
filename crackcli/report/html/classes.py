"""Classes of cracks on the page, with the colours of the QGIS styles: of the first severity profile
of the report, or of the largest width."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crackcli.report.formats.qgis_style import COLOURS, GREY, WIDTHS_MM, WIDTHS_PX, spread
from crackcli.report.severity import POSSIBLY, SeverityProfile
from crackcli.report.tables.columns import Row
from crackcli.report.tables.severity_columns import SeverityProfiles


@dataclass(frozen=True)
class Classes:
    """The classes of a report whose widths are in ``unit``, mm or px."""

    unit: str
    profile: SeverityProfile | None

    @classmethod
    def of(cls, units: Sequence[str], profiles: SeverityProfiles) -> "Classes":
        """Return the classes of a report: in mm if all its scenes have a scale."""
        unit = "mm" if all(one == "mm" for one in units) else "px"
        return cls(unit, profiles[0] if profiles else None)

    def facts(self) -> list[dict[str, Any]]:
        """Return name and colour of each class; the last, without a name, is of cracks without
        one."""
        if self.profile is None:
            *lows, last = self.limits
            pairs = zip(lows, self.limits[1:], strict=True)
            names = [f"{low:g}–{high:g} {self.unit}" for low, high in pairs]
            names.append(f"> {last:g} {self.unit}")
            colours: Sequence[str] = COLOURS
        else:
            names = [f"{one.name}: {one.label}" for one in self.profile.classes]
            colours = spread(len(names))
        named = [
            {"name": name, "colour": colour} for name, colour in zip(names, colours, strict=True)
        ]
        return [*named, {"name": None, "colour": GREY}]

    @property
    def limits(self) -> tuple[float, ...]:
        """The lower limits of the classes, in ``unit``; of severity, which is in mm, none if it is
        px."""
        if self.profile is not None:
            return tuple(one.above_mm for one in self.profile.classes) if self.unit == "mm" else ()
        return WIDTHS_MM if self.unit == "mm" else WIDTHS_PX

    def class_of(self, row: Row) -> tuple[int, bool]:
        """Return the number of the class of a crack, from its row in the tables, and whether it
        only possibly exceeds the limit of that class."""
        if self.profile is None:
            width = row[f"width_max_{self.unit}"]
            if width is None:
                return len(self.limits), False
            return max(0, int(np.searchsorted(self.limits, width)) - 1), False
        name = row[f"sev_{self.profile.column}_class"]
        possibly = row[f"sev_{self.profile.column}_status"] == POSSIBLY
        if name is None:
            return len(self.profile.classes), False
        return self.profile.rank(name), possibly
