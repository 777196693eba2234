import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from lapidicom.registrar.cube.outcomes import Sight
from lapidicom.registrar.cube.series_outcomes import SeriesKey
from lapidicom.registrar.cube.volume import Claim, Volume
from lapidicom.registrar.mount import Mount
from tests.support.polling import eventually_async


class PlayedVolume(Volume):
    """A volume of which a test says whose it is."""

    found: Claim | OSError = Claim.NONE_YET

    def claim(self) -> Claim:
        if isinstance(self.found, OSError):
            raise self.found
        return self.found


class HangingVolume(Volume):
    """A volume of a server that is gone: each look at it waits for ever."""

    pipe = os.pipe()

    def claim(self) -> Claim:
        os.read(self.pipe[0], 1)
        return Claim.RECEIVERS

    def look(self, _: str) -> Sight:
        os.read(self.pipe[0], 1)
        return Sight.THERE


def run(volume: Volume, test: Callable[[Mount], Awaitable[None]], look_seconds: float = 30) -> None:
    async def watched() -> None:
        mount = Mount(volume, watch_seconds=0.01, look_seconds=look_seconds)
        watching = asyncio.create_task(mount.watch())
        try:
            await test(mount)
        finally:
            watching.cancel()

    asyncio.run(watched())


def test_what_is_wrong_with_our_mount_is_known_while_it_lasts() -> None:
    volume = PlayedVolume(Path("/data"), Path("/data/.lapidicom"))

    async def test(mount: Mount) -> None:
        await eventually_async(lambda: "no receiver has used the volume yet" in (mount.unclaimed() or ""))
        assert mount.fault() is None
        volume.found = Claim.RECEIVERS
        await eventually_async(lambda: mount.unclaimed() is None)
        assert mount.fault() is None
        for found, words in ((Claim.OTHER, "not the one of the start"), (Claim.UNREADABLE, "cannot be read")):
            volume.found = found
            await eventually_async(lambda words=words: words in (mount.fault() or ""))  # type: ignore[misc]
            assert "CHRIS_FILES_ROOT=/data" in (mount.fault() or "")
            assert mount.unclaimed() is None
        volume.found = Claim.RECEIVERS
        await eventually_async(lambda: mount.fault() is None)

    run(volume, test)


def test_a_volume_that_hangs_is_not_visible_and_keeps_nobody() -> None:
    volume = HangingVolume(Path("/data"), Path("/data/.lapidicom"))

    async def test(mount: Mount) -> None:
        assert await mount.look("a") is Sight.VOLUME_GONE
        await eventually_async(lambda: "does not answer" in (mount.fault() or ""))

    try:
        run(volume, test, look_seconds=0.05)
    finally:
        os.write(volume.pipe[1], b"x" * 100)


def test_a_series_is_empty_only_on_the_receivers_volume(tmp_path: Path) -> None:
    volume = PlayedVolume(tmp_path, tmp_path / ".lapidicom")
    series = SeriesKey("X", "1.2", "SERVICES/PACS/X/p/s/r")

    async def test(mount: Mount) -> None:
        for found in (Claim.NONE_YET, Claim.OTHER, Claim.UNREADABLE):
            volume.found = found
            with pytest.raises(OSError, match="not the receivers' volume"):
                await mount.look_at(series)
        volume.found = Claim.RECEIVERS
        assert (await mount.look_at(series)).count == 0
        volume.found = Claim.NONE_YET
        (tmp_path / series.folder).mkdir(parents=True)
        (tmp_path / series.folder / "1.dcm").touch()
        assert (await mount.look_at(series)).count == 1

    run(volume, test)
