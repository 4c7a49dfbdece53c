"""Attribution methods, one a file: which pixels made the classifier say crack?"""

DEFAULT_METHOD = "lrp"
DEFAULT_START = "margin"

# What the logits (no crack, crack) are weighed with where an explanation starts.
STARTS = {
    "margin": (-1.0, 1.0),  # what speaks for crack against no crack: class-selective
    "crack": (0.0, 1.0),  # the crack logit alone: the study's start of the gradient methods
    "both": (1.0, 1.0),  # both logits alike: the study's start of LRP
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
