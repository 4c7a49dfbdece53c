"""Exports a checkpoint and a method as one ONNX graph, checked against torch."""

from crackcli.export.onnx_file import ExportTask, export

__all__ = ["ExportTask", "export"]
