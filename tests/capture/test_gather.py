"""capture/gather.py: the record at each place, aligned or not, inside the data or past its end."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analyzer.capture.gather import gather

RECORD = np.dtype([("kind", "u1"), ("size", ">u4"), ("low", "<u2")])


@given(st.binary(max_size=40), st.lists(st.integers(0, 60), max_size=20))
def test_each_record_is_the_bytes_at_its_place(data: bytes, places: list[int]) -> None:
    found = gather(np.frombuffer(data, np.uint8), np.array(places, np.int64), RECORD)
    for place, record in zip(places, found, strict=True):
        raw = data[place:place + 7].ljust(7, b"\0")
        assert int(record["kind"]) == raw[0]
        assert int(record["size"]) == int.from_bytes(raw[1:5], "big")
        assert int(record["low"]) == int.from_bytes(raw[5:], "little")
