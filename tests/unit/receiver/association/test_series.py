"""The series of an association: templates, counts and end records."""

import json
from typing import Any

import pytest

from lapidicom.common.instance.errors import HeaderError
from lapidicom.common.instance.header import HeaderScanner
from lapidicom.common.instance.path import series_folder
from lapidicom.common.instance.tags import RawValues
from lapidicom.common.journal.records import OpenSeries
from lapidicom.common.messages import SeriesReceived
from lapidicom.receiver.association.new_life import mark_again
from lapidicom.receiver.association.series_book import MAX_OPEN_SERIES, SeriesBook
from lapidicom.receiver.errors import CannotUnderstand, OutOfResources, SeriesBeingHealed
from tests.support.instances import EXPLICIT, IMPLICIT, Instance, instance
from tests.support.journal_records import series_fields
from tests.support.store_fakes import ASSOCIATION, FakeInstanceStore, FakeJournal, FakeLog, context_for


class Room:
    def __init__(self) -> None:
        self.store = FakeInstanceStore()
        self.journal = FakeJournal(self.store)
        self.log = FakeLog()
        fakes: tuple[Any, Any, Any] = (self.store.folders, self.store.markers, self.journal)
        self.book = SeriesBook(ASSOCIATION, *fakes, self.log)

    def template(self, one: Instance) -> Any:
        return self.book.template(raw(one), context_for(one))

    def store_one(self, one: Instance) -> None:
        """What the C-STORE SCP does with a stored instance."""
        template = self.template(one)
        series = template.series
        self.book.folder(series)
        self.book.append(
            template, template.record("x.dcm", one.sop_instance, 1, b"2024-01-31T10:11:12.345+00:00")
        )
        if series.marked_in != self.journal.life:
            self.book.keep_open(series)
        series.started = True
        series.received += 1

    def ends(self) -> list[dict[str, Any]]:
        return [record.fields() for record in self.journal.quiet if record.kind == "series_ended"]


def raw(one: Instance) -> RawValues:
    scanner = HeaderScanner(one.transfer_syntax)
    scanner.start(one.data_set)
    return scanner.finish()


def test_instances_of_a_series_share_one_template() -> None:
    room = Room()
    assert room.template(instance(1)) is room.template(instance(2, size=12))


def test_another_transfer_syntax_or_description_is_another_entry_of_one_series_each() -> None:
    room = Room()
    explicit, implicit = (room.template(instance(1, transfer_syntax=ts)) for ts in (EXPLICIT, IMPLICIT))
    assert explicit is not implicit
    assert explicit.series is implicit.series
    described = room.template(instance(2, SeriesDescription="Anders"))
    assert described is not explicit
    assert described.series is explicit.series


def test_a_tag_that_is_missing_is_missed_each_time() -> None:
    room = Room()
    for _ in range(3):
        with pytest.raises(HeaderError, match="StudyDate"):
            room.template(instance(1, without=["StudyDate"]))


def test_an_instance_uid_that_is_missing_is_missed_in_a_known_series_too() -> None:
    room = Room()
    room.template(instance(1))
    with pytest.raises(HeaderError, match="SOPInstanceUID"):
        room.book.template(raw(instance(2))._replace(SOPInstanceUID=None), context_for(instance(2)))


def test_a_folder_that_cannot_be_made_is_out_of_resources_and_tried_again() -> None:
    room = Room()
    template = room.template(instance(1))
    room.store.folders.failure = OSError(28, "No space left on device")
    with pytest.raises(OutOfResources, match="ENOSPC"):
        room.book.folder(template.series)
    room.store.folders.failure = None
    assert room.book.folder(template.series) is room.book.folder(template.series)
    assert room.store.folders.made == [template.series.key.folder]


def test_each_started_series_ends_behind_its_instances_with_its_counts() -> None:
    room = Room()
    for number in (1, 2, 3):
        room.store_one(instance(number))
    room.store_one(instance(1, series=2))
    room.book.refused(room.template(instance(4)), CannotUnderstand("x"), {})
    room.book.refused(None, CannotUnderstand("y"), {})
    room.book.end(released=True)
    ends = [SeriesReceived.model_validate(end) for end in room.ends()]
    assert [(end.received, end.refused, end.ok) for end in ends] == [(1, 0, True), (3, 1, True)]
    assert [key.folder for key in room.journal.ended] == [end.folder for end in ends]
    last = room.journal.quiet[-1]
    ended = last.fields()
    assert last.kind == "association_ended"
    assert (ended["received"], ended["refused"], ended["how"]) == (4, 2, "released")


def test_a_series_of_refusals_only_has_no_end() -> None:
    room = Room()
    room.book.refused(room.template(instance(1)), CannotUnderstand("x"), {})
    room.book.end(released=False)
    assert room.ends() == []
    assert [record.kind for record in room.journal.quiet] == ["instance_refused", "association_ended"]


