from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("recordings", "0003_count_refused_sign_ins")]
    operations = [migrations.RemoveConstraint(model_name="copy", name="one_copy_per_path")]
