"""RecordIO: files of byte strings one after the other, and the header that says which label belongs to an image.

On disk a record is a chain of chunks, each ``magic`` (uint32 0xced7230a), ``kind << 29 | length`` (uint32), ``length``
bytes, and zeros up to the next multiple of four; all numbers are little-endian. A reader that has lost its place may
look for the magic number, so it must not occur in a payload where a chunk could begin: the writer cuts the payload
there and leaves the number out, and the reader puts it back between the chunks. (The format of DMLC's RecordIO.)

An image record starts with ``flag`` (uint32), ``label`` (float32), ``id`` and ``id2`` (uint64). If ``flag`` is n > 0,
n float32 follow, which are the label.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from numbers import Number
from types import TracebackType
from typing import IO, Any, NamedTuple, Self

import numpy as np

from .base import MXNetError, atomic_write
from .pixels import codec

__all__ = [
    "IRHeader", "MXIndexedRecordIO", "MXRecordIO", "pack", "pack_img", "read_image_list", "read_index",
    "record_offsets", "unpack", "unpack_img",
]  # fmt: skip

MAGIC = struct.pack("<I", 0xCED7230A)
CHUNK_HEADER = struct.Struct("<4sI")
LENGTH_BITS = 29
LONGEST = (1 << LENGTH_BITS) - 1
# The kinds of chunks.
WHOLE, FIRST, MIDDLE, LAST = range(4)

IMAGE_HEADER = struct.Struct("<IfQQ")


# ---- the format ----------------------------------------------------------------------------------------------------


def write_record(file: IO[bytes], payload: bytes) -> None:
    """Append one record. MXNetError if it is longer than the format can say (2**29 - 1 bytes)."""
    if len(payload) > LONGEST:
        raise MXNetError(f"A record holds at most {LONGEST} bytes, got {len(payload)}")
    cuts = [match.start() for match in re.finditer(re.escape(MAGIC), payload) if match.start() % 4 == 0]
    starts = [0, *[cut + 4 for cut in cuts]]
    stops = [*cuts, len(payload)]
    for i, (start, stop) in enumerate(zip(starts, stops)):
        kind = WHOLE if not cuts else FIRST if i == 0 else LAST if i == len(cuts) else MIDDLE
        file.write(CHUNK_HEADER.pack(MAGIC, kind << LENGTH_BITS | (stop - start)))
        file.write(payload[start:stop])
        file.write(bytes(-(stop - start) % 4))


def read_record(file: IO[bytes], size: int) -> bytes | None:
    """The record that begins where ``file``, which is ``size`` bytes long, stands; None at its end.

    MXNetError names the offset of the chunk that is damaged.
    """
    chunks = []
    for kind, position, length in _chunks(file, size):
        file.seek(position)
        chunks.append(file.read(length))
        file.seek(-length % 4, os.SEEK_CUR)
        if kind in (WHOLE, LAST):
            return MAGIC.join(chunks)
    return None


def record_offsets(path: str | os.PathLike[str]) -> list[int]:
    """Where each record of a file begins. Reads the lengths only; errors as those of reading."""
    offsets = []
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        while (begin := file.tell()) < size:
            for kind, position, length in _chunks(file, size):
                file.seek(position + length + -length % 4)
                if kind in (WHOLE, LAST):
                    break
            offsets.append(begin)
    return offsets


def _chunks(file: IO[bytes], size: int) -> Iterator[tuple[int, int, int]]:
    """The chunks of the next record as (kind, position, length); nothing at the end of the file.

    Whoever iterates moves the file behind each chunk, and stops after the last one. All lengths have been compared
    with the file's when they are handed out.
    """
    within = False
    while True:
        offset = file.tell()
        header = file.read(CHUNK_HEADER.size)
        if not header and not within:
            return

        def damaged(what: str, offset: int = offset) -> MXNetError:
            return MXNetError(f"Invalid RecordIO file {getattr(file, 'name', '')!r}, byte {offset}: {what}")

        if len(header) < CHUNK_HEADER.size:
            raise damaged(f"the file ends after {len(header)} of the {CHUNK_HEADER.size} bytes that begin a chunk")
        magic, word = CHUNK_HEADER.unpack(header)
        kind, length = word >> LENGTH_BITS, word & LONGEST
        if magic != MAGIC:
            raise damaged(f"a chunk must begin with {MAGIC.hex()}, found {magic.hex()}")
        if kind not in ((MIDDLE, LAST) if within else (WHOLE, FIRST)):
            raise damaged(f"a chunk of kind {kind} {'within' if within else 'at the beginning of'} a record")
        position = offset + CHUNK_HEADER.size
        if position + length + -length % 4 > size:
            raise damaged(f"the chunk should hold {length} bytes, but the file ends after {size - position}")
        yield kind, position, length
        within = True


def read_index(path: str | os.PathLike[str], key_type: Callable[[str], Any] = int) -> dict[Any, int]:
    """Offsets by key from an index file: one ``key<TAB>offset`` a line. MXNetError names a line that is neither."""
    index = {}
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                key, offset = line.rstrip("\n").split("\t")
                index[key_type(key)] = int(offset)
            except ValueError:
                raise MXNetError(
                    f"{os.fspath(path)!r}, line {number}: expected a key, a tab and an offset, found {line[:80]!r}"
                ) from None
    return index


def read_image_list(path: str | os.PathLike[str]) -> dict[int, tuple[np.ndarray, str]]:
    """Labels and file names by number from a list file: ``number<TAB>label[<TAB>label...]<TAB>path`` a line.

    MXNetError names a line that reads otherwise.
    """
    images = {}
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                key, *labels, name = line.strip().split("\t")
                images[int(key)] = (np.array(labels, np.float32), name)
            except ValueError:
                raise MXNetError(
                    f"{os.fspath(path)!r}, line {number}: expected a number, labels and a path with tabs between, "
                    f"found {line[:80]!r}"
                ) from None
    return images


# ---- files ---------------------------------------------------------------------------------------------------------


class MXRecordIO:
    """A file of records, read from the beginning or written anew.

    What is written appears under its name when the file is closed (also by garbage collection), and not at all if a
    ``with`` block ends in an exception. A reader that finds itself in another process than it was opened in starts
    again there; a writer refuses.

    Parameters
    ----------
    uri : str
        Path of the file.
    flag : ``'r'`` or ``'w'``

    Raises ValueError for another flag, MXNetError if the file cannot be opened.
    """

    def __init__(self, uri: str | os.PathLike[str], flag: str) -> None:
        self.is_open = False
        if flag not in ("r", "w"):
            raise ValueError(f"Invalid flag {flag!r}: expected 'r' or 'w'")
        self.uri = os.fspath(uri)
        self.flag = flag
        self.writable = flag == "w"
        self.open()

    def open(self) -> None:
        """Open the file: at its beginning for reading, empty for writing."""
        try:
            if self.writable:
                self._writing: AbstractContextManager[IO[bytes]] = atomic_write(self.uri)
                self._file = self._writing.__enter__()
            else:
                self._file = open(self.uri, "rb")  # noqa: SIM115
                self._size = os.fstat(self._file.fileno()).st_size
        except OSError as error:
            raise MXNetError(f"Cannot open {self.uri!r}: {error.strerror or error}") from error
        self._pid = os.getpid()
        self.is_open = True

    def close(self) -> None:
        """Close the file. Doing so again has no effect."""
        self._end(None, None, None)

    def _end(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.is_open:
            return
        self.is_open = False
        if not self.writable:
            self._file.close()
        elif self._pid == os.getpid():  # the copy of a writer in a child process must not publish the file
            self._writing.__exit__(kind, error, trace)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(kind, error, trace)

    def __del__(self) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        if self.writable:
            raise TypeError(f"{self.uri!r} is being written; only readers can be sent to other processes")
        return type(self), (self.uri, self.flag)

    def reset(self) -> None:
        """Go back to the beginning; what has been written is given up for an empty file."""
        self.close()
        self.open()

    def _expect(self, writable: bool) -> None:
        if not self.is_open:
            raise MXNetError(f"{self.uri!r} is closed")
        if self.writable != writable:
            raise MXNetError(f"{self.uri!r} was opened for {'writing' if self.writable else 'reading'} only")
        if self._pid != os.getpid():
            if self.writable:
                raise MXNetError(f"{self.uri!r} is being written by process {self._pid}; this is {os.getpid()}")
            self.reset()

    def write(self, buf: bytes) -> None:
        """Append a record of these bytes. TypeError for anything but bytes."""
        self._expect(writable=True)
        if not isinstance(buf, (bytes, bytearray, memoryview)):
            raise TypeError(f"A record is made of bytes, not of {type(buf).__name__}")
        write_record(self._file, bytes(buf))

    def read(self) -> bytes | None:
        """The next record; None at the end of the file. MXNetError if the file is damaged there."""
        self._expect(writable=False)
        return read_record(self._file, self._size)

    def tell(self) -> int:
        """The offset of the record that is written or read next."""
        if not self.is_open:
            raise MXNetError(f"{self.uri!r} is closed")
        return self._file.tell()


class MXIndexedRecordIO(MXRecordIO):
    """A file of records that are found by key, with a text file beside it that says where each one begins.

    Parameters
    ----------
    idx_path : str
        Path of the index: lines of ``key<TAB>offset``.
    uri, flag : as for :class:`MXRecordIO`
    key_type : callable
        Makes a key of its text.

    ``keys`` are in the order of the index, ``idx`` holds the offsets.
    """

    def __init__(
        self,
        idx_path: str | os.PathLike[str],
        uri: str | os.PathLike[str],
        flag: str,
        key_type: Callable[[Any], Any] = int,
    ) -> None:
        self.idx_path = os.fspath(idx_path)
        self.key_type = key_type
        self.idx: dict[Any, int] = {}
        self.keys: list[Any] = []
        super().__init__(uri, flag)

    def open(self) -> None:
        try:
            self.idx = {} if self.writable else read_index(self.idx_path, self.key_type)
        except OSError as error:
            raise MXNetError(f"Cannot open {self.idx_path!r}: {error.strerror or error}") from error
        self.keys = list(self.idx)
        super().open()

    def _end(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        publishes = self.is_open and self.writable and kind is None and self._pid == os.getpid()
        super()._end(kind, error, trace)
        if publishes:  # after the records: an index never points into a file that is not there
            with atomic_write(self.idx_path, "w") as file:
                file.writelines(f"{key}\t{offset}\n" for key, offset in self.idx.items())

    def __reduce__(self) -> tuple[Any, ...]:
        super().__reduce__()
        return type(self), (self.idx_path, self.uri, self.flag, self.key_type)

    def seek(self, idx: Any) -> None:
        """Have the record with this key read next; KeyError if there is none."""
        self._expect(writable=False)
        offset = self.idx[idx]
        if not 0 <= offset < self._size:
            raise MXNetError(
                f"{self.idx_path!r} places record {idx!r} at byte {offset} of {self.uri!r}, which has {self._size}"
            )
        self._file.seek(offset)

    def read_idx(self, idx: Any) -> bytes:
        """The record with this key."""
        self.seek(idx)
        record = self.read()
        assert record is not None  # seek has found the offset to lie before the end
        return record

    def write_idx(self, idx: Any, buf: bytes) -> None:
        """Append a record under a key. ValueError if the key is taken."""
        key = self.key_type(idx)
        if key in self.idx:
            raise ValueError(f"{self.uri!r} already has a record with key {key!r}")
        position = self.tell()
        self.write(buf)
        self.idx[key] = position
        self.keys.append(key)


# ---- images --------------------------------------------------------------------------------------------------------


class IRHeader(NamedTuple):
    """What stands before the image in a record.

    ``label`` is a number, or several as an array, whose count is then ``flag``; ``id`` numbers the image and ``id2``
    has no fixed meaning.
    """

    flag: int
    label: Any
    id: int
    id2: int


def pack(header: IRHeader | tuple[int, Any, int, int], s: bytes) -> bytes:
    """A record of ``header`` and the bytes ``s``; ``flag`` becomes the number of labels, 0 for a single number."""
    header = IRHeader(*header)
    if isinstance(header.label, Number):
        return _pack_header(header._replace(flag=0)) + s
    labels = np.asarray(header.label, "<f4").ravel()
    return _pack_header(header._replace(flag=labels.size, label=0.0)) + labels.tobytes() + s


def _pack_header(header: IRHeader) -> bytes:
    try:
        return IMAGE_HEADER.pack(*header)
    except struct.error as error:
        raise MXNetError(f"{header} does not fit into a record: {error}") from None


def unpack(s: bytes) -> tuple[IRHeader, bytes]:
    """The header of a record and the bytes that follow. MXNetError if the record is too short for it."""
    if len(s) < IMAGE_HEADER.size:
        raise MXNetError(f"An image record begins with {IMAGE_HEADER.size} bytes, but this one has only {len(s)}")
    header = IRHeader(*IMAGE_HEADER.unpack_from(s))
    begin = IMAGE_HEADER.size
    if not header.flag:
        return header, s[begin:]
    end = begin + 4 * header.flag
    if end > len(s):
        raise MXNetError(
            f"The record should hold {header.flag} labels, which end at byte {end}, but it has only {len(s)}"
        )
    return header._replace(label=np.frombuffer(s[begin:end], "<f4")), s[end:]


def pack_img(header: IRHeader, img: np.ndarray, quality: int = 95, img_fmt: str = ".jpg") -> bytes:
    """A record of ``header`` and an image of shape (height, width[, channels]), channels in the order blue, green, red.

    ``quality`` is 1 to 100 for ``'.jpg'``, 0 to 9 for ``'.png'``.
    """
    return pack(header, codec.encode(_reversed_colors(np.asarray(img)), img_fmt, quality))


def unpack_img(s: bytes, iscolor: int = -1) -> tuple[IRHeader, np.ndarray]:
    """The header and the image of a record, channels in the order blue, green, red, as OpenCV has them.

    ``iscolor`` is 1 for three channels, 0 for a grey image of shape (height, width), -1 for what the file holds.
    """
    header, data = unpack(s)
    if iscolor not in (codec.AS_IT_IS, codec.GRAY, codec.COLOR):
        raise ValueError(f"iscolor must be -1, 0 or 1, got {iscolor}")
    pixels = codec.decode(data, iscolor)
    return header, pixels[:, :, 0] if iscolor == codec.GRAY else _reversed_colors(pixels)


def _reversed_colors(pixels: np.ndarray) -> np.ndarray:
    """Red and blue exchanged; alpha stays last."""
    if pixels.ndim < 3 or pixels.shape[2] not in (3, 4):
        return pixels
    return np.ascontiguousarray(pixels[:, :, [2, 1, 0, 3][: pixels.shape[2]]])
