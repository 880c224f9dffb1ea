"""What Torch hands back, as NumPy and by name."""

import numpy as np
import torch

from conformance.case import Array


def in_numpy(array: torch.Tensor) -> Array:
    """Return the numbers in double precision, on the CPU."""
    wide = torch.complex128 if array.dtype.is_complex else torch.float64
    return np.asarray(array.detach().to("cpu", wide).resolve_conj())


def name_of(dtype: torch.dtype) -> str:
    """Return the name that NumPy and the other frameworks have for a dtype."""
    return str(dtype).removeprefix("torch.")
