"""Runs the stand-in: `python -m tests.support.cube --port N --root DIR [--state FILE]`."""

import argparse
import os
from pathlib import Path

import uvicorn

from tests.support.cube.app import StandInCube


def main() -> None:
    """Serve until a signal comes."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.cube", description="A stand-in for CUBE.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--root", type=Path, required=True, help="CUBE's storage root")
    parser.add_argument("--state", type=Path, help="file that keeps the registrations over a restart")
    parser.add_argument(
        "--allowed-host", action="append", default=[], help="one more name in the Host header"
    )
    parser.add_argument("--connection-close", action="store_true", help="no keep-alive, as CUBE v5")
    parser.add_argument(
        "--let-duplicates-through", action="store_true", help="register a path as often as it is asked for"
    )
    parser.add_argument(
        "--race", type=float, default=0.0, help="seconds between a look into the database and a change"
    )
    parser.add_argument(
        "--generation", type=int, choices=(5, 6), default=os.environ.get("CUBE") or 5, help="of CUBE; by CUBE"
    )
    parser.add_argument(
        "--second", type=float, default=1.0, help="how long the second of v6's counting lasts"
    )
    arguments = parser.parse_args()
    state: Path | None = arguments.state
    if state is not None and arguments.generation == 6:
        state = state.with_name(f"{state.name}-of-series")
    app = StandInCube(
        arguments.root,
        state,
        ("127.0.0.1", "localhost", *arguments.allowed_host),
        connection_close=arguments.connection_close,
        unique=not arguments.let_duplicates_through,
        race=arguments.race,
        generation=arguments.generation,
        second=arguments.second,
    )
    uvicorn.run(
        app,
        host=arguments.host,
        port=arguments.port,
        loop="uvloop",
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=1,
    )


if __name__ == "__main__":
    main()
