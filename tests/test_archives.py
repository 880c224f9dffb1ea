"""Both readers of archives, the judge's and the writer's, take one form of an archive and nothing beside it."""

import io
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from small_sets import small_files

from conformance import npz
from fixtures.archive import npy_bytes, npz_bytes
from fixtures.exit_codes import FixtureError
from fixtures.unpack import unpack

ARRAYS = {
    "prediction": np.arange(6, dtype="<f4").reshape(1, 1, 2, 3),
    "value": np.array(1.5, "<f8"),
    "gradient": np.array([1 + 2j, np.nan], "<c16"),
    "sign": np.array([[1], [-1]], "|i1"),
}
WHOLE = npz_bytes(ARRAYS)
LARGEST_ALLOCATION = 1 << 20


def _zip(members: dict[str, bytes], method: int = zipfile.ZIP_STORED, comment: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.comment = comment
        for name, content in members.items():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr, info.compress_type = 3, 0o644 << 16, method
            archive.writestr(info, content)
    return buffer.getvalue()


def _npy(header: str, data: bytes, version: bytes = b"\1\0") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2 if version == b"\1\0" else 4, "little") + text + data


def _header(descr: str = "'<f4'", shape: str = "(2,)", order: str = "False", more: str = "") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, {more}}}"


def _twice() -> bytes:
    """A member twice, each whole, and a directory that lists both."""
    data = npy_bytes(ARRAYS["value"])
    with pytest.warns(UserWarning, match="Duplicate name"):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for _ in range(2):
                info = zipfile.ZipInfo("value.npy", (1980, 1, 1, 0, 0, 0))
                info.create_system, info.external_attr = 3, 0o644 << 16
                archive.writestr(info, data)
    return buffer.getvalue()


def _saved(save: Callable[..., None]) -> bytes:
    buffer = io.BytesIO()
    save(buffer, value=np.array(1.5))
    return buffer.getvalue()


def _patched(offset: int, form: str, number: int, content: bytes = WHOLE) -> bytes:
    changed = bytearray(content)
    struct.pack_into(form, changed, offset, number)
    return bytes(changed)


def _sized(shape: str, claimed: int) -> bytes:
    """One member whose shape asks for far more than there is, in an archive that claims the size to go with it."""
    data = _npy(_header("'<f8'", shape), b"\0" * 16)
    content = _zip({"value.npy": data})
    directory = content.index(b"PK\1\2")
    for offset in (18, 22, directory + 20, directory + 24):
        content = _patched(offset, "<I", claimed, content)
    return content


DIRECTORY = WHOLE.index(b"PK\1\2")
END = WHOLE.index(b"PK\5\6")
FIRST_DATA = 30 + len("prediction.npy")
REFUSED = {
    "empty": b"",
    "cut": WHOLE[:-1],
    "cut in a header": WHOLE[:20],
    "cut in an array": WHOLE[:FIRST_DATA + 10],
    "no directory": WHOLE[:DIRECTORY],
    "no archive": b"\x93NUMPY\1\0",
    "only an end": WHOLE[END:],
    "no members": npz_bytes({}),
    "trailing bytes": WHOLE + b"\0",
    "leading bytes": b"\0" + WHOLE,
    "two archives": WHOLE + WHOLE,
    "a comment": _zip({"value.npy": npy_bytes(ARRAYS["value"])}, comment=b"hello"),
    "deflated": _zip({"value.npy": npy_bytes(ARRAYS["value"])}, zipfile.ZIP_DEFLATED),
    "bzip2": _zip({"value.npy": npy_bytes(ARRAYS["value"])}, zipfile.ZIP_BZIP2),
    "lzma": _zip({"value.npy": npy_bytes(ARRAYS["value"])}, zipfile.ZIP_LZMA),
    "encrypted": _patched(DIRECTORY + 8, "<H", 1, _patched(6, "<H", 1)),
    "encrypted in the directory only": _patched(DIRECTORY + 8, "<H", 1),
    "a data descriptor": _patched(DIRECTORY + 8, "<H", 8, _patched(6, "<H", 8)),
    "another checksum": _patched(14, "<I", 0),
    "an array behind its checksum": _patched(FIRST_DATA + 130, "<B", 1),
    "another date": _patched(12, "<H", 34),
    "an extra field": _patched(28, "<H", 4),
    "a name that is longer": _patched(26, "<H", 15),
    "a size too small": _patched(DIRECTORY + 24, "<I", 1, _patched(22, "<I", 1)),
    "a directory of another size": _patched(DIRECTORY + 24, "<I", 1),
    "a directory of another place": _patched(DIRECTORY + 42, "<I", 1),
    "a directory of another mode": _patched(DIRECTORY + 38, "<I", 0o120777 << 16),
    "fewer entries": _patched(END + 10, "<H", 3, _patched(END + 8, "<H", 3)),
    "another disk": _patched(END + 4, "<H", 1),
    "twice": _twice(),
    "np.savez": _saved(np.savez),
    "np.savez_compressed": _saved(np.savez_compressed),
    **{f"member {name!r}": _zip({name: npy_bytes(ARRAYS["value"])}) for name in (
        "../value.npy", "/value.npy", "a/value.npy", "value", "value.npz", "VALUE.npy", "..npy", "\u00e9.npy",
        "a" * 99 + ".npy",
    )},
    "objects": _zip({"value.npy": _npy(_header("'|O'"), b"\x80\4N.")}),
    **{f"dtype {dtype}": _zip({"value.npy": _npy(_header(dtype), b"\0" * 16)}) for dtype in (
        "'>f4'", "'<f2'", "'<U2'", "'|S4'", "'<M8[s]'", "'|V4'", "[('a', '<f4')]", "'<f4', 'x': 1", "__import__('os')",
    )},
    **{f"shape {shape}": _zip({"value.npy": _npy(_header("'<f4'", shape), b"\0" * 8)}) for shape in (
        "(3,)", "(1,)", "(-2,)", "(2)", "(2.0,)", "[2]", "(0,)", "(2, 0)", "(0, 9999999, 9999999)", "(02,)", "(2, )",
        "(1,2)",
        "(" + "1, " * 70 + "2)", "(" + "9" * 5000 + ",)", "(True, 2)", "(2 ,)",
    )},
    "Fortran order": _zip({"value.npy": _npy(_header(order="True"), b"\0" * 8)}),
    "more in the header": _zip({"value.npy": _npy(_header(more="'x': 1"), b"\0" * 8)}),
    "NPY version 2": _zip({"value.npy": _npy(_header(), b"\0" * 8, b"\2\0")}),
    "a short array": _zip({"value.npy": b"\x93NUMPY\1\0"}),
    "an array too long": _zip({"value.npy": npy_bytes(ARRAYS["value"]) + b"\0"}),
    "a huge shape": _sized("(9999999, 9999999)", 0xFFFFFFFE),
    "a shape beyond numbers": _sized("(9999999, 9999999, 9999999, 9999999)", 0xFFFFFFFF),
    "a huge size": _sized("(2,)", 0x7FFFFFFF),
}  # fmt: skip


