"""Record files: read back as they were written, and refused when they are damaged."""

from __future__ import annotations

import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symbind as mx
from symbind.recordio import IRHeader, MXIndexedRecordIO, MXRecordIO, record_offsets

MAGIC = struct.pack("<I", 0xCED7230A)


def write(path: Path, payloads: list[bytes]) -> None:
    with MXRecordIO(path, "w") as file:
        for payload in payloads:
            file.write(payload)


def read_all(path: Path) -> list[bytes]:
    with MXRecordIO(path, "r") as file:
        return list(iter(file.read, None))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from([MAGIC, b"x", MAGIC[:2], MAGIC[2:], b"yyyy"]), max_size=8), max_size=4))
def test_any_payload_comes_back(tmp_path_factory: pytest.TempPathFactory, parts: list[list[bytes]]) -> None:
    path = tmp_path_factory.mktemp("rec") / "a.rec"
    payloads = [b"".join(pieces) for pieces in parts]
    write(path, payloads)
    assert read_all(path) == payloads
    with MXRecordIO(path, "r") as file:
        for offset, payload in zip(record_offsets(path), payloads, strict=True):
            assert file.tell() == offset
            assert file.read() == payload


def test_reset_reads_again_and_writes_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    write(path, [b"one", b"two"])
    reader = MXRecordIO(str(path), "r")
    assert reader.read() == b"one"
    reader.reset()
    assert [reader.read(), reader.read(), reader.read(), reader.read()] == [b"one", b"two", None, None]
    writer = MXRecordIO(str(path), "w")
    writer.write(b"three")
    writer.reset()
    writer.write(b"four")
    writer.close()
    assert read_all(path) == [b"four"]


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path, index = tmp_path / "a.rec", tmp_path / "a.idx"
    with pytest.raises(KeyboardInterrupt), MXIndexedRecordIO(index, path, "w") as file:
        file.write_idx(0, b"half")
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []


def test_wrong_use(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    with pytest.raises(ValueError, match="Invalid flag 'a'"):
        MXRecordIO(path, "a")
    with pytest.raises(mx.MXNetError, match="No such file"):
        MXRecordIO(path, "r")
    with pytest.raises(mx.MXNetError, match="no.idx"):
        MXIndexedRecordIO(tmp_path / "no.idx", path, "r")
    writer = MXRecordIO(path, "w")
    with pytest.raises(mx.MXNetError, match="for writing only"):
        writer.read()
    with pytest.raises(TypeError, match="not of str"):
        writer.write("text")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="being written"):
        pickle.dumps(writer)
    writer.close()
    writer.close()
    with pytest.raises(mx.MXNetError, match="is closed"):
        writer.write(b"")
    with pytest.raises(mx.MXNetError, match="for reading only"):
        MXRecordIO(path, "r").write(b"")


def test_keys(tmp_path: Path) -> None:
    paths = tmp_path / "a.idx", tmp_path / "a.rec"
    with MXIndexedRecordIO(*paths, "w", key_type=str) as file:
        file.write_idx("left", b"1")
        file.write_idx("right", b"2")
        with pytest.raises(ValueError, match="already has a record with key 'left'"):
            file.write_idx("left", b"3")
    file = pickle.loads(pickle.dumps(MXIndexedRecordIO(*paths, "r", key_type=str)))
    assert (file.read_idx("right"), file.read(), file.read_idx("left"), file.read()) == (b"2", None, b"1", b"2")
    with pytest.raises(KeyError):
        file.read_idx("middle")


