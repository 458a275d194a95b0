"""Adding, naming and testing an archive in the browser."""

import os

import pytest
from django.urls import reverse

from recordings.models import Archive, AuditEntry, Kind
from recordings.trail import Action
from recordings.trail.alerts import raise_alert, resolve
from tests.factories import make_archive, make_copy, make_recording, make_tenant

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(tmp_path, settings):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    settings.ARCHIVE_ROOTS = [first, second]
    return first


def page(response):
    return " ".join(response.content.decode().split())


def add(client, folder, name="Main"):
    return client.post(reverse("archive_new"), {"name": name, "folder": str(folder)}, follow=True)


def test_a_name_alone_is_a_folder_below_the_first_root(client, admin, root):
    said = page(add(client, "main"))
    archive = Archive.objects.get()
    assert archive.folder == str(root / "main") and (root / "main").is_dir()
    assert "read back, found equal and removed" in said
    assert list((root / "main").iterdir()) == []
    assert (root / "main").stat().st_mode & 0o007 == 0, "others can neither read nor write"
    assert AuditEntry.objects.get(action=Action.ARCHIVE_ADDED).detail == {"folder": archive.folder}


def test_a_full_path_below_another_root_is_taken(client, admin, root):
    folder = root.parent / "second" / "deep" / "er"
    add(client, folder)
    assert Archive.objects.get().folder == str(folder)


@pytest.mark.parametrize(
    "folder", ["/etc/main", "/", "..", "../second-hand", "main/../../elsewhere", "", "{root}", "."]
)
def test_a_folder_outside_the_roots_is_refused(client, admin, root, folder):
    before = sorted(root.parent.rglob("*"))
    response = add(client, folder.format(root=root))
    assert response.status_code == 422 and not Archive.objects.exists()
    assert sorted(root.parent.rglob("*")) == before
    if folder.startswith("/"):
        assert f"An archive lies below one of these folders: {root}" in page(response)


def test_a_link_that_leads_out_is_refused(client, admin, root, tmp_path):
    (tmp_path / "outside").mkdir()
    (root / "link").symlink_to(tmp_path / "outside")
    for folder in ("link", "link/below"):
        assert "symbolic link" in page(add(client, folder))
    assert not Archive.objects.exists() and list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize("folder", ["main/inner", "main"])
def test_archives_never_lie_in_one_another(client, admin, root, folder):
    add(client, "main")
    assert add(client, folder, name="Second").status_code == 422
    assert add(client, "main-2", name="Beside").status_code == 200
    assert set(Archive.objects.values_list("name", flat=True)) == {"Main", "Beside"}


def test_an_archive_around_another_is_refused(client, admin, root):
    add(client, "outer/inner")
    assert "one inside the other" in page(add(client, "outer", name="Outer"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to_is_not_added(client, admin, root):
    (root / "closed").mkdir(mode=0o500)
    assert add(client, "closed").status_code == 422 and not Archive.objects.exists()


def test_a_file_in_the_way_is_told_and_nothing_is_added(client, admin, root):
    (root / "main").write_text("a file")
    assert add(client, "main").status_code == 422
    assert not Archive.objects.exists() and (root / "main").read_text() == "a file"


def test_testing_leaves_the_folder_as_it_was(client, admin, root):
    archive = make_archive(root / "main")
    (root / "main" / "kept.txt").write_text("kept")
    said = page(client.post(reverse("archive_test", args=[archive.pk]), follow=True))
    assert "found equal and removed" in said
    assert [path.name for path in (root / "main").iterdir()] == ["kept.txt"]


def test_testing_a_folder_that_is_gone_says_so_and_does_not_make_it(client, admin, root):
    archive = make_archive(root / "main")
    (root / "main").rmdir()
    said = page(client.post(reverse("archive_test", args=[archive.pk]), follow=True))
    assert "does not work" in said and "Cannot be reached" in said
    assert not (root / "main").exists()


def test_the_name_may_change_and_the_folder_not(client, admin, root):
    archive = make_archive(root / "main", name="Main")
    raise_alert(kind=Kind.ARCHIVE, subject="Main", sentence="Main could not be read again.")
    client.post(reverse("archive_edit", args=[archive.pk]), {"name": "Vault", "folder": str(root / "other")})
    assert resolve(kind=Kind.ARCHIVE, subject="Vault") == 1, "by its new name its next reading ends it"
    archive.refresh_from_db()
    assert (archive.name, archive.folder) == ("Vault", str(root / "main"))
    assert AuditEntry.objects.get(action=Action.ARCHIVE_CHANGED).detail == {
        "before": "Main",
        "changed": ["name"],
    }


def test_the_list_says_what_is_kept_and_what_is_wrong(client, admin, root):
    archive = make_archive(root / "main", name="Main")
    make_copy(make_recording(make_tenant(), saved=True, size=2_500_000), archive)
    archive.problem, archive.problem_since = "The disk is full.", archive.created_at
    archive.save()
    said = page(client.get(reverse("archives")))
    assert "2.5 MB" in said and "The disk is full." in said and "% used" in said
