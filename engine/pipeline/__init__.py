"""THE STORY: every verb on one screen. Stages meet only here; commands, web and scheduler only call what stands below.

open_mailer      settings, database, secret, clock                          workspace
import_file      rows in, rows refused with line and reason                 people
refresh          profiles, lifecycle, recommendations: only what changed    people
check_campaigns  every fault of sender, segments, campaigns, templates      checking
preview          exactly the mail that one person would get                 previewing
make_plan        load -> select -> candidates -> draft -> plan -> freeze    planning
dry_run          render -> compose -> look, for everybody; nothing is sent  dry_running
send, resume     check -> release -> senders -> what became of it           launching
send_due         claim -> render -> compose -> look again -> dot -> record  sending
drain_hits       spool -> ledger -> judge                                   receiving
fetch_bounces    mailbox -> read -> apply_notice -> mark                    bouncing
apply_notice     whose message? -> evidence -> address, consent, brake      noticing
report           assignments + orders -> arms -> results                    reporting
why              the chain for one person                                   explaining
arm, run_repeats campaigns that come round by themselves                    repeating
runnable         what senders anywhere could take now                       hinting
tick, night      what there is to do while nobody asks                      ticking
worries, status  what somebody should look at; how everything stands        worrying, overseeing
alert            a person is told, once per cause                           alerting
take_in          rows that a shop posts, by the importers' own code         people
metrics          the figures that a monitoring system collects              measuring
"""

from engine.analysis import Results
from engine.audience import ImportResult
from engine.errors import MailerError
from engine.pipeline.aftermath import Aftermath
from engine.pipeline.alerting import alert
from engine.pipeline.bouncing import classify_files, fetch_bounces
from engine.pipeline.braking import look_at_brake
from engine.pipeline.checking import (
    campaign_names,
    campaign_rows,
    check_campaigns,
    known_templates,
    lint,
    lint_templates,
    new_campaign,
    segment_faults,
    sender_fault,
    set_campaign_state,
)
from engine.pipeline.dry_running import DryRun, dry_run, dry_run_of
from engine.pipeline.explaining import plan_rows, why
from engine.pipeline.hinting import runnable
from engine.pipeline.launching import Sent, resume, send, work
from engine.pipeline.measuring import Metric, metrics
from engine.pipeline.noticing import Applied, Effect, address_consequence, apply_notice
from engine.pipeline.overseeing import status
from engine.pipeline.people import (
    add_contact,
    backtest,
    contact_card,
    count,
    erase_contact,
    export_contact,
    import_file,
    members,
    refresh,
    suppress,
    take_in,
    the_rule,
    why_in_segment,
)
from engine.pipeline.planning import Planned, make_plan, planned
from engine.pipeline.previewing import Seen, preview, preview_of, send_test
from engine.pipeline.receiving import (
    Choice,
    campaign_destination,
    choice_of,
    count_clicks,
    destination,
    drain_hits,
    html_of,
    language_of,
    opt_out,
    set_choice,
    spool_of,
)
from engine.pipeline.repeating import Armed, arm, run_repeats
from engine.pipeline.reporting import (
    Question,
    mark_simulated,
    overview,
    report,
    report_going_on,
    report_html,
    start_of_yesterday,
    with_holdout,
)
from engine.pipeline.sending import send_due
from engine.pipeline.stopping import Stop, stop_on_signals
from engine.pipeline.ticking import STEPS, Step, beat, leave, night, night_is_due, tick, ticked
from engine.pipeline.workspace import Mailer, backup, init, open_mailer, upgrade_database
from engine.pipeline.worrying import Worry, worries

__all__ = [
    "STEPS",
    "Aftermath",
    "Applied",
    "Armed",
    "Choice",
    "DryRun",
    "Effect",
    "ImportResult",
    "Mailer",
    "MailerError",
    "Metric",
    "Planned",
    "Question",
    "Results",
    "Seen",
    "Sent",
    "Step",
    "Stop",
    "Worry",
    "add_contact",
    "address_consequence",
    "alert",
    "apply_notice",
    "arm",
    "backtest",
    "backup",
    "beat",
    "campaign_destination",
    "campaign_names",
    "campaign_rows",
    "check_campaigns",
    "choice_of",
    "classify_files",
    "contact_card",
    "count",
    "count_clicks",
    "destination",
    "drain_hits",
    "dry_run",
    "dry_run_of",
    "erase_contact",
    "export_contact",
    "fetch_bounces",
    "html_of",
    "import_file",
    "init",
    "known_templates",
    "language_of",
    "leave",
    "lint",
    "lint_templates",
    "look_at_brake",
    "make_plan",
    "mark_simulated",
    "members",
    "metrics",
    "new_campaign",
    "night",
    "night_is_due",
    "open_mailer",
    "opt_out",
    "overview",
    "plan_rows",
    "planned",
    "preview",
    "preview_of",
    "refresh",
    "report",
    "report_going_on",
    "report_html",
    "resume",
    "run_repeats",
    "runnable",
    "segment_faults",
    "send",
    "send_due",
    "send_test",
    "sender_fault",
    "set_campaign_state",
    "set_choice",
    "spool_of",
    "start_of_yesterday",
    "status",
    "stop_on_signals",
    "suppress",
    "take_in",
    "the_rule",
    "tick",
    "ticked",
    "upgrade_database",
    "why",
    "why_in_segment",
    "with_holdout",
    "work",
    "worries",
]
