"""kill -9 a sender at any point: nobody gets two, nobody is lost, and the one in doubt is listed."""

from collections import Counter
from pathlib import Path
from random import Random

import pytest
import sqlalchemy as sa
from sender_host import SenderHost, Worker
from sink import SinkProcess
from story_shop import PEOPLE, Shop, in_state, people, quiet, standings

from engine import ledger, pipeline
from engine.model import MessageState
from engine.pipeline import Mailer
from engine.store.tables import batch


def kill_senders(
    host: SenderHost, shop: Shop, sink: SinkProcess, plan: int, kills: int, until: int, seed: int
) -> list[bool]:
    """Two senders at a time; whenever the server has taken so many messages, one of them dies.

    Gives for each kill whether it hit a sender that held a batch.
    """
    random, holding, mailer = Random(seed), [], shop.open()
    alive = [host.start("send_due", shop.folder, plan=plan) for _ in range(2)]
    for reached in sorted(random.sample(range(1, until), kills)):
        while any(one.is_alive() for one in alive) and (sink.count() < reached or not at_work(mailer, alive)):
            alive[0].rest(0.002)
        alive = [one for one in alive if one.is_alive()]
        assert alive, "they ran out of messages: plan more"
        victim = random.choice(at_work(mailer, alive) or alive)
        victim.rest(random.random() * 0.01)  # anywhere between one message's claim and the next one's
        victim.kill()
        holding.append(at_work(mailer, [victim]) == [victim])
        alive = [one for one in alive if one is not victim]
        alive += [host.start("send_due", shop.folder, plan=plan) for _ in range(2 - len(alive))]
    for one in alive:
        one.wait()
    return holding


def at_work(mailer: Mailer, senders: list[Worker]) -> list[Worker]:
    """Those of them that hold a batch."""
    with mailer.store.read() as db:
        names = db.scalars(sa.select(batch.c.owner).where(batch.c.state == "leased"))
        owners = {int(name.split("|")[2]) for name in names}
    return [one for one in senders if one.pid in owners]


def killed_and_sent(
    host: SenderHost, shop: Shop, folder: Path, kills: int, tag: str, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    sink = SinkProcess(folder / "taken")
    sink.start()
    shop.configure(sink.port)
    plan, mailer = shop.released(tag, chunk=100), shop.open()
    total = ledger.counts(mailer.store, plan)["messages"]

    holding = kill_senders(host, shop, sink, plan, kills, total - 60, seed)
    pipeline.send_due(mailer, pipeline.Stop(), plan)
    sink.kill()

    found, took = standings(mailer, plan), sink.recipients()
    sent, uncertain = in_state(found, MessageState.SENT), in_state(found, MessageState.UNCERTAIN)
    with capsys.disabled():
        lost, twice = total - len(sent | uncertain), sum(took.values()) - len(took)
        doubt = f"{len(uncertain)} uncertain ({len(uncertain & took.keys())} taken)"
        where = f"{shop.url.partition(':')[0]}, {len(holding)} kills, {sum(holding)} of them in a batch"
        print(f"\n{where}: {total} messages, {twice} twice, {lost} lost, {doubt}")
    assert sum(holding) > kills / 2, "the kills hit nothing"
    assert {1} == set(took.values()), "somebody got two"
    assert set(found) == sent | uncertain, "somebody is lost"
    assert sent == took.keys() - uncertain
    assert len(uncertain) <= sum(holding), "more than the one message between dot and answer"
    assert {1} == {one.attempts for one in found.values()}
    counts = ledger.counts(mailer.store, plan)
    assert (len(sent), len(uncertain)) == (counts["sent"], counts["uncertain"])
    assert ["uncertain"] * len(uncertain) == [
        pipeline.why(mailer, email, "story", mailer.clock())["state"] for email in uncertain
    ]


def test_senders_killed_at_eight_points_mail_nobody_twice_and_lose_nobody(
    host: SenderHost, shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    killed_and_sent(host, shop, tmp_path, kills=8, tag="all", seed=2, capsys=capsys)


@pytest.mark.soak
@pytest.mark.parametrize("seed", [1, 2])
def test_senders_killed_at_fifty_points_mail_nobody_twice_and_lose_nobody(
    host: SenderHost, shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    shop.import_text("contacts", people(PEOPLE, PEOPLE + 6000))
    killed_and_sent(host, shop, tmp_path, kills=50, tag="more", seed=seed, capsys=capsys)


def test_a_server_killed_and_started_again_loses_nobody_and_doubles_nobody(
    host: SenderHost, sqlite_shop: Shop, tmp_path: Path
) -> None:
    sink = SinkProcess(tmp_path / "taken")
    sink.start()
    sqlite_shop.configure(sink.port)
    sqlite_shop.campaign("all")

    operator = host.start("send", sqlite_shop.folder, campaign="story")
    for reached in (150, 400):
        wait_for(sink, reached, operator)
        sink.kill()
        sink.start()
    operator.wait()
    mailer = sqlite_shop.open()
    resumed = pipeline.resume(mailer, "story", None, quiet)
    sink.kill()

    found, took = standings(mailer, resumed.plan_id), sink.recipients()
    sent, uncertain = in_state(found, MessageState.SENT), in_state(found, MessageState.UNCERTAIN)
    assert Counter({1: len(took)}) == Counter(took.values()), "somebody got two"
    assert PEOPLE == len(sent | uncertain)
    assert sent == took.keys() - uncertain
    assert len(uncertain) <= 2, "more than one each time"


def wait_for(sink: SinkProcess, reached: int, worker: Worker) -> None:
    while sink.count() < reached:
        assert worker.is_alive(), worker.wait()
        worker.rest(0.002)
