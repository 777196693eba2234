"""C-STORE as an SCP: the order of what makes a success, and what each fault leads to."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lapidicom.common.instance.header import HeaderScanner
from lapidicom.common.messages import InstanceStored
from lapidicom.receiver.association.counters import Counters
from lapidicom.receiver.association.store import StoreSCP
from lapidicom.receiver.dimse.command import Command, decode_command
from lapidicom.receiver.errors import JournalUnavailable, OutOfResources, Refusal
from lapidicom.receiver.storage.volume import Fault
from tests.support.byte_scripts import store_command
from tests.support.data_sets import Coding
from tests.support.instances import DEFLATED, IMPLICIT, MR, PATIENT, Instance, instance, leaks
from tests.support.seeds import examples
from tests.support.store_fakes import ASSOCIATION, FakeInstanceStore, FakeJournal, FakeLog, context_for

LE = Coding(implicit=False)
SUCCESS = ["new_file", "write", "mark", "place", "append", "sync_folder", "sync_marker", "wait"]
SETTLED = ["settle", "close"]


class Room:
    """A C-STORE SCP on fakes."""

    def __init__(self) -> None:
        self.store = FakeInstanceStore()
        self.journal = FakeJournal(self.store)
        self.log = FakeLog()
        self.counters = Counters()
        fakes: tuple[Any, Any] = (self.store, self.journal)
        self.service = StoreSCP(ASSOCIATION, *fakes, self.counters, self.log)

    def begin(self, one: Instance) -> None:
        self.service.begin(command(one), context_for(one))

    def send(self, one: Instance, size: int = 0) -> int:
        """Store, in fragments of this size; returns the status."""
        self.begin(one)
        size = size or len(one.data_set) or 1
        for start in range(0, len(one.data_set), size):
            self.service.feed(memoryview(one.data_set)[start : start + size])
        return self.finish()

    def finish(self) -> int:
        try:
            self.service.finish()
        except Refusal as refusal:
            return refusal.status
        finally:
            self.store.calls.append("answer")
            self.service.settle()
        return 0

    def content(self, one: Instance) -> bytes:
        return self.store.files[one.path("PACS 1")]


def command(one: Instance) -> Command:
    return decode_command(store_command(1, one.sop_instance, one.sop_class))


def test_success_comes_after_file_folder_and_record_in_this_order() -> None:
    room, one = Room(), instance(1)
    assert room.send(one) == 0
    assert room.store.calls == [*SUCCESS, "answer", *SETTLED]
    assert room.content(one).endswith(one.data_set)
    assert room.counters.instances_stored == 1
    assert room.counters.bytes_stored == len(room.content(one))


def test_the_record_is_the_message_that_will_be_sent() -> None:
    room = Room()
    for number, syntax in ((1, IMPLICIT), (2, IMPLICIT), (3, DEFLATED)):
        one = instance(number, transfer_syntax=syntax)
        assert room.send(one) == 0
        (record,) = room.journal.entries[-1].records
        assert record.kind == "instance_received"
        message = InstanceStored.model_validate_json(record.body)
        assert message.model_dump(mode="json").keys() == record.fields().keys()
        assert message.path == one.path("PACS 1")
        assert message.size == len(room.content(one))
        assert message.PatientAge == round(96 * 365.24)
        assert message.TransferSyntaxUID == syntax
        association = {keyword: getattr(message, keyword) for keyword in ("association_id", "peer_address")}
        assert association == {"association_id": "a-1", "peer_address": "127.0.0.1:4242"}
        assert message.received_at.tzinfo is not None


def test_a_record_survives_quotes_backslashes_and_every_script_in_the_values() -> None:
    room = Room()
    description = 'a "quoted" back/slash 樹懶 \U0001f407'
    one = instance(1, SpecificCharacterSet="ISO_IR 192", SeriesDescription=description)
    assert room.send(one) == 0
    assert room.journal.entries[0].records[0].fields()["SeriesDescription"] == description


def test_a_series_is_started_once_and_before_its_first_instance() -> None:
    room = Room()
    for number in (1, 2, 3):
        assert room.send(instance(number)) == 0
    assert room.send(instance(1, series=2)) == 0
    started = [entry.starts is not None for entry in room.journal.entries]
    assert started == [True, False, False, True]


def test_a_series_whose_first_record_failed_is_started_by_the_next() -> None:
    room = Room()
    room.store.failures["wait"] = JournalUnavailable("journal: No space left on device")
    assert room.send(instance(1)) == 0xA700
    del room.store.failures["wait"]
    assert room.send(instance(2)) == 0
    assert [entry.starts is not None for entry in room.journal.entries] == [True, True]


@pytest.mark.parametrize(
    ("call", "calls"),
    [
        ("new_file", [*SUCCESS[:1], "answer"]),
        ("write", [*SUCCESS[:2], "answer"]),
        ("mark", [*SUCCESS[:3], "answer"]),
        ("place", [*SUCCESS[:4], "answer"]),
        ("append", [*SUCCESS[:5], "answer", "close"]),
        ("sync_folder", [*SUCCESS[:6], "answer", *SETTLED]),
        ("sync_marker", [*SUCCESS[:7], "answer", *SETTLED]),
        ("wait", [*SUCCESS, "answer", *SETTLED]),
    ],
)
def test_a_fault_of_volume_or_journal_refuses_the_instance_and_settles_its_entry(
    call: str, calls: list[str]
) -> None:
    room, one = Room(), instance(1)
    room.store.failures[call] = OutOfResources("volume not writable (EIO)")
    assert room.send(one) == 0xA700
    assert room.store.calls == calls
    assert all(entry.settled for entry in room.journal.entries)
    assert all(file.closed for file in room.store.temporary)
    assert room.counters.instances_refused == {0xA700: 1}
    assert room.counters.instances_stored == 0
    (refused,) = room.journal.quiet
    assert (refused.fields()["status"], refused.fields()["reason"]) == ("0xA700", "volume not writable (EIO)")
    room.store.failures.clear()
    assert room.send(one) == 0, "and the next one is stored"


@pytest.mark.parametrize("call", ["new_file", "write", "place", "append", "sync_folder", "wait"])
def test_a_fault_of_our_own_is_a_processing_failure_and_tells_no_value(call: str) -> None:
    room, one = Room(), instance(1)
    room.store.failures[call] = KeyError(PATIENT["PatientName"])
    assert room.send(one) == 0x0110
    (refused,) = room.journal.quiet
    assert refused.fields()["reason"] == "receiver failed to process the instance"
    assert leaks(str(room.log.events)) == []
    assert room.log.fields("instance_failed") == [
        {"SOPClassUID": one.sop_class, "SOPInstanceUID": one.sop_instance}
        | ({"SeriesInstanceUID": one.tags.SeriesInstanceUID} if room.service._template else {})
    ]
    assert all(entry.settled for entry in room.journal.entries)
    assert all(file.discarded for file in room.store.temporary[:1] if call in ("write", "place"))
    room.store.failures.clear()
    assert room.send(instance(2)) == 0


@pytest.mark.parametrize("method", ["start", "feed", "finish"])
def test_a_fault_of_the_header_scan_is_a_processing_failure_of_this_instance_alone(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def broken(*_: object) -> bool:
        raise IndexError(PATIENT["PatientName"])

    room, one = Room(), instance(1, size=5000)
    with monkeypatch.context() as patched:
        patched.setattr(HeaderScanner, method, broken)
        assert room.send(one, size=100) == 0x0110
    assert len(room.log.fields("instance_failed")) == 1
    assert leaks(str(room.log.events)) == []
    assert room.store.files == {}
    assert room.counters.instances_refused == {0x0110: 1}
    assert room.send(one, size=100) == 0


def test_a_series_folder_that_cannot_be_made_discards_the_file() -> None:
    room = Room()
    room.store.folders.failure = PermissionError(13, "Permission denied")
    assert room.send(instance(1)) == 0xA700
    assert room.journal.quiet[0].fields()["reason"] == "volume not writable (EACCES)"
    assert [file.discarded for file in room.store.temporary] == [True]
    room.store.folders.failure = None
    assert room.send(instance(2)) == 0
    room.service.end(released=True)
    assert [end.fields()["refused"] for end in room.journal.quiet if end.kind == "series_ended"] == [1]


def test_an_unfit_volume_refuses_before_a_byte_is_written() -> None:
    room = Room()
    room.store.volume.fault = Fault("free space below CHRIS_MIN_FREE_SPACE", is_shared=True)
    assert room.send(instance(1), size=100) == 0xA700
    assert room.store.calls == ["answer"]
    room.store.volume.fault = None
    assert room.send(instance(1)) == 0


def test_a_file_that_got_its_name_while_the_volume_hung_has_no_record() -> None:
    room, one = Room(), instance(1)
    room.begin(one)
    room.service.feed(memoryview(one.data_set))
    room.store.volume.hang = Fault("volume has not answered")
    assert room.finish() == 0xA700
    assert room.journal.entries == []
    assert room.store.temporary[0].closed
    assert room.send(one) == 0xA700, "and no other instance waits for it"
    room.store.volume.hang = None
    assert room.send(one) == 0


def test_a_disk_that_fills_up_in_the_middle_ends_the_writing_and_only_this_instance() -> None:
    room, one = Room(), instance(1, size=50_000)
    room.store.write_fails_after = 10_000
    room.begin(one)
    for start in range(0, len(one.data_set), 1000):
        room.service.feed(memoryview(one.data_set)[start : start + 1000])
        room.service.spill()
    assert room.finish() == 0xA700
    assert [file.discarded for file in room.store.temporary] == [True]
    assert room.store.calls.count("write") == 11, "not tried again"
    room.store.write_fails_after = None
    assert room.send(one, size=1000) == 0
    assert room.content(one).endswith(one.data_set)


def test_a_data_set_that_turns_out_unreadable_is_discarded_at_once() -> None:
    room, one = Room(), instance(1)
    cut = one.data_set.index(b"KRNK")
    bad = replace(one, data_set=one.data_set[: cut - 8] + b"\x10\x00\x20\x00LO\xff\xff" + b"x" * 70_000)
    room.begin(bad)
    room.service.feed(memoryview(bad.data_set)[: cut - 8])
    room.service.spill()
    room.service.feed(memoryview(bad.data_set)[cut - 8 :])
    assert [file.discarded for file in room.store.temporary] == [True]
    room.service.feed(memoryview(b"more of it"))
    room.service.spill()
    assert room.finish() == 0xC000
    assert room.store.calls == ["new_file", "write", "answer"]


@settings(max_examples=examples(60))
@given(data=st.data(), syntax=st.sampled_from([IMPLICIT, DEFLATED]), size=st.integers(0, 3000))
def test_any_split_and_any_spill_make_the_same_file(data: st.DataObject, syntax: str, size: int) -> None:
    """The fragments are views of one buffer that is overwritten after each spill."""
    one = instance(1, transfer_syntax=syntax, size=size)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(one.data_set)), max_size=12)))
    room, buffer, used = Room(), bytearray(len(one.data_set)), 0
    room.begin(one)
    for start, end in zip([0, *cuts], [*cuts, len(one.data_set)], strict=True):
        view = memoryview(buffer)[used : used + end - start]
        view[:] = one.data_set[start:end]
        room.service.feed(view)
        used += end - start
        if data.draw(st.booleans()):
            room.service.spill()
            buffer[:used] = b"\xee" * used
            used = 0
    assert room.finish() == 0
    assert room.content(one)[132:136] == b"\x02\x00\x00\x00"
    assert room.content(one).endswith(one.data_set)
    assert len(room.content(one)) == room.counters.bytes_stored


def test_more_fragments_than_one_writev_takes_are_written_in_between() -> None:
    room, one = Room(), instance(1, size=4000)
    assert room.send(one, size=1) == 0
    (file,) = room.store.temporary
    assert len(file.writes) == -(-(len(one.data_set) + 1) // 1023)
    assert max(file.writes) <= 1024
    assert room.content(one).endswith(one.data_set)


def test_a_cancelled_instance_leaves_nothing() -> None:
    room, one = Room(), instance(1)
    room.begin(one)
    room.service.feed(memoryview(one.data_set))
    room.service.spill()
    room.service.end(released=False)
    assert [file.discarded for file in room.store.temporary] == [True]
    assert room.store.files == {}
    (end,) = room.journal.quiet
    assert (end.kind, end.fields()["how"], end.fields()["received"]) == ("association_ended", "aborted", 0)


def test_an_instance_takes_the_file_that_was_prepared_for_it() -> None:
    room = Room()
    for number in (1, 2, 3):
        assert room.send(instance(number)) == 0
        room.service.prepare()
        room.service.prepare()
    assert room.store.calls.count("new_file") == 4
    room.service.end(released=True)
    assert [file.discarded for file in room.store.temporary] == [False, False, False, True]


def test_a_prepared_file_that_may_have_lost_its_name_is_not_used() -> None:
    room = Room()
    room.service.prepare()
    room.store.temporary[0].is_fresh = False
    assert room.send(instance(1)) == 0
    assert [file.discarded for file in room.store.temporary] == [True, False]


def test_a_file_that_cannot_be_prepared_is_tried_again_when_it_is_needed() -> None:
    room = Room()
    room.store.failures["new_file"] = OutOfResources("volume not writable (ENOSPC)")
    room.service.prepare()
    room.store.failures.clear()
    assert room.send(instance(1)) == 0


def test_no_file_is_prepared_on_a_volume_that_hangs() -> None:
    room = Room()
    room.store.volume.hang = Fault("volume has not answered")
    assert room.send(instance(1)) == 0xA700
    room.service.prepare()
    assert "new_file" not in room.store.calls
    room.store.volume.hang = None
    room.service.prepare()
    assert room.store.calls.count("new_file") == 1


def test_what_is_no_uid_is_not_shown() -> None:
    room, one = Room(), instance(1)
    for lie in ({"sop_instance": "Meier^Hans"}, {"sop_class": "Meier^Hans"}):
        room.begin(one)
        announced = replace(one, **lie)
        room.service.begin(command(announced), context_for(one))
        assert room.finish() in (0x0117, 0x0122)
    assert "Meier" not in str([room.log.events, room.journal.quiet])


def test_an_instance_of_other_bytes_is_counted_and_logged_as_replaced() -> None:
    room = Room()
    assert room.send(instance(1, size=10)) == 0
    assert room.send(instance(1, size=12)) == 0
    assert room.counters.instances_replaced == 1
    assert room.log.fields("instance_replaced")[0]["SOPInstanceUID"] == instance(1).sop_instance


def test_the_class_of_the_context_is_the_class_of_the_command() -> None:
    room, one = Room(), instance(1)
    room.service.begin(command(one), context_for(replace(one, sop_class=MR)))
    assert room.finish() == 0x0122


def test_an_unparsable_age_is_left_out_with_a_warning_that_does_not_tell_it() -> None:
    room, one = Room(), instance(1)
    data = one.data_set.replace(b"096Y", b"9X6Y")
    assert room.send(replace(one, data_set=data)) == 0
    assert room.journal.entries[0].records[0].fields()["PatientAge"] is None
    assert room.log.fields("patient_age_unparsable") == [{"SeriesInstanceUID": one.tags.SeriesInstanceUID}]


@pytest.mark.parametrize("size", [0, 100, 4096])
def test_what_stands_behind_the_image_reaches_cube_too(size: int) -> None:
    room, one = Room(), instance(1, without=["PatientName", "AccessionNumber"], size=9000)
    late = LE.element(0x00080050, "SH", b"ACCZW8842 ") + LE.element(0x00100010, "PN", b"Xaver ")
    one = replace(one, data_set=one.data_set + late)
    assert room.send(one, size) == 0
    (record,) = room.journal.entries[-1].records
    assert record.fields()["AccessionNumber"] == "ACCZW8842"
    assert record.fields()["PatientName"] == "Xaver"
    assert "ACCZW8842" in record.fields()["path"]
