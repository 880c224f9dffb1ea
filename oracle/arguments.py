"""Refusal of wrong shapes, ranks, dtypes and options. Values are never inspected: that would synchronise a device."""

import jax

LAYOUT = "(B, C, H, W)"
DTYPES = ("float32", "float64")


def require_amplitudes(predicted: jax.Array, target: jax.Array) -> None:
    """Raise unless both arrays are non-empty, both float32 or both float64, and of one shape (B, C, H, W).

    Raises
    ------
    TypeError
        One of the two is no float32 or float64 array, or the dtypes differ.
    ValueError
        The rank is not 4, an axis is empty, or the shapes differ.
    """
    for name, array in (("predicted_amplitude", predicted), ("target_amplitude", target)):
        got = getattr(array, "dtype", type(array).__name__)
        if str(got) not in DTYPES:
            raise TypeError(f"{name}: got {got}, wanted an array of {' or '.join(DTYPES)}; cast it on purpose")
        if array.ndim != 4 or 0 in array.shape:
            raise ValueError(
                f"{name}: got shape {tuple(array.shape)}, wanted four non-empty axes {LAYOUT}; "
                "add the missing batch or channel axis"
            )
    if predicted.dtype != target.dtype:
        raise TypeError(
            f"dtypes differ: predicted_amplitude is {predicted.dtype}, target_amplitude is {target.dtype}; "
            "cast one of them on purpose"
        )
    if predicted.shape != target.shape:
        raise ValueError(
            f"shapes differ: predicted_amplitude {tuple(predicted.shape)}, target_amplitude {tuple(target.shape)}; "
            "the losses never broadcast one against the other"
        )


def require_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise ValueError unless `value` is one of `choices`."""
    if value not in choices:
        raise ValueError(f"{name}: got {value!r}, wanted one of {', '.join(choices)}")


def require_positive(name: str, value: float) -> None:
    """Raise ValueError unless the Python number `value` is finite and above zero."""
    if not 0.0 < value < float("inf"):
        raise ValueError(f"{name}: got {value!r}, wanted a finite number above 0")
