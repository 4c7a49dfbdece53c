"""QGIS styles (QML) for the layers of a report's GeoPackage.

Lines are coloured by the first severity profile of the report, dashed if they only possibly exceed
its limit; without a profile, by classes of their largest width. Labels show that width, in the unit
of the classes: mm if all scenes have a scale, else pixels. The six colours go from blue to violet
and suit people with red-green colour blindness. The surface that is not assessable is hatched;
classes of detection limits are rules that are switched off. Fields have labels and menus.
"""

from collections.abc import Iterable, Sequence
from xml.etree import ElementTree

from crackcli.rasters.writing.raster_style import DOCTYPE
from crackcli.report.formats.qgis_fields import field_elements
from crackcli.report.severity import POSSIBLY, SeverityProfile
from crackcli.report.tables.limit_columns import EXCLUDED
from crackcli.report.tables.severity_columns import SeverityProfiles

VERSION = "3.28.0-Firenze"  # that wrote this form; 3.22 and later ones read it
COLOURS = ("#4575b4", "#91bfdb", "#fee090", "#fc8d59", "#d73027", "#7a0177")
GREY = "#8c8c8c"
DARK = "#303030"
WIDTHS_PX = (0.0, 2.0, 4.0, 8.0, 16.0, 32.0)  # lower limits of the classes
WIDTHS_MM = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0)
LINE_MM, OUTLINE_MM = 0.8, 0.2  # line widths on the screen or on paper
OPACITIES = {"fill": 0.55, "wash": 0.25, "hatch": 0.8}
DECIMALS = {"mm": 2, "px": 1}  # of a width in a label
BEYOND = 1e9  # upper limit of the last class
NORMAL_WEIGHT = "50"  # of a font; a missing weight is read as 0, hairlines

Element = ElementTree.Element


def layer_style(
    layer: str, profiles: SeverityProfiles = (), unit: str = "px", columns: Sequence[str] = ()
) -> str:
    """Return the QML of a layer, ``cracks``, ``crack_areas``, ``joints`` or ``measurability``, with
    widths in ``unit``, and labels for its ``columns``."""
    kind = "fill" if layer in ("crack_areas", "measurability") else "line"
    root = ElementTree.Element(
        "qgis",
        version=VERSION,
        styleCategories="Symbology|Labeling|Fields|Forms",
        labelsEnabled="1" if layer == "cracks" else "0",
    )
    if layer == "measurability":
        root.append(by_limit(unit))
    elif layer == "joints":
        root.append(single(symbol("0", kind, GREY, dashed=True)))
    elif profiles:
        root.append(by_severity(profiles[0], kind))
    else:
        root.append(by_width(kind, unit))
    if layer == "cracks":
        root.append(labeling(width_label(unit)))
    root.extend(field_elements(columns, profiles))
    return DOCTYPE + ElementTree.tostring(root, encoding="unicode")


def rules_style(rules: Iterable[tuple[str, str, str]], label: str) -> str:
    """Return the QML of a layer of lines: a label, a condition and a colour for each rule, and the
    expression of the labels along the lines."""
    root = ElementTree.Element(
        "qgis", version=VERSION, styleCategories="Symbology|Labeling", labelsEnabled="1"
    )
    lines = renderer("RuleRenderer")
    for words, condition, colour in rules:
        add_rule(lines, words, condition, "line", colour)
    root.extend((lines, labeling(label)))
    return DOCTYPE + ElementTree.tostring(root, encoding="unicode")


def style_name(profiles: SeverityProfiles, unit: str) -> str:
    """Return the name of a style, at most 30 characters."""
    return f"severity {profiles[0].column}" if profiles else f"width in {unit}"


def width_classes(unit: str) -> list[tuple[float, float | None]]:
    """Return the lower and upper limits of the classes of widths; None: no upper limit."""
    lows = WIDTHS_MM if unit == "mm" else WIDTHS_PX
    return list(zip(lows, [*lows[1:], None], strict=True))


