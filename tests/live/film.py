"""A film for tests: WebM, one frame of VP8 a second, as large as wanted. A third each is red, green and blue, so that a
picture tells where a player is; its index comes first, so that a player can go anywhere by asking for a range."""
import base64
import struct

COLOURS = ("red", "green", "blue")
FRAMES = [base64.b64decode(text) for text in (
    "kAMAnQEqQAAkAABHCIWFiJmEiAICAnWqA/gD+gIHO4YdMbPFmQD+/W7z/+Rv4+dG/8jj//xKnuOJ4//8RoA=",
    "kAMAnQEqQAAkAABHCIWFiJmEiAICAnWqA/gD+gIHO4GtXMx5uQD+/W7z/+HH1GFB/4cp/9JUuIqq/9IAAA==",
    "UAMAnQEqQAAkAABHCIWFiJmEiAICAnWqA/gCBwjg/fQmzy4A/v9NEv/8SqfxKp/Eqn/xKp/9GH8MP4Yf3hA=")]


def element(identity, content):
    """One element of EBML: identity, size in eight bytes, content."""
    return bytes.fromhex(identity) + (len(content) | 1 << 56).to_bytes(8, "big") + content


def number(identity, value, size=8):
    return element(identity, value.to_bytes(size, "big"))


def cluster(second, seconds, padding_bytes):
    frame = FRAMES[second * 3 // seconds]
    block = element("a3", b"\x81\x00\x00\x80" + frame)  # track 1, at the cluster's time, a key frame
    return element("1f43b675", number("e7", second * 1000) + block + element("ec", bytes(padding_bytes)))


def cue(second, position):
    return element("bb", number("b3", second * 1000) + element("b7", number("f7", 1) + number("f1", position)))


def film(seconds, bytes_per_second):
    """Its bytes."""
    head = element("1a45dfa3", number("4286", 1) + number("42f7", 1) + number("42f2", 4) + number("42f3", 8) +
                   element("4282", b"webm") + number("4287", 2) + number("4285", 2))
    duration = bytes.fromhex("4489") + b"\x88" + struct.pack(">d", seconds * 1000.0)
    about = element("1549a966", number("2ad7b1", 1_000_000) + duration + element("4d80", b"test") +
                    element("5741", b"test"))
    picture = element("e0", number("b0", 64) + number("ba", 36))
    tracks = element("1654ae6b", element("ae", number("d7", 1) + number("73c5", 1) + number("83", 1) +
                                         element("86", b"V_VP8") + picture))
    clusters = [cluster(second, seconds, bytes_per_second) for second in range(seconds)]
    index_bytes = len(element("1c53bb6b", b"".join(cue(second, 0) for second in range(seconds))))
    position = len(about) + len(tracks) + index_bytes
    cues = []
    for second, piece in enumerate(clusters):
        cues.append(cue(second, position))
        position += len(piece)
    return head + element("18538067", about + tracks + element("1c53bb6b", b"".join(cues)) + b"".join(clusters))
