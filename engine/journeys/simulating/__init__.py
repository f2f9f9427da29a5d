"""What would happen? All that runs, in virtual time over the real base: nobody is mailed, nothing is written.

simulate    the forecast: mails a person, caps, volume, dead ways, stuck people, revenue with an interval
to_html     the same as a page for people who would rather look
"""

from engine.journeys.simulating.forecasting import Forecast
from engine.journeys.simulating.page import to_html
from engine.journeys.simulating.simulate import simulate

__all__ = ["Forecast", "simulate", "to_html"]
