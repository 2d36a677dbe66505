"""An authenticator that shares no code with Twinlock: OpenCV scans, oathtool computes."""

import base64
import subprocess
import time
from urllib.parse import parse_qs, urlsplit

import cv2
import numpy

STEP = 30
LATE = 20
"""Seconds into a step from which the one before it is no longer worth a try."""


def scan(png: str) -> str:
    """What a QR code says, out of its PNG in base64."""
    pixels = numpy.frombuffer(base64.b64decode(png), numpy.uint8)
    image = cv2.imdecode(pixels, cv2.IMREAD_GRAYSCALE)
    assert image is not None, "it is no picture"
    # The older detector misses one code in thirty, this one none; each may have a second look.
    for detector in (cv2.QRCodeDetectorAruco(), cv2.QRCodeDetector()):
        text, _, _ = detector.detectAndDecode(image)
        if text:
            return str(text)
    raise AssertionError("the QR code cannot be read")


class Authenticator:
    """Gives each step's code once, the earliest that is accepted first."""

    def __init__(self, uri: str) -> None:
        """Take the secret out of an `otpauth://` URI."""
        parts = urlsplit(uri)
        assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
        self.secret = parse_qs(parts.query)["secret"][0]
        self.step = 0
        self.given: list[str] = []

    def code(self) -> str:
        """The next code; waits where the window of one step either side is used up."""
        now = time.time()
        earliest = int(now) // STEP - (now % STEP < LATE)
        self.step = max(self.step + 1, earliest)
        time.sleep(max(0, (self.step - 1) * STEP - time.time()))
        self.given.append(self.at(self.step))
        return self.given[-1]

    def at(self, step: int) -> str:
        """The code of a step."""
        when = f"@{step * STEP}"
        command = ["oathtool", "--totp", "-b", "--now", when, self.secret]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def wrong(self) -> str:
        """Six digits that are no code of these minutes."""
        now = int(time.time()) // STEP
        near = {self.at(step) for step in range(now - 2, now + 4)}
        return next(f"{n:06d}" for n in range(7) if f"{n:06d}" not in near)
