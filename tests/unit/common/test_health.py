"""The health port's limit of connections, on transports without a socket."""

import asyncio
from typing import Any

from uvicorn.server import ServerState

from lapidicom.common.health import _MOST_CONNECTIONS, _config, _Connection, application


class FakeTransport(asyncio.Transport):
    """An open connection; a closed one is reported to its protocol in a later turn of the loop."""

    def __init__(self) -> None:
        super().__init__()
        self.is_closed = False

    def get_extra_info(self, _: str, default: Any = None) -> Any:
        return default

    def is_closing(self) -> bool:
        return self.is_closed

    def abort(self) -> None:
        self.is_closed = True


def test_each_of_many_connections_made_in_one_turn_of_the_loop_closes_another() -> None:
    async def main() -> list[FakeTransport]:
        config, state = _config(application(list)), ServerState()
        config.load()
        transports = [FakeTransport() for _ in range(3 * _MOST_CONNECTIONS)]
        for transport in transports:
            _Connection(config, state, {}).connection_made(transport)
        return transports

    transports = asyncio.run(main())
    assert [one.is_closed for one in transports] == [True] * (2 * _MOST_CONNECTIONS) + [
        False
    ] * _MOST_CONNECTIONS
