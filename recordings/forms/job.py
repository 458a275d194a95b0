"""A transfer job as an admin types it: a name, a search, an archive."""

from typing import Any

from django import forms

from recordings.models import Archive, TransferJob
from recordings.search.criteria import VIEWS, Criteria

OFFERED = ("unsaved", "at_risk")
SAYS = {
    "unsaved": ("Everything that is not saved yet", "whatever its age, soonest expiry first"),
    "at_risk": ("What is at risk", "not saved, and 7 days or less left"),
}


class JobForm(forms.ModelForm):
    """Make a job of a search: the one that was brought along, or one that everybody needs."""

    query = forms.ChoiceField(
        label="Which recordings",
        required=False,
        widget=forms.RadioSelect,
        error_messages={"invalid_choice": "This search cannot be read. Choose one of those below."},
    )

    class Meta:
        model = TransferJob
        fields = ["name", "query", "archive"]
        error_messages = {
            "name": {"required": "Give the job a name."},
            "archive": {"required": "Choose the archive that the copies go to."},
        }

    def __init__(self, *args: Any, brought: str = "", **kwargs: Any) -> None:
        """Take the query string of the search that the person came with, if any."""
        super().__init__(*args, **kwargs)
        self.brought = Criteria.parse(brought)
        self.fields["name"].widget = forms.TextInput(
            attrs={
                "class": "in",
                "autocomplete": "off",
                "maxlength": "80",
                "placeholder": "Nightly save, EMEA-1",
            }
        )
        self.fields["name"].help_text = "Also what the command line calls it by."
        archives = Archive.objects.all()
        self.fields["archive"] = forms.ModelChoiceField(
            queryset=archives,
            label="Archive",
            empty_label=None,
            widget=forms.Select(attrs={"class": "in wide"}),
            error_messages={"required": "Choose the archive that the copies go to."},
        )
        self.fields["query"].choices = [(search, search) for search in self.searches()]  # type: ignore[attr-defined]
        self.fields["query"].initial = next(iter(self.searches()))

    def searches(self) -> list[str]:
        """Return the query strings that may be chosen, the one brought along first."""
        plain = Criteria()
        offered = [plain.with_view(view) for name in OFFERED for view in VIEWS if view.name == name]
        mine = [] if self.brought.is_empty else [self.brought.querystring()]
        return list(dict.fromkeys(mine + offered))
