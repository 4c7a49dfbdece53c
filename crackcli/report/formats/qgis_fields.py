"""Fields of a layer in QGIS (part of a QML style): labels, and menus for what people fill in."""

from collections.abc import Iterable, Sequence
from xml.etree import ElementTree

from crackcli.report.tables.labels import label_of
from crackcli.report.tables.severity_columns import SeverityProfiles
from crackcli.report.verdicts import ACCEPTED, REJECTED, UNREVIEWED

REVIEWS = (UNREVIEWED, ACCEPTED, REJECTED)

Element = ElementTree.Element


def field_elements(columns: Iterable[str], profiles: SeverityProfiles = ()) -> list[Element]:
    """Return the elements of a style that label the ``columns`` and give menus to some."""
    menus = {"review": REVIEWS} | {
        f"sev_{profile.column}_class": [one.name for one in profile.classes] for profile in profiles
    }
    widgets, aliases = ElementTree.Element("fieldConfiguration"), ElementTree.Element("aliases")
    for number, name in enumerate(columns):
        label = label_of(name, profiles)
        ElementTree.SubElement(aliases, "alias", field=name, index=str(number), name=label)
        if name in menus:
            field = ElementTree.SubElement(widgets, "field", name=name)
            field.append(menu_widget(menus[name]))
    return [widgets, aliases]


def menu_widget(values: Sequence[str]) -> Element:
    """Return a drop-down list of ``values``."""
    widget = ElementTree.Element("editWidget", type="ValueMap")
    config = ElementTree.SubElement(widget, "config")
    options = ElementTree.SubElement(config, "Option", type="Map")
    listed = ElementTree.SubElement(options, "Option", type="List", name="map")
    for value in values:
        entry = ElementTree.SubElement(listed, "Option", type="Map")
        ElementTree.SubElement(entry, "Option", type="QString", name=value, value=value)
    return widget


def default_value(field: str, value: str) -> Element:
    """Return the default value of a field in features that are drawn."""
    quoted = "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
    root = ElementTree.Element("defaults")
    ElementTree.SubElement(root, "default", field=field, expression=quoted, applyOnUpdate="0")
    return root