def test_a_hundred_interleaved_series_are_counted_each_for_itself() -> None:
    """More than the templates that are kept at once."""
    room = Room()
    for number in (1, 2, 3):
        for series in range(100):
            room.store_one(instance(number, series=series, size=2))
    room.book.end(released=True)
    ends = room.ends()
    assert len(ends) == 100
    assert {end["received"] for end in ends} == {3}
    assert sum(entry.starts is not None for entry in room.journal.entries) == 100


def test_values_that_differ_in_padding_only_lead_to_one_series() -> None:
    room = Room()
    padded = room.template(instance(1, SeriesDescription="Ypsilon-Schicht   "))
    assert padded.series is room.template(instance(2)).series


def test_of_too_many_open_series_the_one_idle_longest_is_ended_and_may_begin_again() -> None:
    room = Room()
    for number in range(MAX_OPEN_SERIES):
        room.store_one(instance(1, series=number, size=2))
    room.store_one(instance(2, series=0, size=2))  # now series 1 is idle longest
    assert room.ends() == []
    room.store_one(instance(1, series=1000, size=2))
    (end,) = room.ends()
    assert (end["SeriesInstanceUID"], end["received"], end["ok"]) == (instance(series=1).tags[15], 1, True)
    assert [key.folder for key in room.journal.ended] == [end["folder"]]
    room.store_one(instance(2, series=1, size=2))
    room.store_one(instance(3, series=1, size=2))
    assert [entry.starts is not None for entry in room.journal.entries[-2:]] == [True, False]
    assert len(room.ends()) == 2
    room.book.refused(room.template(instance(3, series=5)), CannotUnderstand("x"), {})
    room.book.end(released=True)
    ends = room.ends()
    assert len(ends) == MAX_OPEN_SERIES + 2
    assert [end["received"] for end in ends if end["SeriesInstanceUID"] == instance(series=1).tags[15]] == [
        1,
        2,
    ]
    assert sum(end["received"] for end in ends) == MAX_OPEN_SERIES + 4
    last = room.journal.quiet[-1].fields()
    assert (last["received"], last["refused"]) == (MAX_OPEN_SERIES + 4, 1)


def test_thousands_of_series_and_refusals_take_no_more_memory_than_the_open_ones() -> None:
    room = Room()
    for number in range(1000):
        one = instance(1, series=number, size=2)
        if number % 2:
            room.store_one(one)
        else:
            room.book.refused(room.template(one), CannotUnderstand("x"), {})
        assert len(room.book._series) <= MAX_OPEN_SERIES
        assert len(room.book._templates) <= MAX_OPEN_SERIES
    room.book.end(released=True)
    assert [end["received"] for end in room.ends()] == [1] * 500
    last = room.journal.quiet[-1].fields()
    assert (last["received"], last["refused"]) == (500, 500)


def test_a_text_without_end_takes_little_of_a_record_and_all_of_it_makes_the_path() -> None:
    room = Room()
    text = "Wadenwickel" * 5000
    one = instance(1, StudyDescription=text)
    room.store_one(one)
    (record,) = room.journal.entries[0].records
    started = room.journal.entries[0].starts
    assert started is not None
    assert record.fields()["StudyDescription"] == started.fields()["StudyDescription"] == text[:512]
    assert f"{series_folder('PACS_1', one.tags)}/" in record.fields()["path"]
    (event,) = room.log.fields("values_cut")
    assert event == {"SeriesInstanceUID": one.tags.SeriesInstanceUID, "tags": ("StudyDescription",)}


def test_identity_is_never_cut() -> None:
    with pytest.raises(HeaderError, match=r"^PatientID \(0010,0020\) is longer than 512 characters$"):
        Room().template(instance(1, PatientID="x" * 513))
    assert Room().template(instance(1, PatientID="x" * 512)).series.fields["PatientID"] == "x" * 512


def test_a_misspelt_character_set_is_understood_with_a_warning() -> None:
    room, one = Room(), instance(1)
    sent = raw(one)._replace(SpecificCharacterSet=b"ISO_IR192", PatientName="Ätna".encode())
    template = room.book.template(sent, context_for(one))
    assert template.series.fields["PatientName"] == "Ätna"
    assert room.log.fields("character_set_misspelt") == [
        {"SeriesInstanceUID": one.tags.SeriesInstanceUID, "read_as": {"ISO_IR192": "ISO_IR 192"}}
    ]


def test_instances_of_one_series_lie_in_one_folder_whatever_their_descriptions() -> None:
    room = Room()
    room.store_one(instance(1, SeriesDescription="Erste", PatientName="A^B"))
    room.store_one(instance(2, SeriesDescription="Zweite", PatientName="A^C"))
    paths = [record.fields()["path"] for entry in room.journal.entries for record in entry.records]
    assert len({path.rpartition("/")[0] for path in paths}) == 1
    assert "Erste" in paths[1]
    assert [record.fields()["SeriesDescription"] for e in room.journal.entries for record in e.records] == [
        "Erste",
        "Zweite",
    ]
    room.book.end(released=True)
    (end,) = room.ends()
    assert (end["received"], end["files"], f"{end['folder']}/x.dcm") == (2, 7, paths[0])


