"""A study that nobody ever had: synthetic instances whose UIDs are new in every run."""

from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.uid import generate_uid

from tests.support.instances import Instance, instance


@dataclass(frozen=True)
class Study:
    """One study of one patient; `patient_id` is used by no other run."""

    uid: str
    patient_id: str

    @property
    def patient_folder(self) -> str:
        """What the paths of its files have in common, and no others."""
        return f"/{self.patient_id}-"

    def series(self, number: int, instances: int, size: int = 20_000) -> Iterator[Instance]:
        """The instances of one series.

        Args:
            number: of the series.
            instances: how many.
            size: bytes of pixel data in each.
        """
        for position in range(1, instances + 1):
            yield instance(
                position,
                series=number,
                size=size,
                StudyInstanceUID=self.uid,
                SeriesInstanceUID=f"{self.uid}.{number}",
                SOPInstanceUID=f"{self.uid}.{number}.{position}",
                PatientID=self.patient_id,
            )


def new_study() -> Study:
    """A study with a UID of its own."""
    uid = generate_uid(entropy_srcs=None)[:48].rstrip(".")
    return Study(uid, f"COMPOSE{uid[-12:].replace('.', '')}")
