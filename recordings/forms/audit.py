"""What is asked of the audit trail: who, what, when."""

from urllib.parse import quote_plus

from django import forms
from django.db.models import Q, QuerySet
from django.utils.text import capfirst

from recordings import trail
from recordings.models import AuditEntry
from recordings.oversight.names import done_by

HEX = frozenset("0123456789abcdef")


class AuditFilter(forms.Form):
    """Who, what and when. What cannot be read is told; the rest still counts."""

    who = forms.CharField(
        required=False, max_length=254, widget=forms.TextInput(attrs={"class": "in", "type": "search"})
    )
    action = forms.ChoiceField(
        required=False,
        widget=forms.Select(attrs={"class": "in"}),
        choices=[("", "Any action"), *((one.value, capfirst(one.value)) for one in trail.Action)],
        error_messages={"invalid_choice": "There is no such action."},
    )
    since = forms.DateField(required=False, widget=forms.DateInput(attrs={"class": "in", "type": "date"}))
    until = forms.DateField(required=False, widget=forms.DateInput(attrs={"class": "in", "type": "date"}))
    text = forms.CharField(
        label="Object or hash", required=False, max_length=200,
        widget=forms.TextInput(attrs={"class": "in", "type": "search"}),
    )  # fmt: skip

    def apply(self, entries: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        """Narrow entries to what was asked."""
        self.is_valid()
        told = self.cleaned_data
        if told.get("who"):
            entries = done_by(entries, told["who"])
        if told.get("action"):
            entries = entries.filter(action=told["action"])
        if told.get("since"):
            entries = entries.filter(at__date__gte=told["since"])
        if told.get("until"):
            entries = entries.filter(at__date__lte=told["until"])
        if text := told.get("text"):
            same = Q(object__icontains=text)
            # Searches are kept as they stand in an address.
            if (kept := quote_plus(text)) != text:
                same |= Q(object__icontains=kept)
            if len(text) >= 4 and set(text.lower()) <= HEX:
                same |= Q(hash__startswith=text.lower())
            entries = entries.filter(same)
        return entries

    def params(self) -> dict[str, str]:
        """Return what was asked as URL parameters."""
        return {name: self.data[name] for name in self.fields if self.data.get(name)}
