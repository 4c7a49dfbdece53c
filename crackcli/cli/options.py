"""Every option of every command: one flag, one meaning, one help text."""

from pathlib import Path
from typing import Annotated

from typer import Argument, BadParameter, Option

from crackcli.errors import UsageError
from crackcli.registry import BASELINES, METHODS

METHOD_MENU = ", ".join(METHODS)
BASELINE_MENU = ", ".join(f"{name} ({what})" for name, what in BASELINES.items())
START_MENU = (
    "margin (crack logit - no-crack logit), crack (crack logit), "
    "both (sum of the logits, as in Forest et al. 2024)"
)


def parse_model(text: str) -> Path | str:
    """Return a model as typed: a file, or the name of a shipped one."""
    from crackcli.shipped_models import parse_model as parse

    try:
        return parse(text)
    except UsageError as error:
        raise BadParameter(str(error).removeprefix("--model ")) from error


def parse_checkpoint(text: str) -> Path:
    """Return a checkpoint as typed, or that of a shipped model."""
    from crackcli.shipped_models import SHIPPED, shipped

    model = SHIPPED if text == "shipped" else parse_model(text)
    return model if isinstance(model, Path) else shipped(".safetensors", model)


def named(text: str) -> Path:
    """Return a path as typed; refuse an empty one, such as an unset shell variable."""
    if not text:
        raise BadParameter("a path is empty; give images or folders")
    return Path(text)


