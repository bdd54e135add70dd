"""Signed firmware: a publisher signs the manifest of a release, and a device verifies it.

A library for publishing pipelines and for products. It has no ports: keys, manifests and packages
are values or files. Read the modules in this order:

1. `manifest`: what a publisher states about a release, as a record and as JSON.
2. `envelope`: the form in which a manifest is signed, a JWS with Ed25519.
3. `publisher`: the publisher's side: a key, its public key set, and signed manifests.
4. `trust`: the public keys that a device trusts, with their revocations.
5. `verification`: what a device checks before it downloads a package.
6. `errors`: why a manifest or a key file is refused; `jwk` and `strict_json`: the formats below.

Dependencies: cryptography (Ed25519), PyJWT (JWS) and semver (minimum versions). Nothing here
imports the device agent, the simulator or the backend.
"""
