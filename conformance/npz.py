"""Opens the archive of a case: plain stored members, every byte accounted for, nothing allocated on a header's word.

An archive has one form that the golden set is written in. What says the same in another form, or more, is refused:
then no two readers of zip files can see different numbers in one archive.
"""

import hashlib
import re
import struct
import zlib
from collections.abc import Mapping
from math import prod

import numpy as np

from conformance.case import Array

DTYPES = ("<f4", "<f8", "<c8", "<c16", "|i1", "|u1", "<i4")
LARGEST_ARRAY = 1 << 20
"""In bytes: room for a hundred thousand numbers."""
MOST_MEMBERS = 16
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_LOCAL_MAGIC, _CENTRAL_MAGIC, _END_MAGIC = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_ZIP_VERSION, _UNIX, _MODE, _DATE = 20, 3 << 8, 0o644 << 16, 1 << 5 | 1
_ENCRYPTED = 1
_MEMBER = re.compile(rb"([a-z][a-z_]{0,31})\.npy")
_NPY_MAGIC = b"\x93NUMPY\x01\x00"
_NPY_HEADER = re.compile(
    rb"\{'descr': '([<|][a-z][0-9]{1,2})', 'fortran_order': False, "
    rb"'shape': \(((?:[1-9][0-9]{0,6},|[1-9][0-9]{0,6}(?:, [1-9][0-9]{0,6}){1,7})?)\), \} *\n"
)


def _member(content: bytes, start: int) -> tuple[str, bytes, bytes]:
    """Return name and bytes of the member at `start`, and the entry that the directory must have for it."""
    if len(content) < start + _LOCAL.size:
        raise ValueError("a member's header is cut short")
    _, version, flags, method, time, date, crc, stored, size, name_length, extra = _LOCAL.unpack_from(content, start)
    name = content[start + _LOCAL.size :][:name_length]
    matched = _MEMBER.fullmatch(name)
    if matched is None:
        raise ValueError(f"a member is called {name[:80]!r}, wanted the name of an array and .npy")
    where = f"member {name.decode('ascii')}"
    if flags & _ENCRYPTED:
        raise ValueError(f"{where} is encrypted")
    if method != 0 or stored != size:
        raise ValueError(f"{where} is compressed: method {method}, {stored} bytes for {size}")
    if (version, flags, time, date, extra) != (_ZIP_VERSION, 0, 0, _DATE, 0):
        raise ValueError(f"{where} has another version, date, flag or extra field than the golden set is written with")
    begin = start + _LOCAL.size + name_length
    if size > LARGEST_ARRAY or len(content) < begin + size:
        raise ValueError(
            f"{where} claims {size} bytes, there are {len(content) - begin}, wanted at most {LARGEST_ARRAY}"
        )
    data = content[begin : begin + size]
    if zlib.crc32(data) != crc:
        raise ValueError(f"{where} does not have the checksum that its header says")
    entry = _CENTRAL.pack(
        _CENTRAL_MAGIC, _UNIX | _ZIP_VERSION, version, flags, method, time, date, crc, stored, size, name_length,
        0, 0, 0, 0, _MODE, start,
    )  # fmt: skip
    return matched[1].decode("ascii"), data, entry + name


def members(content: bytes) -> dict[str, bytes]:
    """Return the members of an archive by name, without `.npy`, in the archive's order.

    Raises
    ------
    ValueError
        Any byte is not what the one allowed form has there.
    """
    found: dict[str, bytes] = {}
    directory = b""
    position = 0
    while content[position : position + 4] == _LOCAL_MAGIC:
        name, data, entry = _member(content, position)
        if name in found or len(found) == MOST_MEMBERS:
            raise ValueError(f"member {name}.npy is there twice, or is one of more than {MOST_MEMBERS}")
        found[name] = data
        directory += entry
        position += _LOCAL.size + len(name) + len(".npy") + len(data)
    directory += _END.pack(_END_MAGIC, 0, 0, len(found), len(found), len(directory), position, 0)
    if content[position:] != directory:
        raise ValueError(f"after {len(found)} members, at byte {position}: no directory of just these, or more bytes")
    return found


def _array(name: str, data: bytes) -> Array:
    start = len(_NPY_MAGIC) + 2
    length = int.from_bytes(data[start - 2 : start], "little")
    matched = _NPY_HEADER.fullmatch(data[start : start + length])
    if data[: start - 2] != _NPY_MAGIC or matched is None:
        raise ValueError(f"array {name} has no header of a plain array, NPY version 1.0 in C order")
    dtype = matched[1].decode("ascii")
    if dtype not in DTYPES:
        raise ValueError(f"array {name} has dtype {dtype}, wanted one of {', '.join(DTYPES)}")
    shape = tuple(int(number) for number in matched[2].split(b",") if number)
    wanted = prod(shape) * np.dtype(dtype).itemsize
    if len(data) - start - length != wanted:
        raise ValueError(f"array {name} has {len(data) - start - length} bytes, its shape {shape} {wanted}")
    return np.frombuffer(data, dtype, offset=start + length).reshape(shape).copy()


def arrays(content: bytes) -> dict[str, Array]:
    """Return the arrays of an archive by name, in the archive's order.

    Raises
    ------
    ValueError
        It is no archive in the form of the golden set, or holds something other than small plain arrays.
    """
    found = members(content)
    if not found:
        raise ValueError("it holds no array")
    return {name: _array(name, data) for name, data in found.items()}


def content_sha256(found: Mapping[str, Array]) -> str:
    """Return the digest of names, dtypes, shapes and numbers, whatever container they came in."""
    digest = hashlib.sha256()
    for name, array in found.items():
        digest.update(f"{name} {array.dtype.str} {array.shape!r}\n".encode("ascii"))
        digest.update(array.tobytes(order="C"))
    return digest.hexdigest()
