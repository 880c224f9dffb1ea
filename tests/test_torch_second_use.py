"""The Torch losses differentiated again, transformed, compiled, under autocast and in other memory layouts."""

from functools import partial
from typing import Any

import pytest
import torch
from roundings import SHORT, STEP, apart
from test_torch_losses import IDS, assert_close, derivatives, half_masked
from torch import Tensor

from conformance.codepaths.torch_losses import amplitude_l2_mae, amplitude_mae, intensity_scale, poisson_nll

MASK = half_masked()
LOSSES: dict[str, Any] = {
    "l2-patch": partial(amplitude_l2_mae, scope="patch", gain="unit_rms", mask=MASK),
    "l2-view": partial(amplitude_l2_mae, scope="view", view_ids=IDS, mask=MASK),
    "l2-intensity": partial(amplitude_l2_mae, domain="intensity"),
    "mae": partial(amplitude_mae, scale=3.0, mask=MASK),
    "nll": partial(poisson_nll, scale=3.0),
    "nll-lgamma-mean": partial(
        poisson_nll, scale=3.0, constant="lgamma", normaliser="batch_mean_amplitude", reduction="sample_sum"
    ),
    "nll-clamp": partial(poisson_nll, scale=3.0, constant="stirling", rate_guard="clamp", rate_floor=4.0, mask=MASK),
    "nll-log-add": partial(poisson_nll, scale=3.0, constant="saturated", rate_guard="log_add", rate_floor=4.0),
}
every_loss = pytest.mark.parametrize("name", list(LOSSES))


def drawn(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Amplitudes without ties, no element of either close to 0 or to a floor's."""
    generator = torch.Generator().manual_seed(3)
    t = 0.8 + torch.rand(4, 2, 3, 5, generator=generator, dtype=torch.float64)
    return (t * (1 + 0.25 * torch.randn(t.shape, generator=generator).clamp(-2, 2))).to(dtype), t.to(dtype)


def gradient(loss: Any, p: Tensor, t: Tensor) -> Tensor:
    (of_p,) = torch.autograd.grad(loss(p, t).sum(), p, create_graph=True)
    return of_p


@every_loss
def test_first_and_second_derivatives_are_those_of_differences(name: str) -> None:
    p, t = (x[:, :1, :2, :2].clone().requires_grad_() for x in drawn())
    options = {"mask": MASK[:, :1, :2, :2]} if "mask" in LOSSES[name].keywords else {}
    loss = partial(LOSSES[name], **options)
    if name == "nll-lgamma-mean":
        loss, t = partial(loss, normaliser="none"), t  # differences would see the divisor, which gets no gradient
    differences = {"eps": STEP, "rtol": STEP, "atol": apart(steps=SHORT) / STEP}
    assert torch.autograd.gradcheck(loss, (p, t), **differences)
    assert torch.autograd.gradgradcheck(loss, (p, t), **differences)


@pytest.mark.parametrize("constant", ["none", "lgamma", "stirling", "saturated"])
@pytest.mark.parametrize(("p", "t"), [(3.0, 2.0), (2.0, 2.0), (1e-3, 0.0), (0.0, 0.0), (1e4, 1e4 + 1)])
def test_the_second_derivative_of_the_nll_is_two_s2_times_one_plus_t2_over_p2(
    constant: str, p: float, t: float
) -> None:
    x, y = (torch.full((1, 1, 1, 1), number, dtype=torch.float64, requires_grad=True) for number in (p, t))
    first = gradient(partial(poisson_nll, scale=4.0, constant=constant), x, y)
    of_p, of_t = torch.autograd.grad(first.sum(), (x, y))
    wanted = 32 * (1 + (t / p) ** 2) if p else 32  # where p = t = 0, the limit along t = 0
    assert abs(of_p.item() - wanted) <= apart() * wanted
    assert abs(of_t.item() - (-64 * t / p if p else 0)) <= apart() * 64
    assert torch.autograd.grad(poisson_nll(x, y, 4.0, constant=constant), y)[0].isfinite().all()


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "mae"])  # the gradient of that is a constant
def test_masked_and_dark_elements_stay_finite_at_second_order(name: str) -> None:
    p, t = drawn()
    p[:, :, 0], t[:, :, 0] = 0, 0
    p[:, :, 1, 1] = t[:, :, 1, 1]
    first = [x.requires_grad_() for x in (p, t)]
    grads = torch.autograd.grad(LOSSES[name](*first).sum(), first, create_graph=True)
    for second in torch.autograd.grad(sum(x.square().sum() for x in grads), first):
        assert second.isfinite().all()


@every_loss
def test_function_transforms_agree_with_autograd(name: str) -> None:
    p, t = drawn()
    loss = lambda x, y: LOSSES[name](x, y).sum()  # noqa: E731
    _, dp, dt = derivatives(LOSSES[name], p, t)
    both = torch.func.grad(loss, argnums=(0, 1))
    for actual, expected in zip(both(p, t), (dp, dt)):
        assert torch.equal(actual, expected)
    assert_close(torch.func.jacrev(loss)(p, t), dp)
    stacks = torch.stack([p, p.flip(0) + 0.25]), torch.stack([t, t.flip(3)])
    for number in (0, 1):
        values = torch.func.vmap(loss)(*stacks)
        assert_close(values[number], loss(stacks[0][number], stacks[1][number]))
        gradients = torch.func.vmap(both)(*stacks)
        for actual, expected in zip(gradients, both(stacks[0][number], stacks[1][number])):
            assert_close(actual[number], expected)
    shared = torch.func.vmap(both, in_dims=(0, None))(stacks[0], t)
    assert_close(shared[0][0], dp)


