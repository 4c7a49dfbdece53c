"""Every menu of the program: names and where the named thing lives.

The values are "module:object" and are imported when asked for, so that listing a menu costs
nothing.  To add an entry, write its module and one line here.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from crackcli.errors import UsageError

NETWORKS = {
    "autoencoder": "crackcli.networks.autoencoder:build",
    "unet": "crackcli.networks.unet:build",
    "vgg11": "crackcli.networks.vgg11:build",
}
OBJECTIVES = {  # what each network is trained for
    "autoencoder": "crackcli.training.reconstruction:Reconstructing",
    "unet": "crackcli.training.segmentation:Segmenting",
    "vgg11": "crackcli.training.classification:Classifying",
}
METHODS = {
    "cae": "crackcli.attribution.dense:cae",
    "deeplift": "crackcli.attribution.deeplift:deeplift",
    "deepliftshap": "crackcli.attribution.deeplift:deepliftshap",
    "gradient": "crackcli.attribution.gradient:gradient",
    "gradientshap": "crackcli.attribution.path:gradientshap",
    "inputxgrad": "crackcli.attribution.gradient:inputxgrad",
    "intgrad": "crackcli.attribution.path:intgrad",
    "lrp": "crackcli.attribution.lrp:lrp",
    "lrp-alpha2-beta1": "crackcli.attribution.lrp:alpha2_beta1",
    "lrp-epsilon-plus": "crackcli.attribution.lrp:epsilon_plus",
    "lrp-gamma-box": "crackcli.attribution.lrp:gamma_box",
    "raw": "crackcli.engines.raw:RawEngine",  # needs no model, and is its own engine
    "unet": "crackcli.attribution.dense:unet",
}
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

# Packages that the base installation leaves out, and the extra that brings each.
EXTRAS = {
    "torch": "train",
    "torchvision": "train",
    "safetensors": "train",
    "onnx": "train",
    "onnxscript": "train",
    "zennit": "train",
    "matplotlib": "train",
}


def check(menu: Mapping[str, Any], name: str) -> str:
    """``name`` itself if ``menu`` lists it; an unknown name is answered with the menu."""
    if name not in menu:
        raise UsageError(f"'{name}' is not known; choose one of: {', '.join(sorted(menu))}")
    return name


def load(menu: Mapping[str, str], name: str) -> Any:
    """The object that ``menu`` lists under ``name``."""
    module, _, attribute = menu[check(menu, name)].partition(":")
    return getattr(import_module(module), attribute)


DEFAULT_METHOD = "lrp"
DEFAULT_START = "margin"
# What the logits (no crack, crack) are weighed with where an explanation starts.
STARTS = {
    "margin": (-1.0, 1.0),  # what speaks for crack against no crack: class-selective
    "crack": (0.0, 1.0),  # the crack logit alone: the study's start of the gradient methods
    "both": (1.0, 1.0),  # both logits alike: the study's start of LRP
}
PRECISIONS = {  # of convolutions
    "float32": "single precision",
    "bfloat16": "fewer digits, twice as fast where a processor has it",
    "auto": "the faster of the two",
}
# What a method that compares an image with references compares it with, unless told otherwise.
BASELINES = {
    "black": "a black image",
    "mean": "the mean of crack-free photographs",
    "photographs": "crack-free photographs",
}
BASELINE_OF = {
    "deeplift": "mean",
    "deepliftshap": "photographs",
    "gradientshap": "photographs",
    "intgrad": "mean",
}
# The networks of methods that do not explain a classifier; the grey picture itself needs none.
DIRECT = {"cae": "autoencoder", "raw": None, "unet": "unet"}
CLASSIFIER = "vgg11"
# What the root that a score raster holds is of, where it is not positive relevance.
SCORED = {"cae": "squared error", "raw": "darkness", "unet": "P(crack)"}


def chosen_baseline(method: str, wanted: str | None) -> str | None:
    """What a method compares with: what was asked for, else its own; None where it does not."""
    if method not in BASELINE_OF:
        if wanted is not None:
            menu = ", ".join(sorted(BASELINE_OF))
            raise UsageError(f"method {method} has no baseline; those that have: {menu}")
        return None
    return wanted or BASELINE_OF[method]
