"""Exports a checkpoint and a method as one ONNX graph, checked against torch."""
