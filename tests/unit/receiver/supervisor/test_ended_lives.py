"""What the relay is told of ended journals."""

from lapidicom.receiver.control import LifeEnded
from lapidicom.receiver.supervisor.ended_lives import EndedLives


class Relay:
    """Takes packets while it has room."""

    def __init__(self, room: int = 10_000) -> None:
        self.room = room
        self.told: list[str] = []

    def send(self, packet: LifeEnded) -> bool:
        if self.room == 0:
            return False
        self.room -= 1
        self.told.append(packet.life)
        return True


def test_each_life_is_told_once() -> None:
    lives, relay = EndedLives(), Relay()
    lives.add("a")
    assert lives.tell(relay.send)
    lives.add("a")
    lives.add("b")
    assert lives.tell(relay.send)
    assert relay.told == ["a", "b"]


def test_what_a_busy_relay_did_not_take_is_told_later() -> None:
    lives, relay = EndedLives(), Relay(room=1)
    lives.add("a")
    lives.add("b")
    assert not lives.tell(relay.send)
    relay.room = 5
    assert lives.tell(relay.send)
    assert relay.told == ["a", "b"]


def test_a_new_relay_is_told_all_lives_again() -> None:
    lives = EndedLives()
    lives.add("a")
    lives.add("b")
    lives.tell(Relay().send)
    later = Relay()
    lives.start_anew()
    assert lives.tell(later.send)
    assert later.told == ["a", "b"]


def test_memory_stays_flat_and_what_is_untold_stays_so() -> None:
    lives, relay = EndedLives(), Relay()
    for number in range(1500):
        lives.add(str(number))
        if number == 1200:
            lives.tell(relay.send)
    lives.tell(relay.send)
    assert relay.told[-299:] == [str(number) for number in range(1201, 1500)]
    assert len(relay.told) == len(set(relay.told))
