"""This project's amplitude loss in a PtychoPINN model, put there at run time; no file of that checkout is changed."""

from conformance.rollout.ptychopinn.dispatch import install
from conformance.rollout.ptychopinn.installation import Installation

__all__ = ["Installation", "install"]
