"""The wheel by itself: run by the Python of an environment that holds it and nothing of a checkout.

    python tests/packaging/check_wheel.py

Scans a photograph with the model inside the wheel and reports it, without torch.
"""

import csv
import json
import os
import subprocess
import sys
import tempfile
from importlib import metadata, resources, util
from pathlib import Path

import crackcli

CHECKOUT = Path(__file__).parents[2]
PHOTOGRAPHS = CHECKOUT / "sample_data" / "patches"
NEEDED = (
    *("py.typed", "report/severity_profiles.toml"),
    *("_models/models.json", "_models/vgg11_128.lrp.margin.onnx"),
)


def run(*arguments: str, folder: Path) -> str:
    """Run the installed command in ``folder`` and return what it printed."""
    command = [str(Path(sys.executable).with_name("crackcli")), *arguments]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} left with {done.returncode}:\n{done.stderr}")
    return done.stdout


def main() -> None:
    package = Path(crackcli.__file__).parent
    if CHECKOUT in package.parents and ".venv" not in str(package):
        sys.exit(f"{package} is the checkout; install the wheel first")
    if util.find_spec("torch") is not None:
        sys.exit("torch is installed: this environment is more than the base installation")
    for name in NEEDED:
        if not resources.files("crackcli").joinpath(name).is_file():
            sys.exit(f"the wheel lacks crackcli/{name}")
    photograph = sorted((PHOTOGRAPHS / "crack").iterdir())[0]
    with tempfile.TemporaryDirectory() as folder:
        version = run("--version", folder=Path(folder)).strip()
        if metadata.version("crackcli") not in version:
            sys.exit(f"crackcli --version prints {version!r}")
        if not all(
            card["licence"]["name"]
            for card in json.loads(run("models", "--json", folder=Path(folder)))
        ):
            sys.exit("crackcli models lists a model without a licence")
        run("scan", str(photograph), "-o", "out", folder=Path(folder))
        run("report", "out", folder=Path(folder))
        with (Path(folder) / "out" / "cracks.csv").open(encoding="utf-8", newline="") as file:
            cracks = list(csv.DictReader(file))
        overview = Path(folder) / "out" / photograph.stem / "overview.png"
        if not cracks or not overview.is_file():
            sys.exit(f"{photograph.name}: {len(cracks)} cracks; overview {overview.is_file()}")
    print(f"{version}: the wheel scans and reports; {len(cracks)} cracks in {photograph.name}")


if __name__ == "__main__":
    main()
