"""The explainer of a scan, for a model file or for an engine that is open."""

from pathlib import Path

from crackcli.engines.engine import Engine
from crackcli.engines.opening import open_engine
from crackcli.errors import UsageError
from crackcli.inference.dense import DenseScorer
from crackcli.inference.explainer import Explainer
from crackcli.inference.options import ModelOptions
from crackcli.inference.prescreen import LEAST_QUICK, HalfResolutionPrescreen, Int8Prescreen
from crackcli.inference.strips import StripScorer
from crackcli.registry import check
from crackcli.shipped_models import shipped

LOOKS = {
    "half": "at half the resolution",
    "int8": "in whole numbers of 8 bits, of the shipped model, on processors with VNNI",
}
CPU = Path("/proc/cpuinfo")


def open_explainer(options: ModelOptions | None = None) -> StripScorer:
    """Open a model and return what scores the strips of a scan with it."""
    options = options or ModelOptions()
    model, look, look_in = options.model, options.look, options.look_in
    check(LOOKS, look_in)
    if look_in != "half" and not look:
        raise UsageError(f"--look-in {look_in} is of a first look; add --look {LEAST_QUICK:g}")
    if look and look_in == "int8" and model is not None:
        raise UsageError("--look-in int8 is for the shipped model; leave --model or it out")
    opened = open_engine(
        model,
        options.method,
        options.start,
        options.engine,
        options.device,
        options.baseline,
        options.precision,
    )
    if look and opened.facts.direct:
        raise UsageError(
            f"method {opened.facts.method} sees all of an image and has no first look; leave "
            "--look out"
        )
    return explainer_of(opened, options.gate, look, look_in)


def explainer_of(
    engine: Engine, gate: float, look: float = 0.0, look_in: str = "half"
) -> StripScorer:
    """What a scan has its strips explained by, on an engine that is open.  A look in whole numbers
    is left out where the processor would be no quicker by it."""
    if engine.facts.direct:
        return DenseScorer(engine)
    if not look or (look_in == "int8" and (engine.facts.device != "cpu" or not multiplies_int8())):
        return Explainer(engine, gate)
    if look_in == "half":
        return Explainer(engine, gate, HalfResolutionPrescreen(engine, look))
    from crackcli.engines.onnx import Quick

    return Explainer(engine, gate, Int8Prescreen(Quick(engine, shipped(".int8.onnx")), look))


def multiplies_int8() -> bool:
    """Whether the processor adds up products of four pairs of 8 bits at once."""
    try:
        return "vnni" in CPU.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
