"""Posts as fast as a server takes it, over a new connection each time: what the server can give.

python -m benchmarks.bare_client --port 8000 --connections 8 --requests 1000 [--basic]
"""

import argparse
import asyncio
import json

import uvloop

from benchmarks.bare_cube import API

_BODY = b'{"path":"SERVICES/PACS/BENCH/1.dcm"}'


def _request(authorization: str) -> bytes:
    return (
        f"POST {API}pacsfiles/ HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {authorization}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(_BODY)}\r\n\r\n"
    ).encode() + _BODY


async def post(port: int, connections: int, requests: int, authorization: str) -> None:
    """Post `requests` times over `connections` connections at once."""
    request, left = _request(authorization), iter(range(requests))

    async def work() -> None:
        for _ in left:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request)
            answer = await reader.read()
            writer.close()
            if b" 201 " not in answer[:15]:
                raise RuntimeError(f"answered {answer[:80]!r}")

    await asyncio.gather(*(work() for _ in range(connections)))


def main() -> None:
    """Read the command line and post."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--requests", type=int, required=True)
    parser.add_argument("--basic", action="store_true", help="a password in place of a token")
    options = parser.parse_args()
    authorization = "Basic Y2hyaXM6Y2hyaXMxMjM0" if options.basic else f"Token {'0' * 40}"
    uvloop.run(post(options.port, options.connections, options.requests, authorization))
    print(json.dumps({"requests": options.requests}))


if __name__ == "__main__":
    main()
