"""`install`: which framework a model is of, what a configuration may ask for, and who does it."""

from dataclasses import fields

from conformance.codepaths.config import LossConfig
from conformance.exit_codes import UsageError
from conformance.rollout.ptychopinn.installation import Installation

KEPT = (
    "mae_reduction",
    "mae_domain",
    "intensity_scale",
    "nll_constant",
    "nll_reduction",
    "nll_rate_guard",
    "nll_rate_floor",
    "nll_normaliser",
    "nll_normaliser_value",
)
"""Settings that stay the checkout's own: its term is a mean over scaled amplitudes, and its NLL is not touched."""


def framework_of(model: object) -> str:
    """Return "torch" or "keras", from where the classes of `model` come from; nothing is imported.

    Raises
    ------
    UsageError
        A model of neither.
    """
    homes = {kind.__module__.split(".")[0] for kind in type(model).__mro__}
    for framework in ("torch", "keras"):
        if framework in homes:
            return framework
    advice = "unset TF_USE_LEGACY_KERAS, the losses are for Keras 3" if "tf_keras" in homes else "give the model itself"
    raise UsageError(f"model: got {type(model).__qualname__}, wanted a torch.nn.Module or a keras.Model; {advice}")


def require_kept(config: LossConfig) -> None:
    """Refuse a setting that would be ignored."""
    if not isinstance(config, LossConfig):
        raise UsageError(f"config: got {type(config).__name__}, wanted a LossConfig of conformance.codepaths")
    for entry in fields(LossConfig):
        got = getattr(config, entry.name)
        if entry.name in KEPT and got != entry.default:
            raise UsageError(
                f"config.{entry.name}: got {got!r}, wanted {entry.default!r}: only the amplitude term is replaced, its "
                "scale, its mean and the NLL stay the checkout's own; leave it out"
            )


def install(model: object, config: LossConfig) -> Installation:
    """Put the amplitude loss that `config` describes in the place of the legacy MAE of a PtychoPINN model.

    Parameters
    ----------
    model : PtychoPINN_Lightning of ptycho_torch/model.py, or the compiled Keras model of ptycho/model.py
        Changed in place. Torch: unsupervised, amplitude mode, loss mode "mae", without the L2-match option.
    config : LossConfig
        Its `mae_normalization`, `mae_gain` and `eps`; the rest must be at its default. With "none" the model is left
        as it is, bit for bit.

    Returns
    -------
    Installation
        What was replaced by what, with `uninstall`.

    Raises
    ------
    UsageError
        A model that is not shaped as expected, a mode that the loss is not for, a setting that would be ignored.
    ValueError
        `l2_view` with Keras, which hands a loss no ids.

    Notes
    -----
    With `l2_view` the Torch path takes `experiment_id` of each batch as the view ids.
    """
    framework = framework_of(model)
    require_kept(config)
    if config.mae_scope is None:
        note = "mae_normalization is 'none': nothing was replaced, the checkout's own MAE trains as before"
        return Installation(framework, config.mae_normalization, notes=(note,))
    if framework == "torch":
        from conformance.rollout.ptychopinn.torch_install import install_torch

        return install_torch(model, config)
    from conformance.rollout.ptychopinn.keras_install import install_keras

    return install_keras(model, config)
