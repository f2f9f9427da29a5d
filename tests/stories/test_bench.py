"""The benchmarks run from end to end, and their counts agree. No time is judged here: a neighbour would decide."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import reference
from benchmarks.__main__ import measured
from benchmarks.meter import RunFailed
from benchmarks.report import Report
from benchmarks.rounds import DRY, NAIVE, PLAIN, SIGNED, YARDSTICK, Bench, Size
from benchmarks.sinks import postfix_tool, reading_sink
from benchmarks.table import Row, markdown, rows_of

_ALWAYS = (YARDSTICK, PLAIN, SIGNED, NAIVE, DRY)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    size = Size(rounds=1, contacts=130, messages=60, source=100, naive=3, processes=1)
    return measured(size, tmp_path_factory.mktemp("bench"), few=30, many=60)


def test_every_promise_has_a_row_and_every_row_that_can_be_measured_here_a_figure(report: Report) -> None:
    possible = [True, True, *[postfix_tool("smtp-source") is not None] * 2]
    possible += [postfix_tool("smtp-source") is not None and report.bench.cheap is not None, True, True]

    assert possible == [row.value is not None for row in report.rows]
    assert [230, 520, 0.45, 0.30, 0.35, 25, 6_000] == [row.must for row in report.rows]
    assert [150, 420, 0.7, 0.45, 1.0, 40, 12_000] == [row.aim for row in report.rows]


def test_each_variant_sends_what_it_is_said_to_send(report: Report) -> None:
    # That servers and ledger counted the same is checked by the run itself, see below.
    assert dict(zip(_ALWAYS, (1_000, 60, 60, 3, 60), strict=True)) == {
        variant: report.bench.of(variant)[0].messages for variant in _ALWAYS
    }
    assert report.read == 75


def test_the_message_is_the_one_that_the_promises_are_made_for(report: Report) -> None:
    assert 34_000 < report.bench.octets < 35_000


def test_the_profile_finds_the_parts_of_a_message(report: Report) -> None:
    said = report.markdown()

    assert "| render and encode |" in said
    assert "| SMTP |" in said
    assert said.count("## Where the time goes") == 2


def test_the_results_are_written_as_table_json_and_picture(report: Report, tmp_path: Path) -> None:
    report.write(tmp_path)

    told = json.loads((tmp_path / "results.json").read_text())
    assert [row.value for row in report.rows] == [row["measured"] for row in told["rows"]]
    assert {"few": 30, "many": 60} == {key: told["memory"][key] for key in ("few", "many")}
    assert "| peak resident size of a sender | <= 1.2 x |" in (tmp_path / "results.md").read_text()
    assert (tmp_path / "results.svg").read_text().startswith("<?xml")


def test_a_row_that_could_not_be_measured_says_why(report: Report) -> None:
    bench = replace(report.bench, cheap=None, runs=report.bench.of(PLAIN))

    *_, against_source, _, cheap, _, _ = rows_of(bench)

    assert "left out: Postfix's smtp-source and smtp-sink are not installed" == against_source.note
    assert "left out: needs smtp-source and a C compiler" == cheap.note
    assert cheap.note in markdown([cheap])


@pytest.mark.parametrize(
    ("value", "less_is_better", "verdict"),
    [(140.0, True, "aim"), (200.0, True, "must"), (231.0, True, "missed"), (10.0, False, "missed")],
)
def test_a_row_says_what_was_reached(value: float, less_is_better: bool, verdict: str) -> None:
    marks = {"must": 230, "aim": 150} if less_is_better else {"must": 25, "aim": 40}
    row = Row(what="a", unit="us", values=(value, value, value * 9), less_is_better=less_is_better, **marks)

    assert verdict == row.verdict


def test_a_run_that_lost_a_message_is_no_result(report: Report, tmp_path: Path) -> None:
    made = reference.make(tmp_path / "made", contacts=60, messages=5)
    # The reference says one more than there are: as if the sender had dropped it.
    wrong = reference.Reference(folder=made.folder, plan_id=made.plan_id, messages=6, warm_ups=made.warm_ups)
    bench = Bench(folder=tmp_path, size=Size(), reference=wrong, octets=1, sink=reading_sink(), cheap=None)

    with pytest.raises(RunFailed, match="31 messages were sent, the server took 30"):
        bench.engine(PLAIN, bench.sink, signed=False, processes=1)
