"""The layers of the package: a package imports from layers below its own, and heavy libraries stay
where they belong."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import crackcli

ROOT = Path(crackcli.__file__).parent
LAYERS = """
cli
comparison evaluation finetuning selftest
report scan
export inference measuring training
cracks engines
attribution datasets detectability masking registration scenes synthesis
figures networks rasters shipped_models
outputs
sqlite_files
files licences registry
arrays errors progress texts threads
"""
LAYER = {
    name: height
    for height, line in enumerate(reversed(LAYERS.strip().splitlines()))
    for name in line.split()
}


def modules():
    """The dotted name of every module below the package, and its tree."""
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name not in ("", "__main__"):
            yield name, ast.parse(path.read_text(encoding="utf-8"))


MODULES = dict(modules())


def imports(tree):
    """Modules of this package imported anywhere in a file, but not for type checking only."""
    hidden = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
        for node in ast.walk(branch)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and id(node) not in hidden:
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and id(node) not in hidden:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from ([node.module] if node.module != "crackcli" else []) + names


def packages_of(name):
    """The packages (or modules of the ground floor) that a module imports, but its own."""
    found = {each.split(".")[1] for each in imports(MODULES[name]) if each.startswith("crackcli.")}
    return found & LAYER.keys() - {name.split(".")[0]}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_from_layers_below_that_of_its_package(name):
    own = LAYER[name.split(".")[0]]

    assert [found for found in packages_of(name) if LAYER[found] >= own] == []


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("scan.raster", "inference"),
        ("report.tracing", "cracks"),
        ("comparison.write", "scenes"),
        ("training.loop", "networks"),
        ("cli.report", "report"),
        ("selftest.run", "scan"),
    ],
)
def test_the_layers_know_what_a_module_imports(name, package):
    assert package in packages_of(name)


def first_imports(name):
    """Modules whose code runs, or has run, before that of a module of this name: those that it
    imports at its top."""
    for node in MODULES[name].body:
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found = [f"{node.module}.{alias.name}" for alias in node.names] + [node.module]
        else:
            continue
        yield from {each.removeprefix("crackcli.") for each in found} & MODULES.keys()


@pytest.mark.parametrize("name", [name for name in MODULES if not name.startswith("cli")])
def test_no_module_imports_itself_by_way_of_others(name):
    reached, waiting = set(), [name]
    while waiting:
        for found in first_imports(waiting.pop()):
            if found not in reached:
                reached.add(found)
                waiting.append(found)

    assert name not in reached


@pytest.mark.parametrize("package", sorted({name.split(".")[0] for name in MODULES}))
def test_a_package_holds_few_modules(package):
    folders = {}
    for path in (ROOT / package).rglob("*.py"):
        if path.stem != "__init__":
            folders.setdefault(path.parent, []).append(path.stem)

    assert all(len(names) <= 12 for names in folders.values())


@pytest.mark.parametrize(
    ("package", "homes"),
    [
        (
            "rasterio",
            {
                *("rasters.reader", "rasters.bands", "rasters.ground.crs"),
                *("rasters.areas.excluded", "rasters.areas.mask_image"),
                *("rasters.access.complete", "rasters.decoding.decoded", "rasters.access.warned"),
                *("rasters.access.opening", "rasters.access.state"),
                "rasters.labels.label_image",
                *("rasters.writing.cog", "rasters.writing.images"),
            },
        ),
        ("pillow_heif", {"rasters.decoding.decoded"}),
        ("PIL", {"rasters.decoding.decoded"}),
        ("rawpy", {"rasters.decoding.decoded"}),
        ("onnxruntime", {"engines.onnx"}),
        ("onnx", {"export.onnx_file", "export.graph_surgery", "export.method_graphs"}),
        ("pyogrio", {"report.formats.geopackage", "report.formats.shapefile"}),
        ("xlsxwriter", {"report.formats.xlsx"}),
        ("torchvision", {"training.augmentation"}),
        ("matplotlib", {"training.charts"}),
        ("triton", {"attribution.triton_kernels"}),
        ("zennit", {"engines.zennit"}),
        ("captum", set()),
    ],
)
def test_a_heavy_package_is_used_where_it_belongs(package, homes):
    users = {
        name.removeprefix("crackcli.")
        for name, tree in MODULES.items()
        if any(found == package or found.startswith(f"{package}.") for found in imports(tree))
    }

    assert users == homes


LEAVES = """
import sys
sys.argv = ["crackcli", *{arguments!r}]
import crackcli.cli
try:
    crackcli.cli.main()
except SystemExit:
    pass
print(sorted({heavy!r} & sys.modules.keys()), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "command", ["", "train", "learn", "export", "scan", "report", "compare", "evaluate", "selftest"]
)
def test_help_loads_nothing_heavy(command):
    heavy = {"torch", "onnxruntime", "rasterio", "numpy", "cv2", "scipy", "shapely"}
    program = LEAVES.format(arguments=[command, "--help"] if command else ["--help"], heavy=heavy)

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "Usage" in done.stdout
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: p.stem)
def test_a_file_can_be_read_in_one_sitting(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