def test_the_hessian_by_reverse_over_reverse_and_forward_mode_refused() -> None:
    p, t = (x[:1, :1, :1, :3] for x in drawn())
    loss = partial(poisson_nll, scale=3.0, reduction="sum")
    hessian = torch.func.jacrev(torch.func.jacrev(lambda x: loss(x, t)))(p).reshape(3, 3)
    assert_close(hessian, torch.diag(18 * (1 + (t / p) ** 2).flatten()))
    with pytest.raises(RuntimeError, match="jvp"):  # never a silent zero
        torch.func.jvp(lambda x: loss(x, t), (p,), (p,))


def test_masks_ids_and_scales_can_be_mapped_over_too() -> None:
    p, t = (torch.stack([x, x.flip(2)]) for x in drawn())
    masks, ids, s = torch.stack([MASK, ~MASK]), torch.stack([IDS, IDS.flip(0)]), torch.tensor([2.0, 5.0]).double()
    got = torch.func.vmap(lambda a, b, m, i: amplitude_l2_mae(a, b, mask=m, scope="view", view_ids=i))(p, t, masks, ids)
    nll = torch.func.vmap(lambda a, b, m, c: poisson_nll(a, b, c, mask=m))(p, t, masks, s)
    for n in (0, 1):
        one = amplitude_l2_mae(p[n], t[n], mask=masks[n], scope="view", view_ids=ids[n])
        assert_close(got[n], one)
        assert_close(nll[n], poisson_nll(p[n], t[n], s[n], mask=masks[n]))


@every_loss
def test_memory_layouts_and_a_gradient_of_one_input_change_nothing(name: str) -> None:
    p, t = drawn()
    loss = LOSSES[name]
    value, dp, dt = derivatives(loss, p, t)
    wide = torch.full((4, 2, 6, 11), 3.0, dtype=p.dtype)
    wide[:, :, ::2, 1::2] = p
    turned = p.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0)
    for other in (p.contiguous(memory_format=torch.channels_last), wide[:, :, ::2, 1::2], turned):
        assert torch.equal(other, p)
        leaf = other.detach().requires_grad_()
        again = loss(leaf, t)
        (only_p,) = torch.autograd.grad(again.sum(), leaf)
        assert_close(again.detach(), value)
        assert_close(only_p, dp)
    (only_t,) = torch.autograd.grad(loss(p, t.requires_grad_()).sum(), t)
    assert torch.equal(only_t, dt)
    row = p[:1, :1].expand(4, 2, 3, 5)  # strides of 0
    assert torch.equal(loss(row, t), loss(row.clone(), t))


@every_loss
def test_autocast_and_meta_tensors(name: str) -> None:
    p, t = drawn(torch.float32)
    plain_run = derivatives(LOSSES[name], p, t)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = derivatives(LOSSES[name], p, t)
    assert all(torch.equal(left, right) and left.dtype == right.dtype for left, right in zip(cast, plain_run))
    meta = {key: x.to("meta") for key, x in LOSSES[name].keywords.items() if isinstance(x, Tensor)}
    value, dp, _ = derivatives(partial(LOSSES[name], **meta), p.to("meta"), t.to("meta"))
    assert value.is_meta and value.shape == plain_run[0].shape and dp.shape == p.shape


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_inputs_are_left_alone(dtype: torch.dtype) -> None:
    p, t = drawn(dtype)
    given = (p, t, MASK.clone(), IDS.clone())
    before = [x.clone() for x in given]
    for loss in LOSSES.values():
        derivatives(loss, p, t)
    assert all(torch.equal(left, right) for left, right in zip(given, before))


def _every_branch(p: Tensor, t: Tensor, mask: Tensor, ids: Tensor, number: float) -> Tensor:
    s = intensity_scale(t.detach(), 100 * number, mask=mask)
    guards = [{"rate_guard": guard, "rate_floor": number, "mask": mask} for guard in ("clamp", "log_add")]
    return (
        amplitude_l2_mae(p, t, mask=mask, scope="view", view_ids=ids, domain="intensity", gain="unit_rms", eps=number)
        + poisson_nll(p, t, s, constant="stirling", **guards[0])
        + poisson_nll(p, t, number, constant="saturated", **guards[1])
        + poisson_nll(p, t, number, normaliser="batch_mean_amplitude", constant="lgamma", mask=mask)
    )


def test_every_branch_is_one_graph_that_reads_nothing_on_the_host() -> None:
    p, t = drawn()
    options = {"mask": MASK, "ids": IDS, "number": 0.75}
    run = torch.compile(_every_branch, fullgraph=True, backend="eager")  # reading a value would break the graph
    for actual, expected in zip(derivatives(run, p, t, **options), derivatives(_every_branch, p, t, **options)):
        assert_close(actual, expected)


def _some_numbers(p: Tensor, t: Tensor, number: float) -> Tensor:
    nll = poisson_nll(p, t, number, rate_guard="log_add", rate_floor=number)
    return amplitude_l2_mae(p, t, eps=number) + nll


def test_compiled_for_dynamic_shapes_no_number_is_baked_in() -> None:
    p, t = drawn()
    run = torch.compile(_some_numbers, fullgraph=True, dynamic=True)
    for number, size in ((0.75, 5), (3.5, 4)):
        part = (p[..., :size].contiguous(), t[..., :size].contiguous())
        for actual, expected in zip(
            derivatives(run, *part, number=number), derivatives(_some_numbers, *part, number=number)
        ):
            assert_close(actual, expected)
