import asyncio

import pytest

from lapidicom.registrar.cube.first_contacts import FirstContacts

PACS = "SERVICES/PACS/X"


async def _most_at_once(contacts: FirstContacts, *folders: str) -> int:
    """How many turns there were at one time, if each lasts until nobody else can get one."""
    under_way = most = 0

    async def one(folder: str) -> None:
        nonlocal under_way, most
        async with contacts.turn(folder):
            under_way += 1
            most = max(most, under_way)
            for _ in range(20):
                await asyncio.sleep(0)
            under_way -= 1

    await asyncio.gather(*(one(folder) for folder in folders))
    return most


FOLDERS = (f"{PACS}/p1/s1/r1", f"{PACS}/p2/s1/r1", f"{PACS}/p3/s1/r1")


@pytest.mark.parametrize(
    ("known", "folders", "expected"),
    [
        (False, FOLDERS, 1),
        (True, FOLDERS, 3),
        (True, (f"{PACS}/p/s1/r1", f"{PACS}/p/s1/r2", f"{PACS}/p/s2/r1"), 1),
        (False, (f"{PACS}/p/s/r", "SERVICES/PACS/Y/p/s/r"), 2),
    ],
)
def test_turns_are_one_at_a_time_for_a_new_pacs_and_for_each_patient(
    known: bool, folders: tuple[str, ...], expected: int
) -> None:
    contacts = FirstContacts()
    if known:
        contacts.succeeded(f"{PACS}/other/s/r")
    assert asyncio.run(_most_at_once(contacts, *folders)) == expected


def test_a_turn_ends_with_an_error_too_and_nothing_is_kept() -> None:
    contacts = FirstContacts()

    async def main() -> None:
        with pytest.raises(RuntimeError):
            async with contacts.turn(FOLDERS[0]):
                raise RuntimeError
        async with contacts.turn(FOLDERS[0]):
            pass

    asyncio.run(main())
    assert vars(vars(contacts)["_turns"])["_turns"] == {}
