import time, signal
import pytest, sqlalchemy as sa
from story_shop import Shop
from sender_host import SenderHost
from fault_trial import Trial
from engine import fleet, ledger

@pytest.mark.parametrize("shop", ["postgresql"], indirect=True)
def test_try(shop, host, faulty, capsys):
    fleet.upgrade(shop.folder)
    fleet.upgrade(shop.folder)
    server = faulty(pause=0.02)
    shop.configure(server.port)
    ws = [host.start("work", shop.folder) for _ in range(4)]
    time.sleep(3)
    m = shop.open()
    plan = shop.released("all", 50)
    t = time.monotonic()
    fleet.hint_ready(m, m.clock())
    with m.store.read() as db:
        print(db.exec_driver_sql("select id, status, queueing_lock, worker_id from mailer_hints.procrastinate_jobs").all())
    while server.count() < 1: time.sleep(0.005)
    print("first", time.monotonic()-t)
    while server.count() < 620: time.sleep(0.05)
    print("all", time.monotonic()-t)
    time.sleep(1)
    with m.store.read() as db:
        print(db.exec_driver_sql("select id, status, queueing_lock, worker_id from mailer_hints.procrastinate_jobs").all())
        print(db.exec_driver_sql("select * from mailer_hints.procrastinate_workers").all())
    for w in ws: w.signal(signal.SIGTERM)
    t = time.monotonic()
    for w in ws: print(w.wait())
    print("end", time.monotonic()-t)
    with m.store.read() as db:
        print(db.exec_driver_sql("select * from mailer_hints.procrastinate_workers").all())
    print(ledger.counts(m.store, plan))
