"""Learning-rate schedules against closed forms, and their bookkeeping."""

import copy
import math
import warnings

import pytest

import pynn
from pynn.optim import SGD, Adam, lr_scheduler
from pynn.optim.lr_scheduler import (
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    MultiplicativeLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)


def optimizer(*lrs, cls=SGD, **options):
    groups = [{"params": [pynn.zeros(1, requires_grad=True)], "lr": lr} for lr in lrs or (0.5,)]
    return cls(groups, lr=1.0, **options)


def run(opt, scheduler, steps):
    """The rates of all groups, before any step and after each."""
    rates = [[float(group["lr"]) for group in opt.param_groups]]
    for _ in range(steps):
        opt.step()
        scheduler.step()
        rates.append([float(group["lr"]) for group in opt.param_groups])
        assert scheduler.get_last_lr() == [group["lr"] for group in opt.param_groups]
    return rates


def line(e, start, end, total):
    return start + (end - start) * min(e, total) / total


CASES = {
    "lambda": (lambda o: LambdaLR(o, lambda e: 0.9**e), lambda e: 0.9**e),
    "multiplicative": (lambda o: MultiplicativeLR(o, lambda e: 0.9), lambda e: 0.9**e),
    "step": (lambda o: StepLR(o, 7, 0.3), lambda e: 0.3 ** (e // 7)),
    "multistep": (
        lambda o: MultiStepLR(o, [3, 12, 12, 20], 0.5),
        lambda e: 0.5 ** sum(e >= m for m in (3, 12, 12, 20)),
    ),
    "constant": (lambda o: ConstantLR(o, 0.25, 6), lambda e: 0.25 if e < 6 else 1.0),
    "linear": (lambda o: LinearLR(o, 0.2, 0.8, 10), lambda e: line(e, 0.2, 0.8, 10)),
    "exponential": (lambda o: ExponentialLR(o, 0.95), lambda e: 0.95**e),
    "polynomial": (lambda o: PolynomialLR(o, 12, 2.0), lambda e: (1 - min(e, 12) / 12) ** 2),
    "cosine": (lambda o: CosineAnnealingLR(o, 9), lambda e: (1 + math.cos(math.pi * e / 9)) / 2),
    "restarts": (
        lambda o: CosineAnnealingWarmRestarts(o, 5),
        lambda e: (1 + math.cos(math.pi * (e % 5) / 5)) / 2,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_recursion_agrees_with_closed_form(name):
    make, factor = CASES[name]
    opt = optimizer(0.5, 2.0)
    rates = run(opt, make(opt), 30)
    for epoch, (a, b) in enumerate(rates):
        assert a == pytest.approx(0.5 * factor(epoch), rel=1e-9, abs=1e-15), epoch
        assert b == pytest.approx(2.0 * factor(epoch), rel=1e-9, abs=1e-15), epoch


@pytest.mark.parametrize("name", CASES)
def test_tensor_lr_is_filled_in_place(name):
    make, factor = CASES[name]
    lr = pynn.tensor(0.5, dtype=pynn.float64)
    opt = optimizer(lr)
    run(opt, make(opt), 8)
    assert opt.param_groups[0]["lr"] is lr
    assert lr.item() == pytest.approx(0.5 * factor(8), rel=1e-9)
    assert opt.param_groups[0]["initial_lr"].item() == 0.5


@pytest.mark.parametrize("name", CASES)
def test_schedule_goes_on_from_its_saved_state(name):
    make, _ = CASES[name]
    opt = optimizer()
    scheduler = make(opt)
    run(opt, scheduler, 8)
    saved = copy.deepcopy((opt.state_dict(), scheduler.state_dict()))
    expected = run(opt, scheduler, 10)

    other = optimizer()
    resumed = make(other)
    other.load_state_dict(saved[0])
    resumed.load_state_dict(saved[1])
    assert run(other, resumed, 10) == expected


@pytest.mark.parametrize(
    "name", ["step", "multistep", "constant", "linear", "exponential", "polynomial", "cosine"]
)
def test_step_to_an_epoch_uses_the_closed_form(name):
    make, factor = CASES[name]
    opt = optimizer()
    scheduler = make(opt)
    opt.step()
    with pytest.warns(UserWarning, match="The epoch parameter"):
        scheduler.step(11)
    assert opt.param_groups[0]["lr"] == pytest.approx(0.5 * factor(11))
    assert scheduler.last_epoch == 11


def test_resume_by_last_epoch():
    opt = optimizer()
    with pytest.raises(KeyError, match="initial_lr"):
        StepLR(opt, 3, last_epoch=4)
    opt.param_groups[0]["initial_lr"] = 0.5
    scheduler = StepLR(opt, 3, 0.1, last_epoch=4)
    assert scheduler.last_epoch == 5 and scheduler.base_lrs == [0.5]
    opt.step()
    scheduler.step()
    assert opt.param_groups[0]["lr"] == pytest.approx(0.05)


def test_edited_rates_are_the_base_of_the_next_step():
    opt = optimizer()
    scheduler = ExponentialLR(opt, 0.5)
    opt.param_groups[0]["lr"] = 8.0
    opt.step()
    scheduler.step()
    assert opt.param_groups[0]["lr"] == 4.0


def test_eta_min():
    opt = optimizer()
    rates = run(opt, CosineAnnealingLR(opt, 10, eta_min=0.1), 10)
    assert rates[5][0] == pytest.approx(0.3) and rates[10][0] == pytest.approx(0.1)


def test_lambda_per_group_and_state_of_objects():
    class Power:
        def __init__(self, base):
            self.base = base

        def __call__(self, epoch):
            return self.base**epoch

    opt = optimizer(1.0, 1.0)
    scheduler = LambdaLR(opt, [Power(0.5), lambda e: 1.0])
    saved = scheduler.state_dict()
    assert saved["lr_lambdas"] == [{"base": 0.5}, None]
    other = LambdaLR(optimizer(1.0, 1.0), [Power(0.9), lambda e: 1.0])
    other.load_state_dict(saved)
    assert other.lr_lambdas[0].base == 0.5
    assert saved["lr_lambdas"] == [{"base": 0.5}, None]
    assert run(opt, scheduler, 2)[2] == [0.25, 1.0]
    with pytest.raises(ValueError, match="Expected 2 lr_lambdas, but got 1"):
        LambdaLR(opt, [lambda e: 1.0])
    with pytest.raises(TypeError, match="lr_lambda should be a function, but got int"):
        MultiplicativeLR(opt, 3)


def test_warm_restarts_grow_and_take_fractions():
    opt = optimizer(1.0)
    scheduler = CosineAnnealingWarmRestarts(opt, 2, T_mult=2)
    rates = [r[0] for r in run(opt, scheduler, 14)]
    assert [e for e, r in enumerate(rates) if r == 1.0] == [0, 2, 6, 14]
    scheduler.step(7.5)
    assert scheduler.T_cur == 1.5 and scheduler.T_i == 8 and scheduler.last_epoch == 7
    assert opt.param_groups[0]["lr"] == pytest.approx((1 + math.cos(math.pi * 1.5 / 8)) / 2)
    with pytest.raises(ValueError, match="non-negative epoch"):
        scheduler.step(-1)


def test_one_cycle():
    opt = optimizer(cls=Adam)
    scheduler = OneCycleLR(opt, max_lr=1.0, total_steps=11, pct_start=0.3, anneal_strategy="linear")
    rates = [r[0] for r in run(opt, scheduler, 10)]
    top = 0.3 * 11 - 1  # 2.3 steps up, 7.7 down
    assert rates[0] == pytest.approx(1 / 25)
    assert rates[2] == pytest.approx(1 / 25 + (1 - 1 / 25) * 2 / top)
    assert rates[10] == pytest.approx(1 / 25 / 1e4)
    assert opt.param_groups[0]["betas"] == (pytest.approx(0.95), 0.999)
    opt.step()
    scheduler.step()
    with pytest.raises(ValueError, match="Tried to step 12 times"):
        scheduler.step()


def test_one_cycle_in_three_phases_moves_momentum_against_the_rate():
    opt = optimizer(momentum=0.5)
    scheduler = OneCycleLR(opt, 1.0, epochs=2, steps_per_epoch=10, pct_start=0.25, three_phase=True)
    momenta, rates = [], []
    for _ in range(20):
        momenta.append(opt.param_groups[0]["momentum"])
        rates.append(opt.param_groups[0]["lr"])
        opt.step()
        scheduler.step()
    assert rates.index(max(rates)) == momenta.index(min(momenta)) == 4
    assert momenta[4] == pytest.approx(0.85) and rates[8] == pytest.approx(rates[0])


@pytest.mark.parametrize(
    "mode, heights", [("triangular", (1, 1)), ("triangular2", (1, 0.5)), ("exp_range", None)]
)
def test_cyclic(mode, heights):
    opt = optimizer(momentum=0.9)
    scheduler = CyclicLR(opt, 0.1, 1.1, step_size_up=4, mode=mode, gamma=0.9)
    rates = [r[0] for r in run(opt, scheduler, 16)]
    first, second = heights or (0.9**4, 0.9**12)
    assert rates[0] == rates[8] == pytest.approx(0.1)
    assert rates[2] == pytest.approx(0.1 + 0.5 * (first if heights else 0.9**2))
    assert rates[4] == pytest.approx(0.1 + first) and rates[12] == pytest.approx(0.1 + second)
    assert opt.param_groups[0]["momentum"] == pytest.approx(0.9)


def test_cyclic_with_a_function():
    opt = optimizer()
    scheduler = CyclicLR(
        opt, 0.0, 1.0, 2, scale_fn=lambda x: 10.0, scale_mode="iterations", cycle_momentum=False
    )
    assert [r[0] for r in run(opt, scheduler, 4)] == pytest.approx([0.0, 5.0, 10.0, 5.0, 0.0])
    assert scheduler.state_dict()["_scale_fn_custom"] is None
    other = CyclicLR(optimizer(), 0.0, 1.0, 2, scale_fn=lambda x: 10.0, cycle_momentum=False)
    other.load_state_dict(scheduler.state_dict())
    assert other.last_epoch == 4 and other.scale_fn(0) == 10.0


def test_sequential():
    opt = optimizer(1.0)
    parts = [ConstantLR(opt, 0.1, 100), ExponentialLR(opt, 0.5)]
    scheduler = SequentialLR(opt, parts, [3])
    assert [r[0] for r in run(opt, scheduler, 6)] == pytest.approx([0.1, 0.1, 0.1, 1.0, 0.5, 0.25, 0.125])


def test_sequential_with_chained_part():
    opt = optimizer(1.0)
    chained = ChainedScheduler([ExponentialLR(opt, 0.5)])
    scheduler = SequentialLR(opt, [ConstantLR(opt, 0.1, 100), chained], [2])
    assert [r[0] for r in run(opt, scheduler, 4)] == pytest.approx([0.1, 0.1, 1.0, 0.5, 0.25])


def test_chained():
    opt = optimizer(1.0)
    scheduler = ChainedScheduler([ConstantLR(opt, 0.1, 2), ExponentialLR(opt, 0.5)])
    assert [r[0] for r in run(opt, scheduler, 4)] == pytest.approx([0.1, 0.05, 0.25, 0.125, 0.0625])
    saved = copy.deepcopy(scheduler.state_dict())
    assert len(saved["_schedulers"]) == 2 and "optimizer" not in saved["_schedulers"][0]
    other_opt = optimizer(1.0)
    other = ChainedScheduler([ConstantLR(other_opt, 0.1, 2), ExponentialLR(other_opt, 0.5)])
    other.load_state_dict(saved)
    assert other._schedulers[1].last_epoch == 4
    assert "_schedulers" in saved


def test_bad_combinations():
    opt, other = optimizer(), optimizer()
    part = ExponentialLR(opt, 0.5)
    with pytest.raises(ValueError, match="at least one scheduler"):
        SequentialLR(opt, [], [])
    with pytest.raises(ValueError, match="at least one scheduler"):
        ChainedScheduler([])
    with pytest.raises(ValueError, match="got 1 schedulers and 1 milestones"):
        SequentialLR(opt, [part], [2])
    with pytest.raises(ValueError, match="same optimizer"):
        ChainedScheduler([part, ExponentialLR(other, 0.5)])
    with pytest.raises(ValueError, match="does not support `ReduceLROnPlateau`"):
        ChainedScheduler([part, ReduceLROnPlateau(opt)])
    with pytest.raises(TypeError, match="should have `optimizer`"):
        SequentialLR(opt, [part, object()], [1])


def plateau_rates(metrics, **options):
    opt = optimizer(1.0)
    scheduler = ReduceLROnPlateau(opt, factor=0.5, **options)
    rates = []
    for metric in metrics:
        scheduler.step(metric)
        rates.append(scheduler.get_last_lr()[0])
    return rates


def test_plateau_waits_for_patience():
    assert plateau_rates([1, 1, 1, 1, 1, 1], patience=1) == [1, 1, 0.5, 0.5, 0.25, 0.25]
    assert plateau_rates([5, 4, 3, 2, 1, 0], patience=0) == [1] * 6


def test_plateau_modes_and_thresholds():
    assert plateau_rates([1, 2, 3], mode="max", patience=0) == [1, 1, 1]
    assert plateau_rates([1, 1.05, 1.05], mode="max", patience=0, threshold=0.1) == [1, 0.5, 0.25]
    assert plateau_rates([10, 9.95, 9.0], patience=0, threshold=0.1, threshold_mode="abs") == [1, 0.5, 0.5]
    assert plateau_rates([10, 9.95, 8.0], patience=0, threshold=0.1, threshold_mode="rel") == [1, 0.5, 0.5]


def test_plateau_counts_nan_as_bad():
    assert plateau_rates([1, float("nan"), float("nan")], patience=0) == [1, 0.5, 0.25]


def test_plateau_cooldown_and_floor():
    assert plateau_rates([1] * 7, patience=0, cooldown=2) == [1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]
    assert plateau_rates([1] * 4, patience=0, min_lr=0.4) == [1, 0.5, 0.4, 0.4]
    assert plateau_rates([1] * 4, patience=0, eps=0.3) == [1, 0.5, 0.5, 0.5]


def test_plateau_takes_tensors_and_late_groups():
    opt = optimizer(1.0)
    scheduler = ReduceLROnPlateau(opt, patience=0, factor=0.5)
    scheduler.step(pynn.tensor(1.0))
    opt.add_param_group({"params": [pynn.zeros(1, requires_grad=True)], "lr": 4.0})
    scheduler.step(pynn.tensor(1.0))
    assert [g["lr"] for g in opt.param_groups] == [0.5, 2.0]
    fixed = ReduceLROnPlateau(opt, patience=0, min_lr=[0.1, 0.2])
    opt.add_param_group({"params": [pynn.zeros(1, requires_grad=True)]})
    fixed.step(1.0)
    with pytest.raises(RuntimeError, match="number of param groups"):
        fixed.step(1.0)


def test_plateau_goes_on_from_its_saved_state():
    scheduler = ReduceLROnPlateau(optimizer(1.0), "max", patience=1)
    scheduler.step(3.0)
    scheduler.step(2.0)
    other = ReduceLROnPlateau(optimizer(1.0))
    other.load_state_dict(scheduler.state_dict())
    other.step(2.0)
    assert other.best == 3.0 and other.get_last_lr() == [0.1] and other.mode_worse == -math.inf


def test_warns_if_the_optimizer_never_stepped():
    opt = optimizer()
    scheduler = StepLR(opt, 2)
    with pytest.warns(
        UserWarning, match=r"Detected call of `lr_scheduler.step\(\)` before `optimizer.step\(\)`"
    ):
        scheduler.step()
    opt, other = optimizer(), optimizer()
    scheduler = StepLR(opt, 2)
    other.step()
    with pytest.warns(UserWarning, match="Detected call"):
        scheduler.step()


def test_warns_if_step_was_overridden():
    opt = optimizer()
    scheduler = StepLR(opt, 2)
    opt.step = lambda: None
    with pytest.warns(UserWarning, match="has been overridden"):
        scheduler.step()


def test_right_order_does_not_warn():
    opt = optimizer()
    schedulers = [StepLR(opt, 2), ExponentialLR(opt, 0.9)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            opt.step()
            for scheduler in schedulers:
                scheduler.step()


def test_watching_ends_with_the_first_step():
    opt = optimizer()
    plain = opt.step
    StepLR(opt, 2)
    assert "step" in opt.__dict__
    opt.step()
    assert "step" not in opt.__dict__ and opt.step == plain


@pytest.mark.parametrize("hook_first", [True, False])
def test_watching_and_hooks_get_along(hook_first):
    opt = optimizer()
    log = []
    if hook_first:
        opt.register_step_post_hook(lambda *args: log.append(1))
    scheduler = StepLR(opt, 2)
    if not hook_first:
        opt.register_step_post_hook(lambda *args: log.append(1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            opt.step()
            scheduler.step()
    assert log == [1, 1, 1]


def test_get_lr_by_hand_warns():
    scheduler = StepLR(optimizer(), 2)
    with pytest.warns(UserWarning, match="please use `get_last_lr"):
        scheduler.get_lr()


def test_own_schedule():
    class Half(lr_scheduler._LRScheduler):
        def get_lr(self):
            return [base / 2 for base in self.base_lrs]

    opt = optimizer(1.0, 4.0)
    assert isinstance(Half(opt), LRScheduler)
    assert [g["lr"] for g in opt.param_groups] == [0.5, 2.0]


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda o: StepLR(3, 2), TypeError, "int is not an Optimizer"),
        (lambda o: ReduceLROnPlateau(3), TypeError, "int is not an Optimizer"),
        (lambda o: ConstantLR(o, 1.5), ValueError, "Constant multiplicative factor"),
        (lambda o: LinearLR(o, 0.0), ValueError, "Starting multiplicative factor"),
        (lambda o: LinearLR(o, 0.5, 1.5), ValueError, "Ending multiplicative factor"),
        (lambda o: CosineAnnealingWarmRestarts(o, 0), ValueError, "Expected positive integer T_0, but got 0"),
        (
            lambda o: CosineAnnealingWarmRestarts(o, 1, 0),
            ValueError,
            "Expected integer T_mult >= 1, but got 0",
        ),
        (lambda o: CosineAnnealingWarmRestarts(o, 1, 1, "x"), ValueError, "Expected float or int eta_min"),
        (lambda o: OneCycleLR(o, 1.0), ValueError, "You must define either total_steps"),
        (lambda o: OneCycleLR(o, 1.0, 0), ValueError, "Expected positive integer total_steps, but got 0"),
        (lambda o: OneCycleLR(o, 1.0, epochs=1.5, steps_per_epoch=2), ValueError, "positive integer epochs"),
        (lambda o: OneCycleLR(o, 1.0, 9, pct_start=2.0), ValueError, "between 0 and 1 pct_start"),
        (lambda o: OneCycleLR(o, 1.0, 9, anneal_strategy="x"), ValueError, "'cos' or 'linear'"),
        (lambda o: OneCycleLR(o, [1.0, 2.0], 9), ValueError, "max_lr must have the same length"),
        (lambda o: CyclicLR(o, 0.1, 1.0, mode="x"), ValueError, "mode is invalid"),
        (
            lambda o: CyclicLR(optimizer(cls=pynn.optim.Adagrad), 0.1, 1.0),
            ValueError,
            "must support momentum",
        ),
        (lambda o: ReduceLROnPlateau(o, factor=1.0), ValueError, "Factor should be < 1.0"),
        (lambda o: ReduceLROnPlateau(o, mode="x"), ValueError, "mode x is unknown"),
        (lambda o: ReduceLROnPlateau(o, threshold_mode="x"), ValueError, "threshold mode x is unknown"),
        (lambda o: ReduceLROnPlateau(o, min_lr=[1, 2]), ValueError, "expected 1 min_lrs, got 2"),
    ],
)
def test_bad_options(make, error, message):
    with pytest.raises(error, match=message):
        make(optimizer())
