"""Runs a model on images: torch, ONNX Runtime, Zennit, or no model."""

from crackcli.engines.engine import Engine, EngineFacts, ScoreMaps
from crackcli.engines.opening import open_engine

__all__ = ["Engine", "EngineFacts", "ScoreMaps", "open_engine"]