@pytest.mark.parametrize("other", [{"PatientID": "other"}, {"StudyInstanceUID": "1.2.3.4"}])
def test_another_identity_is_another_series(other: dict[str, str]) -> None:
    room = Room()
    first, second = room.template(instance(1)), room.template(instance(2, **other))
    assert second.series is not first.series
    assert second.series.identity != first.series.identity


def test_a_series_has_a_durable_marker_until_its_end_is_durable() -> None:
    room = Room()
    room.store_one(instance(1))
    room.store_one(instance(2))
    (marker,) = room.store.markers.durable
    assert marker == f"open/PACS_1/{instance(1).tags.SeriesInstanceUID}/{'0' * 32}.a-1"
    assert room.store.calls.count("mark") == room.store.calls.count("sync_marker") == 1
    room.book.end(released=True)
    assert room.store.markers.present == {marker}
    room.journal.commit_ends()
    assert room.store.markers.present == set()


def test_a_series_of_refusals_only_leaves_no_marker() -> None:
    room = Room()
    room.book.folder(room.template(instance(1)).series)
    assert len(room.store.markers.present) == 1
    room.book.end(released=True)
    room.journal.commit_ends()
    assert room.store.markers.present == set()


def test_a_series_that_was_ended_early_keeps_its_marker_until_the_association_ends() -> None:
    room = Room()
    for number in range(MAX_OPEN_SERIES + 20):
        room.store_one(instance(1, series=number, size=2))
        room.journal.commit_ends()
    assert len(room.ends()) == 20
    assert len(room.store.markers.durable) == MAX_OPEN_SERIES + 20
    room.book.end(released=True)
    assert len(room.store.markers.durable) == MAX_OPEN_SERIES + 20
    room.journal.commit_ends()
    assert room.store.markers.present == set()


def test_in_a_new_life_of_the_listener_a_series_is_marked_anew() -> None:
    room = Room()
    room.store_one(instance(1))
    room.journal.life = "1" * 32
    room.store_one(instance(2))
    (marker,) = room.store.markers.durable
    assert marker.rpartition("/")[2] == f"{'1' * 32}.a-1"
    room.book.end(released=True)
    room.journal.commit_ends()
    assert room.store.markers.present == set()


def test_of_a_series_that_is_being_healed_nothing_is_taken_and_of_another_one_it_is() -> None:
    room = Room()
    one, other = instance(1), instance(1, series=2)
    room.store.markers.healing = {one.tags.SeriesInstanceUID}
    with pytest.raises(SeriesBeingHealed):
        room.book.folder(room.template(one).series)
    room.store_one(other)
    assert room.store.folders.made == [room.template(other).series.key.folder]
    room.store.markers.healing = set()
    room.store_one(one)


@pytest.mark.parametrize("call", ["mark", "sync_marker"])
def test_without_a_durable_marker_nothing_is_answered_with_success(call: str) -> None:
    room = Room()
    room.store.failures[call] = OSError(28, "No space left on device")
    with pytest.raises(OutOfResources, match="ENOSPC"):
        room.store_one(instance(1))
    room.store.failures.clear()
    room.store_one(instance(1))
    assert len(room.store.markers.durable) == 1


def test_a_new_life_marks_all_open_series_anew_but_those_that_are_being_healed() -> None:
    room = Room()
    markers: Any = room.store.markers
    series = [
        OpenSeries(number, json.dumps(series_fields("a-1", number)).encode(), 1) for number in (1, 2, 3)
    ]
    markers.healing = {"1.2.3.2"}
    mark_again(markers, "1" * 32, series)
    expected = {f"open/MODALITY/1.2.3.{number}/{'1' * 32}.a-1" for number in (1, 3)}
    assert markers.durable == markers.present == expected


def test_what_a_new_life_has_marked_goes_with_the_association_though_nothing_came_in_it() -> None:
    room = Room()
    room.store_one(instance(1))
    (old,) = room.store.markers.durable
    room.journal.life = "1" * 32
    uid = instance(1).tags.SeriesInstanceUID or ""
    room.store.markers.make("PACS_1", uid, f"{'1' * 32}.a-1")
    room.book.end(released=True)
    assert old in room.store.markers.present
    room.journal.commit_ends()
    assert room.store.markers.present == set()


def test_an_association_holds_few_folders_open_and_opens_them_again() -> None:
    room = Room()
    for number in (1, 2):
        for series in range(100):
            room.store_one(instance(number, series=series, size=2))
            assert sum(one.folder is not None for one in room.book._series.values()) <= 64
    room.book.end(released=True)
    assert {(end["received"], end["files"]) for end in room.ends()} == {(2, 7)}
    assert sum(entry.starts is not None for entry in room.journal.entries) == 100
    assert room.store.calls.count("mark") == 100
