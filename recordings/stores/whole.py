"""Cut a part out of a whole object, for servers that know no ranges: what lies before it is read and dropped.

It is slow, so a place that knows ranges is asked first: `read_range`, and on RangeRefused `part_of_whole`.
"""

from collections.abc import Iterator

from recordings.stores.base import RangeRefused, ReadStream, Store


def part_of_whole(store: Store, key: str, *, start: int, end: int, if_match: str | None = None) -> ReadStream:
    """Open the bytes from start to end, both included, as `Store.read_range` does, by reading the object from its first byte.

    Raises RangeRefused for a part that the object does not have.
    """
    whole = store.read(key, if_match=if_match)
    size = whole.facts.size
    if not 0 <= start <= end or start >= size:
        whole.close()
        raise RangeRefused(f"{start} to {end} of {size}")
    wanted = min(end, size - 1) - start + 1
    source = _cut(whole.chunks(), skip=start, wanted=wanted)
    return ReadStream(facts=whole.facts, source=source, start=start, size=wanted, close=whole.close)


def read_part(store: Store, key: str, *, start: int, end: int, if_match: str | None = None) -> ReadStream:
    """Open a part in whichever way the store can give it."""
    try:
        return store.read_range(key, start=start, end=end, if_match=if_match)
    except RangeRefused:
        return part_of_whole(store, key, start=start, end=end, if_match=if_match)


def _cut(chunks: Iterator[bytes], *, skip: int, wanted: int) -> Iterator[bytes]:
    """Drop so many bytes, yield so many, and leave the rest unread."""
    for chunk in chunks:
        if skip >= len(chunk):
            skip -= len(chunk)
            continue
        chunk = chunk[skip : skip + wanted]
        skip, wanted = 0, wanted - len(chunk)
        yield chunk
        if not wanted:
            return
