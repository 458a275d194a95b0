"""How much of an archive is read again each week."""

from django import forms

from recordings.models import Archive


class RereadForm(forms.ModelForm):
    """A share in percent; 100 reads everything once a week, 0 nothing."""

    class Meta:
        model = Archive
        fields = ["reread_percent"]
        labels = {"reread_percent": "Percent of its copies each week"}
        help_texts = {
            "reread_percent": "A seventh of it each day, the copies first that nobody has read for the longest time. 100 is "
            "everything once a week, 0 is nothing."
        }
        widgets = {"reread_percent": forms.NumberInput(attrs={"class": "in", "min": 0, "max": 100})}
        error_messages = {
            "reread_percent": dict.fromkeys(("required", "invalid", "min_value", "max_value"), "Give 0 to 100 percent.")
        }  # fmt: skip
