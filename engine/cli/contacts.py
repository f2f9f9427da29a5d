"""`mailer contact`: one person; what is known, and her rights."""

from typing import Annotated

import typer

from engine import pipeline
from engine.cli.app import app
from engine.cli.opening import agreed, moment, workspace
from engine.cli.printing import FormatOption, YesOption, say, show_one, to_json

contacts = typer.Typer(no_args_is_help=True, help="One person: look, add, suppress, export, erase.")
app.add_typer(contacts, name="contact")

EmailArgument = Annotated[str, typer.Argument(metavar="EMAIL", help="The contact's address, in any spelling.")]


@contacts.command()
def show(context: typer.Context, email: EmailArgument, form: FormatOption = None) -> None:
    """All that is known of one person, with every statement of consent."""
    with workspace(context) as mailer:
        show_one(pipeline.contact_card(mailer, email), form)


@contacts.command()
def add(
    context: typer.Context,
    email: EmailArgument,
    given_name: Annotated[str, typer.Option("--given-name", help="As she writes it herself.")] = "",
    family_name: Annotated[str, typer.Option("--family-name", help="As she writes it herself.")] = "",
    language: Annotated[str, typer.Option("--language", help="A code such as en or fi; default: the shop's.")] = "",
    consent: Annotated[bool, typer.Option("--consent", help="She asked for mail; say how with --source.")] = False,
    source: Annotated[str, typer.Option("--source", help="Where and how consent was given.")] = "",
) -> None:
    """Add one person by hand."""
    values = {"email": email, "given_name": given_name, "family_name": family_name, "language": language}
    if consent:
        values |= {"mailing_consent": "yes", "consent_source": source}
    with workspace(context) as mailer:
        pipeline.add_contact(mailer, values, moment(mailer, None))
    say("added")


@contacts.command()
def suppress(
    context: typer.Context,
    email: EmailArgument,
    reason: Annotated[
        str, typer.Option("--reason", help="by_hand, bounced, complained or unsubscribed; kept with the suppression.")
    ] = "by_hand",
) -> None:
    """Never mail this address again, whether or not it is known; survives erasure and re-import."""
    with workspace(context) as mailer:
        pipeline.suppress(mailer, email, reason, moment(mailer, None))
    say("suppressed")


@contacts.command()
def export(context: typer.Context, email: EmailArgument) -> None:
    """Everything held about a person, as JSON (GDPR articles 15 and 20)."""
    with workspace(context) as mailer:
        print(to_json(pipeline.export_contact(mailer, email)))


@contacts.command()
def erase(context: typer.Context, email: EmailArgument, yes: YesOption = False) -> None:
    """Erase a person (GDPR article 17); a keyed hash of the address stays, so that an import can't revive it."""
    agreed("Erase everything known of this person? It can't be taken back.", yes)
    with workspace(context) as mailer:
        pipeline.erase_contact(mailer, email, moment(mailer, None))
    say("erased")
