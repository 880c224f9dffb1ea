"""Whether a compiler is wrong and not the loss: a known fault of it, mended, and the loss asked again."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from conformance.backends.answer import CompilerFault
from conformance.diagnosis.findings import Finding
from conformance.diagnosis.subject import CodepathOf, Subject

FAULTS = {"torch": "conformance.backends.torch_compiler_faults"}
"""The module that knows the faults of a framework's compilers, and how to mend each."""
TRACED = {
    ("torch", "compile"): "fails in the code that Inductor writes: the same graph, run one operation after the other "
}
"""What to say where a codepath is right once its graph is run without the code that a compiler writes for it."""


def _module(framework: str) -> Any:
    """Return what knows the compilers of a framework; None where its version has not what there is to switch."""
    try:
        return import_module(FAULTS[framework])
    except (KeyError, ImportError, AttributeError):
        return None


def known_faults(framework: str) -> Sequence[CompilerFault]:
    """Return the known faults of a framework's compilers."""
    module = _module(framework)
    return module.FAULTS if module else ()


def compiler_faults(subject: Subject) -> list[Finding]:
    """Return each known fault without which the codepath is right, in every case that fails with it.

    It must also be right there in eager mode, or it is wrong by itself; and fail again with nothing mended, or it has a
    memory, or draws.
    """
    here = subject.mode, subject.device
    faults = [fault for fault in known_faults(subject.backend.name) if (fault.mode, fault.device) == here]
    codepath_of = subject.codepath_under(subject.profile)
    if not faults or not _only_compiled(subject, codepath_of):
        return []
    found = []
    for fault in faults:
        with fault.mended():
            right = _passes(subject, codepath_of, subject.mode)
        if right:
            passing = (
                "1 failing case passes" if len(subject.failing) == 1 else f"{len(subject.failing)} failing cases pass"
            )
            evidence = (
                f"{passing} in eager mode, and compiled with nothing but that mended; {fault.version} has the fault",
                fault.cure,
            )
            found.append(Finding("compiler", fault.name, fault.sentence, evidence))
    return found


def where_compiled(subject: Subject) -> tuple[str, ...]:
    """Say whether it is the code that a compiler writes which fails, and not what it was given."""
    said, module = TRACED.get((subject.backend.name, subject.mode)), _module(subject.backend.name)
    codepath_of = subject.codepath_under(subject.profile)
    if said is None or module is None or not _only_compiled(subject, codepath_of):
        return ()

    def traced_of(question: Any) -> Any:
        return module.operation_by_operation(codepath_of(question))

    if not _passes(subject, traced_of, "eager"):
        return ()
    return (f"{said}(backend='aot_eager'), passes in all {len(subject.failing)}",)


def _only_compiled(subject: Subject, codepath_of: CodepathOf) -> bool:
    """Return whether every failing case passes in eager mode, and fails again compiled."""
    if not _passes(subject, codepath_of, "eager"):
        return False
    return all(subject.ask(codepath_of, one.case, subject.mode).verdict.status != "pass" for one in subject.failing)


def _passes(subject: Subject, codepath_of: CodepathOf, mode: str) -> bool:
    return all(subject.ask(codepath_of, one.case, mode).verdict.status == "pass" for one in subject.failing)
