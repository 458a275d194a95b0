"""A tenant's connection as a person types it: checked, understood, and never shown its secret again."""

from typing import Any
from urllib.request import getproxies
from zoneinfo import available_timezones

from django import forms
from django.conf import settings

from recordings.catalog.place import lists_any, still_there
from recordings.forms.places import lock_places, meet, server_of
from recordings.models import Archive, Recording, Tenant
from recordings.sea.location import Location, LocationError, parse_location
from recordings.stores.base import StoreError, Unreachable
from recordings.stores.endpoint import check_endpoint
from recordings.stores.probe import ProbeReport, probe
from recordings.stores.s3 import S3Store, is_region

# What a stored secret belongs to: it is never used for another server, bucket or key than it was given for.
BOUND = ("endpoint", "bucket", "access_key")
CONNECTION = frozenset({"location", "access_key", "secret_key", "region", "verify_tls"})
PLACE = ("endpoint", "bucket", "prefix")
ANOTHER_FOLDER = (
    "This is another folder. Recordings of the present one are known, and a scan of the new one would take them for gone: "
    "connect the new folder as a tenant of its own."
)
CONNECTED = (
    "This SEA folder is connected already, or one that lies in it or around it. Connect each file once."
)
ANOTHER_SERVER = (
    "This is another place: none of the newest recordings that are known is there, and a scan of it would take them for gone. "
    "Keep the present address, or connect this one as a tenant of its own."
)
CANNOT_TELL = "Whether the recordings that are known are there cannot be told, so nothing was changed. {}"
JUST_FOUND = "A scan has just found recordings at the present address. Save again: the new one is asked for them first."
PATIENCE = 15.0  # seconds: a person is waiting
INTERVAL = "Give a number of minutes from 5 to 1,440."
PRICE = "Give a price above zero with a point and at most four digits after it, as 0.0325; or leave it empty."
ASK_AGAIN = (
    "Type the secret key again: the stored one is only ever used with the server, bucket and access key that it was "
    "given for."
)


def zones() -> list[tuple[str, str]]:
    """Return the zone names that a tenant may choose, UTC first; places only, no offsets or old abbreviations."""
    places = sorted(name for name in available_timezones() if "/" in name and not name.startswith("Etc/"))
    return [("UTC", "UTC only"), *((name, name.replace("_", " ")) for name in places)]


