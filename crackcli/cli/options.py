"""Every option of every command: one flag, one meaning, one help text."""

from pathlib import Path
from typing import Annotated

from typer import Argument, BadParameter, Option

from crackcli.registry import BASELINES, METHODS

METHOD_MENU = ", ".join(METHODS)
BASELINE_MENU = ", ".join(f"{name} ({what})" for name, what in BASELINES.items())
START_MENU = "margin (crack against no crack), crack (its logit), both (the study's)"


def named(text: str) -> Path:
    """A path as it is typed; an empty one, as of a variable that is not set, is no folder."""
    if not text:
        raise BadParameter("a name is empty; give images or folders")
    return Path(text)


Out = Annotated[Path, Argument(help="Output folder of a scan.", show_default=False)]
Quiet = Annotated[bool, Option("--quiet", "-q", help="Say nothing but warnings and errors.")]
AsJson = Annotated[bool, Option("--json", help="Print the result as JSON.")]
Overwrite = Annotated[bool, Option("--overwrite", help="Replace an existing output.")]
GsdMm = Annotated[
    float | None,
    Option(
        "--gsd-mm",
        min=1e-6,
        help="Size of a pixel in millimetres, where the image does not tell.",
        show_default=False,
    ),
]
GsdSigmaMm = Annotated[
    float | None,
    Option(
        "--gsd-sigma-mm",
        min=0,
        help="Standard uncertainty of --gsd-mm.",
        show_default=False,
    ),
]
ScaleSource = Annotated[
    str | None,
    Option(
        "--scale-source",
        help="Which source of scale to trust where several disagree, which is an error otherwise: "
        "option (--gsd-mm), marker, crs (the map), exif.",
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
MarkerMm = Annotated[
    float | None,
    Option(
        "--marker-mm",
        min=1e-3,
        help="Side of the black square, in mm, of ArUco markers that every image shows on the "
        "wall: they tell the size of a pixel.",
        show_default=False,
    ),
]
DistanceM = Annotated[
    float | None,
    Option(
        "--distance-m",
        min=1e-3,
        help="How far from the wall every image was taken, in metres: with the focal length in "
        "its EXIF tags this tells the size of a pixel.",
        show_default=False,
    ),
]
GraphGsdMm = Annotated[
    float | None,
    Option(
        "--gsd-mm",
        min=1e-6,
        help="Size of a pixel in millimetres of the photographs it is meant for; Deepness "
        "resamples others to it.",
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
        help="Likelihood from which on a line is set aside as a joint; 1 keeps all as cracks.",
    ),
]
ToneName = Annotated[
    str | None,
    Option(
        "--tone",
        help="How pixels on an edge mix wall and crack, if you know: linear (light, as in a "
        "camera) or encoded (grey values, as in drawn or averaged pictures).",
    ),
]
AssetId = Annotated[
    str | None,
    Option(
        "--asset-id",
        help="What the photographs show, as a structure or a part of it: a name for the tables.",
        show_default=False,
    ),
]
CampaignId = Annotated[
    str | None,
    Option(
        "--campaign-id",
        help="The survey they belong to: a name for the tables.",
        show_default=False,
    ),
]
Sources = Annotated[
    list[Path],
    Argument(
        help="Images (GeoTIFF, JPEG, PNG, ...) or folders of images.",
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
        help="Model file: .onnx of crackcli export or .safetensors of crackcli train "
        "\\[default: the shipped one].",
        show_default=False,
    ),
]
Method = Annotated[
    str | None,
    Option(
        "--method",
        help=f"What scores a pixel, most by explaining the classifier: {METHOD_MENU}.  lrp, "
        "gradient, inputxgrad, raw, cae and unet run in the base installation, the others need "
        "torch or an exported graph \\[default: lrp, or that of an .onnx file].",
        show_default=False,
    ),
]
GraphMethod = Annotated[str, Option("--method", help=f"What scores a pixel: {METHOD_MENU}.")]
Start = Annotated[
    str | None,
    Option(
        "--start",
        help=f"What is explained: {START_MENU} \\[default: margin, or that of an .onnx file].",
        show_default=False,
    ),
]
GraphStart = Annotated[str, Option("--start", help=f"What is explained: {START_MENU}.")]
Baseline = Annotated[
    str | None,
    Option(
        "--baseline",
        help=f"What deeplift, deepliftshap, gradientshap and intgrad compare a photograph with: "
        f"{BASELINE_MENU} \\[default: mean; photographs for the two shap methods].",
        show_default=False,
    ),
]
Recipe = Annotated[
    str,
    Option(
        "--masking",
        help="refined: the photograph decides inside the corridor that the explanation marks; "
        "study: threshold and morphology of Forest et al. 2024; plain: the threshold alone; auto: "
        "plain for unet, else refined.",
    ),
]
Threshold = Annotated[
    float | None,
    Option(
        "--threshold",
        min=0.0,
        help="Score from which on a crack is seen, the root of relevance or of what else a method "
        "gives \\[default: one for each scene, from its scores; of unet the root of a half].",
        show_default=False,
    ),
]
Gate = Annotated[
    float,
    Option(
        "--gate",
        min=0.0,
        max=1.0,
        help="P(crack) from which on a tile is explained; raw, cae and unet have no gate.",
    ),
]
Look = Annotated[
    float,
    Option(
        "--look",
        min=0.0,
        max=1.0,
        help="P(crack) of a first look from which on a place is looked at in full; 0 looks at all "
        "in full. At half the resolution, 0.1 saves time on smooth sound walls, and costs up to a "
        "fifth more on others.",
    ),
]
LookIn = Annotated[
    str,
    Option(
        "--look-in",
        help="half: the first look is at half the resolution; int8: in whole numbers of 8 bits, of "
        "the shipped model on processors with VNNI: with --look 0.35 a sound wall takes half the "
        "time.",
    ),
]
EngineName = Annotated[
    str,
    Option(
        "--engine",
        help="onnx, torch, raw (for --method raw), auto: by the model file's suffix; a shipped "
        "model by torch where that has a GPU, else by onnx if it has a graph; zennit: the "
        "library Zennit explains, with the composite of rules that --method names.",
    ),
]
DeviceName = Annotated[
    str, Option("--device", help="cpu, cuda (an error where it is not usable), or auto.")
]
Precision = Annotated[
    str,
    Option(
        "--precision",
        help="Of the convolutions, by engine torch: float32, bfloat16 (about twice as fast where "
        "the processor has it), or auto: the faster of the two.",
    ),
]
CorePx = Annotated[
    int | None,
    Option(
        "--core-px",
        min=32,
        help="Height of a strip in pixels, a multiple of 32, of 128 for cae; less where it would "
        "have more than 16.8 million pixels.  Of raw, cae, unet and methods that take several "
        "passes the side of a block, whose memory grows with its square \\[default: 1024 or 512].",
        show_default=False,
    ),
]
Zoom = Annotated[
    str,
    Option(
        "--zoom",
        help="At how many times its resolution the network sees an image: 0.25, 0.5, 1, 2, 4, "
        "several as 1,2, or auto (0.5,1). For hairlines 1,2: it takes 5 times as long.",
    ),
]
DryRun = Annotated[
    bool,
    Option(
        "--dry-run",
        help="Scan nothing and write nothing: tell how many blocks each image has, and from two "
        "seconds of trial on this machine how long they take, and how much memory and disk.",
    ),
]
Photographs = Annotated[
    Path | None,
    Argument(
        help="Folder with photographs in crack/ and no_crack/; may be left out with --mine.",
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
        help="Checkpoint to start from, or 'shipped' \\[default: none, learn from nothing].",
        show_default=False,
    ),
]
LearnFrom = Annotated[
    Path | None,
    Option(
        "--from",
        help="Checkpoint to start from, or 'shipped' \\[default: that of the scan].",
        show_default=False,
    ),
]
Seed = Annotated[int, Option(min=0, help="Of all random draws.")]
Checkpoint = Annotated[
    Path, Argument(help="Checkpoint (.safetensors) of crackcli train.", show_default=False)
]
Before = Annotated[
    Path, Argument(help="Output folder of the earlier campaign.", show_default=False)
]
After = Annotated[Path, Argument(help="Output folder of the later campaign.", show_default=False)]
ChangesFolder = Annotated[
    Path | None,
    Option("--output", "-o", help="Folder for the result; else AFTER.", show_default=False),
]
TolerancePx = Annotated[
    float, Option("--tolerance-px", min=0, help="Distance within which centrelines match.")
]
GrownLengthPx = Annotated[
    float, Option("--grown-length-px", min=0, help="A crack that is longer by more has grown.")
]
GrownWidthPx = Annotated[
    float,
    Option("--grown-width-px", min=0, help="A crack that is wider by more has grown."),
]


def resolve(start_from: Path | None) -> Path | None:
    """The path that --from means."""
    from crackcli import shipped_models

    return shipped_models.shipped(".safetensors") if start_from == Path("shipped") else start_from
