"""What would the next weeks bring? Read the base, learn how its people behave, walk them through, and tell.

One world is run over everybody: its counts are the forecast. How far chance alone could move its revenue is seen in
further worlds, over a sample: the same people, other lots. What journeys bring is the difference to the same worlds
without them; it is not by itself what they will bring, but what past holdouts say that mails do.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from engine.collector import collector_aside
from engine.errors import Usage
from engine.journeys.simulating import forecasting
from engine.journeys.simulating.beginnings import read_beginnings
from engine.journeys.simulating.behaviour import Behaviour, fit_behaviour
from engine.journeys.simulating.counting import Tally
from engine.journeys.simulating.crowd import DAY, Crowd, read_crowd
from engine.journeys.simulating.forecasting import Forecast, spread
from engine.journeys.simulating.programme import Programme, load_programme
from engine.journeys.simulating.stage import Stage
from engine.journeys.simulating.walking import Beginning
from engine.journeys.simulating.world import run_world
from engine.model import Progress
from engine.pipeline import Mailer

REPLICATES = 20
_SAMPLE = 2_000  # contacts of a replicate
_LONGEST = 366


def simulate(
    mailer: Mailer,
    at: datetime,
    *,
    days: int = 90,
    seed: int = 1,
    names: Collection[str] = (),
    all_files: bool = False,
    progress: Progress | None = None,
) -> Forecast:
    """The forecast of all that runs (of the named journeys only; of every file). Nothing is written, nobody mailed."""
    if not 1 <= days <= _LONGEST:
        raise Usage(f"--days is a number from 1 to {_LONGEST}, not {days}")
    with collector_aside():
        programme = load_programme(mailer, at, days, names=names, all_files=all_files)
        if not programme.routes and not programme.mailings:
            raise Usage("nothing runs that could be simulated: start a journey or arm a campaign, or try --all-files")
        crowd = read_crowd(mailer, at, names=programme.names, kinds=programme.kinds)
        behaviour = fit_behaviour(mailer, crowd)
        case = _Case(
            mailer=mailer,
            crowd=crowd,
            behaviour=behaviour,
            programme=programme,
            beginnings=read_beginnings(mailer, programme, at),
            days=days,
            seed=seed,
        )
        return case.forecast(progress)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """One question, all that is needed for its answer read."""

    mailer: Mailer
    crowd: Crowd
    behaviour: Behaviour
    programme: Programme
    beginnings: Mapping[int, Beginning]
    days: int
    seed: int

    def forecast(self, progress: Progress | None) -> Forecast:
        stage = Stage(self.mailer, self.crowd, self.programme, self.behaviour.answering)
        lives = self.behaviour.lives(self.seed, self.days)
        tally = run_world(stage, lives, self.beginnings, self.days, progress=progress)
        mailable = sum(
            one.standing.mailing_consent is True and not one.standing.suppressed for one in self.crowd.people
        )
        zone, answering = self.mailer.zone, self.behaviour.answering
        data = {
            "simulated": True,
            "at": forecasting.moment(self.crowd.at),
            "days": self.days,
            "seed": self.seed,
            "contacts": len(self.crowd.ids),
            "mailable": mailable,
            "newcomers": len(lives.newcomers),
            "messages": forecasting.messages_told(tally, mailable + len(lives.newcomers), self.days),
            "caps": forecasting.caps_told(tally),
            "volume": forecasting.volume_told(tally, self.mailer.settings.transport, zone, self.days),
            "journeys": [forecasting.journey_told(one, tally, self.days) for one in self.programme.routes],
            "campaigns": [_campaign_told(one.name, len(one.rounds), tally) for one in self.programme.mailings],
            "answers": {"clicks": tally.clicks, "opt_outs": tally.opt_outs},
            "orders": {"simulated": tally.orders, "last_as_many_days": self._past_orders()},
            "revenue": self._revenue(stage, tally),
            "behaviour": forecasting.behaviour_told(answering, self._fitted()),
            "assumptions": forecasting.assumptions(answering, self.programme, self.behaviour.buying.fitted_on),
        }
        return Forecast(data=data)

    def _fitted(self) -> dict[str, Any]:
        buying = self.behaviour.buying
        model = {name: round(getattr(buying, name), 4) for name in ("r", "alpha", "a", "b")}
        return {
            "buyers": buying.fitted_on,
            "purchases": model,
            "first_orders_a_day": [round(rate, 6) for rate in buying.first_order_rates],
            "newcomers_a_day": round(self.behaviour.arrivals_a_day, 3),
            "events": {
                kind: {"a_day": round(one.rate, 6), "before_orders": round(one.before_orders, 4)}
                for kind, one in sorted(self.behaviour.visiting.items())
            },
        }

    def _past_orders(self) -> int:
        return int((self.crowd.orders.at > self.crowd.now - self.days * DAY).sum())

    # ------------------------------------------------------------ money

    def _revenue(self, stage: Stage, tally: Tally) -> dict[str, Any]:
        worlds = _Worlds(self, stage)
        minor = self.crowd.lens.minor
        scale = worlds.scale
        brought = sum(tally.brought[route.name] for route in self.programme.routes)
        causes = [route.name for route in self.programme.routes] + [one.name for one in self.programme.mailings]
        errors = {name: self._error(tally, name) for name in causes}
        all_error = sum(error**2 for error in errors.values()) ** 0.5
        journeys_error = sum(errors[route.name] ** 2 for route in self.programme.routes) ** 0.5
        per = {name: [float(one.brought[name]) for one in worlds.tallies] for name in causes}
        gains = [sum(one.brought[route.name] for route in self.programme.routes) for one in worlds.tallies]
        return {
            "currency": self.mailer.currency,
            "replicates": len(worlds.totals),
            "sample": worlds.size,
            "total": spread(tally.revenue, worlds.totals, scale, minor, all_error).told(),
            "without_journeys": spread(tally.revenue - brought, worlds.without, scale, minor).told(),
            "of_journeys": spread(brought, [float(one) for one in gains], scale, minor, journeys_error).told(),
            "by_name": {
                name: spread(tally.brought[name], per[name], scale, minor, errors[name]).told() for name in causes
            },
        }

    def _error(self, tally: Tally, name: str) -> float:
        """What is not known of the effect, in minor units: its standard error on every mail by which it acted."""
        effect = self.behaviour.answering.effect_of(
            name if any(route.name == name for route in self.programme.routes) else None
        )
        basket = float(np.mean(self.crowd.orders.revenue)) if len(self.crowd.orders.revenue) else 0.0
        return effect.error * tally.moved[name] * basket if effect is not None else 0.0


class _Worlds:
    """Further worlds over a sample, to see what chance does. Sums in minor units."""

    def __init__(self, case: _Case, stage: Stage) -> None:
        everybody = len(case.crowd.ids)
        step = max(1, -(-everybody // _SAMPLE))
        places = np.arange(0, everybody, step)
        self.size = len(places)
        self.scale = everybody / max(1, self.size)
        self.totals: list[float] = []
        self.without: list[float] = []
        self.tallies: list[Tally] = []
        answering = case.behaviour.answering
        names = [route.name for route in case.programme.routes]
        moves = any(answering.effect_of(name) for name in names) or (case.programme.mailings and answering.effect)
        bare = Stage(case.mailer, case.crowd, case.programme.without(names), answering)
        for n in range(1, REPLICATES + 1):
            lives = case.behaviour.lives(case.seed * 1_000_003 + n, case.days, places)
            if not moves:
                # Nothing that is mailed changes what is bought: the orders alone tell.
                self.totals.append(lives.revenue())
                self.without.append(self.totals[-1])
                continue
            tally = run_world(stage, lives, case.beginnings, case.days, places=places.tolist())
            self.tallies.append(tally)
            self.totals.append(tally.revenue)
            self.without.append(run_world(bare, lives, case.beginnings, case.days, places=places.tolist()).revenue)


def _campaign_told(name: str, rounds: int, tally: Tally) -> dict[str, Any]:
    count = tally.mails[name]
    return {
        "name": name,
        "occurrences": rounds,
        "messages": count.sent,
        "held_out": count.held_out,
        "skipped": dict(sorted(count.skipped.items())),
    }
