"""DRIP: each contact on her own way through a few mails, started by what she does, ended by what she reached."""
