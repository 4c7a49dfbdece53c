"""Open a model file and return the scorer of a scan, or build one for an open engine."""

from crackcli.engines.engine import Engine
from crackcli.engines.opening import multiplies_int8, open_engine
from crackcli.errors import UsageError
from crackcli.inference.classifier_scorer import ClassifierScorer
from crackcli.inference.dense import DenseScorer
from crackcli.inference.options import ModelOptions
from crackcli.inference.prescreen import INT8_THRESHOLD, HalfResolutionPrescreen, Int8Prescreen
from crackcli.inference.staged import StagedScorer
from crackcli.inference.strips import StripScorer
from crackcli.registry import (
    CLASSIFIER,
    DEFAULT_GATE,
    DEFAULT_METHOD,
    NETWORK_METHODS,
    check_choice,
)
from crackcli.shipped_models import SHIPPED, require_model, shipped

PRESCREENS = {
    "half": "at half the resolution",
    "int8": "in int8, with the shipped model, on processors with VNNI",
}


def open_scorer(options: ModelOptions | None = None) -> StripScorer:
    """Open a model and return what scores the strips of a scan with it.

    Raises a `UsageError` if options exclude each other, and a `crackcli.errors.ModelError` if the
    model file does not fit them.
    """
    options = options or ModelOptions()
    check_choice("--look-in", PRESCREENS, options.look_in)
    if options.look_in != "half" and not options.look:
        raise UsageError(f"--look-in {options.look_in} needs --look; try --look {INT8_THRESHOLD:g}")
    if options.look_in == "int8" and options.model not in (None, SHIPPED):
        raise UsageError("--look-in int8 needs the shipped model; leave --model or --look-in out")
    require_model("--model", options.model)
    engine = open_engine(
        options.model,
        options.method,
        options.start,
        options.engine,
        options.device,
        options.baseline,
        options.precision,
    )
    if engine.facts.direct:
        refuse_explanation_options(options, engine.facts.method)
    return scorer_of(engine, options.gate, options.look, options.look_in)


def refuse_explanation_options(options: ModelOptions, method: str) -> None:
    """Raise a `UsageError` if an option is given that only explanations of a classifier use.

    ``method`` is that of the scan, a direct one.
    """
    given = {
        "--start": options.start,
        "--gate": None if options.gate == DEFAULT_GATE else options.gate,
        "--look": options.look or None,
    }
    by_default = options.model is None and options.method is None and method == DEFAULT_METHOD
    remedy = f"add --method {NETWORK_METHODS[CLASSIFIER]}" if by_default else "leave it out"
    for option, value in given.items():
        if value is not None:
            raise UsageError(
                f"{option} {value}: for methods that explain a classifier, and {method} scores "
                f"pixels without one; {remedy}"
            )


def scorer_of(engine: Engine, gate: float, look: float = 0.0, look_in: str = "half") -> StripScorer:
    """Return what scores strips with an open engine.

    A prescreen in int8 is left out on a GPU and on processors where it would save no time.
    """
    if engine.facts.kind == "stages":
        return StagedScorer(engine)
    if engine.facts.direct:
        return DenseScorer(engine)
    if not look or (look_in == "int8" and (engine.facts.device != "cpu" or not multiplies_int8())):
        return ClassifierScorer(engine, gate)
    if look_in == "half":
        return ClassifierScorer(engine, gate, HalfResolutionPrescreen(engine, look))
    from crackcli.engines.onnx import Int8Engine

    return ClassifierScorer(
        engine, gate, Int8Prescreen(Int8Engine(engine, shipped(".int8.onnx")), look)
    )
