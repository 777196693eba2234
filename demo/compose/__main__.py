"""`make compose-demo`: pushes a study from the stack's PACS and proves that CUBE has all of it."""

import sys

from demo.compose.books import Books
from demo.compose.pacs import Pacs, PacsError
from demo.compose.project import Project, ProjectError
from demo.compose.study import new_study

SERIES = 3
INSTANCES = 20


def say(text: str) -> None:
    """Tell it at once, whatever stdout is."""
    print(text, flush=True)


def main() -> int:
    """Run the demo; 0 if every instance ended registered once, with the bytes that were sent."""
    try:
        project = Project()
        project.make_secrets()
        say(f"{' '.join(project.command)} up: RabbitMQ, receiver, registrar, stand-in CUBE, Orthanc ...")
        project.up()
        project.wait_until_healthy()
        for name, health in sorted(project.health().items()):
            say(f"  {name}: {health}")
        return push(project)
    except (ProjectError, PacsError, AssertionError) as error:
        print(f"compose-demo: {error}", file=sys.stderr)
        return 1


def push(project: Project) -> int:
    """Push one study through a stack that runs."""
    study = new_study()
    books = Books(project, study)
    pacs = Pacs(project.port("orthanc", 8042))
    for number in range(1, SERIES + 1):
        series = list(study.series(number, INSTANCES))
        names = [pacs.take(one.file) for one in series]
        books.begin(series)
        pacs.send(names)
        books.acknowledged(series)
        say(f"series {number}: {len(series)} instances sent by Orthanc, success for each")
    books.wait_until_registered()
    report = books.report()
    dead = books.dead_letters()
    say(f"{report}\ndead letters in the queue: {dead}")
    report.check()
    say(f"registered: all of study {study.uid}")
    say(f"The stack runs on; remove it with: {' '.join(project.command)} down --volumes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
