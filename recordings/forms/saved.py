"""What people say about a saved search: its name, whether it is shared, and when it is exported."""

from datetime import time
from typing import Any

from django import forms
from django.db.models.functions import Lower

from recordings.access import May, may
from recordings.forms.job import ZONES
from recordings.models import ExportSchedule, User
from recordings.transfer.timetable import WEEKDAYS

_IN = {"class": "in", "autocomplete": "off"}


class SavedSearchForm(forms.Form):
    """A name that people find again, and whether others see it."""

    name = forms.CharField(
        label="Name", max_length=80, widget=forms.TextInput(attrs=_IN), error_messages={"required": "Give the search a name."}
    )  # fmt: skip
    shared = forms.BooleanField(
        label="Share it with everybody", required=False, widget=forms.CheckboxInput(attrs={"class": "ck"}),
        help_text="Others find what they may see by it. Only you and admins can change it.",
    )  # fmt: skip

    def clean_name(self) -> str:
        """Keep a name on one line: mails have it as their subject."""
        return " ".join(self.cleaned_data["name"].split())


def _choice(**more: Any) -> forms.TypedChoiceField:
    return forms.TypedChoiceField(coerce=int, widget=forms.Select(attrs={"class": "in"}), **more)


class ExportScheduleForm(forms.ModelForm):
    """When a search is exported, and who gets the link."""

    at = forms.TimeField(
        label="At", initial=time(6), widget=forms.TimeInput(format="%H:%M", attrs={"class": "in", "type": "time"}),
        error_messages={"required": "Give a time of day, such as 06:00."},
    )  # fmt: skip
    weekday = _choice(label="On, for every week", choices=list(enumerate(WEEKDAYS)), initial=0)
    day = _choice(label="On day, for every month", choices=[(day, day) for day in range(1, 29)], initial=1)
    time_zone = forms.ChoiceField(
        label="Time zone", choices=[(zone, zone) for zone in ZONES], initial="UTC",
        widget=forms.Select(attrs={"class": "in wide"}),
    )  # fmt: skip
    readers = forms.ModelMultipleChoiceField(
        label="Tell also", queryset=User.objects.none(), required=False,
        widget=forms.CheckboxSelectMultiple(attrs={"class": "ck"}),
        error_messages={"invalid_choice": "Choose among the people shown here."},
    )  # fmt: skip

    class Meta:
        model = ExportSchedule
        fields = ["every", "weekday", "day", "at", "time_zone"]
        labels = {"every": "Export"}
        widgets = {"every": forms.Select(attrs={"class": "in"})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        people = User.objects.filter(is_active=True).exclude(pk=self.instance.by_id).order_by(Lower("email"))
        can = [person.pk for person in people.prefetch_related("groups") if may(person, May.EXPORT)]
        self.fields["readers"].queryset = people.filter(pk__in=can)  # type: ignore[attr-defined]
        if self.instance.pk:
            self.fields["readers"].initial = self.instance.readers.all()
