"""From what is given, an intensity or a field, to amplitudes; the gradient at 0 is 0."""

from types import SimpleNamespace
from typing import Any


def _unless(o: SimpleNamespace, dark: Any, x: Any, of: Any) -> Any:
    """`of(x)`, but 0 without a gradient where it is dark."""
    return o.where(dark, o.zeros(x), of(o.where(dark, o.ones(x), x)))


def root(o: SimpleNamespace, x: Any) -> Any:
    return _unless(o, x == 0, x, o.sqrt)


def root_of_sum(o: SimpleNamespace, z: Any) -> Any:
    x, y = o.real(z), o.imag(z)
    return root(o, x * x + y * y)


def library_modulus(o: SimpleNamespace, z: Any) -> Any:
    return o.modulus(z)


def scaled_modulus(o: SimpleNamespace, z: Any) -> Any:
    """By the larger of the two components, a constant."""
    x, y = o.real(z), o.imag(z)
    big = o.stop(o.larger(o.abs(x), o.abs(y)))
    big = o.where(big == 0, o.ones(big), big)
    return big * root(o, (x / big) * (x / big) + (y / big) * (y / big))