def renderer(kind: str, **attributes: str) -> Element:
    """Return an empty renderer of a type of QGIS."""
    common = {"forceraster": "0", "symbollevels": "0", "enableorderby": "0", "referencescale": "-1"}
    return ElementTree.Element("renderer-v2", {"type": kind, **common, **attributes})


def single(drawn: Element) -> Element:
    """Return a renderer with one symbol for all features."""
    root = renderer("singleSymbol")
    ElementTree.SubElement(root, "symbols").append(drawn)
    return root


def by_width(kind: str, unit: str) -> Element:
    """Return a renderer with classes of the largest width."""
    root = renderer("graduatedSymbol", attr=f"width_max_{unit}", graduatedMethod="GraduatedColor")
    ranges = ElementTree.SubElement(root, "ranges")
    symbols = ElementTree.SubElement(root, "symbols")
    for number, ((low, high), colour) in enumerate(zip(width_classes(unit), COLOURS, strict=True)):
        words = f"wider than {low:g} {unit}" if high is None else f"{low:g} to {high:g} {unit}"
        ElementTree.SubElement(
            ranges,
            "range",
            lower=f"{low:.15f}",
            upper=f"{high or BEYOND:.15f}",
            symbol=str(number),
            label=words,
            render="true",
        )
        symbols.append(symbol(str(number), kind, colour))
    return root


def by_limit(unit: str) -> Element:
    """Return a renderer that hatches where there is no detection limit and, darker, what the user
    excluded, and has a rule for each class of limits, switched off: the photograph stays as it
    is."""
    root = renderer("RuleRenderer")
    limit = f'"detect_limit_{unit}"'
    excluded = f"'{EXCLUDED}'"
    without = f'"detect_limit_px" IS NULL AND "reason" IS NOT {excluded}'
    add_rule(root, "not assessable", without, "hatch", GREY)
    add_rule(root, EXCLUDED, f'"reason" = {excluded}', "hatch", DARK)
    for (low, high), colour in zip(width_classes(unit), COLOURS, strict=True):
        words = f"of {high:g} {unit}" if high else f"above {low:g} {unit}"
        condition = f"{limit} > {low:g}" + (f" AND {limit} <= {high:g}" if high else "")
        add_rule(root, f"cracks {words} are seen", condition, "wash", colour, shown=False)
    return root


def add_rule(
    root: Element,
    label: str,
    condition: str,
    kind: str,
    colour: str,
    *,
    dashed: bool = False,
    shown: bool = True,
) -> None:
    """Add a rule with its symbol to a renderer; one that is not ``shown`` is switched off."""
    if not len(root):
        ElementTree.SubElement(root, "rules", key="{crackcli}")
        ElementTree.SubElement(root, "symbols")
    rules, symbols = root
    number = str(len(symbols))
    key = f"{{crackcli-{number}}}"
    off = {} if shown else {"checkstate": "0"}
    ElementTree.SubElement(
        rules, "rule", {"key": key, "filter": condition, "symbol": number, "label": label, **off}
    )
    symbols.append(symbol(number, kind, colour, dashed=dashed))


def by_severity(profile: SeverityProfile, kind: str) -> Element:
    """Return a renderer with two rules for each class of a profile, for cracks that exceed its
    limit and that possibly do, and one rule for cracks without a grade."""
    root = renderer("RuleRenderer")
    prefix = f"sev_{profile.column}"
    for one, colour in zip(profile.classes, spread(len(profile.classes)), strict=True):
        own = f"\"{prefix}_class\" = '{one.name}'"
        label = f"{one.name}: {one.label}"
        if one.above_mm:
            label += f" (above {one.above_mm:g} mm)"
        status = f"\"{prefix}_status\" = '{POSSIBLY}'"
        add_rule(root, label, f"{own} AND NOT {status}", kind, colour)
        if one.above_mm:
            words = f"{label}, possibly"
            add_rule(root, words, f"{own} AND {status}", kind, colour, dashed=True)
    add_rule(root, "not graded", "ELSE", kind, GREY)
    return root


