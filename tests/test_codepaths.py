"""The shipped losses as their users hold them: configuration, modules, Keras objects, and the flag that changes one."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch

from conformance import check_loss
from conformance.case import Case
from conformance.codepaths import LossConfig, keras_losses, tensorflow_losses, torch_losses

FLAG_OFF = LossConfig(intensity_scale=3.0)
FLAG_ON = LossConfig(intensity_scale=3.0, mae_normalization="l2_sample")


def _torch_pair(case: Case, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    question = case.question
    return torch.tensor(question.prediction, dtype=dtype), torch.tensor(question.target, dtype=dtype)


def _keras_pair(case: Case, dtype: str = "float32") -> tuple[tf.Tensor, tf.Tensor]:
    question = case.question
    return tuple(  # type: ignore[return-value]
        tf.constant(np.moveaxis(array, 1, -1), dtype) for array in (question.target, question.prediction)
    )


def test_the_default_is_legacy_and_the_configuration_is_frozen() -> None:
    config = LossConfig()
    assert config.mae_normalization == "none"
    assert isinstance(torch_losses.build_losses(config).mae, torch_losses.AmplitudeMAE)
    assert isinstance(keras_losses.build_losses(config).mae, keras_losses.AmplitudeMAE)
    with pytest.raises(AttributeError):
        config.mae_normalization = "l2_sample"  # type: ignore[misc]


@pytest.mark.parametrize("wrong", [True, False, "l2", "L2_SAMPLE", ""])
def test_the_flag_is_one_of_its_strings(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"mae_normalization: got .*, wanted one of none, l2_sample"):
        LossConfig(mae_normalization=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [{"mae_gain": "rms"}, {"mae_reduction": "sample_sum"}, {"nll_constant": "x"}, {"nll_reduction": "sample"},
     {"eps": 0.0}, {"intensity_scale": float("nan")}],
    ids=lambda wrong: next(iter(wrong)),
)  # fmt: skip
def test_every_other_field_is_checked_too(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LossConfig(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compile"])
def test_the_torch_nll_is_the_same_bits_with_the_flag_on_and_off(
    case_of: dict[str, Case], dtype: torch.dtype, compiled: bool
) -> None:
    bits = []
    for config in (FLAG_OFF, FLAG_ON):
        p, t = _torch_pair(case_of["nll-typical"], dtype)
        p.requires_grad_()
        nll = torch_losses.build_losses(config).nll
        value = (torch.compile(nll) if compiled else nll)(p, t)
        value.backward()
        assert p.grad is not None
        bits.append((value.detach().numpy().tobytes(), p.grad.numpy().tobytes()))
    assert bits[0] == bits[1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "xla"])
def test_the_keras_nll_is_the_same_bits_with_the_flag_on_and_off(
    case_of: dict[str, Case], dtype: str, compiled: bool
) -> None:
    bits = []
    for config in (FLAG_OFF, FLAG_ON):
        nll = keras_losses.build_losses(config).nll

        def step(y_true: tf.Tensor, y_pred: tf.Tensor, nll: keras.losses.Loss = nll) -> tuple[tf.Tensor, tf.Tensor]:
            with tf.GradientTape() as tape:
                tape.watch(y_pred)
                value = nll(y_true, y_pred)
            return value, tape.gradient(value, y_pred)

        run = tf.function(step, jit_compile=True) if compiled else step
        value, gradient = run(*_keras_pair(case_of["nll-typical"], dtype))
        assert value.dtype == dtype
        bits.append((value.numpy().tobytes(), gradient.numpy().tobytes()))
    assert bits[0] == bits[1]


def test_the_flag_changes_the_mae(case_of: dict[str, Case]) -> None:
    p, t = _torch_pair(case_of["l2-typical"])
    off, on = (torch_losses.build_losses(config).mae(p, t) for config in (FLAG_OFF, FLAG_ON))
    assert not torch.equal(off, on)
    assert torch.equal(on, torch_losses.amplitude_l2_mae(p, t))
    assert torch.equal(off, torch_losses.amplitude_mae(p, t, 3.0))


@pytest.mark.parametrize("loss", ["amplitude_l2_mae", "amplitude_mae"])
def test_the_torch_modules_conform(loss: str) -> None:
    flag = "l2_sample" if loss == "amplitude_l2_mae" else "none"
    module = torch_losses.build_losses(LossConfig(mae_normalization=flag)).mae
    assert check_loss(module, loss=loss).conformant


@pytest.mark.parametrize("loss", ["amplitude_l2_mae", "amplitude_mae"])
def test_the_keras_objects_conform_in_both_dtypes(loss: str) -> None:
    flag = "l2_sample" if loss == "amplitude_l2_mae" else "none"
    built = keras_losses.build_losses(LossConfig(mae_normalization=flag)).mae

    def canonical(p: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        return built(tf.transpose(t, (0, 2, 3, 1)), tf.transpose(p, (0, 2, 3, 1)))

    result = check_loss(canonical, loss=loss, framework="tensorflow", mode="all")
    assert result.conformant, result.failures[:2]


@pytest.mark.parametrize(
    ("mae_reduction", "nll_reduction"), [("mean", "mean"), ("sum", "sum"), ("sample", "sample_sum"), ("none", "none")]
)
def test_keras_objects_reduce_as_the_functions_do(
    case_of: dict[str, Case], mae_reduction: str, nll_reduction: str
) -> None:
    y_true, y_pred = _keras_pair(case_of["l2-odd"], "float64")
    config = LossConfig("l2_sample", mae_reduction=mae_reduction, nll_reduction=nll_reduction, nll_constant="lgamma")
    built = keras_losses.build_losses(config)
    mae = tensorflow_losses.amplitude_l2_mae(y_true, y_pred, reduction=mae_reduction)
    nll = tensorflow_losses.poisson_nll(y_true, y_pred, 1.0, constant="lgamma", reduction=nll_reduction)
    for got, wanted in ((built.mae(y_true, y_pred), mae), (built.nll(y_true, y_pred), nll)):
        assert got.shape == wanted.shape and got.dtype == wanted.dtype
        relative = np.abs(got.numpy() - wanted.numpy()) / np.maximum(np.abs(wanted.numpy()), 2.0**-1000)
        assert np.max(relative) <= wanted.numpy().size * 2.0**-53 + tf.size(y_true).numpy() * 2.0**-53


@pytest.mark.parametrize(
    "loss",
    [
        keras_losses.AmplitudeL2MAE("unit_rms", 2.0**-20, per="sample_mean", reduction="none"),
        keras_losses.AmplitudeMAE(2.5, reduction="sum", dtype="float64"),
        keras_losses.PoissonNLL(4.0, "stirling", per="sample_sum"),
    ],
    ids=lambda loss: loss.name,
)
def test_keras_objects_survive_serialisation(case_of: dict[str, Case], loss: keras.losses.Loss) -> None:
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(again) is type(loss) and again.get_config() == loss.get_config()
    y_true, y_pred = _keras_pair(case_of["l2-odd"])
    assert again(y_true, y_pred).numpy().tobytes() == loss(y_true, y_pred).numpy().tobytes()


def test_a_keras_model_trains_saves_and_loads_with_the_loss(tmp_path: object) -> None:
    inputs = keras.Input((8, 8, 1))
    model = keras.Model(inputs, keras.layers.Conv2D(1, 3, padding="same", activation="softplus")(inputs))
    model.compile("sgd", loss=keras_losses.AmplitudeL2MAE())
    images = np.random.default_rng(0).random((4, 8, 8, 1), np.float32)
    history = model.fit(images, images, epochs=2, verbose=0)
    assert np.all(np.isfinite(history.history["loss"]))
    path = f"{tmp_path}/model.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    assert isinstance(loaded.loss, keras_losses.AmplitudeL2MAE)


@pytest.mark.parametrize(
    ("p", "t", "error", "said"),
    [
        (np.ones((2, 2, 2), "f4"), np.ones((2, 2, 2), "f4"), ValueError, "four non-empty axes"),
        (np.ones((1, 1, 2, 2), "f4"), np.ones((2, 1, 2, 2), "f4"), ValueError, "shapes differ"),
        (np.ones((1, 1, 2, 2), "i4"), np.ones((1, 1, 2, 2), "i4"), TypeError, "wanted"),
        (np.ones((1, 1, 2, 2), "f4"), np.ones((1, 1, 2, 2), "f8"), TypeError, "dtypes differ"),
        (np.ones((1, 1, 2, 2), "c8"), np.ones((1, 1, 2, 2), "c8"), TypeError, "complex64"),
    ],
    ids=["rank", "broadcast", "integer", "mixed", "complex"],
)
def test_wrong_input_is_refused_in_both_frameworks(
    p: np.ndarray, t: np.ndarray, error: type[Exception], said: str
) -> None:
    for loss in (
        torch_losses.amplitude_l2_mae,
        torch_losses.amplitude_mae,
        lambda x, y: torch_losses.poisson_nll(x, y, 1.0),
    ):
        with pytest.raises(error, match=said):
            loss(torch.tensor(p), torch.tensor(t))
    for loss in (tensorflow_losses.amplitude_l2_mae, tensorflow_losses.amplitude_mae):
        with pytest.raises(error, match=said):
            loss(tf.constant(t), tf.constant(p))


def test_the_poisson_gradient_survives_second_use() -> None:
    p = torch.tensor([3.0], dtype=torch.float64).reshape(1, 1, 1, 1).requires_grad_()
    t = torch.full_like(p, 2.0).detach()
    (first,) = torch.autograd.grad(torch_losses.poisson_nll(p, t, 1.0), p, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), p)
    assert first.item() == 2 * (3 - 4 / 3)
    assert abs(second.item() - 2 * (1 + 4 / 9)) <= 4 * 2.0**-52