class TenantForm(forms.ModelForm):
    """Connect or change a tenant. On a change, an empty secret keeps the stored one."""

    secret_key = forms.CharField(
        label="Secret key",
        max_length=400,
        required=False,
        widget=forms.PasswordInput(
            attrs={"class": "in", "autocomplete": "new-password", "spellcheck": "false"}
        ),
    )

    class Meta:
        model = Tenant
        fields = [
            "name", "location", "access_key", "region", "verify_tls", "time_zone", "scan_every_minutes", "scans_paused",
            "ask_reason", "price", "currency",
        ]  # fmt: skip
        labels = {
            "location": "File Location",
            "verify_tls": "Check the server’s certificate",
            "scan_every_minutes": "Scan every … minutes",
            "scans_paused": "Pause its scans",
            "ask_reason": "Ask for a reason before play and download",
            "price": "Price per GB and month",
        }
        help_texts = {
            "name": "Shown in filters and in the audit trail.",
            "location": "Any form works: https://s3.amazonaws.com/bucket/folder/, s3://bucket/folder/, or bucket/folder/",
            "region": "Leave it empty unless the test asks for it.",
            "time_zone": "The second line under each time, beside UTC.",
            "scan_every_minutes": "From 5 to 1,440, which is once a day. An unchanged folder costs a few requests.",
            "price": "Of Active Storage: it stands in your contract with NICE, or on its invoice. Without it nothing is shown in money.",
            "currency": "As a code or a sign, as EUR or €.",
        }
        error_messages = {
            "name": {"required": "Give the tenant a name."},
            "location": {"required": "Paste the File Location from CXone."},
            "access_key": {"required": "Paste the access key ID from CXone."},
            "scan_every_minutes": {
                "invalid": INTERVAL,
                "min_value": INTERVAL,
                "max_value": INTERVAL,
            },
            "price": dict.fromkeys(
                ("invalid", "min_value", "max_digits", "max_decimal_places", "max_whole_digits"), PRICE
            ),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.before = {name: getattr(self.instance, name) for name in (*BOUND, "prefix")}
        self.stored_secret = (
            self.instance.secret_key if self.instance.pk else ""
        )  # empty too when no key opens it
        self.understood: Location | None = None
        self.has_known = False  # the new server has some of the recordings that are known
        typed = {"class": "in", "autocomplete": "off", "spellcheck": "false"}
        for name, more in {
            "name": {"maxlength": "60"},
            "location": {"placeholder": "https://s3.amazonaws.com/my-s3-bucket/folder/"},
            "access_key": {},
            "region": {"placeholder": "Found from the File Location"},
            "price": {"inputmode": "decimal"},
            "currency": {"maxlength": "8"},
        }.items():
            self.fields[name].widget = forms.TextInput(attrs={**typed, **more})
        self.fields["time_zone"] = forms.ChoiceField(
            label="Time zone",
            choices=zones,
            initial="UTC",
            help_text=self.fields["time_zone"].help_text,
            widget=forms.Select(attrs={"class": "in wide"}),
        )
        self.fields["scan_every_minutes"].widget = forms.NumberInput(
            attrs={"class": "in", "min": "5", "max": "1440", "inputmode": "numeric"}
        )
        self.fields["scan_every_minutes"].required = False
        for name in ("verify_tls", "scans_paused", "ask_reason"):
            self.fields[name].widget.attrs["class"] = "ck"
        if self.stored_secret:
            self.fields["secret_key"].widget.attrs["placeholder"] = "Unchanged"
            self.fields["secret_key"].help_text = "Leave it empty to keep the stored one."

    def clean_location(self) -> str:
        """Understand the File Location. What it cannot be is told in one sentence."""
        text = str(self.cleaned_data["location"])
        try:
            self.understood = parse_location(text)
        except LocationError as error:
            raise forms.ValidationError(str(error)) from None
        return text.strip()

    def clean_region(self) -> str:
        """Take a region's name only: it becomes part of Amazon's host name."""
        region = str(self.cleaned_data["region"]).strip().lower()
        if region and not is_region(region):
            raise forms.ValidationError(
                "A region looks like us-east-1. Leave it empty when you do not know it."
            )
        return region

    def clean_scan_every_minutes(self) -> int:
        """Keep the interval that the tenant has, or that a new one gets, when none is given."""
        return int(self.cleaned_data["scan_every_minutes"] or self.instance.scan_every_minutes)

    def clean_currency(self) -> str:
        """Write a code in one way, so that what is in one currency is told in one sum."""
        told = str(self.cleaned_data["currency"]).strip()
        return told.upper() if len(told) == 3 else told

    def clean(self) -> dict[str, Any]:
        told = super().clean() or {}
        if "price" in told and "currency" in told and (told["price"] is None) != (not told["currency"]):
            missing = "price" if told["price"] is None else "currency"
            self.add_error(missing, f"Give the {missing} too, or leave both empty.")
        if self.understood:
            self._place(self.understood)
        if not told.get("secret_key") and not self._may_reuse_secret(told):
            again = ASK_AGAIN if self.stored_secret else "Paste the secret access key from CXone."
            self.add_error("secret_key", again)
        return told

    def _place(self, place: Location) -> None:
        """Take over where the folder is, unless it is connected already or would disown what is known."""
        mine = self.instance
        mine.endpoint, mine.bucket, mine.prefix = place.endpoint, place.bucket, place.prefix
        self.check_place()
        self.check_folder()

    def check_place(self) -> None:
        """Refuse a folder that is connected already, one in it or around it, and one where copies are kept."""
        mine = self.instance
        # One file as two recordings: what is held as the one would be released as the other. Who stays where they are may go on
        # changing the rest.
        stays = mine.pk and all(getattr(mine, name) == self.before[name] for name in PLACE)
        others = Tenant.objects.filter(bucket=mine.bucket).exclude(pk=mine.pk)
        for other in () if stays else others:
            if server_of(other.endpoint) == server_of(mine.endpoint) and meet(mine.prefix, other.prefix):
                self.add_error("location", CONNECTED)
                break
        # What is read as SEA may be released, which deletes it: never where copies are kept.
        for archive in Archive.objects.filter(bucket=mine.bucket):
            if meet(mine.prefix, archive.prefix):
                self.add_error(
                    "location", f"This is where copies are kept in the archive {archive}, and not SEA."
                )

    def still_apart(self) -> bool:
        """Look at the places of the others once more, in the transaction that writes this one; tell whether none was taken since."""
        lock_places()
        self.check_place()
        return not self.errors

    def check_folder(self) -> None:
        """Refuse to leave a folder of which recordings are known."""
        mine = self.instance
        moved = (mine.bucket, mine.prefix) != (self.before["bucket"], self.before["prefix"])
        if mine.pk and moved and Recording.objects.filter(tenant=mine.pk).exists():
            self.add_error("location", ANOTHER_FOLDER)

    def check_again(self) -> bool:
        """Ask once more whether it leaves recordings behind, when no scan can add any."""
        self.check_folder()
        if self._moves_server and not self.has_known and still_there(self.instance):
            self.add_error("location", JUST_FOUND)
        return not self.errors

    @property
    def reconnects(self) -> bool:
        """Tell whether SEA is asked in another way from now on, once the form is valid."""
        return not CONNECTION.isdisjoint(self.changed_data)

    def _may_reuse_secret(self, told: dict[str, Any]) -> bool:
        place = self.understood
        if not self.stored_secret or place is None:
            return bool(self.stored_secret)
        return (place.endpoint, place.bucket, told.get("access_key")) == tuple(
            self.before[name] for name in BOUND
        )

    @property
    def region(self) -> str:
        """Return the region that was typed, or the one that the address names."""
        return self.cleaned_data["region"] or (self.understood and self.understood.region) or ""

    @property
    def secret(self) -> str:
        """Return the secret to use: the one typed, or the stored one where that is allowed."""
        return str(self.cleaned_data.get("secret_key") or self.stored_secret).strip()

    @property
    def _moves_server(self) -> bool:
        return bool(self.instance.pk) and self.instance.endpoint != self.before["endpoint"]

    def check_server(self) -> bool:
        """Refuse a server that no tenant may use, or another than the one with what is known; names that only a proxy knows are
        left to the proxy.
        """
        try:
            check_endpoint(self.instance.endpoint, allow_private=settings.PRIVATE_ENDPOINTS)
        except StoreError as error:
            if not (isinstance(error, Unreachable) and getproxies()):
                self.add_error("location", str(error))
        if self._moves_server and not self.errors:
            self._ask_for_known()
        return not self.errors

    def _ask_for_known(self) -> None:
        """Refuse a server with none of the newest recordings: the names of bucket and folder alone do not make it the same place."""
        mine, told = self.instance, self.cleaned_data
        store = S3Store(
            endpoint=mine.endpoint, bucket=mine.bucket, prefix=mine.prefix, access_key=told["access_key"],
            secret_key=self.secret, region=self.region or None, verify_tls=told["verify_tls"], read_timeout=PATIENCE, attempts=1,
        )  # fmt: skip
        try:
            if known := still_there(mine):
                self.has_known = lists_any(store, known)
                if not self.has_known:
                    self.add_error("location", ANOTHER_SERVER)
        except StoreError as error:
            self.add_error("location", CANNOT_TELL.format(error))

    def test(self) -> ProbeReport:
        """Test the connection that is typed, written or not. Writes and deletes nothing."""
        told = self.cleaned_data
        return probe(
            location_text=told["location"],
            access_key=told["access_key"],
            secret_key=self.secret,
            region=told["region"] or None,
            allow_private=settings.PRIVATE_ENDPOINTS,
            verify_tls=told["verify_tls"],
        )

    def save(self, commit: bool = True) -> Tenant:
        """Write the tenant; whatever was wrong with it before is for the next scan to find again."""
        tenant = self.instance
        tenant.secret_key = self.secret
        tenant.region = self.region
        tenant.problem, tenant.problem_code, tenant.problem_since = "", "", None
        tenant.suggested_region = ""
        return super().save(commit)
