"""Mailer: each customer gets the right message once, in their own language, for a reason that can be shown.

One recipient's walk, each step a line of `pipeline`:

    audience   WHO      import, consent, suppression, orders, profile, segments, recommendations
    campaign   WHAT     campaign files, variants and holdouts, the plan: who gets what, when, why not
    message    HOW      MJML + Jinja compiled once, rendered per recipient, composed into signed MIME
    delivery   OUT      the transport seam: SMTP, outbox; the journal beside the wire
    feedback   BACK     opens, clicks and opt-outs: kept raw, judged human or machine
    analysis   SO WHAT  lift with interval, revenue, profit, checks; takes numbers, never sessions

The stages are siblings that never import each other. They meet in `model` values and in `pipeline`.
Below them `ledger` (the only writer of a message's state) and `store` (the tables). `cli`, `web`, `scheduler` and
`fleet` (hints to senders on other machines) stand above and only call `pipeline`.
"""
