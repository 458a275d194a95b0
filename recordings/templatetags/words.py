"""Template words, built in everywhere: sizes, times and icons as the product writes them."""

from django import template

register = template.Library()
