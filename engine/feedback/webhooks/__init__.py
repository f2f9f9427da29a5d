"""What does a provider tell of our mails? Its events, proven to be its own, as notices.

Entry functions: `hook_for` (the reader of one transport's webhook) and `fetch` (how certificates are got). Signatures:
`svix` (Resend and others), `sns` (Amazon). Events: one table a provider, `resend` and `ses`. Must not know: HTTP
servers, the database.
"""

from engine.feedback.webhooks.hook import Hook, hook_for
from engine.feedback.webhooks.sns import Fetch, fetch

__all__ = ["Fetch", "Hook", "fetch", "hook_for"]
