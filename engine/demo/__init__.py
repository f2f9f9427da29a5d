"""The whole story on a real shop's data: a grocery panel, its people given names, a campaign, an honest report.

Entry: `tell(folder)`. Stands above the pipeline and uses only what a marketer could.
"""

from engine.demo.story import tell

__all__ = ["tell"]
