"""Test that the cloud side, which has no key, reads every manifest that a device accepts.

See docs/decisions/0032.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from functions.rollouts.model import manifest as cloud
from signed_firmware.errors import ManifestError
from signed_firmware.verification import verify_manifest
from tests.signed_firmware.builders import HEADER, PAYLOAD, TRUST, envelope
from tests.signed_firmware.test_manifest import JSON

type Changes = dict[str, Any]

LONG_AGO = datetime.min.replace(tzinfo=UTC)
TEXTS = st.text(max_size=65)
# Values close to valid ones, because random values are hardly ever accepted.
HEADERS: Mapping[str, st.SearchStrategy[Any]] = {
    "alg": st.sampled_from(["EdDSA", "Ed25519", "eddsa"]),
    "typ": st.sampled_from(["firmware-manifest+jws", "Firmware-Manifest+JWS"]),
    "crit": st.lists(st.sampled_from(["b64", "exp"])),
    "b64": st.sampled_from([True, False, 1, None]),
    "jwk": JSON,
}
PAYLOADS: Mapping[str, st.SearchStrategy[Any]] = {
    "version": TEXTS,
    "sha256": st.from_regex(r"\A[\da-f]{64}\n?\Z"),
    "sizeBytes": st.integers(-1, 2**53 + 1) | st.floats(0, 9),
    "models": st.lists(TEXTS | JSON, max_size=3),
    "sequence": st.integers(-1, 2**53 + 1) | st.booleans(),
    "expiresAt": st.datetimes().map(lambda at: f"{at.isoformat()[:19]}Z")
    | st.from_regex(r"\A\d{4}-[01]\d-[0-3]\d[T ][0-2]\d:[0-6]\d:[0-6]\d[Zz]\Z"),
    "minimumVersion": st.from_regex(r"\A\d{1,2}\.\d{1,2}\.\d{1,2}([-+][\w.+-]{1,9}){0,2}\n?\Z"),
    "allowDowngrade": st.booleans() | st.integers(0, 1),
    "later": JSON,
}
AROUND = st.sampled_from([(b"", b""), (b" ", b"\r\n"), (b"\t", b" "), (b"\xef\xbb\xbf", b"")])


def some(near: Mapping[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Changes]:
    names = st.lists(st.sampled_from(sorted(near)), max_size=2, unique=True)
    return names.flatmap(lambda few: st.fixed_dictionaries({name: near[name] for name in few}))


LARGEST = {"version": "v" * 64, "sizeBytes": 2**53 - 1, "sequence": 2**53 - 1}
LONGEST = {"later": "x" * 11_837}  # with it an envelope has 16,384 characters


@settings(max_examples=150)
@example({}, LARGEST, (b"", b""))
@example({}, LONGEST, (b"", b""))
@given(st.just({}) | some(HEADERS), some(PAYLOADS), AROUND)
def test_the_cloud_reads_every_manifest_that_a_device_accepts(
    header: Changes, payload: Changes, around: tuple[bytes, bytes]
) -> None:
    before, behind = around

    def written(fields: Changes) -> bytes:
        text = json.dumps(fields, ensure_ascii=False)
        return before + text.encode(errors="surrogatepass") + behind

    text = envelope(header=written(HEADER | header), payload=written(PAYLOAD | payload))
    with suppress(ManifestError):
        taken = verify_manifest(text, TRUST, LONG_AGO)
        read = cloud.read(text)
        assert (read.version, read.sha256, read.size_bytes) == (
            taken.version,
            taken.sha256,
            taken.size_bytes,
        )
        assert (read.sequence, read.expires_at) == (taken.sequence, taken.expires_at)
        assert read.allow_downgrade == taken.allow_downgrade
