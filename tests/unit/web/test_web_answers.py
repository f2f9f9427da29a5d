"""What the tracking server answers to mail programs, scanners and strangers."""

import re
import socket
import string
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from tracked_shop import Site, mail_to, served

from engine.store.tables import consent, suppression
from engine.web.serving import listen_on

HEADERS = {
    "Cache-Control": "no-store, no-cache, must-revalidate, private, max-age=0",
    "Pragma": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
    "X-Content-Type-Options": "nosniff",
}
TOKEN = string.ascii_letters + string.digits + "-_"


def decided(site: Site) -> tuple[int, int]:
    """How many suppressions and statements of consent there are."""
    with site.mailer.store.read() as db:
        tables = (suppression, consent)
        first, second = (db.execute(sa.select(sa.func.count()).select_from(one)).scalar_one() for one in tables)
        return first, second


# ---------------------------------------------------------------- the pixel


def test_the_pixel_is_43_bytes_that_nobody_may_keep(calm_site: Site) -> None:
    answer = calm_site.get(mail_to(calm_site.mailer.folder, "anna").pixel)

    assert (200, 43, b"GIF89a\x01\x00\x01\x00") == (answer.status_code, len(answer.content), answer.content[:10])
    assert {"Content-Type": "image/gif", "Content-Length": "43"}.items() <= answer.headers.items()
    assert HEADERS.items() <= answer.headers.items()


def test_no_answer_sets_a_cookie_or_names_the_server(calm_site: Site) -> None:
    mail = mail_to(calm_site.mailer.folder, "anna")

    for url in (mail.pixel, mail.clicks[0], mail.own("u"), mail.own("p"), mail.own("v"), f"{calm_site.base}/nothing"):
        assert not {"Set-Cookie", "Server"} & calm_site.get(url).headers.keys()


@pytest.mark.parametrize("path", ["x", "x.gif", "", "a/b.gif", "%00", "%ff%fe", "..%2f..%2fetc%2fpasswd", "x" * 9000])
def test_a_pixel_comes_for_any_token(calm_site: Site, path: str) -> None:
    answer = calm_site.get(f"{calm_site.base}/o/{path}")

    assert (200, "image/gif", 43) == (answer.status_code, answer.headers["Content-Type"], len(answer.content))


def test_head_is_answered_without_a_body(calm_site: Site) -> None:
    mail = mail_to(calm_site.mailer.folder, "anna")

    answers = [calm_site.call("HEAD", url) for url in (mail.pixel, mail.clicks[0], mail.own("u"))]

    assert [(200, b""), (302, b""), (200, b"")] == [(one.status_code, one.content) for one in answers]


# ---------------------------------------------------------------- links that are not ours


@settings(max_examples=60)
@given(
    kind=st.sampled_from("cupv"),
    place=st.integers(0, 42),
    letter=st.sampled_from(TOKEN),
    cut=st.integers(0, 43),
    how=st.sampled_from(["changed", "cut", "of another kind", "invented"]),
    invented=st.text(TOKEN, min_size=1, max_size=60),
)
def test_a_forged_cut_or_strange_token_leads_to_the_same_page_and_does_nothing(
    calm_site: Site, kind: str, place: int, letter: str, cut: int, how: str, invented: str
) -> None:
    token = calm_site.mailer.keys.tokens(calm_site.mailer.keys.delivery_id("tour", "once", 1))
    mine, strange = {
        "c": (token.click, token.open),
        "u": (token.unsubscribe, token.click),
        "p": (token.unsubscribe, token.view),
        "v": (token.view, token.unsubscribe),
    }[kind]
    wrong = {
        "changed": mine[:place] + letter + mine[place + 1 :],
        "cut": mine[:cut],
        "of another kind": strange,
        "invented": invented,
    }[how]
    if wrong == mine:
        return
    before = decided(calm_site)
    url = f"{calm_site.base}/{kind}/{wrong}" + ("/0-0" if kind == "c" else "")

    answers = [calm_site.get(url)] + ([calm_site.call("POST", url)] if kind in "up" else [])

    nothing = calm_site.get(f"{calm_site.base}/c/nothing/0-0")
    assert [(410, nothing.content)] * len(answers) == [(one.status_code, one.content) for one in answers]
    assert before == decided(calm_site)


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "/",
        "/99-0",
        "/0-1",
        "/3-0",
        "/5-99",
        "/-1-0",
        "/0",
        "/0-",
        "/-",
        "/0-0-0",
        "/٣-0",
        "/0-0/x",
        "/" + "9" * 5000,
    ],
)
def test_a_place_that_the_mail_does_not_have_leads_nowhere(calm_site: Site, rest: str) -> None:
    """Place 3 is a mailto: link, 5 the loop's with three rounds; the literal place 0 has one."""
    link, _, _ = mail_to(calm_site.mailer.folder, "anna").clicks[0].rpartition("/")

    answer = calm_site.get(link + rest)

    assert ("/0-1" == rest and 302) or 410 == answer.status_code


@pytest.mark.parametrize(
    "path", ["a/1/main/v/0/tag", f"a/{'9' * 5000}/main/v/0/t", "a/-1/x/y/z/t", "a/1/main/v/9/é", "a/1", "", "robots"]
)
def test_a_path_that_is_no_link_of_ours_is_gone(calm_site: Site, path: str) -> None:
    assert 410 == calm_site.get(f"{calm_site.base}/{path}").status_code


