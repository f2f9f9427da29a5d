"""How a session logs in: each mechanism's words, and which one is taken."""

from collections.abc import Callable

import pytest
from mail_servers import Line, Scripted, scripted
from pydantic import SecretStr

from engine.config import TransportSettings
from engine.delivery.login import mechanism
from engine.delivery.smtp import SmtpTransport
from engine.errors import TransportRefused, TransportUnavailable

Check = Callable[..., None]


def asking(offered: str, *answers: str) -> Callable[[Line], None]:
    """A server that offers these mechanisms and gives these answers, then says goodbye."""

    def script(line: Line) -> None:
        line.greet(f"AUTH {offered}")
        for answer in (*answers, "221 bye"):
            line.hear()
            line.say(answer)

    return script


@pytest.fixture
def check() -> Check:
    def make(server: Scripted, user: str, secret: str, auth: str = "auto") -> None:
        values = {"host": "127.0.0.1", "port": server.port, "tls": "off", "bounce_domain": "b.test", "timeout": 5}
        login = {"username": user, "password": SecretStr(secret), "auth": auth}
        SmtpTransport("relay", TransportSettings.model_validate(values | login), ()).check()

    return make


def test_plain_goes_in_one_line(check: Check) -> None:
    with scripted(asking("PLAIN", "235 welcome")) as server:
        check(server, "tim", "tanstaaftanstaaf")

        assert ["AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm", "QUIT"] == server._lines[0].heard[1:]


def test_cram_md5_answers_the_challenge_and_never_says_the_password(check: Check) -> None:
    # The example of RFC 2195 section 2.
    challenge = "334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+"
    with scripted(asking("PLAIN CRAM-MD5", challenge, "235 welcome")) as server:
        check(server, "tim", "tanstaaftanstaaf")

        answer = "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw"
        assert ["AUTH CRAM-MD5", answer, "QUIT"] == server._lines[0].heard[1:]


def test_xoauth2_shows_the_token(check: Check) -> None:
    # The example of Google's page on XOAUTH2.
    with scripted(asking("XOAUTH2", "235 welcome")) as server:
        check(server, "someuser@example.com", "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg")

        token = (
            "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRx"
            "bVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ=="
        )
        assert [f"AUTH XOAUTH2 {token}", "QUIT"] == server._lines[0].heard[1:]


def test_a_refused_token_is_told_after_the_servers_reason_was_taken(check: Check) -> None:
    why = "334 eyJzdGF0dXMiOiI0MDEifQ=="
    with scripted(asking("XOAUTH2", why, "535 5.7.8 not accepted")) as server:
        with pytest.raises(TransportRefused, match=r"refuses the login \(535 5\.7\.8 not accepted\)"):
            check(server, "tim", "old")

        assert "" == server._lines[0].heard[2]


def test_a_server_that_asks_for_more_than_there_is_is_told_so(check: Check) -> None:
    with scripted(asking("PLAIN", "334 more", "501 5.5.2 cancelled")) as server:
        with pytest.raises(TransportRefused, match="refuses the login"):
            check(server, "tim", "secret")

        assert "*" == server._lines[0].heard[2]


def test_a_challenge_that_cannot_be_read_is_a_fault_of_the_connection(check: Check) -> None:
    with scripted(asking("CRAM-MD5", "334 !")) as server, pytest.raises(Exception, match="challenge can't be read"):
        check(server, "tim", "secret")


def test_a_challenge_beyond_ascii_is_a_fault_of_the_connection(check: Check) -> None:
    with scripted(asking("CRAM-MD5", "334 é")) as server, pytest.raises(Exception, match="challenge can't be read"):
        check(server, "tim", "secret")


@pytest.mark.parametrize(
    ("auth", "answers"),
    [
        ("plain", ['500 5.5.1 Command unrecognized: "AUTH PLAIN AHRpbQBzZXNhbWU="']),
        ("plain", ["500 5.5.1 Command unrecognized: AUTH PLAIN AHRpbQBzZXN"]),  # cut off
        ("login", ["334 Username:", "334 Password:", '500 5.5.1 Command unrecognized: "c2VzYW1l"']),
        ("plain", ["535-5.7.8 sorry", "535 the password sesame of tim is wrong"]),
        ("plain", ["454 4.7.0 sesame later"]),
    ],
)
def test_a_password_that_the_server_repeats_stands_in_no_message(check: Check, auth: str, answers: list[str]) -> None:
    def script(line: Line) -> None:
        line.greet("AUTH PLAIN LOGIN")
        for answer in answers:
            if not answer.startswith("535 "):
                line.hear()
            line.say(answer)

    with scripted(script) as server, pytest.raises(TransportUnavailable) as told:
        check(server, "tim", "sesame", auth=auth)

    assert "refuses the login" in str(told.value)
    assert [] == [one for one in ("sesame", "c2VzYW1l", "AHRpbQBzZXN") if one in str(told.value)]


def test_a_password_of_another_encoding_goes_as_it_stood_in_the_environment(check: Check) -> None:
    with scripted(asking("PLAIN", "235 welcome")) as server:
        check(server, "tim", b"s\xe9same".decode("utf-8", "surrogateescape"))

        assert "AUTH PLAIN AHRpbQBz6XNhbWU=" == server._lines[0].heard[1]


def test_the_owners_mechanism_is_used_though_another_would_be_preferred(check: Check) -> None:
    with scripted(asking("PLAIN LOGIN CRAM-MD5", "334 Username:", "334 Password:", "235 welcome")) as server:
        check(server, "tim", "secret", auth="login")

        assert "AUTH LOGIN" == server._lines[0].heard[1]


def test_the_owners_mechanism_is_not_replaced_when_it_is_not_offered(check: Check) -> None:
    with scripted(asking("PLAIN LOGIN")) as server:
        with pytest.raises(TransportRefused, match="offers no login by XOAUTH2; change auth"):
            check(server, "tim", "secret", auth="xoauth2")

        assert 1 == len(server._lines[0].heard)


@pytest.mark.parametrize(
    ("offered", "encrypted", "expected"),
    [
        ("LOGIN PLAIN CRAM-MD5 XOAUTH2", True, "PLAIN"),
        ("LOGIN PLAIN CRAM-MD5 XOAUTH2", False, "CRAM-MD5"),
        ("XOAUTH2 login", True, "LOGIN"),
        ("XOAUTH2", True, "XOAUTH2"),
        ("GSSAPI NTLM", True, ""),
        ("", True, ""),
    ],
)
def test_the_best_offered_mechanism_is_taken(offered: str, encrypted: bool, expected: str) -> None:
    assert expected == mechanism("auto", offered, encrypted=encrypted)
