"""Words for prices in templates."""

from django import template

from streaming.prices import chart, clock, words

register = template.Library()

register.filter("price", words.price)
register.filter("clock", clock.shown)
register.filter("state", words.state)
register.filter("state_tag", words.state_tag)
register.filter("reason", words.reason)


@register.simple_tag
def spark_box() -> str:
    """The viewBox of small curves."""
    return f"0 0 {chart.SPARK_WIDTH} {chart.SPARK_HEIGHT}"
