"""How is another system told something? One POST of JSON, with nothing hidden in it.

No repeat that nobody counts, no redirect to a place that nobody wrote, no proxy or password of this machine's
environment. What went wrong is told in words that hold no address: a webhook's may be a secret.
"""

import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

TIMEOUT_SECONDS = 10.0
_READ_BYTES = 2000


class Poster:
    """Posts to any host, over kept connections; to be used in a `with`."""

    def __init__(self) -> None:
        import requests  # takes as long to load as all the rest of a command
        from requests.adapters import HTTPAdapter

        self._faults = (requests.RequestException, OSError, ValueError)
        self._session = requests.Session()
        self._session.trust_env = False
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=0))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def post(self, url: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> str:
        """What went wrong, or the empty text: only a 2xx is an answer."""
        said = {"Content-Type": "application/json", "User-Agent": "mailer", **(headers or {})}
        data = json.dumps(body, ensure_ascii=False, sort_keys=True).encode()
        try:
            with self._session.post(
                url, data=data, headers=said, timeout=TIMEOUT_SECONDS, allow_redirects=False, stream=True
            ) as answer:
                answer.raw.read(_READ_BYTES)
                return "" if 200 <= answer.status_code < 300 else f"HTTP {answer.status_code}"
        except self._faults as fault:
            return type(fault).__name__
