"""SeaHash, 64 bit, with the default keys of the reference implementation: part of a series folder's name."""

_MASK = 0xFFFF_FFFF_FFFF_FFFF
_PRIME = 0x6EED_0E9D_A4D9_4A4F
_KEYS = (0x16F1_1FE8_9B0D_677C, 0xB480_A793_D8E6_C86C, 0x6FE2_E5AA_F078_EBC9, 0x14F9_94A4_C525_9381)


def seahash(data: bytes) -> int:
    """Return the 64-bit SeaHash of data; not for cryptography."""
    a, b, c, d = _KEYS
    for start in range(0, len(data), 8):
        chunk = int.from_bytes(data[start : start + 8], "little")
        a, b, c, d = b, c, d, _diffuse(a ^ chunk)
    return _diffuse(a ^ b ^ c ^ d ^ len(data))


def _diffuse(x: int) -> int:
    x = x * _PRIME & _MASK
    x ^= (x >> 32) >> (x >> 60)
    return x * _PRIME & _MASK
