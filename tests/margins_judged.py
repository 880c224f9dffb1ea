"""Asks differently written right losses, one by one or as one program, and has their answers judged.

What compiles is given all strategies of a case as one program, each with operands of its own: a compiler takes seconds
for each program, and less than one for each loss in it. Cases that differ in nothing but their numbers share it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from right_codepaths import STRATEGIES, Strategy, turns

from conformance.backends import Answer, Backend
from conformance.backends.answer import kind
from conformance.case import Case, Question
from conformance.diagnosis.compiler import known_faults
from conformance.judge import judge_case
from conformance.tolerance import loss_scale
from conformance.verdict import Verdict, judge_answer

TOGETHER = {
    ("torch", "compile"): ("conformance.liars.torch_together", "inductor"),
    ("tensorflow", "function"): ("conformance.liars.tensorflow_together", "function"),
    ("tensorflow", "xla"): ("conformance.liars.tensorflow_together", "xla"),
    ("jax", "jit"): ("jax_together", "jit"),
    ("jax", "grad_of_jit"): ("jax_together", "grad_of_jit"),
    ("jax", "vmap"): ("jax_together", "vmap"),
}
"""What compiles the strategies of one kind of case as one program: a module with `program`, and its compiler."""


@dataclass(frozen=True)
class Task:
    """One framework in one mode, and what it is asked."""

    framework: str
    mode: str
    dtypes: tuple[str, ...]
    strategies: tuple[str, ...]
    patterns: tuple[str, ...]
    device: str
    ways: tuple[int, ...]
    record: Path | None
    since: str = ""


def asked(task: Task, cases: Sequence[Case], dtype: str) -> Iterator[tuple[Strategy, Case]]:
    """Return the pairs of strategy and case that a task is made of."""
    strategies = [strategy for strategy in STRATEGIES if strategy.name in task.strategies]
    return turns(strategies, cases, dtype, task.ways)


def _one_by_one(
    task: Task, backend: Backend, dtype: str, pairs: Iterable[tuple[Strategy, Case]]
) -> Iterator[tuple[str, Verdict]]:
    for strategy, case in pairs:
        codepath = strategy.codepath(task.framework, case.question, task.mode)
        ties = strategy.ties(task.framework, task.mode)
        yield (
            strategy.name,
            judge_case(backend, codepath, case, dtype=dtype, mode=task.mode, device=task.device, ties=ties),
        )


def _together(
    task: Task, backend: Backend, dtype: str, pairs: Iterable[tuple[Strategy, Case]]
) -> Iterator[tuple[str, Verdict]]:
    """Judge what one program answers for all strategies of a case; one by one where there is no such program."""
    module, compiler = TOGETHER[task.framework, task.mode]
    program = import_module(module).program
    strategies_of: dict[str, tuple[Case, list[Strategy]]] = {}
    for strategy, case in pairs:
        strategies_of.setdefault(case.question.case_id, (case, []))[1].append(strategy)
    made: dict[object, Callable[[Question, float], list[Answer]]] = {}
    for case, strategies in sorted(strategies_of.values(), key=lambda pair: str(kind(pair[0].question))):
        question = case.question
        codepaths = [strategy.codepath(task.framework, question, task.mode) for strategy in strategies]
        answers: list[Answer] = []
        try:
            if question.holds(dtype):
                alike = kind(case.question), *codepaths
                if alike not in made:  # those before are of no more use
                    made = {alike: program(codepaths, question, dtype, compiler)}
                answers = made[alike](question, loss_scale(case.truth.gradient, dtype))
        except Exception as error:
            print(f"    one by one, {question.case_id} {dtype}: {type(error).__name__}", flush=True)
        if not answers:
            yield from _one_by_one(task, backend, dtype, [(strategy, case) for strategy in strategies])
        for strategy, answer in zip(strategies, answers):
            ties = strategy.ties(task.framework, task.mode)
            status, value, gradient, message = judge_answer(case, answer, dtype, ties)
            names = question.case_id, question.loss, task.framework, dtype, task.mode, task.device
            yield strategy.name, Verdict(*names, status, value, gradient, has_ties=case.has_ties, message=message)


def judged(
    task: Task, backend: Backend, dtype: str, cases: Sequence[Case]
) -> tuple[list[tuple[str, Verdict]], list[str]]:
    """Return what each strategy's verdicts are, by its name, and what a known fault of the compiler made wrong.

    What is rejected is asked again, alone. What is rejected there too, and passes with the fault mended and nothing
    else changed, was right, was compiled wrongly, and was rejected with reason.
    """
    together = (task.framework, task.mode) in TOGETHER and task.device == "cpu"
    ask = _together if together else _one_by_one
    pairs = list(asked(task, cases, dtype))
    found = list(ask(task, backend, dtype, pairs))
    miscompiled = []
    for fault in known_faults(task.framework):
        wrong = [
            index
            for index, (_, verdict) in enumerate(found)
            if (task.mode, task.device) == (fault.mode, fault.device) and verdict.status not in ("pass", "skip")
        ]
        if not wrong:
            continue
        case_of = {case.question.case_id: case for case in cases}
        strategy_of = {strategy.name: strategy for strategy, _ in pairs}

        def alone(index: int, case_of: Any = case_of, strategy_of: Any = strategy_of) -> tuple[str, Verdict]:
            name, verdict = found[index]
            return next(iter(ask(task, backend, dtype, [(strategy_of[name], case_of[verdict.case_id])])))

        wrong = [index for index in wrong if alone(index)[1].status != "pass"]
        with fault.mended():
            again = {index: alone(index) for index in wrong}
        for index, (name, verdict) in again.items():
            if verdict.status == "pass":
                miscompiled.append(f"{name} {verdict.case_id} ({fault.name}): {found[index][1].message}")
                found[index] = name, verdict
    return found, miscompiled
