"""Registries of networks, methods, engines and formats: each name with its import path.

The paths are texts "module:object"; `load` imports the module, so that listing the names imports
nothing. To add an entry, write its module and one line here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from crackcli.errors import UsageError

NETWORKS = {
    "autoencoder": "crackcli.networks.autoencoder:build",
    "student": "crackcli.networks.student:build",
    "unet": "crackcli.networks.unet:build",
    "vgg11": "crackcli.networks.vgg11:build",
}
CLASSIFIER = "vgg11"  # the network whose decisions attribution methods explain
BY_IMAGE_LABELS = (CLASSIFIER, "student")  # networks that crack-free photographs and reviews teach
OBJECTIVES = {  # the training objective of each network
    "autoencoder": "crackcli.training.objectives.reconstruction:Reconstruction",
    "student": "crackcli.training.objectives.weak_segmentation:WeakSegmentation",
    "unet": "crackcli.training.objectives.segmentation:Segmentation",
    "vgg11": "crackcli.training.objectives.classification:Classification",
}
PROBABILITY = "P(crack)"


@dataclass(frozen=True)
class Method:
    """What the program must know of a method before it loads any code of it."""

    code: str  # "module:object" of the function that builds it, or of its own engine
    network: str | None = CLASSIFIER  # None: it needs no model
    score: str = "positive relevance"  # score rasters hold the square root of this
    baseline: str | None = None  # default of --baseline; None: it compares with nothing
    masking: str = "refined"  # recipe of --masking auto

    @property
    def direct(self) -> bool:
        """Whether pixels are scored without a classifier, so that there is no gate."""
        return self.network != CLASSIFIER

    @property
    def probability(self) -> bool:
        """Whether the score is P(crack) of each pixel."""
        return self.score == PROBABILITY


METHODS = {
    "cae": Method("crackcli.attribution.dense:cae", "autoencoder", "squared error"),
    "deeplift": Method("crackcli.attribution.deeplift:deeplift", baseline="mean"),
    "deepliftshap": Method("crackcli.attribution.deeplift:deepliftshap", baseline="photographs"),
    "gradient": Method("crackcli.attribution.gradient:gradient"),
    "gradientshap": Method("crackcli.attribution.path:gradientshap", baseline="photographs"),
    "inputxgrad": Method("crackcli.attribution.gradient:inputxgrad"),
    "intgrad": Method("crackcli.attribution.path:intgrad", baseline="mean"),
    "lrp": Method("crackcli.attribution.lrp:lrp"),
    "lrp-alpha2-beta1": Method("crackcli.attribution.lrp:alpha2_beta1"),
    "lrp-epsilon-plus": Method("crackcli.attribution.lrp:epsilon_plus"),
    "lrp-gamma-box": Method("crackcli.attribution.lrp:gamma_box"),
    "raw": Method("crackcli.engines.raw:RawEngine", None, "darkness"),
    "student": Method("crackcli.attribution.dense:student", "student", PROBABILITY),
    "unet": Method("crackcli.attribution.dense:unet", "unet", PROBABILITY, masking="plain"),
}
ZENNIT = Method("crackcli.engines.zennit:ZennitEngine")  # every composite; the engine lists them
ENGINES = {
    "onnx": "crackcli.engines.onnx:OnnxEngine",
    "raw": "crackcli.engines.raw:RawEngine",
    "torch": "crackcli.engines.torch:TorchEngine",
    "zennit": "crackcli.engines.zennit:ZennitEngine",
}
FORMATS = {
    "csv": "crackcli.report.formats.csv:write",
    "geojson": "crackcli.report.formats.geojson:write",
    "gpkg": "crackcli.report.formats.geopackage:write",
}
MORE_FORMATS = {  # written on request
    "shp": "crackcli.report.formats.shapefile:write",
    "xlsx": "crackcli.report.formats.xlsx:write",
}

# Packages that the base installation leaves out, and the extra that installs each.
EXTRAS = {
    "torch": "train",
    "torchvision": "train",
    "safetensors": "train",
    "onnx": "train",
    "onnxscript": "train",
    "zennit": "train",
    "matplotlib": "train",
    "xlsxwriter": "xlsx",
}

DEFAULT_METHOD = "student"  # if neither a model nor a method is named
NETWORK_METHODS = {  # method of a network's model if none is named
    "autoencoder": "cae",
    "student": "student",
    "unet": "unet",
    "vgg11": "lrp",
}
DEFAULT_START = "margin"
DEFAULT_GATE = 0.5  # threshold on P(crack); tiles below it get no attribution
# Weights of the logits (no crack, crack) in the attribution target, by the name of --start.
STARTS = {
    "margin": (-1.0, 1.0),  # crack logit - no-crack logit: class-selective
    "crack": (0.0, 1.0),  # crack logit; Forest et al. 2024 for gradient methods
    "both": (1.0, 1.0),  # sum of both logits; Forest et al. 2024 for LRP
}
PRECISIONS = {  # of convolutions
    "float32": "single precision",
    "bfloat16": "fewer digits, twice as fast where a processor has it",
    "auto": "the fastest: bfloat16, or int8 for a shipped student, where a processor has it",
}
BASELINES = {  # references of methods that compare an image with references
    "black": "a black image",
    "mean": "the mean of crack-free photographs",
    "photographs": "crack-free photographs",
}


def check_choice(option: str, menu: Iterable[str], name: str) -> str:
    """Return ``name`` if ``menu`` lists it; raise a `UsageError` with the menu if not.

    ``option`` is the option as typed, such as ``--start``.
    """
    if name not in menu:
        raise UsageError(f"{option} {name}: unknown; choose one of: {', '.join(sorted(menu))}")
    return name


def load(option: str, menu: Mapping[str, str | Method], name: str) -> Any:
    """Import and return the object that ``menu`` lists under ``name``; see `check_choice`."""
    entry = menu[check_choice(option, menu, name)]
    module, _, attribute = (entry.code if isinstance(entry, Method) else entry).partition(":")
    return getattr(import_module(module), attribute)


def find_method(name: str) -> Method:
    """Return the row of a method; a name that `METHODS` lacks is a composite of Zennit."""
    return METHODS.get(name, ZENNIT)


def find_baseline(method: str, wanted: str | None) -> str | None:
    """Return the baseline of a method: ``wanted``, else its default, or None if it has none.

    Raises a `UsageError` if a baseline is wanted for a method without one.
    """
    default = find_method(method).baseline
    if default is None and wanted is not None:
        menu = ", ".join(sorted(name for name, row in METHODS.items() if row.baseline))
        raise UsageError(
            f"--baseline {wanted}: method {method} has no baseline; leave it out, or use one of: "
            f"{menu}"
        )
    return wanted or default