Out = Annotated[Path, Argument(help="Output folder of crackcli scan.", show_default=False)]
Quiet = Annotated[bool, Option("--quiet", "-q", help="Print only warnings and errors.")]
Verbose = Annotated[
    bool, Option("--verbose", "-v", help="Log details too, such as the time of each strip.")
]
AsJson = Annotated[bool, Option("--json", help="Print the result as JSON.")]
Overwrite = Annotated[bool, Option("--overwrite", help="Replace an existing output.")]
PhotographsFolder = Annotated[
    Path | None,
    Option(exists=True, help="Folder of the photographs, if they were moved since the scan."),
]
GsdMm = Annotated[
    float | None,
    Option(
        "--gsd-mm",
        min=1e-6,
        help="Ground sampling distance: size of a pixel in millimetres, if the image does not "
        "give it. If pixels are not square, the side of a square as large.",
        show_default=False,
    ),
]
GsdSigmaMm = Annotated[
    float | None,
    Option(
        "--gsd-sigma-mm",
        min=0,
        help="Standard uncertainty of --gsd-mm, in millimetres.",
        show_default=False,
    ),
]
ScaleSource = Annotated[
    str | None,
    Option(
        "--scale-source",
        help="Source of the ground sampling distance to use if several disagree (else an error): "
        "option (--gsd-mm), marker, crs (the map) or exif.",
        show_default=False,
    ),
]
Severity = Annotated[
    list[str] | None,
    Option(
        "--severity",
        help="Grade cracks by a profile: en1992-x0 to en1992-xs3 (most also -prestressed), "
        "aci224-dry, -humid, -deicing, -seawater, -water-retaining, burland, d6433-ac, "
        "d6433-pcc-corner, d5340-ac, or a file of your own, user=limits.toml. May be repeated.",
        show_default=False,
    ),
]
Bands = Annotated[
    str | None,
    Option(
        "--bands",
        help="Bands to read as grey, or as red, green and blue, counted from 1: 1, or 4,3,2. "
        "Rasters of floats, or of signed or 32-bit integers, are refused without it, as they may "
        "be elevations, unless they declare their colours.",
        show_default=False,
    ),
]
MarkerMm = Annotated[
    float | None,
    Option(
        "--marker-mm",
        min=1e-3,
        help="Side of the black square of an ArUco marker, in millimetres. Every image must show "
        "such markers on the surface; they give the size of a pixel.",
        show_default=False,
    ),
]
DistanceM = Annotated[
    float | None,
    Option(
        "--distance-m",
        min=1e-3,
        help="Distance from camera to surface, in metres, the same for every image. With the focal "
        "length in the EXIF tags it gives the size of a pixel.",
        show_default=False,
    ),
]
GraphGsdMm = Annotated[
    float | None,
    Option(
        "--gsd-mm",
        min=1e-6,
        help="Size of a pixel in millimetres of the photographs that the graph is meant for; "
        "Deepness resamples others to it.",
        show_default=False,
    ),
]
MinLengthPx = Annotated[
    float, Option("--min-length-px", min=0, help="Leave out cracks shorter than this.")
]
JointLikelihood = Annotated[
    float,
    Option(
        "--joint-likelihood",
        min=0.01,
        max=1,
        help="Minimum likelihood of a joint: lines at or above it are classified as joints. 1 "
        "keeps all lines as cracks.",
    ),
]
ToneName = Annotated[
    str | None,
    Option(
        "--tone",
        help="How a pixel on an edge mixes crack and surface, if known: linear (light, as in a "
        "camera) or encoded (grey values, as in drawn or averaged images).",
    ),
]
AssetId = Annotated[
    str | None,
    Option(
        "--asset-id",
        help="Name of the structure, or the part of it, on the photographs; written to the tables.",
        show_default=False,
    ),
]
CampaignId = Annotated[
    str | None,
    Option(
        "--campaign-id",
        help="Name of the survey that the photographs belong to; written to the tables.",
        show_default=False,
    ),
]
Sources = Annotated[
    list[Path],
    Argument(
        help="Images (GeoTIFF, JPEG, PNG, ...) or folders of images, with their subfolders.",
        parser=named,
        show_default=False,
    ),
]
Output = Annotated[Path, Option("--output", "-o", help="Output folder.")]
Model = Annotated[
    Path | None,
    Option(
        "--model",
        "-m",
        help="Name of a shipped model (crackcli models lists them), or a file: .onnx of crackcli "
        "export or .safetensors of crackcli train. Text with a suffix or a separator is a file "
        "\\[default: the shipped model of the method].",
        parser=parse_model,
        metavar="NAME|FILE",
        show_default=False,
    ),
]
Method = Annotated[
    str | None,
    Option(
        "--method",
        help=f"Method that scores the pixels, for most an attribution of the classifier: "
        f"{METHOD_MENU}. lrp, gradient, inputxgrad, raw, cae, unet and student run in "
        "the base installation, the others need torch or an exported graph "
        "\\[default: student; with --model, lrp for a classifier, else that of the network].",
        show_default=False,
    ),
]
GraphMethod = Annotated[
    str | None,
    Option(
        "--method",
        help=f"Method that scores the pixels: {METHOD_MENU} "
        "\\[default: lrp for a classifier, else that of the network].",
        show_default=False,
    ),
]
Start = Annotated[
    str | None,
    Option(
        "--start",
        help=f"Target of the attribution: {START_MENU} "
        "\\[default: margin, or that of an .onnx file].",
        show_default=False,
    ),
]
GraphStart = Annotated[
    str | None,
    Option(
        "--start",
        help=f"Target of the attribution: {START_MENU} \\[default: margin].",
        show_default=False,
    ),
]
Baseline = Annotated[
    str | None,
    Option(
        "--baseline",
        help=f"Reference of deeplift, deepliftshap, gradientshap and intgrad: {BASELINE_MENU} "
        "\\[default: mean; photographs for the two shap methods].",
        show_default=False,
    ),
]
Recipe = Annotated[
    str,
    Option(
        "--masking",
        help="How scores become a mask. refined: the photograph decides within the corridor marked "
        "by the scores; study: threshold and morphology of Forest et al. 2024; plain: threshold "
        "only; auto: plain for unet, else refined.",
    ),
]
Threshold = Annotated[
    float | None,
    Option(
        "--threshold",
        min=0.0,
        help="Minimum score of a crack pixel (square root of relevance, or of the score of another "
        "method) \\[default: computed for each scene from its scores; for unet and student, "
        "the square root of the model's threshold on P(crack), 0.5 if it has none].",
        show_default=False,
    ),
]
Gate = Annotated[
    float,
    Option(
        "--gate",
        min=0.0,
        max=1.0,
        help="Threshold on P(crack) of a tile: tiles below it get no attribution. For methods that "
        "explain a classifier, such as lrp.",
    ),
]
Look = Annotated[
    float,
    Option(
        "--look",
        min=0.0,
        max=1.0,
        help="Threshold on P(crack) of a prescreening pass: places below it are skipped. 0: no "
        "prescreening. At half resolution, 0.1 saves time on smooth surfaces without cracks and "
        "costs up to a fifth more on others. For methods that explain a classifier, such as lrp.",
    ),
]
LookIn = Annotated[
    str,
    Option(
        "--look-in",
        help="How to prescreen. half: at half resolution; int8: the shipped model in 8-bit "
        "integers, on processors with VNNI. With int8 and --look 0.35, a surface "
        "without cracks takes half the time.",
    ),
]
EngineName = Annotated[
    str,
    Option(
        "--engine",
        help="onnx, torch, raw (for --method raw), zennit (the library Zennit, with the composite "
        "named by --method), or auto: by the suffix of the model file. A shipped model runs in "
        "torch if torch has a GPU, else in onnx if it has a graph.",
    ),
]
DeviceName = Annotated[
    str, Option("--device", help="cpu, cuda (an error if it is not usable), or auto.")
]
Precision = Annotated[
    str,
    Option(
        "--precision",
        help="Precision of the convolutions: float32; bfloat16 (engine torch; about twice as fast "
        "if the processor supports it); or auto: the fastest, for a shipped student int8 in part.",
    ),
]
CorePx = Annotated[
    int | None,
    Option(
        "--core-px",
        min=32,
        help="Height of a strip in pixels, a multiple of 32 (of 128 for cae); reduced if the strip "
        "would have more than 16.8 million pixels. For raw, cae, unet, student and methods of "
        "several passes: side of a block, whose memory grows with its square \\[default: 1024 or "
        "512].",
        show_default=False,
    ),
]
Zoom = Annotated[
    str,
    Option(
        "--zoom",
        help="Scales at which the network processes the image: 0.25, 0.5, 1, 2 or 4, several "
        "of them as 1,2, or auto (0.5,1). For hairline cracks use 1,2: it takes 5 times as long.",
    ),
]
NoRecurse = Annotated[
    bool, Option("--no-recurse", help="Stay in the folders given: do not search their subfolders.")
]
DryRun = Annotated[
    bool,
    Option(
        "--dry-run",
        help="Scan and write nothing. Print the number of blocks of each image, and an estimate of "
        "time (from two seconds of trial on this machine), memory and disk.",
    ),
]
Photographs = Annotated[
    Path | None,
    Argument(
        help="Folder with photographs in crack/ and no_crack/; optional with --mine.",
        show_default=False,
    ),
]
NewCheckpoint = Annotated[
    Path, Option("--output", "-o", help="Checkpoint to write.", show_default=False)
]
StartFrom = Annotated[
    Path | None,
    Option(
        "--from",
        help="Checkpoint to start from: a file, or the name of a shipped model (shipped: "
        "vgg11_128) \\[default: none, train from scratch].",
        parser=parse_checkpoint,
        metavar="NAME|FILE",
        show_default=False,
    ),
]
LearnFrom = Annotated[
    Path | None,
    Option(
        "--from",
        help="Checkpoint to start from: a file, or the name of a shipped model (shipped: "
        "vgg11_128) \\[default: that of the scan].",
        parser=parse_checkpoint,
        metavar="NAME|FILE",
        show_default=False,
    ),
]
Seed = Annotated[int, Option(min=0, help="Seed of all random numbers.")]
Checkpoint = Annotated[
    Path,
    Argument(
        help="Checkpoint (.safetensors) of crackcli train, or the name of a shipped model.",
        parser=parse_checkpoint,
        metavar="MODEL",
        show_default=False,
    ),
]
Before = Annotated[
    Path, Argument(help="Output folder of the earlier campaign.", show_default=False)
]
After = Annotated[Path, Argument(help="Output folder of the later campaign.", show_default=False)]
ChangesFolder = Annotated[
    Path | None,
    Option("--output", "-o", help="Output folder \\[default: the last].", show_default=False),
]
TolerancePx = Annotated[
    float, Option("--tolerance-px", min=0, help="Maximum distance between matching centrelines.")
]
GrownLengthPx = Annotated[
    float,
    Option("--grown-length-px", min=0, help="A crack has grown if it is longer by more than this."),
]
GrownWidthPx = Annotated[
    float,
    Option("--grown-width-px", min=0, help="A crack has grown if it is wider by more than this."),
]
