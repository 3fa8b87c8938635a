"""Words for operations in templates."""

from django import template

from config.operations import words

register = template.Library()

register.filter("count", words.count)
register.filter("duration", words.duration)
