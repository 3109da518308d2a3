"""Turns a generator into a version directory that TensorFlow Serving serves."""

from gannet_export.conditions import classes_of_seeds
from gannet_export.exporting import export
from gannet_export.gate import ExportRefused
from gannet_export.noise import noise
from gannet_export.servable import to_pixels

__all__ = ["ExportRefused", "classes_of_seeds", "export", "noise", "to_pixels"]
