"""Which MJML elements exist, what may stand in them, and which attributes they take? A table, and no behaviour.

The compiler itself prints unknown elements as they are and drops unknown attributes without a word, so checks ask here.
"""

from collections.abc import Mapping

_PADDING = "padding padding-top padding-right padding-bottom padding-left"
_BORDERS = "border border-top border-right border-bottom border-left"
_INNER_BORDERS = "inner-border inner-border-top inner-border-right inner-border-bottom inner-border-left"
_FONT = "font-family font-size font-style font-weight"
_BACKGROUND = (
    "background-color background-url background-repeat background-size "
    "background-position background-position-x background-position-y"
)
_SECTION = f"{_BACKGROUND} {_BORDERS} border-radius direction full-width {_PADDING} text-align text-padding"
_ICONS = "icon-align icon-width icon-height icon-wrapped-url icon-wrapped-alt icon-unwrapped-url icon-unwrapped-alt"

# What every element of the body takes; data-no-track is the engine's own.
EVERYWHERE = frozenset("mj-class css-class data-no-track".split())

ATTRIBUTES: Mapping[str, frozenset[str]] = {
    name: frozenset(attributes.split())
    for name, attributes in {
        "mjml": "owa lang dir",
        "mj-head": "",
        "mj-attributes": "",
        "mj-breakpoint": "width",
        "mj-font": "name href",
        "mj-preview": "",
        "mj-style": "inline",
        "mj-title": "",
        "mj-raw": "",
        "mj-body": "width background-color",
        "mj-wrapper": f"{_SECTION} gap",
        "mj-section": _SECTION,
        "mj-group": "background-color direction vertical-align width",
        "mj-column": f"background-color {_BORDERS} border-radius direction inner-background-color {_INNER_BORDERS} "
        f"inner-border-radius {_PADDING} vertical-align width",
        "mj-hero": "mode height background-url background-width background-height background-position border-radius "
        "container-background-color background-color inner-background-color inner-padding inner-padding-top "
        f"inner-padding-right inner-padding-bottom inner-padding-left {_PADDING} vertical-align",
        "mj-text": f"align background-color color container-background-color {_FONT} height letter-spacing line-height "
        f"{_PADDING} text-decoration text-transform vertical-align",
        "mj-button": f"align background-color {_BORDERS} border-radius color container-background-color {_FONT} height "
        f"href name title inner-padding letter-spacing line-height {_PADDING} rel target text-align text-decoration "
        "text-transform vertical-align width",
        "mj-image": f"align alt {_BORDERS} border-radius container-background-color fluid-on-mobile font-size height "
        f"href max-height name {_PADDING} rel sizes src srcset target title usemap width",
        "mj-divider": f"align border-color border-style border-width container-background-color {_PADDING} width",
        "mj-spacer": f"{_BORDERS} container-background-color height {_PADDING}",
        "mj-table": "align border cellpadding cellspacing color container-background-color font-family font-size "
        f"font-weight line-height {_PADDING} role table-layout vertical-align width",
        "mj-social": f"align border-radius color container-background-color {_FONT} icon-height icon-padding icon-size "
        f"inner-padding line-height mode {_PADDING} table-layout text-decoration text-padding vertical-align",
        "mj-social-element": f"align alt background-color border-radius color {_FONT} href icon-height icon-padding "
        f"icon-position icon-size line-height name {_PADDING} rel sizes src srcset target text-decoration text-padding "
        "title vertical-align",
        "mj-navbar": "align base-url hamburger ico-align ico-close ico-color ico-font-family ico-font-size "
        "ico-line-height ico-open ico-padding ico-padding-top ico-padding-right ico-padding-bottom ico-padding-left "
        f"ico-text-decoration ico-text-transform {_PADDING}",
        "mj-navbar-link": f"color {_FONT} href letter-spacing line-height name {_PADDING} rel target text-decoration "
        "text-transform",
        "mj-accordion": f"border container-background-color font-family {_ICONS} icon-position {_PADDING}",
        "mj-accordion-element": f"background-color border font-family {_ICONS} icon-position",
        "mj-accordion-title": f"background-color color font-family font-size font-weight {_PADDING}",
        "mj-accordion-text": "background-color color font-family font-size font-weight letter-spacing line-height "
        f"{_PADDING}",
        "mj-carousel": f"align border-radius container-background-color icon-width left-icon {_PADDING} right-icon "
        "tb-border tb-border-radius tb-hover-border-color tb-selected-border-color tb-width thumbnails",
        "mj-carousel-image": "alt border-radius href rel src target tb-border tb-border-radius thumbnails-src title",
    }.items()
}

# Allowed by MJML, without effect in the compiler used here (measured over all 405 pairs).
WITHOUT_EFFECT = frozenset(
    [
        ("mj-button", "title"),
        ("mj-image", "sizes"),
        ("mj-image", "border-top"),
        ("mj-image", "border-bottom"),
        ("mj-table", "role"),
        ("mj-column", "inner-border-radius"),
        ("mj-hero", "border-radius"),
        ("mj-social-element", "icon-position"),
        ("mj-social-element", "srcset"),
        ("mj-social-element", "sizes"),
        ("mj-accordion-title", "font-weight"),
    ]
)

_CONTENT = (
    "mj-accordion mj-button mj-carousel mj-divider mj-image mj-raw mj-social mj-spacer mj-table mj-text mj-navbar"
)

# Which elements may stand directly in which; whoever is not named here holds text and HTML.
CHILDREN: Mapping[str, frozenset[str]] = {
    name: frozenset(children.split())
    for name, children in {
        "mjml": "mj-head mj-body",
        "mj-head": "mj-attributes mj-breakpoint mj-font mj-preview mj-style mj-title mj-raw",
        "mj-body": "mj-raw mj-section mj-wrapper mj-hero",
        "mj-wrapper": "mj-hero mj-raw mj-section",
        "mj-section": "mj-column mj-group mj-raw",
        "mj-group": "mj-column mj-raw",
        "mj-column": _CONTENT,
        "mj-hero": _CONTENT,
        "mj-social": "mj-social-element mj-raw",
        "mj-navbar": "mj-navbar-link mj-raw",
        "mj-accordion": "mj-accordion-element mj-raw",
        "mj-accordion-element": "mj-accordion-title mj-accordion-text mj-raw",
        "mj-carousel": "mj-carousel-image",
    }.items()
}

# Elements whose content is text alone: no placeholder comment may stand in them.
PLAIN_TEXT = frozenset("mj-style mj-title mj-preview mj-accordion-title style script title textarea".split())

VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())
