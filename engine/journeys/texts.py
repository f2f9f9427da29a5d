"""What does a step's mail say just now? The workspace's templates, compiled when a file changed, never half an edit.

An edit reaches everyone whose mail isn't planned yet. A template that is broken is told, and the last good one goes on.
"""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from engine import ledger, message
from engine.errors import BadTemplate, UnknownTemplate
from engine.journeys.definition import Journey, Send
from engine.message import CompiledTemplate
from engine.pipeline.composing import stored_template
from engine.pipeline.planning import layouts_of, shop_view, template_folder
from engine.pipeline.workspace import Mailer

Text = Mapping[str, CompiledTemplate]  # a step's mail, by language

_Files = tuple[tuple[str, int, int], ...]  # each file, when it was changed, its length

log = logging.getLogger("mailer.journeys")
_compiled: dict[tuple[object, ...], tuple[_Files, Text]] = {}  # of this process: what each step's files gave last


class Texts:
    """The templates of one tick: each looked at once, whatever happens to its files meanwhile."""

    def __init__(self, mailer: Mailer) -> None:
        self._mailer = mailer
        self._known: dict[str, Text | BadTemplate | UnknownTemplate] = {}
        self.faults: dict[str, str] = {}  # JOURNEY/STEP -> why its template can't be compiled

    def of(self, journey: Journey, step: Send) -> Text:
        """The step's mail in each language; BadTemplate or UnknownTemplate when there never was a good one."""
        name = f"{journey.name}/{step.id}"
        key = f"{name} {step.template} {sorted(step.subject.items())}"  # two versions may differ in these
        if key not in self._known:
            self._known[key] = self._look(name, step)
        found = self._known[key]
        if isinstance(found, BadTemplate | UnknownTemplate):
            raise found
        return found

    def _look(self, name: str, step: Send) -> Text | BadTemplate | UnknownTemplate:
        try:
            found = compiled(self._mailer, step)
        except (BadTemplate, UnknownTemplate) as fault:
            self.faults[name] = str(fault)
            log.warning("template_broken step=%s reason=%r", name, str(fault))
            return self._last_good(name) or fault
        keep(self._mailer, name, found)
        return found

    def _last_good(self, name: str) -> Text:
        kept = ledger.kept_template_hashes(self._mailer.store, name)
        found = {language: stored_template(self._mailer.store, key) for language, key in kept.items()}
        return {language: one for language, one in found.items() if one is not None}


def compiled(mailer: Mailer, step: Send) -> Text:
    """The step's template as its files stand now; compiled anew only when one of them changed."""
    folder = template_folder(mailer, step.template)
    shop, layouts = shop_view(mailer), layouts_of(mailer)
    key = (folder, tuple(sorted(step.subject.items())), shop)
    files = _files([folder, *layouts])
    if (known := _compiled.get(key)) is not None and known[0] == files:
        return known[1]
    found = message.compile_template(folder, step.subject, shop, layouts)
    _compiled[key] = files, found
    return found


def keep(mailer: Mailer, name: str, found: Text) -> None:
    """Keep the templates for the mails that name them, and as the last good ones of `JOURNEY/STEP`."""
    hashes = {language: one.hash for language, one in found.items()}
    if ledger.kept_template_hashes(mailer.store, name) == hashes:
        return
    ledger.save_templates(mailer.store, {one.hash: one.to_bytes() for one in found.values()})
    ledger.keep_template_hashes(mailer.store, name, hashes)


def _files(folders: Iterable[Path]) -> _Files:
    found = (path for folder in folders if folder.is_dir() for path in folder.rglob("*"))
    stats = ((str(path), path.stat()) for path in found if path.is_file())
    return tuple(sorted((name, one.st_mtime_ns, one.st_size) for name, one in stats))
