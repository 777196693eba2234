"""What the supervisor makes of its children's reports, without processes."""

import asyncio
from collections.abc import Callable

import pytest

from lapidicom.receiver.control import OwnerEnded, Packet, Report
from lapidicom.receiver.supervisor import supervisor as supervisor_module
from lapidicom.receiver.supervisor.child import Child, ProcessEnd, Role
from lapidicom.receiver.supervisor.slot import Slot
from lapidicom.receiver.supervisor.supervisor import Supervisor


class StandIn(Child):
    """A child without a process."""

    def __init__(self, role: Role, report: Report | None = None) -> None:
        self.role = role
        self.report = report
        self.sent: list[Packet] = []

    def send(self, packet: Packet, descriptor: int | None = None) -> bool:  # noqa: ARG002
        self.sent.append(packet)
        return True


def never_launched(role: Role, index: int) -> Child:
    raise AssertionError((role, index))


def with_supervisor(use: Callable[[Supervisor, StandIn], None]) -> list[Packet]:
    """What the relay was sent."""
    relay = StandIn(Role.RELAY)

    async def main() -> None:
        supervisor = Supervisor(
            never_launched, listeners=1, port=0, health_port=0, shutdown_grace=1, child_timeout=30
        )
        supervisor._relay.child = relay
        use(supervisor, relay)

    asyncio.run(main())
    return relay.sent


def test_the_relay_is_sent_the_journal_of_a_listener_that_has_ended() -> None:
    listener = StandIn(Role.LISTENER, Report(journal="here.1"))
    assert with_supervisor(lambda supervisor, _: supervisor.child_ended(listener)) == [OwnerEnded("here.1")]


def test_a_listener_that_ended_before_its_journal_began_is_none_of_the_relays_business() -> None:
    listener = StandIn(Role.LISTENER)
    assert with_supervisor(lambda supervisor, _: supervisor.child_ended(listener)) == []


def test_the_relay_is_sent_the_journal_that_a_living_listener_has_left() -> None:
    listener = StandIn(Role.LISTENER, Report(journal="here.1"))

    def goes_on(supervisor: Supervisor, _: StandIn) -> None:
        supervisor.child_reported(listener, Report(journal="here.1"))
        supervisor.child_reported(listener, Report(journal="here.2"))

    assert with_supervisor(goes_on) == [OwnerEnded("here.1")]


def test_a_new_relay_is_sent_everything_again() -> None:
    later = StandIn(Role.RELAY)

    def replaced(supervisor: Supervisor, _: StandIn) -> None:
        supervisor.child_ended(StandIn(Role.LISTENER, Report(journal="here.1")))
        supervisor._relay.child = later
        supervisor.child_started(later)

    with_supervisor(replaced)
    assert later.sent == [OwnerEnded("here.1")]


class Unpollable(StandIn):
    """A child of which nobody can say whether it has ended."""

    def poll(self) -> ProcessEnd | None:
        raise KeyError("poll")


def test_a_supervisor_whose_loop_fails_goes_on_and_drains_if_it_fails_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor_module, "_TICK", 0.001)

    async def main() -> None:
        supervisor = Supervisor(
            never_launched, listeners=1, port=0, health_port=0, shutdown_grace=1, child_timeout=30
        )
        supervisor._relay.child = Unpollable(Role.RELAY)
        ticking = asyncio.create_task(supervisor._tick_each_second())
        async with asyncio.timeout(20):
            await supervisor._stop_wanted.wait()
        assert supervisor.has_failed
        assert not ticking.done()
        ticking.cancel()

    asyncio.run(main())


def test_a_slot_is_filled_again_whatever_the_start_of_its_child_raised() -> None:
    async def main() -> None:
        supervisor = Supervisor(
            never_launched, listeners=1, port=0, health_port=0, shutdown_grace=1, child_timeout=30
        )
        slot = Slot(Role.LISTENER, 0, never_launched, supervisor, timeout=30)
        slot.start()
        assert slot.will_be_live
        slot.stop_replacing()

    asyncio.run(main())