def test_both_readers_return_what_was_written() -> None:
    for found in (npz.arrays(WHOLE), unpack(WHOLE, "here")):
        assert list(found) == list(ARRAYS)
        for name, array in ARRAYS.items():
            assert found[name].dtype == array.dtype and found[name].shape == array.shape
            assert found[name].tobytes() == array.tobytes()


def test_both_readers_take_what_numpy_takes() -> None:
    for name, content in small_files().items():
        if name.endswith(".npz"):
            with np.load(io.BytesIO(content)) as archive:
                assert {key: archive[key].tobytes() for key in archive.files} == {
                    key: array.tobytes() for key, array in npz.arrays(content).items()
                }


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED.keys())
def test_everything_else_is_refused_without_believing_a_size(content: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"."):
            npz.arrays(content)
        with pytest.raises(FixtureError, match="here: no archive that this tool wrote"):
            unpack(content, "here")
        assert tracemalloc.get_traced_memory()[1] < LARGEST_ALLOCATION
    finally:
        tracemalloc.stop()


def test_no_other_byte_of_an_archive_goes_unseen() -> None:
    """Each byte changed in turn, its checksum mended where it lies in an array: only those make a right archive."""
    small = npz_bytes({"value": np.array(1.5, "<f8")})
    data = slice(small.index(b"\x93NUMPY"), small.index(b"PK\1\2"))
    numbers = range(data.stop - 8, data.stop)
    for place in range(len(small)):
        changed = _patched(place, "<B", small[place] ^ 0x20, small)
        if place in range(*data.indices(len(small))):
            checksum = zlib.crc32(changed[data])
            changed = _patched(data.stop + 16, "<I", checksum, _patched(14, "<I", checksum, changed))
        if place in numbers:
            assert npz.arrays(changed)["value"] == unpack(changed, "here")["value"] != 1.5
        else:
            with pytest.raises(ValueError, match=r"."):
                npz.arrays(changed)
            with pytest.raises(FixtureError):
                unpack(changed, "here")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (REFUSED["deflated"], r"member value\.npy is compressed: method 8"),
        (REFUSED["encrypted"], r"member prediction\.npy is encrypted"),
        (REFUSED["a data descriptor"], r"member prediction\.npy has another version, date, flag or extra field"),
        (REFUSED["twice"], r"member value\.npy is there twice"),
        (REFUSED["member '../value.npy'"], r"a member is called b'\.\./value\.npy'"),
        (REFUSED["objects"], "array value has no header of a plain array"),
        (REFUSED["trailing bytes"], "after 4 members, at byte .*: no directory of just these, or more bytes"),
        (REFUSED["a huge size"], r"claims 2147483647 bytes, there are \d{1,4}, wanted"),
        (REFUSED["another checksum"], "checksum"),
        (REFUSED["dtype '>f4'"], "no header of a plain array"),
        (REFUSED["dtype '<f2'"], "has dtype <f2, wanted one of"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else value[:20],
)
def test_the_judges_reader_says_what_is_wrong(content: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        npz.arrays(content)


def test_an_array_of_the_largest_size_and_no_larger() -> None:
    room = npz.LARGEST_ARRAY - len(npy_bytes(np.zeros(0, "|u1")))
    assert npz.arrays(npz_bytes({"value": np.zeros(room - 128, "|u1")}))["value"].size == room - 128
    with pytest.raises(ValueError, match="wanted at most"):
        npz.arrays(npz_bytes({"value": np.zeros(npz.LARGEST_ARRAY, "|u1")}))


def test_more_members_than_a_case_has_are_refused() -> None:
    names = [f"value_{'x' * number}" for number in range(npz.MOST_MEMBERS + 1)]
    assert len(npz.arrays(npz_bytes({name: np.array(1.0) for name in names[1:]}))) == npz.MOST_MEMBERS
    with pytest.raises(ValueError, match="more than 16"):
        npz.arrays(npz_bytes({name: np.array(1.0) for name in names}))
