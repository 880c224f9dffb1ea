"""`python -m fixtures certify`: a proof for every number, and no certificate for one that is off by a bit."""

from fractions import Fraction
from math import inf, nextafter
from pathlib import Path

import numpy as np
import pytest
from flint import ctx
from small_sets import SMALL, small_cases, small_files, with_archive, with_other_numbers, write

from fixtures import certify, rounding
from fixtures.__main__ import main
from fixtures.archive import npz_bytes
from fixtures.exit_codes import ExitCode
from fixtures.golden_set import golden_files
from fixtures.rounding import (
    FIRST_PRECISION,
    RoundingError,
    enclose,
    proving,
    round_enclosure,
    round_rational,
    round_root,
    round_sum_of_roots,
)
from fixtures.unpack import unpack

F = Fraction
MIDPOINT = 1 + F(1, 2**53)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "golden", small_files())


def _certify(folder: Path, *cases: str) -> int:
    return main(["certify", *cases, "--folder", str(folder)], small_cases)


@pytest.mark.parametrize(
    ("number", "rounded"),
    [
        (F(1, 3), 1 / 3),
        (F(-1, 10**400), -0.0),
        (F(1, 2**1074), 5e-324),
        (F(3, 2**1075), 2 * 5e-324),  # a tie of subnormals: to even
        (MIDPOINT, 1.0),
        (1 + F(3, 2**53), 1.0 + 2.0**-51),
        (F(0), 0.0),
        (F(2**1023), 2.0**1023),
    ],
    ids=["third", "underflow", "smallest", "subnormal-tie", "tie-down", "tie-up", "zero", "large"],
)
def test_a_rounded_rational_is_proved(number: Fraction, rounded: float) -> None:
    with proving() as proofs:
        assert round_rational(number) == rounded
    assert (proofs.count, proofs.magnitudes) == (1, {abs(rounded)})