def test_a_forked_reader_starts_again_and_a_forked_writer_refuses(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    write(path, [b"one", b"two"])
    reader, writer = MXRecordIO(path, "r"), MXRecordIO(tmp_path / "b.rec", "w")
    reader.read()
    answer, told = os.pipe()
    child = os.fork()
    if not child:
        try:
            seen = reader.read() or b""
            try:
                writer.write(b"x")
            except mx.MXNetError:
                os.write(told, seen)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(answer, 10) == b"one"
    assert reader.read() == b"two"
    writer.close()
    assert read_all(tmp_path / "b.rec") == []


def chunk(kind: int, payload: bytes, length: int | None = None, magic: bytes = MAGIC) -> bytes:
    size = len(payload) if length is None else length
    return magic + struct.pack("<I", kind << 29 | size) + payload


@pytest.mark.parametrize(
    ("content", "offset", "message"),
    [
        (chunk(0, b"abcd") + b"\x0a\x23", 12, "ends after 2 of the 8"),
        (chunk(0, b"abcd") + chunk(0, b"abcd", magic=b"\x0b\x23\xd7\xce"), 12, "found 0b23d7ce"),
        (chunk(0, b"abcd", length=2**29 - 1), 0, "should hold 536870911 bytes, but the file ends after 4"),
        (chunk(0, b"abc"), 0, "should hold 3 bytes"),
        (chunk(2, b"abcd"), 0, "kind 2 at the beginning"),
        (chunk(1, b"abcd") + chunk(0, b"abcd"), 12, "kind 0 within"),
        (chunk(1, b"abcd"), 12, "ends after 0 of the 8"),
        (chunk(7, b"abcd"), 0, "kind 7"),
    ],
)
def test_damage_is_named_with_its_place(tmp_path: Path, content: bytes, offset: int, message: str) -> None:
    path = tmp_path / "bad.rec"
    path.write_bytes(content)
    with pytest.raises(mx.MXNetError, match=rf"bad\.rec.*byte {offset}: .*{message}"):
        read_all(path)
    with pytest.raises(mx.MXNetError, match=rf"byte {offset}: .*{message}"):
        record_offsets(path)


def test_a_damaged_index_is_named(tmp_path: Path) -> None:
    write(tmp_path / "a.rec", [b"one"])
    (tmp_path / "a.idx").write_text("0\t0\n1 12\n")
    with pytest.raises(mx.MXNetError, match="line 2: .*'1 12"):
        MXIndexedRecordIO(tmp_path / "a.idx", tmp_path / "a.rec", "r")
    (tmp_path / "a.idx").write_text("0\t1000\n")
    with pytest.raises(mx.MXNetError, match="record 0 at byte 1000"):
        MXIndexedRecordIO(tmp_path / "a.idx", tmp_path / "a.rec", "r").read_idx(0)


def test_damaged_image_records() -> None:
    with pytest.raises(mx.MXNetError, match="has only 3"):
        mx.recordio.unpack(b"abc")
    record = mx.recordio.pack(IRHeader(0, [1, 2, 3], 0, 0), b"")
    with pytest.raises(mx.MXNetError, match="3 labels, which end at byte 36, but it has only 30"):
        mx.recordio.unpack(record[:30])
    with pytest.raises(mx.MXNetError, match="does not fit"):
        mx.recordio.pack(IRHeader(0, 1.0, -1, 0), b"")


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 3), (5, 4, 4)])
def test_png_images_come_back_exactly(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    header, seen = mx.recordio.unpack_img(mx.recordio.pack_img(IRHeader(0, 2.0, 3, 4), image, 9, ".png"))
    assert header == IRHeader(0, 2.0, 3, 4)
    np.testing.assert_array_equal(seen, image)


def test_jpeg_images_come_back_nearly() -> None:
    image = np.zeros((16, 16, 3), np.uint8)
    image[..., 0] = 200  # blue
    record = mx.recordio.pack_img(IRHeader(0, 0.0, 0, 0), image, 100)
    for color, expected in ((-1, image), (1, image), (0, np.full((16, 16), round(200 * 0.114)))):
        _, seen = mx.recordio.unpack_img(record, color)
        np.testing.assert_allclose(seen, expected, atol=2)
    with pytest.raises(mx.MXNetError, match=".xyz"):
        mx.recordio.pack_img(IRHeader(0, 0.0, 0, 0), image, 100, ".xyz")
    with pytest.raises(mx.MXNetError, match="Decoding failed"):
        mx.recordio.unpack_img(record[:60])