def spread(count: int) -> list[str]:
    """Return ``count`` colours spread over `COLOURS`; the last of these is used only for six
    classes or more."""
    last = len(COLOURS) - (1 if count >= len(COLOURS) else 2)
    return [COLOURS[round(number * last / (count - 1))] for number in range(count)]


def symbol(name: str, kind: str, colour: str, *, dashed: bool = False) -> Element:
    """Return a symbol of one simple layer: a ``line``, a ``fill`` with an outline, or without one a
    ``wash``, a light fill, or a ``hatch``."""
    root = ElementTree.Element(
        "symbol",
        type="line" if kind == "line" else "fill",
        name=name,
        alpha="1",
        clip_to_extent="1",
        force_rhr="0",
    )
    layer = ElementTree.SubElement(
        root,
        "layer",
        {
            "class": "SimpleLine" if kind == "line" else "SimpleFill",
            "enabled": "1",
            "locked": "0",
            "pass": "0",
        },
    )
    if kind == "line":
        values = {
            "capstyle": "round",
            "joinstyle": "round",
            "line_color": rgba(colour),
            "line_style": "dash" if dashed else "solid",
            "line_width": f"{LINE_MM:g}",
            "line_width_unit": "MM",
        }
    else:
        values = {
            "color": rgba(colour, OPACITIES[kind]),
            "joinstyle": "bevel",
            "outline_color": rgba(colour),
            "outline_style": "dash" if dashed else "solid" if kind == "fill" else "no",
            "outline_width": f"{OUTLINE_MM:g}",
            "outline_width_unit": "MM",
            "style": "b_diagonal" if kind == "hatch" else "solid",
        }
    options = ElementTree.SubElement(layer, "Option", type="Map")
    for key, value in values.items():
        ElementTree.SubElement(options, "Option", name=key, type="QString", value=value)
    return root


def rgba(colour: str, opacity: float = 1.0) -> str:
    """Return a colour in the form of QGIS: red, green, blue, alpha, 0 to 255."""
    parts: Sequence[int] = [*bytes.fromhex(colour[1:]), round(255 * opacity)]
    return ",".join(map(str, parts))


def width_label(unit: str) -> str:
    """Return the expression of a label with the largest width."""
    decimals = DECIMALS[unit]
    return (
        f"""format_number("width_max_{unit}", {decimals}) || """
        f"""coalesce(' ± ' || format_number("width_max_unc_{unit}", {decimals}), '') || ' {unit}'"""
    )


def labeling(expression: str) -> Element:
    """Return labels along the lines, with a light edge around the letters."""
    root = ElementTree.Element("labeling", type="simple")
    settings = ElementTree.SubElement(root, "settings", calloutType="simple")
    text = ElementTree.SubElement(
        settings,
        "text-style",
        fieldName=expression,
        isExpression="1",
        fontSize="8",
        fontWeight=NORMAL_WEIGHT,
        fontSizeUnit="Point",
        textColor="30,30,30,255",
        textOpacity="1",
        textOrientation="horizontal",
    )
    ElementTree.SubElement(
        text,
        "text-buffer",
        bufferDraw="1",
        bufferSize="0.8",
        bufferSizeUnits="MM",
        bufferColor="255,255,255,255",
        bufferOpacity="0.85",
        bufferNoFill="1",
        bufferJoinStyle="128",
    )
    along, above = "2", "10"  # placement by the line; above it, in map orientation
    ElementTree.SubElement(
        settings,
        "placement",
        placement=along,
        placementFlags=above,
        dist="0.5",
        distUnits="MM",
        priority="5",
        layerType="LineGeometry",
    )
    ElementTree.SubElement(
        settings,
        "rendering",
        drawLabels="1",
        obstacle="1",
        mergeLines="0",
        labelPerPart="0",
        minFeatureSize="0",
        scaleVisibility="0",
    )
    return root
