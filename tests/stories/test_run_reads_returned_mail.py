"""`mailer run` reads the bounce mailbox by itself."""

import signal
from pathlib import Path

from running_shop import running, until
from sink import Sink
from story_shop import Shop


def test_returned_mail_is_read_while_it_runs(sqlite_shop: Shop, sink: Sink, tmp_path: Path) -> None:
    box = sqlite_shop.folder / "bounces"
    for name in ("new", "cur", "tmp"):
        (box / name).mkdir(parents=True)
    (box / "new" / "1.one.host").write_bytes(b"From: somebody@else.test\r\nSubject: hello\r\n\r\nhello\r\n")

    with running(sqlite_shop, tmp_path, sink.port) as run:
        config = sqlite_shop.folder / "config.toml"
        config.write_text(config.read_text() + '\n[bounces]\nkind = "maildir"\n')
        run.start()

        until(lambda: not list((box / "new").iterdir()), "nobody reads the bounce mailbox")
        until(lambda: "child_ended name=bounces" in run.said(), "the reading does not end")
        run.signal(signal.SIGTERM)
        assert 0 == run.wait()
    assert 1 == len(list((box / "cur").iterdir()))