@pytest.mark.parametrize("path", ["/../../etc/passwd", "/c/..%2f..%2fsecret.key/0-0", "//evil.example/", "/u/%2e%2e/"])
def test_no_path_leads_to_a_file_or_another_host(calm_site: Site, path: str) -> None:
    with socket.create_connection(("127.0.0.1", calm_site.port)) as wire:
        wire.sendall(f"GET {path} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: wire.recv(65536), b""))

    assert answer.startswith(b"HTTP/1.1 410 ")
    assert b"evil" not in answer


# ---------------------------------------------------------------- security of our pages


def test_our_pages_run_no_script_and_load_nothing(calm_site: Site) -> None:
    mail = mail_to(calm_site.mailer.folder, "anna")

    for url in (mail.own("u"), mail.own("p"), f"{calm_site.base}/c/x/0-0"):
        answer = calm_site.get(url)
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert policy.endswith("base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
        assert not re.search(r"<script|\son\w+=|\ssrc=|@import|url\(", answer.text)
        assert HEADERS.items() <= answer.headers.items()


def test_nothing_of_the_request_is_shown(calm_site: Site) -> None:
    mail = mail_to(calm_site.mailer.folder, "anna")
    odd = {"Host": "zzz.example", "Referer": "https://zzz.example", "User-Agent": "zzz", "Accept-Language": "zzz<b>"}

    for url in (
        mail.own("u") + "?x=zzz",
        mail.own("p") + "?zzz",
        f"{calm_site.base}/zzz",
        f"{calm_site.base}/c/zzz/0-0",
    ):
        assert "zzz" not in calm_site.get(url, headers=odd).text


def test_a_query_string_changes_nothing(calm_site: Site) -> None:
    link = mail_to(calm_site.mailer.folder, "anna").clicks[0]

    answers = [calm_site.get(link + more) for more in ("", "?url=https://evil.example", "?utm_source=x&a=%0d%0aX: y")]

    assert ["https://shop.example/new?a=1&b=2#top"] * 3 == [one.headers["Location"] for one in answers]


def test_the_view_of_a_mail_runs_no_script_and_posts_nothing(calm_site: Site) -> None:
    policy = calm_site.get(mail_to(calm_site.mailer.folder, "anna").own("v")).headers["Content-Security-Policy"]

    assert policy.startswith("default-src 'none'; ")
    assert "script-src" not in policy
    assert "form-action 'none'" in policy


# ---------------------------------------------------------------- bodies


@pytest.mark.parametrize("page", ["u", "p"])
def test_a_large_body_is_refused_and_does_nothing(calm_site: Site, page: str) -> None:
    url, before = mail_to(calm_site.mailer.folder, "anna").own(page), decided(calm_site)

    answer = calm_site.call("POST", url, data=b"x" * 70_000)

    assert (413, before) == (answer.status_code, decided(calm_site))


def test_who_hangs_up_in_the_middle_of_a_body_does_no_harm(calm_site: Site) -> None:
    url, before = mail_to(calm_site.mailer.folder, "anna").unsubscribe, decided(calm_site)
    with socket.create_connection(("127.0.0.1", calm_site.port)) as wire:
        path = url.removeprefix(calm_site.base)
        wire.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nList-Un".encode())

    assert 200 == calm_site.get(f"{calm_site.base}/health").status_code
    assert before == decided(calm_site)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_links_take_no_other_method(calm_site: Site, method: str) -> None:
    mail = mail_to(calm_site.mailer.folder, "anna")

    assert [405, 405] == [calm_site.call(method, url).status_code for url in (mail.pixel, mail.clicks[0])]


# ---------------------------------------------------------------- when something is broken


def test_a_database_that_is_gone_costs_no_pixel_and_no_five_hundred(site: Site, shop: Path) -> None:
    mail = mail_to(shop, "anna")
    site.mailer.store.close()
    (shop / "mailer.db").rename(shop / "away.db")
    (shop / "mailer.db").mkdir()

    answers = [site.get(url) for url in (mail.pixel, mail.clicks[0], mail.own("u"))]
    posted = site.call("POST", mail.unsubscribe)

    assert [200, 503, 503] == [one.status_code for one in answers]
    assert (503, "60") == (posted.status_code, posted.headers["Retry-After"])


@pytest.mark.parametrize("fault", ["a file", "a dead link"])
def test_a_spool_that_cannot_be_written_breaks_no_redirect_and_loses_nothing(shop: Path, fault: str) -> None:
    spool = shop / "state" / "spool"
    if fault == "a file":
        spool.write_text("")
    else:
        spool.symlink_to("/proc/nothing")
    mail = mail_to(shop, "anna")

    with served(shop) as site:
        answers = [site.get(url).status_code for url in (mail.pixel, mail.clicks[0], mail.clicks[-1])]
        assert [] == site.hits()
        spool.unlink()

        assert [200, 302, 302] == answers
        assert 3 == len(site.hits())


def test_an_answer_waits_for_no_acknowledgement_on_a_kept_connection() -> None:
    with listen_on("127.0.0.1:0") as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert 1 == accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
