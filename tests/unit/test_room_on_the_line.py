"""How many bytes are on their way at once, and in which order they set out."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from dropslot.sftp.transfers.bytes_in_flight import Room

MOST_BYTES = 100


@given(
    st.lists(st.tuples(st.integers(0, 150), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40)
)
def test_pieces_set_out_in_their_order_and_never_more_than_there_is_room_for(
    pieces: list[tuple[int, int, int]],
) -> None:
    room, begun = Room(MOST_BYTES), []
    under_way: dict[int, int] = {}

    async def send(number: int, size_bytes: int, steps: int) -> None:
        async with room.of(size_bytes):
            begun.append(number)
            under_way[number] = min(size_bytes, MOST_BYTES)  # what is larger than all of it goes alone
            assert sum(under_way.values()) <= MOST_BYTES
            for _ in range(steps):
                await asyncio.sleep(0)
            del under_way[number]

    async def send_all() -> None:
        tasks = []
        for number, (size_bytes, steps, later) in enumerate(pieces):
            tasks.append(asyncio.create_task(send(number, size_bytes, steps)))
            for _ in range(later):
                await asyncio.sleep(0)
        await asyncio.wait_for(asyncio.gather(*tasks), 10)

    asyncio.run(send_all())
    assert begun == list(range(len(pieces)))


def test_a_piece_that_fails_gives_its_room_back() -> None:
    async def fail(room: Room) -> None:
        async with room.of(MOST_BYTES):
            raise OSError

    async def send_both() -> None:
        room = Room(MOST_BYTES)
        failed = await asyncio.gather(fail(room), fail(room), return_exceptions=True)
        assert [type(error) for error in failed] == [OSError, OSError]

    asyncio.run(asyncio.wait_for(send_both(), 10))
