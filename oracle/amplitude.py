"""The two mean absolute errors between diffraction amplitudes: L2-normalised per scope, and legacy."""

import jax
import jax.numpy as jnp

from oracle.arguments import require_choice, require_positive, require_scale, require_view_ids
from oracle.entry import enter
from oracle.modulus import absolute_difference
from oracle.reduction import MAE_REDUCTIONS, reduce_elements
from oracle.scope import SCOPES, scope_sum

DEFAULT_EPS = 2.0**-40
GAINS = ("unit_l2", "unit_rms")


def _unit_norm(amplitude: jax.Array, scope: str, view_ids: jax.Array | None, eps: float) -> jax.Array:
    """Return amplitude / max(||amplitude||, eps), the norm over the scope; NaN where the norm is not finite.

    A sum of squares that overflows would otherwise give 0 everywhere, silently. At ||amplitude|| = eps the divisor is
    the constant; a dark scope stays 0 with a finite gradient, because the root of 0 is never taken.
    """
    energy = scope_sum(jnp.square(amplitude), scope, view_ids)
    dark = energy == 0
    norm = jnp.where(dark, 0, jnp.sqrt(jnp.where(dark, 1, energy)))
    divisor = jnp.where(jnp.isfinite(norm), jnp.where(norm > eps, norm, eps), jnp.nan)
    return amplitude / divisor


def amplitude_l2_mae(
    prediction: jax.Array,
    target: jax.Array,
    *,
    mask: jax.Array | None = None,
    scope: str = "sample",
    view_ids: jax.Array | None = None,
    domain: str = "amplitude",
    reduction: str = "mean",
    gain: str = "unit_l2",
    eps: float = DEFAULT_EPS,
) -> jax.Array:
    """Mean absolute error between amplitudes that are each scaled to unit L2 norm over a scope.

        phat = p / max(||p||, eps)    that = t / max(||t||, eps)    loss = mean |phat - that|

    Parameters
    ----------
    prediction, target : array (B, C, H, W), of one dtype
        What `domain` says of p and t, in any common unit (the loss has none): float64, float32, bfloat16 or float16;
        complex128 or complex64 for `field`. Amplitudes are meant to be >= 0 and finite; the formulas hold for signed
        ones too. Half types are cast up to float32 once, before anything else.
    mask : array of bool, integers or real floats, rank 4, each axis that of `target` or 1, optional
        Nonzero: valid. Masked elements add nothing to value, gradient (exactly 0), norms or numbers of elements, and
        may hold NaN or inf in both arrays. Where nothing is valid, loss and gradient are 0.
    scope : {"sample", "patch", "view", "batch"}
        What shares one norm, so that sum(phat^2) = 1 over it: the elements (C, H, W) of each b; (H, W) of each b and
        c; all samples with the same entry in `view_ids`; everything.
    view_ids : array of integers (B,)
        Required by scope `view`, and refused with any other: the object or experiment each sample belongs to. Any
        integers in any order; of JAX's 32-bit integers only 32 bits are compared, of a NumPy array all.
    domain : {"amplitude", "intensity", "field"}
        The arrays are p and t; their squares (p = sqrt(I), gradient 0 at I = 0; I < 0 gives NaN); or complex waves
        z (p = |z|, gradient 0 at z = 0).
    reduction : {"mean", "sum", "sample", "none"}
        Mean of the valid elements; sum of them; mean within each b, shape (B,); or none, shape (B, C, H, W), 0 at
        masked elements.
    gain : {"unit_l2", "unit_rms"}
        `unit_l2`: as above, values of order 1 / sqrt(n), n the number of valid elements in a scope. `unit_rms`: each
        element times sqrt(n) of its scope, comparable with an amplitude MAE on data of unit root mean square.
    eps : float, default 2**-40
        Bounds the norm itself, by max: never its square, never by addition. Fixed at compilation. Norms below the root
        of the smallest number of the dtype (1.1e-19 in float32) underflow to 0, and a smaller eps guards nothing.

    Returns
    -------
    array of float32 (for float32, half types and complex64) or float64
        The loss; shape as `reduction` says. The gradient has the dtype of the input.

    Raises
    ------
    TypeError
        Integer, bool or mixed dtypes, real where `domain` means complex and the reverse; a complex mask; ids that are
        no integers; an eps that is traced or no number.
    ValueError
        Wrong rank, empty or different shapes, a mask that does not broadcast, ids missing, superfluous or not (B,),
        an unknown option, eps not finite and above 0 in the computing dtype.

    Notes
    -----
    Gradient with respect to p, of the sum of the returned array, with P = ||p|| of the scope, s = sign(phat - that),
    w the weight of an element (1 / number of valid elements for `mean`; within its b for `sample`; 1 for `sum` and
    `none`; times sqrt(n) for `unit_rms`), c = sum_j w_j s_j phat_j over the scope:

        P > eps:   g_i = (w_i s_i - phat_i c) / P, hence <g, p> = 0 in each scope
        P <= eps:  g_i = w_i s_i / eps, the normaliser being a constant

    sign(0) = 0: an exact tie, such as a dead pixel p = t = 0, adds nothing to g_i nor to c. A dark scope (P = 0) has
    phat = 0, a finite loss and a finite gradient. The loss is symmetric: exchange the two for the gradient with respect
    to t. Domain `intensity` multiplies g_i by 1 / (2 p_i), and `field` by z_i / |z_i|, both 0 where p_i = 0. A complex
    gradient is d/dRe + i d/dIm, as in Torch and TensorFlow; `jax.grad` returns the conjugate of that, and
    `oracle.evaluate` conjugates it back.

    Values are not inspected. A NaN or inf in a valid element gives a non-finite loss, and so does a sum of squares
    that overflows (amplitudes of 1e19 in float32): never a silent 0.

    Scale invariance: L(a p, t) = L(p, t) for a > 0. For non-negative data 0 <= L <= sqrt(2 / n) (`sample`, `unit_l2`).
    A narrow scope discards the relative brightness between scopes. A batch in shards, weighted by their numbers of
    valid elements, gives the same loss for `sample` and `patch`; `view` and `batch` need the sums of the whole batch.

    Source: this project's contract, version 1. With scope `sample` the loss of a sample equals the MAE of a prediction
    rescaled to the target's norm, divided by ||t||.
    """
    p, t, valid = enter(prediction, target, mask, domain)
    require_choice("scope", scope, SCOPES)
    require_view_ids(view_ids, scope, samples=p.shape[0])
    require_choice("reduction", reduction, MAE_REDUCTIONS)
    require_choice("gain", gain, GAINS)
    eps = require_positive("eps", eps, p.dtype)
    elements = absolute_difference(_unit_norm(p, scope, view_ids, eps), _unit_norm(t, scope, view_ids, eps))
    if gain == "unit_rms":
        number = scope_sum(valid.astype(int), scope, view_ids)
        elements = elements * jnp.sqrt(number.astype(elements.dtype))
    return reduce_elements(elements, valid, reduction)


