"""Runs a model on images: torch, ONNX Runtime, Zennit, or no model."""