@pytest.mark.parametrize("number", [F(1, 3), F(7), MIDPOINT, F(1, 2**1070)], ids=["third", "exact", "tie", "tiny"])
@pytest.mark.parametrize("direction", [inf, -inf], ids=["up", "down"])
def test_a_neighbour_of_the_right_number_is_refuted(
    number: Fraction, direction: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = nextafter(number.numerator / number.denominator, direction)
    monkeypatch.setattr(rounding, "_divide", lambda _: wrong)
    with proving(), pytest.raises(RoundingError, match="is not the binary64 nearest"):
        round_rational(number)


def test_a_root_without_its_sticky_bit_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The root is just above a midpoint; an integer square root alone rounds it down."""
    radicand = MIDPOINT**2 + F(1, 2**300)
    with proving():
        assert round_root(1, radicand) == nextafter(1.0, inf)
    monkeypatch.setattr(rounding, "_divide", lambda number: 1.0)
    with proving(), pytest.raises(RoundingError, match="is not the binary64 nearest"):
        round_root(1, radicand)


def test_a_sum_of_rational_roots_is_enclosed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with proving() as proofs:
        assert round_sum_of_roots([(F(1), F(9, 16)), (F(-1, 3), F(4))]) == round_rational(F(3, 4) - F(2, 3))
    assert proofs.count == 2
    monkeypatch.setattr(rounding, "exact_root", lambda radicand: radicand)
    with proving(), pytest.raises(RoundingError, match="its enclosure"):
        round_sum_of_roots([(F(1), F(9, 16))])


def test_proofs_start_at_twice_the_precision_and_end_with_their_block() -> None:
    used = []

    def third() -> object:
        used.append(ctx.prec)
        return enclose(F(1, 3))

    before = ctx.prec
    with proving():
        round_enclosure(third)
    with pytest.raises(KeyError), proving():
        raise KeyError
    round_enclosure(third)
    assert used == [2 * FIRST_PRECISION, FIRST_PRECISION]
    assert ctx.prec == before


def test_a_hidden_midpoint_has_no_proof() -> None:
    with proving(), pytest.raises(RoundingError, match="undecided"):
        round_enclosure(lambda: enclose(MIDPOINT) + enclose(F(2)).sqrt() - enclose(F(2)).sqrt())


def test_a_whole_set_is_certified_case_by_case(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _certify(folder) == ExitCode.DONE
    said = capsys.readouterr().out
    for number, case in enumerate(SMALL, 1):
        assert f"[{number}/{len(SMALL)}] {case.id}: certified: " in said
    assert "l2-typical: certified: 129 proved\n" in said  # one value and 128 gradient elements
    assert "numbers proved correctly rounded, from 512 bits on" in said
    assert _certify(folder, "nll-typical", "nll-typical") == ExitCode.DONE
    assert "certified: 1 of 5 cases, " in capsys.readouterr().out


@pytest.mark.parametrize("name", ["value", "gradient", "prediction", "sign"])
def test_one_step_of_one_number_loses_the_certificate(
    folder: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arrays = {key: array.copy() for key, array in unpack(small_files()["l2-typical.npz"], "here").items()}
    place = (1, 0, 2, 3)[: arrays[name].ndim]
    arrays[name][place] = 1 - arrays[name][place] if name == "sign" else np.nextafter(arrays[name][place], np.inf)
    write(folder, with_archive(small_files(), "l2-typical.npz", npz_bytes(arrays)))
    assert _certify(folder) == ExitCode.FIXTURES
    said = capsys.readouterr().out
    assert f"l2-typical: NOT certified: {name}{list(place)} holds " in said
    assert f"1 of {arrays[name].size} numbers differ" in said
    assert ("1 ulp apart" in said) == (name in ("value", "gradient"))
    assert "1 of 5 cases NOT certified: l2-typical" in said


def test_a_step_of_an_imaginary_part_is_placed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arrays = {key: array.copy() for key, array in unpack(small_files()["l2-field-mask.npz"], "here").items()}
    gradient = arrays["gradient"]
    place = tuple(int(i) for i in np.argwhere(gradient.imag != 0)[-1])
    gradient.imag[place] = np.nextafter(gradient.imag[place], np.inf)
    write(folder, with_archive(small_files(), "l2-field-mask.npz", npz_bytes(arrays)))
    assert _certify(folder, "l2-field-mask") == ExitCode.FIXTURES
    assert f"gradient{list(place)} holds " in capsys.readouterr().out


def test_other_parameters_lose_the_certificate(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, golden_files(with_other_numbers()))
    assert _certify(folder, "mae-bit-exact") == ExitCode.FIXTURES
    assert "its parameters are not those of the case" in capsys.readouterr().out


def test_a_number_rounded_elsewhere_has_no_certificate(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right or not: nothing says so."""
    record_of = certify.record_of

    def without_proof(case: object) -> object:
        arrays, record, archive = record_of(case)  # type: ignore[arg-type]
        arrays["gradient"][..., 0] *= 2
        return arrays, record, archive

    monkeypatch.setattr(certify, "record_of", without_proof)
    assert _certify(folder, "l2-typical") == ExitCode.FIXTURES
    assert "gradient: 16 numbers have no proof, the first is " in capsys.readouterr().out


def test_a_refuted_rounding_loses_the_certificate(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounding, "_divide", lambda number: number.numerator / number.denominator * (1 + 2.0**-52))
    assert _certify(folder, "mae-bit-exact") == ExitCode.FIXTURES
    assert "mae-bit-exact: NOT certified: " in capsys.readouterr().out


def test_cases_that_only_one_side_knows_have_no_certificate(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["certify", "--folder", str(folder)], lambda: SMALL[1:]) == ExitCode.FIXTURES
    assert f"{SMALL[0].id}: NOT certified: no case is called so" in capsys.readouterr().out
    write(folder, golden_files(SMALL[1:]))
    assert _certify(folder) == ExitCode.FIXTURES
    assert f"{SMALL[0].id}: NOT certified: the stored set lacks it" in capsys.readouterr().out


def test_an_unknown_case_names_those_near_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _certify(folder, "nll-tipical") == ExitCode.USAGE
    assert "near it are nll-typical" in capsys.readouterr().err


def test_a_damaged_archive_is_a_fixture_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "nll-typical.npz").write_bytes(b"")
    assert _certify(folder) == ExitCode.FIXTURES
    assert "nll-typical.npz: no archive that this tool wrote" in capsys.readouterr().err


def test_no_case_at_all_is_no_certificate(folder: Path) -> None:
    assert main(["certify", "--folder", str(folder)], tuple) == ExitCode.FIXTURES