def amplitude_mae(
    prediction: jax.Array,
    target: jax.Array,
    *,
    intensity_scale: float | jax.Array = 1.0,
    mask: jax.Array | None = None,
    domain: str = "amplitude",
    reduction: str = "mean",
) -> jax.Array:
    """Legacy mean absolute error between scaled amplitudes, the default of every configuration.

        loss = mean |s p - s t|

    Parameters
    ----------
    prediction, target : array (B, C, H, W), of one dtype
        What `domain` says of the diffraction amplitudes p and t, dtypes as in `amplitude_l2_mae`.
    intensity_scale : float or real scalar array, default 1
        s: turns an amplitude into one whose square is photons. A constant of the data set, never differentiated; held
        in the computing dtype, float32 for half types.
    mask, domain : as in `amplitude_l2_mae`
    reduction : {"mean", "sum", "sample", "none"}
        As in `amplitude_l2_mae`.

    Returns
    -------
    array of float32 (for float32, half types and complex64) or float64
        The loss, in units of s times amplitude. The gradient has the dtype of the input.

    Raises
    ------
    TypeError
        Dtypes and masks as in `amplitude_l2_mae`; a scale that is no real number.
    ValueError
        Shapes, masks and options as in `amplitude_l2_mae`; a scale that is no scalar, or a Python number that is not
        finite and above 0.

    Notes
    -----
    Gradient with respect to p: w_i s sign(p_i - t_i), with sign(0) = 0 and w the weight of an element; with respect to
    t: its negative. Domains multiply it as in `amplitude_l2_mae`. A NaN or inf in a valid element gives a non-finite
    loss. Additive over samples: shards weighted by their numbers of valid elements give the loss of the batch.

    Source: this project's contract, version 1; the amplitude loss that ptychography networks train with today.
    """
    p, t, valid = enter(prediction, target, mask, domain)
    require_choice("reduction", reduction, MAE_REDUCTIONS)
    scale = require_scale(intensity_scale, p.dtype)
    return reduce_elements(absolute_difference(scale * p, scale * t), valid, reduction)
