"""CUBE becomes v6: what waited or died under v5 is registered, or a dead letter says what is missing."""

from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from lapidicom.common.broker import Header
from lapidicom.common.messages import InstanceStored
from lapidicom.registrar.cube.generation import Generation
from tests.support.series_world import FOLDER, SETTLE, UID, SeriesWorld

UPGRADE = 1000.0
RECONCILED: dict[str, Header] = {"lapidicom-reconcile": "run 1"}


def of_version_5(root: Path) -> SeriesWorld:
    """A world in which an association has ended, and CUBE v5 has registered nothing of it."""
    world = SeriesWorld(root, generation=5)
    world.cube.faults.volume_gone = True
    world.at(0, partial(world.open, "a"))
    world.at(1, lambda: world.publish(world.store(1)))  # parked: CUBE does not see its file
    world.at(1, lambda: world.publish(world.store(2)))
    world.at(2, partial(world.close, "a"))
    world.at(2, lambda: world.publish(world.received()))
    return world


def upgrade(world: SeriesWorld, migrated: tuple[str, ...] = (), *, whole: bool = True) -> None:
    """CUBE comes back as v6; it has made a series of the files that v5 had registered, if it was let."""
    world.cube = world.new_cube(6)
    if migrated:
        database = cast(Any, world.cube.registrations)
        database.add_folders(database.missing_folders(FOLDER))
        database.add_pacs("CT")
        database.add_files(list(migrated))
        if whole:
            database.add_series(FOLDER, {"pacs_name": "CT", "SeriesInstanceUID": UID})


def replay(world: SeriesWorld) -> None:
    """An operator replays the dead letters."""
    letters, world.dead = world.dead, []
    for letter in letters:
        model = InstanceStored.model_validate_json(letter.body)
        world.publish(model, headers={**letter.headers, "lapidicom-replay": "x"})


def test_an_instance_that_was_parked_is_registered_with_its_series(tmp_path: Path) -> None:
    world = of_version_5(tmp_path)
    world.at(UPGRADE, partial(upgrade, world))
    world.run()
    assert world.under is Generation.PER_SERIES
    assert (world.registered(), world.created, world.dead) == (2, 1, [])


def test_dead_letters_and_reconciled_files_are_registered_with_their_series(tmp_path: Path) -> None:
    world = of_version_5(tmp_path)
    world.at(6000, partial(upgrade, world))
    dead_before: list[int] = []
    world.at(5999, lambda: dead_before.append(len(world.dead)))
    world.at(6100, partial(replay, world))
    world.at(6100, lambda: world.publish(world.store(3), headers=RECONCILED))
    world.run()
    assert dead_before == [2]  # for an hour CUBE did not see their files
    assert (world.registered(), world.created, world.dead) == (3, 1, [])


@pytest.mark.parametrize(("whole", "reason"), [(True, "late-instances"), (False, "half-registered")])
def test_what_version_5_has_begun_is_a_dead_letter_that_says_what_is_missing(
    tmp_path: Path, whole: bool, reason: str
) -> None:
    world = of_version_5(tmp_path)
    first = f"{FOLDER}/0001-1.2.1.dcm"
    world.at(UPGRADE, partial(upgrade, world, (first,), whole=whole))
    world.run()
    assert (world.created, set(world.reasons)) == (0, {reason})


def test_a_registrar_that_has_not_noticed_the_upgrade_loses_nothing(tmp_path: Path) -> None:
    world = SeriesWorld(tmp_path, generation=5)
    world.at(0, partial(upgrade, world))

    def settle() -> None:
        """Another registrar has noticed, and acknowledged an instance behind this message."""
        message = world.settling(world.store(1))
        world.publish(message)

    world.at(1, settle)
    world.run()
    assert (world.registered(), world.dead) == (1, [])


def test_after_a_rollback_a_series_is_a_dead_letter(tmp_path: Path) -> None:
    world = SeriesWorld(tmp_path)
    world.at(0, lambda: world.publish(world.store(1)))

    def roll_back() -> None:
        world.cube = world.new_cube(5)

    world.at(SETTLE / 2, roll_back)
    world.run()
    assert (world.registered(), world.reasons) == (None, ["registers-files"])
