"""What would go out? Every mail of a plan is rendered and composed by the real code; nothing is sent, none written."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from pathlib import Path

from engine import ledger, message
from engine.collector import collector_aside
from engine.ledger import FrozenEntry
from engine.model import EntryState, Finding, Mail, PlanEntry, Progress, Severity, SkipReason
from engine.pipeline.composing import Composer, Letter, plan_composer, stored_template
from engine.pipeline.planning import Planned, make_plan, planned
from engine.pipeline.workspace import Mailer

_EXAMPLES = 3
_TEST_LINKS = ("ML023",)
_GATE_EVERY = 50  # mails of which no more is known than their template
# Headers are the same code for all, and a body is what its way through the template makes it: so each new way is parsed
# back from its bytes, which takes as long as twenty mails, and of the others one now and then. A template may have
# more ways than people: beyond so many, ways are looked at no more often than every 50th mail.
_GATE_WAYS = 50
_GATE_EVERY_KNOWN = 1000
_AT_ONCE = 16  # what is done to so many mails one after the other is quicker than in turn; few enough to lie in memory


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """A plan, all that was found wrong with its mails, and where samples lie."""

    planned: Planned
    findings: list[Finding]
    samples: list[Path]


def dry_run(mailer: Mailer, name: str, at: datetime, occurrence: str, out: Path | None, progress: Progress) -> DryRun:
    """Plan, then render everybody. `send --plan` sends exactly what this showed."""
    return dry_run_of(mailer, make_plan(mailer, name, at, occurrence, progress), at, out, progress)


def dry_run_of(mailer: Mailer, plan: Planned, at: datetime, out: Path | None, progress: Progress) -> DryRun:
    """Render everybody of a plan that was frozen earlier."""
    found, digests = _Findings(), dict[int, str]()
    folder = out or mailer.folder / "dry-run" / f"{plan.campaign}-{plan.plan_id}"
    samples: dict[str, Path] = {}
    signing = plan_composer(mailer, ledger.plan_of(mailer.store, plan.plan_id))
    compose = signing.without_signature()
    messages = int(plan.summary["messages"])
    rest, done = letters(mailer, plan.plan_id, plan.campaign, plan.occurrence), 0
    with collector_aside() as collect:
        while some := list(islice(rest, _AT_ONCE)):
            for one, letter, mail in _looked_at(found, compose, signing, some, at, done):
                digests[one.n] = mail.digest
                _keep_sample(samples, folder, letter, mail)
            done += len(some)
            collect(done)
            progress(done, messages)
    if not messages:
        found.nobody(plan)
    elif sections := signing.idle_sections():
        found.unsigned(signing.frame.domain, sections)
    ledger.save_digests(mailer.store, plan.plan_id, digests)
    return DryRun(planned=planned(mailer, plan.plan_id), findings=found.all(), samples=list(samples.values()))


def letters(
    mailer: Mailer, plan_id: int, campaign: str, occurrence: str
) -> Iterator[tuple[FrozenEntry, Letter | None]]:
    """Every message of a plan as a letter; None for those left out because a value is missing."""
    rest = ledger.entries_of(mailer.store, plan_id)
    while some := list(islice(rest, _AT_ONCE)):
        yield from [
            (one, _letter(mailer, one.entry, campaign, occurrence) if one.entry.state is EntryState.MESSAGE else None)
            for one in some
            if one.entry.state is EntryState.MESSAGE or _lacks_data(one.entry)
        ]


def _lacks_data(entry: PlanEntry) -> bool:
    return entry.state is EntryState.SKIPPED and entry.reason == SkipReason.MISSING_DATA


def _letter(mailer: Mailer, entry: PlanEntry, campaign: str, occurrence: str) -> Letter:
    template = stored_template(mailer.store, entry.template_hash)
    assert template is not None, "freeze keeps every template it names"
    return Letter(
        delivery_id=mailer.keys.delivery_id(campaign, occurrence, entry.contact_id),
        email=entry.email or "",
        variant=entry.variant,
        template=template,
        context=entry.context,
        tracked=entry.tracked,
    )


def _looked_at(
    found: "_Findings",
    compose: Composer,
    signing: Composer,
    some: Sequence[tuple[FrozenEntry, Letter | None]],
    at: datetime,
    before: int,
) -> list[tuple[FrozenEntry, Letter, Mail]]:
    """The mails of these entries, with all that is wrong with them noted in their order; `before`: how many came.

    Signed are only those that are looked at as a receiver would, among them the first of each kind: the samples.
    """
    made = iter(compose.compose_all([letter for _, letter in some if letter is not None], at))
    composed = [(one, letter, next(made) if letter is not None else None) for one, letter in some]
    # In a rehearsal on this machine every link leads to it: to say so of each would hide the rest.
    left_out = _TEST_LINKS if compose.is_rehearsal() else ()
    glances = [message.glance(mail[0], left_out) for _, _, mail in composed if isinstance(mail, tuple)]
    findings = iter(message.findings_of_each(glances))
    mails = []
    for number, (one, letter, mail) in enumerate(composed, before + 1):
        if letter is None:
            found.missing(one)
        elif isinstance(mail, tuple):
            for finding in next(findings):
                where = f"{letter.template.name} ({letter.template.language}), {finding.where}"
                found.add(replace(finding, where=where), letter)
            shown = mail[1]
            if found.is_due(letter, mail[0], number):
                shown = signing.mail(letter, at)
                for finding in message.check_mail(shown.data, signing.expected(letter, shown)):
                    found.add(finding, letter)
            mails.append((one, letter, shown))
        else:
            found.failed(letter, str(mail))
    return mails


def _keep_sample(samples: dict[str, Path], folder: Path, letter: Letter, mail: Mail) -> None:
    """One mail of each variant and language, as a file that any mail program opens."""
    kind = f"{letter.variant}-{letter.template.language}"
    if kind not in samples:
        folder.mkdir(parents=True, exist_ok=True)
        samples[kind] = folder / f"{kind}.eml"
        samples[kind].write_bytes(mail.data)


class _Findings:
    """Findings counted by what they say, with the first few people they concern."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str, str], Finding] = {}
        self._examples: dict[tuple[str, str, str], list[str]] = defaultdict(list)
        self._counts: dict[tuple[str, str, str], int] = defaultdict(int)
        self._kinds: set[tuple[str, str]] = set()
        self._ways: set[tuple[str, str, message.Way]] = set()
        self._last: dict[tuple[str, str, str], str] = {}

    def add(self, finding: Finding, letter: Letter) -> None:
        """Counts mails: the same fault ten times in one mail is one."""
        self._count(finding, letter.email)

    def failed(self, letter: Letter, why: str) -> None:
        self.add(Finding(code="ML001", severity=Severity.ERROR, where=letter.template.name, message=why), letter)

    def missing(self, one: FrozenEntry) -> None:
        entry = one.entry
        where = f"{entry.variant} ({entry.language})" if entry.variant else "plan"
        said = f"missing data: {entry.detail}"
        self._count(Finding(code="ML001", severity=Severity.ERROR, where=where, message=said), entry.email or "")

    def nobody(self, plan: Planned) -> None:
        said = "nobody would get this: " + (
            "the audience is empty" if not plan.summary["audience"] else "everybody is held out or left out"
        )
        self._count(Finding(code="ML030", severity=Severity.WARNING, where=plan.campaign, message=said), "")

    def unsigned(self, domain: str, sections: Sequence[str]) -> None:
        said = (
            f"mails go out without a DKIM signature: the sender's domain is {domain}, and [dkim] has only "
            + " and ".join(sections)
        )
        self._count(Finding(code="ML031", severity=Severity.WARNING, where="config.toml", message=said), "")

    def is_due(self, letter: Letter, said: message.Encoded, number: int) -> bool:
        """Whether the gate should look at this mail: one of a new kind or way, and now and then one of the others."""
        kind, way = (letter.variant, letter.template.language), (letter.variant, letter.template.hash, said.way)
        may_look = len(self._ways) < _GATE_WAYS + number // _GATE_EVERY
        is_next = number % (_GATE_EVERY_KNOWN if said.way else _GATE_EVERY) == 1
        if not is_next and kind in self._kinds and (way in self._ways or not may_look):
            return False
        self._kinds.add(kind)
        self._ways.add(way)
        return True

    def all(self) -> list[Finding]:
        return [
            replace(one, count=self._counts[key], examples=tuple(self._examples[key]))
            for key, one in self._first.items()
        ]

    def _count(self, finding: Finding, email: str) -> None:
        key = (finding.code, finding.where, finding.message)
        if self._last.get(key) == email:
            return
        self._last[key] = email
        self._first.setdefault(key, finding)
        self._counts[key] += 1
        if len(self._examples[key]) < _EXAMPLES:
            self._examples[key] += [said] if (said := ": ".join(filter(None, (email, *finding.examples)))) else []
