"""The images' health check: asks a path of this container; what it answers is told by `docker inspect`.

Called as `ready.py [PORT PATH]`; without arguments it is /readyz on HEALTH_PORT, else 8080.
"""

import http.client
import os
import sys


def main() -> int:
    """0 if the answer is 200."""
    port, path = sys.argv[1:3] if len(sys.argv) > 1 else (os.environ.get("HEALTH_PORT") or "8080", "/readyz")
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=4)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        print(answer.read(2000).decode(errors="replace"))
    except (OSError, http.client.HTTPException) as error:
        print(f"{path} of port {port} does not answer: {error}")
        return 1
    finally:
        connection.close()
    return 0 if answer.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
