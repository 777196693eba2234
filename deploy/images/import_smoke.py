"""Imports every module of what an image installs, and proves that what it must not have is absent.

Run while an image is built, as `import_smoke.py lapidicom --absent httpx lapidicom.registrar`; of the
distributions with that name the commands are loaded too.
"""

import argparse
import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator, Sequence
from importlib.metadata import entry_points


def modules(package: str) -> Iterator[str]:
    """The names of a package and of all below it; those that run when they are imported are left out."""
    yield package
    path = importlib.import_module(package).__path__
    for module in pkgutil.walk_packages(path, f"{package}."):
        if not module.name.endswith("__main__"):
            yield module.name


def is_installed(name: str) -> bool:
    """Whether a module can be found; importing its parents is part of the search."""
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def main(arguments: Sequence[str] | None = None) -> None:
    """Import all; an error or a module that is there all the same ends the build."""
    parser = argparse.ArgumentParser()
    parser.add_argument("packages", nargs="+")
    parser.add_argument("--absent", nargs="+", default=[])
    options = parser.parse_args(arguments)
    count = 0
    for package in options.packages:
        for name in modules(package):
            importlib.import_module(name)
            count += 1
    commands = [
        command
        for command in entry_points(group="console_scripts")
        if command.module.split(".")[0] in options.packages
    ]
    for command in commands:
        command.load()
    found = [name for name in options.absent if is_installed(name)]
    if found:
        parser.exit(1, f"in the image, and must not be: {', '.join(found)}\n")
    print(f"{count} modules imported; absent as they must be: {', '.join(options.absent)}")
    print(f"commands: {', '.join(command.name for command in commands)}")


if __name__ == "__main__":
    main()
