"""Attribution methods, one a file: which pixels made the classifier say crack?"""

from crackcli.errors import UsageError

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
