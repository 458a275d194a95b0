"""What CXone charges for a GB in SEA and month, so that GB-days are shown in money too."""

from decimal import Decimal

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("recordings", "0046_rare_media")]

    operations = [
        migrations.AddField(
            "tenant",
            "price",
            models.DecimalField(
                blank=True,
                decimal_places=4,
                max_digits=10,
                null=True,
                validators=[django.core.validators.MinValueValidator(Decimal("0.0001"))],
            ),
        ),
        migrations.AddField(
            "tenant",
            "currency",
            models.CharField(
                blank=True,
                max_length=8,
                validators=[
                    django.core.validators.RegexValidator(
                        r"^[^\d\s\x00-\x1f]+$", "Give the currency as a code or a sign, as EUR or €."
                    )
                ],
            ),
        ),
        migrations.AddConstraint(
            "tenant",
            models.CheckConstraint(
                condition=models.Q(("currency", ""), ("price", None))
                | models.Q(("price__gt", 0), models.Q(("currency", ""), _negated=True)),
                name="tenant_price_has_a_currency",
                violation_error_message="A price has a currency, and is above zero.",
            ),
        ),
    ]
