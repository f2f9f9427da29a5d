"""Which columns may an import file have? The known ones, other spellings of them, and what Shopify calls them."""

from collections.abc import Mapping
from dataclasses import dataclass

ATTRIBUTES, PROPERTIES = "attributes.", "properties."


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of import file."""

    name: str
    needed: tuple[tuple[str, ...], ...]  # one of each
    known: tuple[str, ...]
    also: Mapping[str, str]  # other spelling -> ours
    shopify: Mapping[str, str]
    shopify_mark: frozenset[str]  # headers that only Shopify's export of this kind has
    rest: str = ""  # under which other columns are kept; empty: they are ignored, and named in the result


def _spellings(table: str) -> dict[str, str]:
    """`ours: theirs theirs`, a line each, turned round."""
    lines = (line.split(":") for line in table.split("\n") if line)
    return {theirs: ours for ours, said in lines for theirs in said.split()}


_PERSON = """
email: e_mail mail email_address e_mail_address mail_address
external_id: customer_id customer_number client_id contact_id
"""

CONTACTS = Kind(
    name="contacts",
    needed=(("email",),),
    known=tuple(
        "email external_id given_name family_name full_name honorific gender birth_date language country region city "
        "postal_code timezone job_title company industry company_size income_band interests tags mailing_consent "
        "mailing_consent_at consent_source consent_wording tracking_consent tracking_consent_at opted_out".split()
    ),
    also=_spellings(
        _PERSON
        + """
given_name: first_name firstname forename vorname
family_name: last_name lastname surname nachname
full_name: name fullname
honorific: salutation
gender: sex
birth_date: birthday date_of_birth dob birthdate
language: lang locale preferred_language
country: country_code
region: state province county
city: town
postal_code: zip zip_code postcode postal
timezone: time_zone tz
job_title: position
company: organisation organization employer company_name
industry: sector
company_size: employees number_of_employees
income_band: income
interests: interest
tags: tag labels
mailing_consent: subscribed newsletter opt_in optin opted_in accepts_marketing accepts_email_marketing
mailing_consent: email_consent marketing_consent
mailing_consent_at: consent_at consent_date opt_in_at subscribed_at
consent_source: opt_in_source
consent_wording: consent_text
tracking_consent: accepts_tracking
opted_out: unsubscribed opt_out optout do_not_email do_not_mail
"""
    ),
    shopify=_spellings(
        """
email: email
external_id: customer_id
given_name: first_name
family_name: last_name
mailing_consent: accepts_email_marketing accepts_marketing
company: default_address_company company
city: default_address_city city
region: default_address_province_code province_code
country: default_address_country_code country_code
postal_code: default_address_zip zip
tags: tags
"""
    ),
    shopify_mark=frozenset({"first_name", "accepts_email_marketing"}),
    rest=ATTRIBUTES,
)

PRODUCTS = Kind(
    name="products",
    needed=(("product_id",), ("title",)),
    known=tuple("product_id title category brand price cost stock url image_url recommendable".split()),
    also=_spellings(
        """
product_id: sku id item_id product_code
title: name product_name product_title
category: type product_type
brand: vendor manufacturer
cost: unit_cost cost_per_item
stock: inventory stock_quantity in_stock
url: link product_url
image_url: image image_link picture
"""
    ),
    shopify=_spellings(
        """
handle: handle
product_id: variant_sku
title: title
option1: option1_value
option2: option2_value
option3: option3_value
category: type
brand: vendor
price: variant_price
cost: cost_per_item
stock: variant_inventory_qty
tracker: variant_inventory_tracker
image_url: image_src
status: status
"""
    ),
    shopify_mark=frozenset({"handle", "variant_price"}),
)

ORDERS = Kind(
    name="orders",
    needed=(("order_id",), ("email", "external_id"), ("ordered_at",)),
    known=tuple(
        "order_id line_no email external_id ordered_at product_id quantity unit_price discount returned "
        "currency".split()
    ),
    also=_spellings(
        _PERSON
        + """
order_id: order_number order_no order
line_no: line line_number
ordered_at: order_date order_time order_datetime ordered_on placed_at placed_on order_placed_at
ordered_at: date datetime timestamp created_at purchased_at purchased_on purchase_date
product_id: sku product item_id
quantity: qty
unit_price: price item_price
discount: line_discount
returned: returned_quantity refunded_quantity
currency: currency_code
"""
    ),
    shopify=_spellings(
        """
order_id: name
email: email
ordered_at: created_at
product_id: lineitem_sku
product_name: lineitem_name
quantity: lineitem_quantity
unit_price: lineitem_price
discount: lineitem_discount
currency: currency
cancelled_at: cancelled_at
"""
    ),
    shopify_mark=frozenset({"name", "lineitem_name", "created_at"}),
)

EVENTS = Kind(
    name="events",
    needed=(("event_id",), ("email", "external_id"), ("kind",), ("at",)),
    known=("event_id", "email", "external_id", "kind", "at"),
    also=_spellings(
        _PERSON
        + """
event_id: id
kind: event event_name event_type type
at: time timestamp date occurred_at created_at
"""
    ),
    shopify={},
    shopify_mark=frozenset(),
    rest=PROPERTIES,
)

KINDS = (CONTACTS, PRODUCTS, ORDERS, EVENTS)
