"""Sends one instance of any size that it does not hold in memory: its pixels are one PDU, repeated.

    python -m benchmarks.huge_sender --port 11111 --bytes 2147483648

prints one JSON document: instances, mb_per_s, status.
"""

import argparse
import json
import struct
import sys
import time

from benchmarks.instances import CT_IMAGE_STORAGE, EXPLICIT_VR_LITTLE_ENDIAN, SMALL, before_pixels
from benchmarks.sender import Association, Instance


def main() -> int:
    """Send it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--bytes", type=int, required=True, help="of the pixels")
    options = parser.parse_args()
    head, uid = before_pixels(SMALL)
    length = options.bytes & ~1
    pixels = struct.pack("<HH2s2xI", 0x7FE0, 0x0010, b"OW", length)
    instance = Instance(CT_IMAGE_STORAGE, uid, EXPLICIT_VR_LITTLE_ENDIAN, head + pixels)
    context = (CT_IMAGE_STORAGE, EXPLICIT_VR_LITTLE_ENDIAN)
    with Association(options.port, [context], called="ChRIS", calling="BENCH", timeout=300) as association:
        began = time.monotonic()
        status = association.send_with_zeros(instance, length)
        seconds = time.monotonic() - began
        association.release()
    print(json.dumps({"instances": 1, "mb_per_s": round(length / seconds / 1e6, 1), "status": status}))
    return 0 if status == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
