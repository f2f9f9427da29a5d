"""How fast is this machine just now? `python -m benchmarks.yardstick COUNT`: raw RSA-2048 signatures and nothing else.

A neighbour on the same core makes every figure of CPU time larger, this one too: by it a table can be judged.
"""

import sys

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from benchmarks.meter import at_the_word


def main() -> None:
    """Wait for the word, then sign."""
    key, signing, digest = rsa.generate_private_key(65537, 2048), padding.PKCS1v15(), hashes.SHA256()

    def work() -> None:
        for _ in range(int(sys.argv[1])):
            key.sign(b"a line", signing, digest)

    at_the_word(work)


if __name__ == "__main__":
    main()
