"""The training set: how it is loaded and described."""

from stedi_assets.training.loader import TrainingSet, load

__all__ = ["TrainingSet", "load"]
