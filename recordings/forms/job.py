"""A transfer job as an admin types it: what, where, when, how fast, and how long it stays in SEA after that."""

from datetime import time
from typing import Any
from zoneinfo import available_timezones

from django import forms

from recordings.models import Archive, TransferJob
from recordings.search.criteria import VIEWS, Criteria
from recordings.transfer.timetable import WEEKDAYS, ScheduleRefused, check_cron

OFFERED = ("unsaved", "at_risk")
SAYS = {
    "unsaved": ("Everything that is not saved yet", "whatever its age, soonest expiry first"),
    "at_risk": ("What is at risk", "not saved, and 7 days or less left"),
}
ZONES = sorted(zone for zone in available_timezones() if "/" in zone or zone == "UTC")
Every = TransferJob.Every
NO_TIME = {"invalid": "Give a time of day, such as 18:00."}


def _clock() -> forms.TimeInput:
    return forms.TimeInput(format="%H:%M", attrs={"class": "in", "type": "time"})


def _number(low: int, high: int) -> forms.NumberInput:
    return forms.NumberInput(attrs={"class": "in", "min": low, "max": high, "inputmode": "numeric"})


def _out_of(sentence: str) -> dict[str, str]:
    return dict.fromkeys(("invalid", "min_value", "max_value"), sentence)


class JobForm(forms.ModelForm):
    """Make a job of a search: the one that was brought along, the job's own, or one that everybody needs."""

    query = forms.ChoiceField(
        label="Which recordings",
        widget=forms.RadioSelect,
        error_messages={
            "required": "Choose which recordings it saves.",
            "invalid_choice": "This search cannot be read. Choose one of those below.",
        },
    )
    archives = forms.ModelMultipleChoiceField(
        queryset=Archive.objects.none(),
        widget=forms.CheckboxSelectMultiple(attrs={"class": "ck"}),
        error_messages={"required": "Choose the archive, or archives, that the copies go to."},
    )
    every = forms.ChoiceField(label="Run", choices=Every.choices, widget=forms.Select(attrs={"class": "in"}))
    at = forms.TimeField(label="At", required=False, widget=_clock(), initial=time(2), error_messages=NO_TIME)
    weekday = forms.TypedChoiceField(
        label="On", choices=list(enumerate(WEEKDAYS)), coerce=int, required=False, empty_value=0,
        widget=forms.Select(attrs={"class": "in"}),
    )  # fmt: skip
    time_zone = forms.ChoiceField(
        label="Time zone",
        choices=[(zone, zone) for zone in ZONES],
        widget=forms.Select(attrs={"class": "in wide"}),
    )
    mb_per_second = forms.IntegerField(
        label="MB per second, at most",
        required=False,
        min_value=1,
        max_value=100_000,
        widget=_number(1, 100_000),
        error_messages=_out_of("Give 1 to 100,000 MB per second, or nothing for no limit."),
    )
    parallel_files = forms.IntegerField(
        label="Files at once, at most", required=False, min_value=1, max_value=1000, widget=_number(1, 1000),
        error_messages=_out_of("Give 1 to 1,000 files, or nothing for no limit."),
    )  # fmt: skip
    release_after_days = forms.IntegerField(
        label="Days after verification until SEA is freed",
        required=False,
        min_value=0,
        max_value=30,
        widget=_number(0, 30),
        error_messages=_out_of("Give 0 to 30 days, or nothing when they stay in SEA."),
    )

    class Meta:
        model = TransferJob
        fields = [
            "name", "query", "archives", "every", "at", "weekday", "cron", "time_zone", "only_from", "only_until",
            "mb_per_second", "parallel_files", "release_after_days",
        ]  # fmt: skip
        error_messages = {
            "name": {"required": "Give the job a name."},
            "only_from": NO_TIME,
            "only_until": NO_TIME,
        }
        labels = {"only_from": "Only from", "only_until": "Only until", "cron": "Cron expression"}
        widgets = {"only_from": _clock(), "only_until": _clock()}
        help_texts = {
            "name": "Also what the command line calls it by.",
            "cron": "Only for “as cron says”: minute, hour, day, month, weekday, such as 30 2 * * 1-5.",
        }

    def __init__(self, *args: Any, brought: str = "", **kwargs: Any) -> None:
        """Take the query string of the search that the person came with, if any."""
        super().__init__(*args, **kwargs)
        own = self.instance.query if self.instance.pk else ""
        self.brought = Criteria.parse(brought or own)
        self.fields["name"].widget = forms.TextInput(
            attrs={
                "class": "in",
                "autocomplete": "off",
                "maxlength": "80",
                "placeholder": "Nightly save, EMEA-1",
            }
        )
        self.fields["cron"].widget = forms.TextInput(
            attrs={"class": "in", "autocomplete": "off", "maxlength": "100", "placeholder": "30 2 * * 1-5"}
        )
        archives = Archive.objects.all()
        self.fields["archives"].queryset = archives  # type: ignore[attr-defined]
        if not self.instance.pk:
            self.fields["archives"].initial = list(archives[:1]) if len(archives) == 1 else []
            self.fields["time_zone"].initial = "UTC"
            if not kwargs.get("initial"):
                self.initial["every"] = Every.DAY  # a job that nobody runs saves nothing
        self.fields["query"].choices = [(search, search) for search in self.searches()]  # type: ignore[attr-defined]
        self.fields["query"].initial = next(iter(self.searches()))
        if own:  # as the choices spell it: it has to be found among them
            self.initial["query"] = _spelt(Criteria.parse(own))

    def searches(self) -> list[str]:
        """Return the query strings that may be chosen, the one brought along first."""
        mine = [] if self.brought.is_empty else [_spelt(self.brought)]
        return list(dict.fromkeys(mine + _offered()))

    def clean_at(self) -> time:
        return self.cleaned_data.get("at") or time(2)

    def clean(self) -> dict[str, Any]:
        """Check what only makes sense together."""
        told = super().clean() or {}
        if told.get("every") == Every.CRON:
            try:
                check_cron(told.get("cron", ""))
            except ScheduleRefused as error:
                self.add_error("cron", str(error))
        else:
            told["cron"] = ""
        if told.get("only_from") and told.get("only_from") == told.get("only_until"):
            self.add_error(
                "only_until", "Both hours are the same. Leave both empty when it may work at any time."
            )
        return told


def _offered() -> list[str]:
    plain = Criteria()
    return [plain.with_view(view) for name in OFFERED for view in VIEWS if view.name == name]


def _spelt(criteria: Criteria) -> str:
    """Return a search's query string; of one that is offered, the very one by which it is offered and named."""
    same = (query for query in _offered() if Criteria.parse(query) == criteria)
    return next(same, criteria.querystring())
