"""The losses that ship: Torch and TensorFlow, written independently of the reference, behind one configuration."""

from conformance.codepaths.config import LossConfig

__all__ = ["LossConfig"]
