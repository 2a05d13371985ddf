"""What a CAN frame is on the wire and how a capture is read, by means of its own: numpy, bit by bit, nothing of the simulator's."""
import json
import os

import numpy

# SAE J1850, worked example of the CRC-8 that the 2001 edition prints: polynomial 0x1D, from FF, inverted.
CRC8_CHECK = (b"123456789", 0x4B)


class Capture:
    """Columns of a four-column file: t in microseconds, id (bit 29 set for the 29-bit kind), length, payload bytes, label."""

    def __init__(self, path):
        with open(path) as f:
            assert f.readline() == "timestamp,arbitration_id,data_field,attack\n", path
            rows = [line.split(",") for line in f.read().splitlines()]
        self.path = path
        self.t = numpy.array([int(r[0].replace(".", "")) for r in rows], dtype=numpy.int64)
        self.id = numpy.array([int(r[1], 16) | (len(r[1]) == 8) << 29 for r in rows], dtype=numpy.int64)
        self.len = numpy.array([len(r[2]) // 2 for r in rows])
        self.data = numpy.frombuffer(b"".join(bytes.fromhex(r[2]).ljust(8, b"\0") for r in rows), dtype=numpy.uint8).reshape(len(rows), 8)
        self.label = numpy.array([r[3] == "1" for r in rows])
        assert all(r[3] in "01" and len(r) == 4 for r in rows), path

    def of(self, ident, label=None):
        mine = self.id == ident
        return mine if label is None else mine & (self.label == label)


def frame_bits(capture):
    """Bits of every frame, stuff bits and the pause of 3 among them: ISO 11898-1."""
    n = len(capture.t)
    wide = (capture.id >> 29).astype(bool)
    ident = capture.id & 0x1FFFFFFF
    columns = []  # (bits, which rows have this bit)

    def put(bits, has):
        columns.append((numpy.broadcast_to(numpy.asarray(bits, dtype=numpy.uint8), n), has))

    every = numpy.ones(n, dtype=bool)
    put(0, every)
    for k in range(10, -1, -1):
        put(numpy.where(wide, ident >> (18 + k), ident >> k) & 1, every)
    put(1, wide)
    put(1, wide)
    for k in range(17, -1, -1):
        put(ident >> k & 1, wide)
    for _ in range(3):
        put(0, every)  # remote, extension or reserved, reserved
    for k in range(3, -1, -1):
        put(capture.len >> k & 1, every)
    for k in range(64):
        put(capture.data[:, k // 8] >> (7 - k % 8) & 1, capture.len > k // 8)
    crc = numpy.zeros(n, dtype=numpy.int64)
    for bits, has in columns:
        turn = (bits ^ crc >> 14) & 1
        crc = numpy.where(has, (crc << 1 ^ 0x4599 * turn) & 0x7FFF, crc)
    for k in range(14, -1, -1):
        put(crc >> k & 1, every)
    total, last, run = numpy.zeros(n, dtype=numpy.int64), numpy.full(n, 2), numpy.zeros(n, dtype=numpy.int64)
    for bits, has in columns:
        run = numpy.where(has, numpy.where(bits == last, run + 1, 1), run)
        last = numpy.where(has, bits, last)
        total += has
        full = has & (run == 5)
        total += full
        last = numpy.where(full, 1 - last, last)
        run = numpy.where(full, 1, run)
    return total + 1 + 2 + 7 + 3


def crc8(data):
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x1D) & 0xFF if crc & 0x80 else crc << 1
    return crc ^ 0xFF


def manifest(folder):
    with open(os.path.join(folder, "manifest.json")) as f:
        return json.load(f)
