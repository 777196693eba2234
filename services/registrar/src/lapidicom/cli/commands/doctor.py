"""`lapidicom doctor`."""

from lapidicom.cli.doctor.check import Check, Result
from lapidicom.cli.doctor.examining import examine
from lapidicom.cli.errors import ExitStatus
from lapidicom.cli.output import Output
from lapidicom.cli.shell import Shell, command
from lapidicom.common.settings.installed import installed


@command(
    "lapidicom doctor",
    "lapidicom doctor --json",
)
def doctor(shell: Shell) -> ExitStatus:
    """Check everything that lapidicom needs; each failure comes with its remedy.

    Changes nothing: rights are asked for by requests that must be refused for their form; the volume is
    tried in a scratch folder of the spool, which is removed. Exit status 1 if a check fails.
    """
    checks = shell.run(examine(shell.settings, installed(), shell.environ))
    if shell.output.json:
        shell.output.document(
            {
                "passed": not any(check.result is Result.FAIL for check in checks),
                "checks": [
                    {
                        "area": check.area,
                        "name": check.name,
                        "result": check.result,
                        "told": check.told,
                        "remedy": check.remedy,
                    }
                    for check in checks
                ],
            }
        )
    else:
        _print(shell.output, checks)
    return ExitStatus.FAILED if any(check.result is Result.FAIL for check in checks) else ExitStatus.OK


def _print(output: Output, checks: "list[Check]") -> None:
    output.table(
        ["area", "check", "result", "seen", "remedy"],
        [(check.area, check.name, check.result, check.told, check.remedy) for check in checks],
    )
    failures = sum(check.result is Result.FAIL for check in checks)
    hidden = sum(check.result is Result.NOT_VISIBLE for check in checks)
    output.text(
        f"{len(checks) - failures - hidden} passed, {failures} failed, {hidden} not visible from here",
        "bold red" if failures else "green",
    )
