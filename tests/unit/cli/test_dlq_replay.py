"""What a replay writes down before it shows anything."""

from pathlib import Path

from tests.support.command import in_process


def test_a_dry_run_that_shows_patient_data_is_not_begun_without_its_audit_line(tmp_path: Path) -> None:
    ended = in_process(
        *("dlq", "replay", "--all", "--set", "PatientName=DOE", "--dry-run", "--show-phi"),
        AMQP_URL="amqp://127.0.0.1:1/",
        LAPIDICOM_AUDIT_LOG=str(tmp_path / "none" / "audit"),
    )
    assert "not begun: the audit log" in ended.err
