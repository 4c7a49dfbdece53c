"""The house's floors: a module imports from floors below its own; heavy packages stay where they
belong."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import crackcli

ROOT = Path(crackcli.__file__).parent
FLOORS = """
__main__
cli
cli.train cli.learn cli.export cli.scan cli.report cli.compare cli.evaluate cli.selftest
cli.*
selftest_report
selftest_sheet
selftest
reviewing evaluation_report estimate
mining tables
survey report comparison training onnx_export corrections evaluating
reviews trajectories pace
contenders
injection hits campaigns
scan formats.* training_report joints growth objectives.*
memory
workload scored default_scan work
models
look
provenance width_profiles
mask_scene zoom tiles features onnx_wholes judging references straight measures objectives
qgis_style photograph
graded measuring
direct_explainer scene_optics
batches
explainer
seeing
filling
engines.onnx engines.torch engines.raw engines.zennit matching cracks study sound
attribution.path attribution.kernels
attribution.fused
attribution.lrp attribution.gradient attribution.deeplift networks.* networks engines
attribution.passes limit_features frames photometry ridge about shapes
attribution.propagation patches masking widths runs scale marker statements raster_copy
labelled assessment profiles sources cog reading
attribution.adjoint attribution.direct steps drawing.twins dataset centerline raster
drawing.distractors drawing.known_cracks
drawing.marks drawing.things
drawing.joints drawing.drawn_cracks drawing.visibility
drawing.brushes
drawing.random_cracks skeleton outline chain device onnx_graph onnx_bytes colours contact_sheet
measurability optics
drawing.cover drawing.surfaces sparse scene orientation evaluation calibration study_width tabular
severity exif pod chart darkness tone
backends.*
windows
attribution formats backends drawing grid
registry files width_methods ahead
errors
"""


def modules():
    for path in sorted(ROOT.rglob("*.py")):
        if "_models" in path.parts:
            continue
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        yield name, ast.parse(path.read_text(encoding="utf-8"))


def imports(tree):
    """Modules imported anywhere in a file, but not for type checking only."""
    hidden = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
        for node in ast.walk(branch)
    }
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


MODULES = dict(modules())
FLOOR = {}
for height, line in enumerate(reversed(FLOORS.split("\n"))):
    FLOOR |= dict.fromkeys(line.split(), height)


def floor(name):
    """How high a module stands: by its own name, else by that of its folder."""
    name = name.removeprefix("crackcli").removeprefix(".")
    folder = name.rpartition(".")[0]
    return FLOOR[name] if name in FLOOR else FLOOR[f"{folder}.*"]


@pytest.mark.parametrize("name", [name for name in MODULES if name != "crackcli"])
def test_a_module_imports_from_floors_below_its_own(name):
    own = {name, name.rpartition(".")[0]}  # a folder may be named on the way to what is in it
    theirs = {found.removeprefix("crackcli.") for found in imports(MODULES[name])} - own

    assert [found for found in theirs & MODULES.keys() if floor(found) >= floor(name)] == []


def test_the_floors_know_what_modules_import():
    found = {name.removeprefix("crackcli.") for name in imports(MODULES["report"])}

    assert {"scale", "scene", "registry"} <= found & MODULES.keys()


@pytest.mark.parametrize(
    ("package", "homes"),
    [
        ("rasterio", {"raster", "raster_copy", "colours", "cog"}),
        ("onnxruntime", {"engines.onnx"}),
        ("onnx", {"onnx_export", "onnx_graph", "onnx_wholes"}),
        ("pyogrio", {"formats.geopackage"}),
        ("torchvision", {"patches"}),
        ("matplotlib", {"training_report"}),
        ("triton", {"attribution.kernels"}),
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
