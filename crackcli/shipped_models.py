"""Model files that come with the package, and which model and method a request means."""

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from crackcli.errors import ModelError, UsageError
from crackcli.files import sha256
from crackcli.licences import Licence, Source, read_sources
from crackcli.registry import CLASSIFIER, DEFAULT_METHOD, NETWORK_METHODS, find_method

SHIPPED = "vgg11_128"
MODELS = {  # network of each shipped model
    SHIPPED: CLASSIFIER,
    "student": "student",
    "open": "student",
    "unet": "unet",
    "cae": "autoencoder",
}
PACKAGED = Path(__file__).parent / "_models"  # in an installation
CHECKOUT = Path(__file__).parents[1] / "models"  # in a clone
CARDS = "models.json"  # figures of the shipped models, and licences that their files do not state


class Choice(NamedTuple):
    """The model and method of a request.

    ``model`` is a file, the name of a shipped model, or None for a method that needs none.
    ``method`` None is that of the file.
    """

    model: Path | str | None
    method: str | None


@dataclass(frozen=True)
class ModelCard:
    """A shipped model: what it may be used for, what it learnt from, and its figures.

    f1                 of test sets by name, in % at 0 and 2 px
    crack_free_marked  % of the pixels of crack-free test patches
    recipe             method and masking that were measured
    """

    name: str
    network: str
    method: str  # by default
    default: bool  # of crackcli scan
    megabytes: float
    licence: Licence
    sources: tuple[Source, ...]
    f1: dict[str, list[float]] = field(default_factory=dict)
    crack_free_marked: float | None = None
    recipe: str = ""


def parse_model(text: str) -> Path | str:
    """Return the path of a model file as typed, or the name of a shipped model.

    Text with a suffix or a separator is a path, other text a name. Raises a `UsageError` if no
    shipped model has this name.
    """
    if Path(text).suffix or Path(text).name != text:
        return Path(text)
    if text not in MODELS:
        raise UsageError(
            f"--model {text}: not a shipped model; choose one of: {', '.join(MODELS)}, or give a "
            "file with its suffix (.onnx or .safetensors)"
        )
    return text


def require_model(option: str, model: Path | str | None) -> None:
    """Raise a `ModelError` that names ``option`` if ``model`` is a file that does not exist."""
    if isinstance(model, Path) and not model.exists():
        raise ModelError(f"{option} {model}: no such file; check the name")


def choose(model: Path | str | None = None, method: str | None = None) -> Choice:
    """Return the model and method that a request means; None is what it does not name.

    Without a model, it is the shipped one for the method; without a method, it is that of the
    model's network. Raises a `UsageError` if a shipped model does not fit the method.
    """
    if isinstance(model, Path):
        return Choice(model, method)
    if model is None:
        method = method or DEFAULT_METHOD
        return Choice(shipped_for(method), method)
    network, method = MODELS[model], method or NETWORK_METHODS[MODELS[model]]
    needed = find_method(method).network
    if needed is not None and needed != network:
        fitting = " or ".join(f"--model {name}" for name in MODELS if MODELS[name] == needed)
        raise UsageError(
            f"--method {method}: needs a {needed}, and model {model} is a {network}; leave "
            f"--method out, or use {fitting}"
        )
    return Choice(model, method)


def shipped_for(method: str) -> str | None:
    """Return the name of the shipped model of a method, the first of its network; None if it needs
    no model."""
    network = find_method(method).network
    return next((name for name, of in MODELS.items() if of == network), None)


def shipped(suffix: str, name: str = SHIPPED) -> Path:
    """Return the path of a shipped file: model ``name`` (default: the classifier) + ``suffix``."""
    return models_folder() / f"{name}{suffix}"


def models_folder() -> Path:
    """Return the folder of the shipped models."""
    return PACKAGED if PACKAGED.is_dir() else CHECKOUT


def read_cards() -> dict[str, dict[str, Any]]:
    """Return the content of `CARDS` by the names of models; empty if the file is missing."""
    path = models_folder() / CARDS
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def list_models() -> list[ModelCard]:
    """Return the cards of the models in this installation."""
    default, cards = choose().model, read_cards()
    found = []
    for name, network in MODELS.items():
        checkpoint, card = shipped(".safetensors", name), cards.get(name, {})
        if not checkpoint.is_file():
            continue
        facts = read_facts(checkpoint)
        found.append(
            ModelCard(
                name,
                network,
                NETWORK_METHODS[network],
                default=name == default,
                megabytes=round(checkpoint.stat().st_size / 1e6, 1),
                licence=licence_of(checkpoint, Licence.read(facts.get("licence"))),
                sources=read_sources(facts.get("sources") or card.get("sources")),
                f1=card.get("f1", {}),
                crack_free_marked=card.get("crack_free_marked"),
                recipe=card.get("recipe", ""),
            )
        )
    return found


def read_facts(checkpoint: Path) -> dict[str, Any]:
    """Return the facts in the header of a checkpoint, without the package that reads its weights.

    A safetensors file begins with the length of its header (8 bytes) and the header, which is JSON.
    """
    with checkpoint.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    facts: dict[str, Any] = json.loads(header["__metadata__"]["checkpoint"])
    return facts


def licence_of(file: Path, stated: Licence) -> Licence:
    """Return the licence of a model file: the one ``stated`` in it, else that of its card if it is
    shipped."""
    if stated or file.resolve().parent != models_folder().resolve():
        return stated
    return Licence.read(read_cards().get(file.name.partition(".")[0], {}).get("licence"))


@cache
def shipped_sha256(name: str = SHIPPED) -> frozenset[str]:
    """Return the digests of the checkpoint of a shipped model and of all graphs exported from
    it."""
    checkpoint = shipped(".safetensors", name)
    graphs = checkpoint.parent.glob(f"{name}.*onnx")
    return frozenset(sha256(path) for path in (checkpoint, *graphs) if path.is_file())
