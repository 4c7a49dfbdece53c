"""The house's floors: a module imports from floors below its own; heavy packages stay where they
belong."""

import ast
from pathlib import Path

import pytest

import crackcli

ROOT = Path(crackcli.__file__).parent
FLOORS = """
cli cli.* __main__
training_report
survey report comparison training onnx_export
scan formats.*
mask_scene models features
explainer engines.* matching cracks
attribution.lrp attribution.gradient networks.* engines
attribution.propagation patches masking widths runs
attribution.adjoint dataset centerline raster scale surfaces
skeleton outline chain device random_cracks onnx_graph backends.*
sparse drawing scene
attribution networks formats backends grid
registry files
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
