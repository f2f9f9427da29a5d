"""What the speed promises are measured with: `make bench`, or `python -m benchmarks --help`.

It runs the engine itself, through its own entry points, in sender processes of its own; nothing is copied or stubbed.
people, reference   who is written to, and the message: a workspace, planned and released like any other
sinks, sink.c       the mail servers that take it: Postfix's smtp-sink, a cheap one in C, one in Python that reads
senders, sender     processes that send, and what they cost; naive is the usual way, for comparison
rounds, table       variants in turns, each against the baseline of its own round; medians against must and aim
parts               where a message's time goes
memory              how much a sender holds at its peak, for few recipients and for many
"""
