"""HOW it is said: templates are compiled, filled, checked and made into mails.

compile_template            a folder of MJML into one CompiledTemplate a language; BadTemplate names file:line:column
context_for, render         what is frozen for one contact, and her message made from that alone
render_mail, render_mails   the same, encoded already: for all that goes out
destinations,
literal_destination         where her links lead
lint_template, findings_in  what is wrong with a template, or with one rendered message

Knows profiles and picks as values; neither the store nor how a mail travels.
"""

from engine.message.compiled import CompiledTemplate, Part, literal_destination
from engine.message.compiling import ANY_LANGUAGE, compile_template, languages_of, template_folder
from engine.message.context import context_for
from engine.message.findings import findings_in
from engine.message.flatten import ShopView
from engine.message.lint import lint_template
from engine.message.rendering import Rendered, destinations, render
from engine.message.sandbox import PLAIN_ADDRESSES, LinkAddresses, SkipMessage
from engine.message.writing import Site

__all__ = [
    "ANY_LANGUAGE",
    "PLAIN_ADDRESSES",
    "CompiledTemplate",
    "LinkAddresses",
    "Part",
    "Rendered",
    "ShopView",
    "Site",
    "SkipMessage",
    "compile_template",
    "context_for",
    "destinations",
    "findings_in",
    "languages_of",
    "lint_template",
    "literal_destination",
    "render",
    "template_folder",
]

# ---------------------------------------------------------------- mails: headers, MIME, DKIM, and the gate behind them

from engine.message.dkim import Signer, load_signer, signers_for
from engine.message.framing import Body, MailFrame, mail_frame
from engine.message.fused_parts import Way
from engine.message.fusing import Encoded, Wanted, render_mail, render_mails
from engine.message.gate import Expected, check_mail
from engine.message.guards import is_plain_base
from engine.message.headers import Mailbox, MailHeaders, feedback_id, mailbox
from engine.message.mime import body_of, compose
from engine.message.shapes import Glance, findings_of, findings_of_each, glance

__all__ += [
    "Body",
    "Encoded",
    "Expected",
    "Glance",
    "MailFrame",
    "MailHeaders",
    "Mailbox",
    "Signer",
    "Wanted",
    "Way",
    "body_of",
    "check_mail",
    "compose",
    "feedback_id",
    "findings_of",
    "findings_of_each",
    "glance",
    "is_plain_base",
    "load_signer",
    "mail_frame",
    "mailbox",
    "render_mail",
    "render_mails",
    "signers_for",
]
